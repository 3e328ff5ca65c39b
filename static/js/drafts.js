/* Drafts: what is typed survives a lost session, until it is sent. */
import { all, stored } from "./dom.js";

const draftKey = (field) => `draft:${field.form.dataset.draft}:${field.name}`;
document.addEventListener("input", (event) => {
  const field = event.target;
  if (field.form?.dataset.draft && field.name && /^(textarea|text)$/.test(field.type)) stored(sessionStorage, draftKey(field), field.value);
});
export function fillDrafts() {
  for (const form of all("form[data-draft]")) {
    for (const field of form.elements) {
      if (!/^(textarea|text)$/.test(field.type) || field.value) continue;
      const draft = stored(sessionStorage, draftKey(field));
      if (draft) field.value = draft;
    }
  }
}
