/* Keys, found by data-key: templates decide what they do, keymap.js which key it is. None commits alone. */
import { all, one, stored } from "./dom.js";
import { areOff, commandOf } from "./keymap.js";

const inField = (target) => target.closest?.("input, textarea, select, [contenteditable]") !== null;
const CHOICES = /^(radio|checkbox)$/;

/* The row one came from is where J and K go on. */
const lastRow = () => `guardsite:row:${location.pathname}`;
function moveRow(step) {
  const links = all("[data-row]");
  if (!links.length) return;
  let at = links.indexOf(document.activeElement.closest?.("tr")?.querySelector("[data-row]") ?? document.activeElement);
  if (at < 0) at = links.findIndex((link) => link.pathname === stored(sessionStorage, lastRow())) - (step > 0 ? 1 : 0);
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step));
  links[next].focus();
}
function pick() {
  const box = document.activeElement.closest?.("tr")?.querySelector("[data-pick]:not(:disabled)");
  if (box) box.click();
}
function press(element) {
  for (let fold = element.closest("details:not([open])"); fold; fold = fold.parentElement.closest("details:not([open])")) fold.open = true;
  if (/^(DETAILS|FORM)$/.test(element.tagName)) {
    const first = element.tagName === "DETAILS" && one("[data-first]", element);
    (first || one("input:not([type=hidden]), select, textarea, button", element) || element).focus();
  } else if (element.dataset.keyFocus !== undefined) element.focus();
  else element.click();
}
/* What stands in a panel that is fetched when it opens is waited for. */
let awaited = null;
const isComing = (panel) => one(".lazy__wait", panel) !== null;
function find(command) {
  const target = one(`[data-key="${CSS.escape(command)}"]`);
  if (target) {
    press(target);
    if (isComing(target)) awaited = command;
    return true;
  }
  const more = /^[se]$/.test(command) && one("details[data-panel='more']");
  if (!more) return false;
  awaited = command;
  more.open = true;
  return true;
}
document.addEventListener("htmx:afterSettle", () => {
  const target = awaited && one(`[data-key="${CSS.escape(awaited)}"]`);
  if (target && !isComing(target)) { awaited = null; press(target); }
});
function choose(event) {
  const near = event.target.closest?.("[data-codes]") || one("[data-codes]", event.target.closest?.("form") ?? document.createElement("i"));
  const panel = near || one("details[data-panel][open] [data-codes]");
  const code = panel && one(`[data-code-key="${event.key}"]`, panel);
  if (code) { event.preventDefault(); code.click(); code.focus(); }
}

let goUntil = 0;
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    const form = event.target.closest?.("form") || one("details[data-panel][open] form");
    const commit = form && one("[data-commit]:not(:disabled)", form);
    if (commit) { event.preventDefault(); form.requestSubmit(commit); }
    return;
  }
  if (event.key === "Escape") {
    const panel = one("details[data-panel][open]") || one("details.menu[open]");
    if (panel) { panel.open = false; one("summary", panel).focus(); }
    // A field of a filter is left as it is; the keys work again.
    else if (event.target.matches?.("input, textarea, select") && !event.target.closest("[popover]")) event.target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || areOff()) return;
  const number = /^[1-9]$/.test(event.key);
  // Radios and boxes are fields in which nobody types: the keys work there.
  if (inField(event.target) && !CHOICES.test(event.target.type)) return;
  if (one("#help:popover-open") && event.key !== "?") return;
  if (number) { choose(event); return; }
  const pressed = event.key.toLowerCase();
  if (Date.now() < goUntil) {
    goUntil = 0;
    const link = one(`[data-go="${CSS.escape(pressed)}"]`);
    if (link) { event.preventDefault(); link.click(); return; }
  }
  if (pressed.length !== 1) return;
  const command = commandOf(pressed);
  if (command === null) return;
  if (command === "g") { goUntil = Date.now() + 1500; return; }
  if (command === "j" || command === "k") { event.preventDefault(); moveRow(command === "j" ? 1 : -1); return; }
  if (command === "x") { event.preventDefault(); pick(); return; }
  if (find(command)) event.preventDefault();
});
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    const panel = document.getElementById(opener.dataset.opens);
    if (panel) { event.preventDefault(); press(panel); }
  }
  const row = event.target.closest("[data-row]");
  if (row) stored(sessionStorage, lastRow(), row.pathname);
  const menu = one("details.menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
});
