/* What a page gains with scripts. Every page works without them; no dependency, no eval, nothing inline. */
import "./answers.js";
import "./keys.js";
import { fillDrafts } from "./drafts.js";
import { heartbeat } from "./live.js";
import { showTimes } from "./times.js";

fillDrafts();
showTimes();
setInterval(heartbeat, 1000);
