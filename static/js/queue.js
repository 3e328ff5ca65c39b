/* The queue beyond its links: picking rows, what the tick tells of rows that stay, the way back from a card. */
import { all, one, say, stored } from "./dom.js";

/* Picking */
function countPicked() {
  const said = one("[data-picked]");
  if (!said) return;
  said.dataset.none ??= said.textContent;
  const rows = all("[data-pick]:checked");
  const picked = rows.length;
  const every = one("[data-pick-all]");
  const everything = every?.checked ?? false;
  if (every) every.indeterminate = picked > 0 && picked < all("[data-pick]").length;
  const heavy = rows.filter((box) => box.dataset.tier !== "1").length;
  const aside = everything ? ", all of this page: to deny only" : !heavy ? "" : heavy === picked ? ", none at tier 1: to deny only" : `, ${heavy} of them above tier 1: left out of an approval`;
  said.textContent = picked ? `${picked} selected${aside}` : said.dataset.none;
  // Nobody approves what they did not pick one by one, nor several at once above tier 1.
  for (const button of all("#bulk [data-approve]")) button.disabled = everything || (picked > 0 && heavy === picked);
}
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick-all]")) {
    for (const box of all("[data-pick]")) box.checked = event.target.checked;
  } else if (event.target.matches("[data-pick]")) {
    const every = one("[data-pick-all]");
    if (every) every.checked = false;
  } else return;
  countPicked();
});

/* "Show" brings a new table: what was picked, and where one stood, stays. */
let kept = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.id !== "queue") return;
  kept = {
    picked: new Set(all("[data-pick]:checked").map((box) => box.value)),
    row: document.activeElement.closest?.("[data-review]")?.dataset.review,
  };
});

/* What the tick tells: rows never move; their words change where they stand. */
function tellRows(news) {
  for (const count of all("[data-tab]", news)) {
    for (const place of all(`[data-count="${CSS.escape(count.dataset.tab)}"]`)) place.textContent = count.textContent;
  }
  const told = (row, text) => {
    const who = one("[data-who]", row);
    if (who && who.textContent !== text) who.textContent = text;
  };
  for (const item of all("[data-of]", news)) {
    const row = one(`[data-review="${CSS.escape(item.dataset.of)}"]`);
    if (row) { row.classList.remove("is-ended"); told(row, item.textContent); }
  }
  for (const item of all("[data-ended]", news)) {
    const row = one(`[data-review="${CSS.escape(item.dataset.ended)}"]`);
    if (row) { row.classList.add("is-ended"); told(row, item.textContent); }
  }
  const queue = one("#queue");
  if (queue) queue.dataset.title = news.dataset.title;
  const link = one("[data-show]", news);
  if (link) say(link.dataset.says);
}

/** After the page has loaded, and after each part that came. */
export function tidyQueue() {
  const news = one("#queue-news");
  if (news && one("[data-present]", news)) tellRows(news);
  if (kept && one("#queue")) {
    for (const box of all("[data-pick]")) box.checked = kept.picked.has(box.value);
    const row = kept.row && one(`[data-review="${CSS.escape(kept.row)}"] [data-row]`);
    if (row) row.focus();
    kept = null;
  }
  for (const field of all("[data-scripted]")) field.value = "1";
  const title = one("#queue")?.dataset.title;
  if (title) document.title = title;
  countPicked();
  wayBack();
}

const LAST_QUEUE = "guardsite:queue";
function wayBack() {
  if (one("#queue")) {
    stored(sessionStorage, LAST_QUEUE, location.search);
    return;
  }
  const search = stored(sessionStorage, LAST_QUEUE);
  const back = one("a[data-key='u']");
  if (search && back && back.pathname === "/reviews/" && !back.search) back.search = search;
}
