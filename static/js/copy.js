/* Copy buttons: the exact value that stands beside the button, hidden, never in an attribute. */
import { one } from "./dom.js";

const SAID_FOR = 2000;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const exact = one("[data-exact]", button.parentElement);
  if (!exact) return;
  let copied = true;
  // Refused without https or by the browser's settings: then the text itself can still be selected.
  try { await navigator.clipboard.writeText(exact.textContent); } catch { copied = false; }
  const live = document.getElementById("live");
  if (live) live.textContent = copied ? "Copied." : "The browser refused to copy. Select the text instead.";
  button.dataset.copy = copied ? "done" : "refused";
  setTimeout(() => { button.dataset.copy = ""; }, SAID_FOR);
});
