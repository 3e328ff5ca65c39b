/* Admin lists on a phone: each cell carries the name of its column, which the style sheet shows there. */
for (const table of document.querySelectorAll("#result_list")) {
  const names = [...table.tHead.rows[0].cells].map((cell) => (cell.querySelector(".text") ?? cell).textContent.trim());
  for (const row of table.tBodies[0].rows) {
    [...row.cells].forEach((cell, index) => {
      if (cell.localName === "td" && !cell.classList.contains("action-checkbox")) cell.dataset.label = names[index] ?? "";
    });
  }
}
