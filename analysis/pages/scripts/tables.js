/* Tables are sorted by the heading that is pressed, filtered by words, and copied for a spreadsheet. */
(() => {
  const cellValue = (cell) => cell?.dataset.v ?? cell?.textContent ?? "";
  const sort = (table, heading) => {
    const rows = [...table.tBodies[0].rows];
    const key = (row) => cellValue(row.cells[heading.cellIndex]);
    const isText = rows.some((row) => Number.isNaN(Number(key(row))));
    const was = heading.getAttribute("aria-sort") ?? (isText ? "descending" : "ascending");
    const order = was === "ascending" ? "descending" : "ascending";
    for (const each of heading.parentElement.cells) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => sign * (isText ? key(a).localeCompare(key(b)) : Number(key(a)) - Number(key(b)));
    table.tBodies[0].append(...rows.sort(compare));
  };
  /** The rows that are shown, with numbers as they are, not as they are written. */
  const textOf = (table) =>
    [...table.rows]
      .filter((row) => !row.hidden)
      .map((row) => [...row.cells].filter((cell) => !cell.matches(".bar")).map((cell) => cellValue(cell).trim()))
      .map((cells) => cells.join("\t"))
      .join("\n");
  const copy = async (table, button) => {
    try {
      await navigator.clipboard.writeText(textOf(table));
      button.textContent = "copied";
    } catch {
      // Without the right to the clipboard the rows are selected, for Ctrl+C.
      getSelection().selectAllChildren(table);
      button.textContent = "selected";
    }
    setTimeout(() => {
      button.textContent = "copy";
    }, 1500);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    table.tHead.addEventListener("click", ({ target }) => {
      const heading = target.closest("th");
      if (heading?.querySelector("button")) sort(table, heading);
    });
    const tools = document.createElement("p");
    tools.className = "controls";
    const button = document.createElement("button");
    button.textContent = "copy";
    button.title = "the rows, for a spreadsheet";
    button.addEventListener("click", () => copy(table, button));
    if (table.tBodies[0].rows.length > 12) {
      const find = document.createElement("input");
      find.type = "search";
      find.placeholder = `find in ${table.tBodies[0].rows.length} rows`;
      find.setAttribute("aria-label", "find rows");
      find.addEventListener("input", () => {
        const words = find.value.toLowerCase().split(" ");
        for (const row of table.tBodies[0].rows) {
          row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
        }
      });
      tools.append(find);
    }
    tools.append(button);
    (table.closest(".scroll") ?? table).before(tools);
  }
  // On paper everything is open.
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
})();
