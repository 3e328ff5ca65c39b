/* The live tick and the heartbeat of a claim. */
import { one } from "./dom.js";
import { showTimes } from "./times.js";

/* Live tick: every 5 s, every 30 s when nobody moved for 2 min, none after 30 min hidden or while paused */
let lastAnswer = Date.now();
/** The server has answered. */
export const answered = () => { lastAnswer = Date.now(); };

let lastMove = Date.now();
let hiddenSince = document.hidden ? Date.now() : null;
let lastTick = Date.now();
let lastRenewal = Date.now();
for (const kind of ["pointermove", "keydown", "pointerdown", "scroll"]) {
  addEventListener(kind, () => { lastMove = Date.now(); }, { passive: true });
}
document.addEventListener("visibilitychange", () => {
  hiddenSince = document.hidden ? Date.now() : null;
  if (!document.hidden) tick();
});
const paused = () => one("[data-pause-updates][aria-pressed='true']") !== null;
function tick() {
  lastTick = Date.now();
  if (!paused()) document.body.dispatchEvent(new CustomEvent("guardsite:tick", { bubbles: true }));
}
/** Called every second. */
export function heartbeat() {
  const now = Date.now();
  showTimes();
  if (hiddenSince !== null && now - hiddenSince > 1_800_000) return;
  const period = document.hidden || now - lastMove > 120_000 ? 30_000 : 5_000;
  if (now - lastTick >= period) tick();
  // A claim is kept only while its tab is visible and used.
  if (!document.hidden && now - lastMove < 60_000 && now - lastRenewal > 60_000) {
    lastRenewal = now;
    document.body.dispatchEvent(new CustomEvent("guardsite:renew", { bubbles: true }));
  }
  const updated = one("[data-updated]");
  if (updated) {
    const age = (now - lastAnswer) / 1000;
    updated.textContent = paused() ? "Updates paused" : `Updated ${Math.round(age)} s ago`;
    updated.classList.toggle("is-stale", !paused() && age > (period / 1000) + 15);
  }
}
