/* Which key does what: the templates name a command by its first key; a person may give it another, or switch all off.
   Kept in this browser alone. */
import { all, one, stored } from "./dom.js";

const PLACE = "guardsite:keymap";
const SWITCH = "guardsite:keys";
// Digits choose reasons, and Tab, Enter and Escape belong to the browser.
const USABLE = /^[a-z.,/;'?=+*-]$/;

function read() {
  try {
    const found = JSON.parse(stored(localStorage, PLACE) || "{}");
    return Object.fromEntries(Object.entries(found).filter(([command, key]) => USABLE.test(command) && USABLE.test(String(key))));
  } catch {
    return {};
  }
}
let own = read();

export const areOff = () => stored(localStorage, SWITCH) === "off";
export const keyOf = (command) => own[command] ?? command;
/** The command behind a key, or null for a key that does nothing now. */
export const commandOf = (key) => {
  const taken = Object.entries(own).find(([, chosen]) => chosen === key);
  if (taken) return taken[0];
  return own[key] === undefined ? key : null;
};

const commands = () => all("[data-command]").map((row) => row.dataset.command);
const words = (command) => one(`[data-command="${CSS.escape(command)}"] dd`)?.textContent ?? command;

function show() {
  for (const row of all("[data-command]")) {
    const key = one("kbd", row);
    if (key) key.textContent = keyOf(row.dataset.command).toUpperCase();
  }
  const off = one("[data-keys-switch]");
  if (off) {
    off.hidden = false;
    off.setAttribute("aria-pressed", String(areOff()));
    off.textContent = areOff() ? off.dataset.on : off.dataset.off;
  }
}

/** The keys that are asked for, and the first conflict in words ("" when there is none). */
function judge(inputs) {
  const asked = Object.fromEntries(inputs.map((input) => [input.dataset.remap, input.value.trim().toLowerCase() || input.dataset.remap]));
  const seen = new Map();
  for (const input of inputs) {
    const key = asked[input.dataset.remap];
    input.removeAttribute("aria-invalid");
    let wrong = "";
    if (!USABLE.test(key)) wrong = `"${key}" cannot be a key here: choose a letter or a sign.`;
    else if (seen.has(key)) wrong = `${key.toUpperCase()} is used twice: for "${words(seen.get(key))}" and "${words(input.dataset.remap)}". Nothing was changed.`;
    if (wrong) {
      input.setAttribute("aria-invalid", "true");
      return { asked, wrong, input };
    }
    seen.set(key, input.dataset.remap);
  }
  return { asked, wrong: "" };
}

function build(form) {
  const list = one("[data-keymap-fields]", form);
  list.replaceChildren(...commands().map((command) => {
    const label = document.createElement("label");
    label.className = "keymap__field";
    const input = document.createElement("input");
    Object.assign(input, { maxLength: 1, size: 2, value: keyOf(command), autocomplete: "off", spellcheck: false });
    input.dataset.remap = command;
    label.append(input, ` ${words(command)}`);
    return label;
  }));
}

const form = one("form[data-keymap]");
if (form) {
  const answer = one("[data-keymap-answer]", form);
  build(form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { asked, wrong, input } = judge(all("[data-remap]", form));
    if (wrong) {
      answer.textContent = wrong;
      input.focus();
      return;
    }
    own = Object.fromEntries(Object.entries(asked).filter(([command, key]) => command !== key));
    stored(localStorage, PLACE, Object.keys(own).length ? JSON.stringify(own) : null);
    answer.textContent = form.dataset.saved;
    show();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    own = {};
    stored(localStorage, PLACE, null);
    build(form);
    answer.textContent = form.dataset.reset;
    show();
  });
  one("[data-keys-switch]")?.addEventListener("click", () => {
    stored(localStorage, SWITCH, areOff() ? null : "off");
    show();
  });
  show();
}
