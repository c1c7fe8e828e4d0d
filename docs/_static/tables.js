// Gives each cell the head of its column, which narrow screens show before it.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("article table.docutils")) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    table.classList.add("stacked");
    if (heads.length > 5) table.classList.add("dense");
    if (heads.length > 9) table.classList.add("densest");
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, column) => {
        if (column > 0 && heads[column]) cell.dataset.head = heads[column];
      });
    }
  }
});
