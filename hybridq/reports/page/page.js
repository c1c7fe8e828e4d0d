"use strict";
const words = (a, column, b) =>
  a.cells[column].textContent.localeCompare(b.cells[column].textContent, "en", { numeric: true });
// Column heads of sortable tables become buttons; without scripts they stay plain text.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (head.classList.contains("unsorted")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const value = (row) => {
        const cell = row.cells[column];
        return cell.dataset.order === "" ? null : Number(cell.dataset.order);
      };
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if ((x === null) !== (y === null)) return x === null ? 1 : -1; // without a number: last
        const order = x === null ? words(a, column, b) : Math.sign(x - y) || 0; // two infinities: 0
        return falling ? -order : order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
// What is folded on the screen is in print as well; afterwards it is as it was.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const fold of opened) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of opened) fold.open = false;
});
