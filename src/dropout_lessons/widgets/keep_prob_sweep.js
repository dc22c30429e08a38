const BOX = { left: 46, right: 392, top: 22, bottom: 232 };

function render({ model, el }) {
  const data = model.get("data");
  const { trains, widths, keep_probs: keepProbs, held: helds, seeds } = data;
  const counted = `${seeds} seeds`;
  const percent = (fraction, digits = 1) => `${fixed(100 * fraction, digits)}%`;
  const listing = (items) => (items.length > 1 ? `${items.slice(0, -1).join(", ")} and ${items.at(-1)}` : items.join());
  const short = (keepProb) => String(Number(keepProb.toFixed(6)));

  /** Mean of one value for each seed, with half of its 95% interval. */
  function estimate(values) {
    const mean = sum(values) / seeds;
    const variance = sum(values.map((value) => (value - mean) ** 2)) / (seeds - 1);
    return { mean, margin: data.quantile * Math.sqrt(variance / seeds) };
  }

  /** What is known of one curve: errors at each keep_prob, the lowest, and which others cannot be told from it. */
  function sweep(train, width, held) {
    const at = (values) => values[trains.indexOf(train)][widths.indexOf(width)][helds.indexOf(held)];
    const fractions = (values) => at(values).map((row) => row.map((value) => value * data.unit));
    const tests = fractions(data.test_error);
    const test = tests.map(estimate);
    const lowest = test.reduce((best, { mean }, i) => (mean < test[best].mean ? i : best), 0);
    const behind = tests.map((row) => estimate(row.map((value, seed) => value - tests[lowest][seed])));
    const tied = behind.map(({ mean, margin }, i) => i === lowest || mean - margin <= 0);
    return { test, train: fractions(data.train_error).map(estimate), lowest, behind, tied, units: at(data.units) };
  }
  const sweeps = new Map();
  function sweepOf(...place) {
    const key = place.join();
    if (!sweeps.has(key)) sweeps.set(key, sweep(...place));
    return sweeps.get(key);
  }

  // Controls
  const step = keepProbs.length > 1 ? Number((keepProbs[1] - keepProbs[0]).toFixed(6)) : 1;
  const keepProb = slider(model, "keep_prob", ["Keep probability ", h("i", {}, "p"), " "],
    { min: keepProbs[0], max: keepProbs.at(-1), step, show: (value) => fixed(value, 2) });
  const trainChoice = choice(model, "train", "Training examples:", trains.map((train) => [train, grouped(train)]));
  const widthLegend = h("span");
  const widthChoice = choice(model, "width", widthLegend, widths.map((width) => [width, grouped(width)]));
  const heldLabels = {
    "n": h("span", {}, h("i", {}, "n"), ", the units"),
    "p*n": h("span", {}, h("i", {}, "pn"), ", the units that are left"),
  };
  const heldChoice = choice(model, "held", "Held fixed:", helds.map((held) => [held, heldLabels[held]]));

  // The curve
  const chart = h("svg:svg", { viewBox: "0 0 400 280", role: "img", "aria-label": "" });
  const text = (x, y, content, anchor = "middle", more = {}) => h("svg:text", { x, y, "text-anchor": anchor, ...more }, content);

  function drawChart({ test, train, lowest, tied }) {
    const { left, right, top, bottom } = BOX;
    // The scale belongs to the number of examples, so that widths can be compared.
    const everywhere = widths.flatMap((width) => helds.map((held) => sweepOf(model.get("train"), width, held)));
    const best = Math.min(...everywhere.map((each) => each.test[each.lowest].mean));
    const tick = niceStep(2.2 * best / 5);
    const most = tick * Math.ceil(2.2 * best / tick);
    const pad = 14;
    const span = keepProbs.at(-1) - keepProbs[0] || 1;
    const x = (i) => left + pad + ((keepProbs[i] - keepProbs[0]) / span) * (right - left - 2 * pad);
    const y = (error) => bottom - (Math.max(0, Math.min(error, most)) / most) * (bottom - top);
    const at = ([across, error]) => `${across.toFixed(2)} ${y(error).toFixed(2)}`;
    // What leaves the scale at its top is cut where it leaves.
    const cut = (points) => points.flatMap(([across, error], i) => {
      const [before, last] = points[i - 1] ?? [across, error];
      if ((last > most) === (error > most)) return [[across, error]];
      return [[before + ((most - last) / (error - last)) * (across - before), most], [across, error]];
    });
    const line = (values) => cut(values.map(({ mean }, i) => [x(i), mean])).map((point, i, points) =>
      (i && point[1] <= most && points[i - 1][1] <= most ? "L" : "M") + at(point)).join("");
    const edge = (values, sign) => cut(values.map(({ mean, margin }, i) => [x(i), mean + sign * margin])).map(at);
    const band = (values) => `M${[...edge(values, 1), ...edge(values, -1).reverse()].join("L")}Z`;
    const here = keepProbs.findIndex((each) => Math.abs(each - model.get("keep_prob")) < 1e-9);
    const drawn = [
      h("svg:path", { class: "dl-axis dl-now", d: `M${x(here)} ${top}V${bottom}` }),
      h("svg:path", { class: "dl-axis", d: `M${left} ${top}V${bottom}H${right}` }),
      h("svg:path", { class: "dl-sure", d: band(test) }),
      h("svg:path", { class: "dl-sure", d: band(train) }),
      h("svg:path", { class: "dl-curve dl-training", d: line(train) }),
      h("svg:path", { class: "dl-curve", d: line(test) }),
    ];
    for (let value = 0; value <= most * (1 + 1e-9); value += tick) {
      drawn.push(h("svg:path", { class: "dl-axis", d: `M${left} ${y(value)}h-5` }),
        text(left - 8, y(value) + 5, fixed(100 * value, tick < 0.01 ? 1 : 0), "end"));
    }
    const every = Math.ceil(keepProbs.length / 9); // labels that fit side by side
    keepProbs.forEach((each, i) => {
      const labeled = i % every === 0;
      drawn.push(h("svg:path", { class: "dl-axis", d: `M${x(i)} ${bottom}v5` }));
      if (labeled) drawn.push(text(x(i), bottom + 20, short(each)));
      if (test[i].mean > most) {
        if (labeled) drawn.push(text(x(i), top - 6, `↑${fixed(100 * test[i].mean, 0)}`, "middle", { "data-above": short(each) }));
        return;
      }
      const kind = i === lowest ? "lowest" : tied[i] ? "tied" : "worse";
      drawn.push(h("svg:circle", {
        class: `dl-point dl-${kind}`, cx: x(i), cy: y(test[i].mean), r: i === lowest ? 7 : 4.5,
        "data-keep-prob": short(each), "data-kind": kind, "data-error": test[i].mean,
      }));
      if (i === lowest) drawn.push(h("svg:circle", { class: "dl-point dl-center", cx: x(i), cy: y(test[i].mean), r: 2.5 }));
    });
    drawn.push(text((left + right) / 2, bottom + 42, "keep_prob p; error in %"));
    chart.replaceChildren(...drawn);
    chart.setAttribute("aria-label", `Error against keep_prob. ${keepProbs.map((each, i) =>
      `${short(each)}: test ${percent(test[i].mean)}, training ${percent(train[i].mean)}`).join("; ")}.`);
  }

  const swatch = (...marks) => h("svg:svg", { class: "dl-swatch", viewBox: "0 0 28 14", "aria-hidden": "true" }, ...marks);
  const legend = h("ul", { class: "dl-legend" },
    h("li", {}, swatch(h("svg:path", { class: "dl-curve", d: "M0 7H28" })), `test error, mean of ${counted} with its 95% interval`),
    h("li", {}, swatch(h("svg:path", { class: "dl-curve dl-training", d: "M0 7H28" })), "training error, dropout off"),
    h("li", {}, swatch(h("svg:circle", { class: "dl-point dl-lowest", cx: 14, cy: 7, r: 6 }),
      h("svg:circle", { class: "dl-point dl-center", cx: 14, cy: 7, r: 2 })), "lowest"),
    h("li", {}, swatch(h("svg:circle", { class: "dl-point dl-tied", cx: 14, cy: 7, r: 4.5 })), `not told apart from it by ${counted}`),
    h("li", {}, swatch(h("svg:circle", { class: "dl-point dl-worse", cx: 14, cy: 7, r: 4.5 })), "higher"));

  // Numbers at the chosen keep_prob, and the best one everywhere
  const row = (label, name) => {
    const cell = h("td", { class: "dl-number", "data-value": name });
    return { cell, tr: h("tr", {}, h("th", { scope: "row" }, ...label), cell) };
  };
  const rows = {
    units: row(["units in a layer, ", h("i", {}, "n")], "units"),
    left: row(["left on average, ", h("i", {}, "pn")], "left"),
    training: row(["training error"], "training"),
    test: row(["test error"], "test"),
    behind: row(["above the lowest, points"], "behind"),
  };
  const heading = valueOf("looked-at");
  const numbers = h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "at ", h("i", {}, "p"), " = ", heading), h("th", { scope: "col", class: "dl-number" }, "mean"))),
    h("tbody", {}, ...Object.values(rows).map(({ tr }) => tr)));
  const bests = trains.map((train) => widths.map((width) => h("td", { class: "dl-number", "data-best": `${train},${width}` })));
  const columns = widths.map(() => h("th", { scope: "col", class: "dl-number" }));
  const everywhere = h("table", { class: "dl-bests" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "best ", h("i", {}, "p"), " (not told apart)"),
      ...columns)),
    h("tbody", {}, ...trains.map((train, i) => h("tr", {}, h("th", { scope: "row" }, `${grouped(train)} examples`), ...bests[i]))));
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });

  /** Neighbors as a range: "0.4–0.6, 0.9". */
  function ranges(tied) {
    const runs = [];
    tied.forEach((is, i) => {
      if (is && tied[i - 1]) runs.at(-1)[1] = i;
      else if (is) runs.push([i, i]);
    });
    return runs.map(([first, last]) => [...new Set([first, last])].map((i) => short(keepProbs[i])).join("–")).join(", ");
  }

  /** The keep_prob at which a width means the same for both, if there is one. */
  function sharedKeepProb() {
    const i = keepProbs.findIndex((_, j) => data.units[0].every((ofHeld) => ofHeld.every((each) => each[j] === ofHeld[0][j])));
    return i < 0 ? "" : ` at p = ${short(keepProbs[i])}`;
  }

  function update() {
    const [train, width, held] = ["train", "width", "held"].map((name) => model.get(name));
    const now = sweepOf(train, width, held);
    const i = keepProbs.findIndex((each) => Math.abs(each - model.get("keep_prob")) < 1e-9);
    drawChart(now);
    heading.textContent = short(keepProbs[i]);
    rows.units.cell.textContent = grouped(now.units[i]);
    rows.left.cell.textContent = fixed(keepProbs[i] * now.units[i], 0);
    const interval = ({ mean, margin }) => `${fixed(100 * mean, 1)} ± ${fixed(100 * margin, 1)}`;
    rows.training.cell.textContent = `${interval(now.train[i])}%`;
    rows.test.cell.textContent = `${interval(now.test[i])}%`;
    rows.behind.cell.textContent = i === now.lowest ? "it is the lowest" : interval(now.behind[i]);
    trains.forEach((eachTrain, j) => widths.forEach((eachWidth, k) => {
      const there = sweepOf(eachTrain, eachWidth, held);
      bests[j][k].replaceChildren(h("strong", {}, short(keepProbs[there.lowest])), ` (${ranges(there.tied)})`);
      bests[j][k].classList.toggle("dl-current", eachTrain === train && eachWidth === width);
    }));
    const others = keepProbs.filter((_, j) => now.tied[j] && j !== now.lowest).map(short);
    const shapeOf = ({ units }) =>
      held === "n" ? `${grouped(units[0])} units` : `${grouped(Math.round(keepProbs.at(-1) * units.at(-1)))} left on average`;
    widths.forEach((each, k) => (columns[k].textContent = shapeOf(sweepOf(train, each, held))));
    widthLegend.textContent = `Units in a hidden layer${held === "n" ? "" : sharedKeepProb()}:`;
    const shape = shapeOf(now);
    summary.textContent = `${grouped(train)} examples, ${shape}: the lowest test error, ${percent(now.test[now.lowest].mean)}, is at ` +
      `${short(keepProbs[now.lowest])}; ${others.length ? `${listing(others)} ${others.length > 1 ? "are" : "is"}` : "none is"} ` +
      `not told apart from it by ${counted}. At ${short(keepProbs[i])} the test error is ${percent(now.test[i].mean)}, ` +
      `the training error ${percent(now.train[i].mean)}.`;
    for (const control of [keepProb, trainChoice, widthChoice, heldChoice]) control.update();
  }

  return mount({ model, el }, {
    name: "keep_prob_sweep",
    title: "Which keep probability?",
    parts: [
      h("div", { class: "dl-controls" }, trainChoice.element, widthChoice.element,
        ...(helds.length > 1 ? [heldChoice.element] : []), keepProb.element),
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, chart, legend),
        h("div", { class: "dl-values" }, numbers, everywhere)),
      summary,
    ],
    traits: ["keep_prob", "train", "width", "held"],
    update,
  });
}

export default { render };
