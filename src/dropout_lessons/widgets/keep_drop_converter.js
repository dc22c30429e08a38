/** 1 - 0.8 is written 0.2, not 0.19999999999999996. */
const decimal = (number) => String(Number(number.toPrecision(6)));

function render({ model, el }) {
  const { conventions } = model.get("data");
  const keepProb = keepProbSlider(model, { min: 0.01, step: 0.01 });
  const [kept, dropped] = [h("div", { class: "dl-kept" }), h("div", { class: "dl-dropped" })];
  const bar = h("div", { class: "dl-share", "aria-hidden": "true" }, kept, dropped);
  const rows = conventions.map((convention) => {
    const { library, meaning } = convention;
    const code = h("code", { "data-value": library });
    const tr = h("tr", { role: "row" },
      h("th", { role: "rowheader", scope: "row" }, library),
      h("td", { role: "cell" }, code),
      h("td", { role: "cell" }, h("span", { class: `dl-dot dl-${meaning}`, "aria-hidden": "true" }), `${meaning} probability`));
    return { code, tr, convention };
  });
  const summary = liveSummary();

  function update() {
    const keep = model.get("keep_prob");
    for (const { code, convention } of rows) {
      const written = convention.template.replace("{value}", decimal(convention.meaning === "keep" ? keep : 1 - keep));
      // a line may break after an opening parenthesis
      code.replaceChildren(...written.split(/(?<=\()/).flatMap((part, i) => (i ? [h("wbr"), part] : [part])));
    }
    kept.style.width = `${100 * keep}%`;
    dropped.style.width = `${100 * (1 - keep)}%`;
    summary.textContent =
      `A unit is kept with probability ${decimal(keep)} and dropped with probability ${decimal(1 - keep)}.`;
  }

  return mount({ model, el }, {
    name: "keep_drop_converter",
    title: "One keep probability, written for each library",
    parts: [
      h("div", { class: "dl-controls" }, keepProb.element),
      bar,
      summary,
      // The roles are said, since browsers drop them where the style sheet stacks a row's cells on a phone.
      h("table", { class: "dl-stacking", role: "table" },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
          ...["Where", "Write", "What the number is"].map((name) =>
            h("th", { role: "columnheader", scope: "col" }, name)))),
        h("tbody", { role: "rowgroup" }, ...rows.map(({ tr }) => tr))),
    ],
    controls: [keepProb],
    traits: ["keep_prob"],
    update,
  });
}

export default { render };
