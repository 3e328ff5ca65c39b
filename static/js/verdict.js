/* The verdict bar: folds that were opened, the message that a reason fills, printing a receipt. */
import { all, one } from "./dom.js";

const changed = (field) => field.dispatchEvent(new Event("change", { bubbles: true }));
const seenBoxes = (key) => all(`[data-fold-seen][value="${CSS.escape(key)}"]`);

// "toggle" does not bubble: caught on its way down.
document.addEventListener("toggle", (event) => {
  const fold = event.target;
  if (!fold.dataset?.fold || !fold.open) return;
  for (const box of seenBoxes(fold.dataset.fold)) if (!box.checked) { box.checked = true; changed(box); }
}, true);

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open-fold]");
  if (opener) {
    const fold = one(`details[data-fold="${CSS.escape(opener.dataset.openFold)}"]`);
    if (!fold) return;
    for (let around = fold; around; around = around.parentElement.closest("details")) around.open = true;
    fold.scrollIntoView({ block: "start" });
    one("summary", fold).focus({ preventScroll: true });
  }
  if (event.target.closest("[data-print]")) window.print();
});

/** After each part that came: while somebody else holds the review, nothing of ours can be committed. */
export function holdBack() {
  const held = one("#strip")?.dataset.held;
  const said = one("[data-held-said]");
  if (said) { said.hidden = !held; said.textContent = held ?? ""; }
  for (const button of all(".verdict-bar form[action$='/decide/'] button:not([type=button])")) {
    if (held && !button.disabled) { button.disabled = true; button.dataset.heldBack = ""; }
    else if (!held && button.dataset.heldBack !== undefined) { button.disabled = false; delete button.dataset.heldBack; }
  }
}

/* What a panel still asks for, in words beside its button: the server has the last word. */
const isGiven = (need) => {
  const boxes = all("input[type=checkbox]", need);
  if (boxes.length) return boxes.every((box) => box.checked);
  if (one("input:checked", need)) return true;
  const text = one("textarea, input:not([type=radio])", need);
  return (text?.value.trim().length ?? 0) >= Number(need.dataset.needLength ?? 1);
};
/** After each part that came, and whenever somebody types. */
export function tellNeeds() {
  for (const place of all("[data-needed]")) {
    const missing = all("[data-need]", place.closest("form")).filter((need) => !isGiven(need)).map((need) => need.dataset.need);
    const text = missing.length ? `Still needed: ${missing.join(", ")}` : "";
    if (place.textContent !== text) place.textContent = text;
  }
}
for (const kind of ["input", "change"]) document.addEventListener(kind, (event) => { if (event.target.form) tellNeeds(); });

// The message follows the reason until somebody writes their own.
document.addEventListener("change", (event) => {
  const radio = event.target;
  if (radio.dataset?.message === undefined) return;
  const message = one("textarea[name='message']", radio.form);
  if (!message) return;
  const ours = all("[data-message]", radio.form).map((one) => one.dataset.message);
  if (!message.value.trim() || ours.includes(message.value)) message.value = radio.dataset.message;
});
