/* What a page gains with scripts. Every page works without them; no dependency, no eval, nothing inline. */
import "./answers.js";
import "./copy.js";
import "./keys.js";
import "./zone.js";
import { fillDrafts } from "./drafts.js";
import { heartbeat } from "./live.js";
import { tidyQueue } from "./queue.js";
import { showTimes } from "./times.js";
import { tellNeeds } from "./verdict.js";

fillDrafts();
showTimes();
tellNeeds();
tidyQueue();
setInterval(heartbeat, 1000);
