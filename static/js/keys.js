/* Keys, found by data-key: templates decide what they do. */
import { all, one, stored } from "./dom.js";

const keysOff = () => stored(localStorage, "guardsite:keys") === "off";
const inField = (target) => target.closest?.("input, textarea, select, [contenteditable]") !== null;
const rows = () => all("[data-row]");
function moveRow(step) {
  const links = rows();
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))].focus();
}
function press(element) {
  if (element.tagName === "DETAILS") {
    element.open = true;
    (one("[data-first]", element) || one("input:not([type=hidden]), select, textarea, button", element) || element).focus();
  } else if (element.dataset.keyFocus !== undefined) element.focus();
  else element.click();
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
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || keysOff()) return;
  const number = /^[1-9]$/.test(event.key);
  // A radio is a field, yet digits choose the code there.
  if (inField(event.target) && !(number && event.target.type === "radio")) return;
  const key = event.key.toLowerCase();
  if (Date.now() < goUntil) {
    goUntil = 0;
    const link = one(`[data-go="${CSS.escape(key)}"]`);
    if (link) { event.preventDefault(); link.click(); return; }
  }
  if (key === "g") { goUntil = Date.now() + 1500; return; }
  if (key === "j" || key === "k") { event.preventDefault(); moveRow(key === "j" ? 1 : -1); return; }
  if (number) {
    const panel = event.target.closest?.("[data-codes]") || one("details[data-panel][open] [data-codes]");
    const code = panel && one(`[data-code-key="${event.key}"]`, panel);
    if (code) { event.preventDefault(); code.click(); code.focus(); }
    return;
  }
  if (!/^[a-z./?]$/.test(key)) return;
  const target = one(`[data-key="${CSS.escape(key)}"]`);
  if (target) { event.preventDefault(); press(target); }
});
document.addEventListener("click", (event) => {
  const pause = event.target.closest("[data-pause-updates]");
  if (pause) pause.setAttribute("aria-pressed", String(pause.getAttribute("aria-pressed") !== "true"));
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    const panel = document.getElementById(opener.dataset.opens);
    if (panel) { event.preventDefault(); press(panel); }
  }
  const menu = one("details.menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
});
const keysSwitch = one("[data-keys-switch]");
if (keysSwitch) {
  const label = () => {
    keysSwitch.hidden = false;
    keysSwitch.setAttribute("aria-pressed", String(keysOff()));
    keysSwitch.textContent = keysOff() ? "Switch the keys on" : "Switch the keys off";
  };
  keysSwitch.addEventListener("click", () => { stored(localStorage, "guardsite:keys", keysOff() ? null : "off"); label(); });
  label();
}
