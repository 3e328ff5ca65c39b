/* The live tick, the heartbeat of a claim, and how fresh the page is. */
import { one, say } from "./dom.js";
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

/* A new table brings a new button: paused is paused until somebody says otherwise. */
let paused = false;
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-pause-updates]");
  if (!button) return;
  paused = !paused;
  showPaused();
  if (!paused) tick();
});
function showPaused() {
  const button = one("[data-pause-updates]");
  if (button) button.setAttribute("aria-pressed", String(paused));
}
const isPaused = () => paused && one("[data-pause-updates]") !== null;

function tick() {
  lastTick = Date.now();
  if (!isPaused()) document.body.dispatchEvent(new CustomEvent("guardsite:tick", { bubbles: true }));
}

/* A claim that nobody keeps: said once, a minute before it ends. */
const WARN_SECONDS = 60;
let warned = "";
function watchClaim() {
  const clock = one("#strip [hx-trigger*='guardsite:renew']") && one("#strip .strip__claim [data-until]");
  if (!clock) return;
  const left = (new Date(clock.dataset.until) - Date.now()) / 1000;
  clock.classList.toggle("is-ending", left <= WARN_SECONDS);
  if (left > 0 && left <= WARN_SECONDS && warned !== clock.dataset.until) {
    warned = clock.dataset.until;
    say(`Your claim ends in ${Math.round(left)} s. Keep it.`);
  }
}

/** Called every second. */
export function heartbeat() {
  const now = Date.now();
  showTimes();
  showPaused();
  watchClaim();
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
    updated.textContent = isPaused() ? "Updates paused" : `Updated ${Math.round(age)} s ago`;
    updated.classList.toggle("is-stale", !isPaused() && age > (period / 1000) + 15);
  }
}
