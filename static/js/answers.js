/* htmx: where answers go, what is said, where the focus lands. */
import { fillDrafts } from "./drafts.js";
import { one } from "./dom.js";
import { answered } from "./live.js";
import { tidyQueue } from "./queue.js";
import { showTimes } from "./times.js";
import { holdBack, tellNeeds } from "./verdict.js";

document.addEventListener("htmx:beforeSwap", (event) => {
  // A lost session must not replace the card: its draft would go with it.
  if (event.detail.xhr.status === 401) {
    event.detail.target = document.getElementById("site-alert");
    event.detail.swapOverride = "innerHTML";
    event.detail.shouldSwap = true;
  }
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful || event.detail.xhr?.status === 204) answered();
});
document.addEventListener("htmx:afterSettle", (event) => {
  showTimes();
  fillDrafts();
  holdBack();
  tellNeeds();
  const posted = event.detail.requestConfig?.verb === "post" && event.detail.elt.isConnected;
  const focus = posted && (one("details[open] [aria-invalid='true']", event.detail.elt) || one("[data-focus]", event.detail.elt));
  if (focus) focus.focus();
  tidyQueue();
});
document.addEventListener("htmx:responseError", (event) => banner(`The server answered ${event.detail.xhr.status}. Nothing of yours was sent. Try again.`));
document.addEventListener("htmx:sendError", () => banner("guardsite cannot be reached right now. Nothing of yours was sent; you can read and draft."));
function banner(text) {
  const place = document.getElementById("site-alert");
  const notice = document.createElement("p");
  notice.className = "notice notice--danger";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  place.replaceChildren(notice);
}
