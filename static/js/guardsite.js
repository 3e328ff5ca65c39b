/* What a page gains with scripts. Every page works without them; no dependency, no eval, nothing inline. */
import "./answers.js";
import "./copy.js";
import "./keys.js";
import "./verdict.js";
import "./zone.js";
import { fillDrafts } from "./drafts.js";
import { heartbeat } from "./live.js";
import { tidyQueue } from "./queue.js";
import { showTimes } from "./times.js";

fillDrafts();
showTimes();
tidyQueue();
setInterval(heartbeat, 1000);
