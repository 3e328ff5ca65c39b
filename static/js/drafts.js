/* Drafts: what is typed into a panel is kept on the server every few seconds, and here while the server cannot be had. */
import { all, one, stored } from "./dom.js";

const PAUSE = 2000;
const timers = new WeakMap();
const sent = new WeakMap();
const typed = new Set(["textarea", "text", "number"]);
const panelOf = (form) => form.closest("details[data-panel]") || form.parentElement;
const localKey = (field) => `draft:${field.form.dataset.draft}:${field.form.dataset.draftPanel}:${field.name}`;

function fields(form) {
  const data = new FormData(form);
  // What belongs to the card on the screen is no part of what somebody types.
  for (const name of ["seen_version", "seen_digest", "seen_template", "form_key", "kind"]) data.delete(name);
  data.set("panel", form.dataset.draftPanel);
  return data;
}
const print = (data) => JSON.stringify([...data].filter(([name]) => name !== "csrfmiddlewaretoken"));

function forget(form) {
  for (const field of form.elements) if (field.name) stored(sessionStorage, localKey(field), null);
}

async function save(form) {
  timers.delete(form);
  const data = fields(form);
  if (print(data) === sent.get(form)) return;
  try {
    const answer = await fetch(form.dataset.draft, { method: "POST", body: data, headers: { "X-Requested-With": "fetch" }, redirect: "manual" });
    if (!answer.ok) return;
    sent.set(form, print(data));
    forget(form);
    const line = one(`[data-draft-line="${CSS.escape(form.dataset.draftPanel)}"]`, panelOf(form));
    if (!line) return;
    const text = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    one("[data-draft-state]", line).replaceChildren(...text.childNodes);
    one("[data-draft-discard]", line).hidden = !one("[data-draft-state]", line).textContent.trim();
  } catch { /* kept here until the server can be had again */ }
}

function note(event) {
  const form = event.target.form;
  if (!form?.dataset.draft || !event.target.name) return;
  if (typed.has(event.target.type)) stored(sessionStorage, localKey(event.target), event.target.value);
  clearTimeout(timers.get(form));
  timers.set(form, setTimeout(() => save(form), PAUSE));
}
document.addEventListener("input", note);
document.addEventListener("change", note);

document.addEventListener("submit", (event) => {
  const form = event.target.closest?.("form[data-draft]");
  if (form) { clearTimeout(timers.get(form)); timers.delete(form); }
  const discarded = event.target.closest?.("[data-draft-discard]");
  const owner = discarded && one("form[data-draft]", panelOf(discarded.parentElement));
  if (owner) forget(owner);
}, true);

// A form that was taken is no draft any more; one that met a lost session or a broken line is.
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.elt;
  // Not `successful`: that is also said of a refusal which is swapped in.
  if (event.detail.xhr?.status < 400 && form.matches?.("form[data-draft]")) forget(form);
});

addEventListener("pagehide", () => {
  for (const form of all("form[data-draft]")) {
    if (!timers.has(form)) continue;
    clearTimeout(timers.get(form));
    navigator.sendBeacon(form.dataset.draft, fields(form));
  }
});

/** Brings back what the server never got. */
export function fillDrafts() {
  for (const form of all("form[data-draft]")) {
    for (const field of form.elements) {
      if (!typed.has(field.type) || !field.name || field.value) continue;
      const draft = stored(sessionStorage, localKey(field));
      if (draft) field.value = draft;
    }
  }
}
