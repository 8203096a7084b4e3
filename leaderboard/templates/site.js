"use strict";
// Tables: sorting by any column, and filtering. Without this script the tables still stand.

const byId = id => document.getElementById(id);

function valueOf(row, column, kind) {
  const value = row.cells[column].dataset.value ?? row.cells[column].textContent;
  return kind === "text" ? value : value === "" ? null : Number(value);
}

function sort(table, button) {
  const header = button.closest("th"), kind = button.dataset.kind;
  const column = header.cellIndex, body = table.tBodies[0];
  const was = header.getAttribute("aria-sort");
  const first = kind === "text" || column === 0 ? "ascending" : "descending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = was === first ? other : first;
  for (const cell of header.parentNode.cells) cell.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((a, b) => {
    const x = valueOf(a, column, kind), y = valueOf(b, column, kind);
    if (x === null || y === null) return (x === null) - (y === null);  // what is missing comes last
    return sign * (kind === "text" ? x.localeCompare(y, "en") : x - y);
  });
  body.append(...rows);
}

// A table that is wider than its place becomes a list of cards, in which each cell names its column.
const tables = [...document.querySelectorAll(".scroll table")];
for (const table of tables) {
  const names = [...table.tHead.rows[0].cells].map(cell => (cell.querySelector("button") || cell).firstChild.textContent.trim());
  for (const row of table.tBodies[0].rows)
    for (const cell of row.cells)
      if (cell.tagName === "TD" && !cell.matches(".source, .kind")) cell.dataset.label = names[cell.cellIndex];
}
function fit() {
  for (const table of tables) {
    table.classList.remove("cards-of");
    table.classList.toggle("cards-of", table.offsetWidth > table.parentElement.clientWidth);
  }
}
fit();
addEventListener("resize", fit);

for (const table of document.querySelectorAll("table.sortable"))
  for (const button of table.tHead.querySelectorAll("button"))
    button.addEventListener("click", () => sort(table, button));

function filter() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const track = byId("track").value, weights = byId("weights").value;
  const rows = document.querySelectorAll("tr[data-name]");
  let shown = 0;
  for (const row of rows) {
    const fits = words.every(word => row.dataset.name.includes(word))
      && (!track || row.dataset.track === track) && (!weights || row.dataset.weights === weights);
    row.hidden = !fits;
    shown += fits;
  }
  byId("count").textContent = shown === rows.length ? "" : `${shown} of ${rows.length} ${rows.length === 1 ? "entry" : "entries"}`;
}

if (byId("find")) {
  for (const id of ["find", "track", "weights"]) byId(id).addEventListener("input", filter);
  byId("find").form.addEventListener("submit", event => event.preventDefault());
  filter();
}
