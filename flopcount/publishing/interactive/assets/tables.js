// Tables: a heading sorts by click or Enter (up, down, as it was), a filter hides rows.

function keyOf(cell) {
  const text = cell.dataset.key ?? cell.textContent;
  if (/^-?\d+$/.test(text)) return BigInt(text);
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

function compared(a, b) {
  const textual = typeof a === "string", other = typeof b === "string";
  if (textual && other) return a.localeCompare(b, "en", { numeric: true });
  if (textual !== other) return textual ? 1 : -1;
  return a < b ? -1 : a > b ? 1 : 0;
}

export function sorted(table) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const given = [...body.rows];
  const place = () => {
    const column = headings.findIndex((heading) => heading.ariaSort !== "none");
    const sign = column >= 0 && headings[column].ariaSort === "descending" ? -1 : 1;
    const rows = column < 0 ? given : given.map((row) => [keyOf(row.cells[column]), row])
      .sort(([a], [b]) => sign * compared(a, b)).map(([, row]) => row);
    // moving rows lays out the whole table again, which would slow a slider down
    if (rows.some((row, index) => row !== body.rows[index])) body.append(...rows);
  };
  headings.forEach((heading) => heading.querySelector("button").addEventListener("click", () => {
    // numbers sort from the largest first, names from A
    const order = heading.classList.contains("number")
      ? { none: "descending", descending: "ascending", ascending: "none" }
      : { none: "ascending", ascending: "descending", descending: "none" };
    const next = order[heading.ariaSort];
    headings.forEach((other) => { other.ariaSort = "none"; });
    heading.ariaSort = next;
    place();
  }));
  return place;
}

// `away` rows count as absent (deeper than asked for); `tell` gets the others and which are shown
export function filtered(table, input, tell) {
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...table.tBodies[0].rows].filter((row) => !("away" in row.dataset));
    const shown = rows.filter((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      return !row.hidden;
    });
    tell(shown, rows);
  };
  input.addEventListener("input", show);
  return show;
}

// Bars in the columns of shares, the largest of which fills its own
export function barred(table) {
  const cells = [...table.tBodies[0].querySelectorAll("td.share")];
  const columns = new Map();
  for (const cell of cells) columns.set(cell.cellIndex, [...(columns.get(cell.cellIndex) ?? []), cell]);
  for (const column of columns.values()) {
    const largest = Math.max(...column.map((cell) => Number(keyOf(cell))));
    for (const cell of column) cell.style.setProperty("--share", largest ? Number(keyOf(cell)) / largest : 0);
  }
}

// A text that is there already is left alone, and needs no new layout
export function put(cell, text, key) {
  if (cell.textContent !== text) cell.textContent = text;
  if (cell.dataset.key !== key) cell.dataset.key = key;
}
