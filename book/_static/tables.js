// A long table can be sorted by each of its columns and filtered by what its rows say. Without this script it is as it
// stands. A number sorts by its size, a time by its length, anything else by its letters; what is empty comes last.
const LONG = 8;
const UNITS = { seconds: 1, minutes: 60, hours: 3600, days: 86400 };

const said = (cell) => cell?.textContent.trim() ?? "";
const size = (text) => {
  const found = /^([-+]?\d[\d.]*(?:e[-+]?\d+)?)%?(?: (seconds|minutes|hours|days)\b)?/.exec(
    text.replace("−", "-").replaceAll(",", ""),
  );
  return found ? parseFloat(found[1]) * (UNITS[found[2]] ?? 1) : NaN;
};
const compare = (a, b) => {
  const [x, y] = [size(a), size(b)];
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return Number.isNaN(x) ? a.localeCompare(b) : x - y;
};

const sortable = (table) => {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const asItStood = [...body.rows];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort ?? "none"];
      for (const other of heads) other.ariaSort = null;
      const rows = [...asItStood];
      if (next !== "none") {
        head.ariaSort = next;
        const sign = next === "ascending" ? 1 : -1;
        const value = (row) => said(row.cells[column]);
        rows.sort((a, b) => (!value(a) || !value(b) ? !value(a) - !value(b) : sign * compare(value(a), value(b))));
      }
      body.append(...rows);
    });
  });
};

const filterable = (table) => {
  const label = document.createElement("label");
  label.className = "table-filter";
  label.innerHTML = `<span>Rows with</span> <input type="search" autocomplete="off" spellcheck="false"> <output></output>`;
  const [input, output] = [label.querySelector("input"), label.querySelector("output")];
  const rows = [...table.tBodies[0].rows];
  const filter = () => {
    const words = input.value.toLowerCase().replaceAll("-", "−").split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase().replaceAll("-", "−");
      row.hidden = !words.every((word) => text.includes(word));
    }
    output.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  };
  input.addEventListener("input", filter);
  (table.closest(".pst-scrollable-table-container") ?? table).before(label);
};

for (const table of document.querySelectorAll(".bd-article table")) {
  if (table.tHead?.rows.length !== 1 || table.tBodies[0]?.rows.length < LONG) continue;
  sortable(table);
  filterable(table);
}
