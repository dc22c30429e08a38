const BOX = { left: 46, right: 392, top: 42, bottom: 252 };
const PAD = 14; // between the box and the outermost points

const percent = (fraction, digits = 1) => `${fixed(100 * fraction, digits)}%`;
const short = (keepProb) => String(Number(keepProb.toFixed(6)));

/** What is known of a curve, made once for each: sweepOf(train, width, held). */
function sweepsOf(data) {
  const { trains, widths, held: helds, seeds } = data;

  /** Mean of one value for each seed, with half of its 95% interval. */
  function estimate(values) {
    const mean = sum(values) / seeds;
    const variance = sum(values.map((value) => (value - mean) ** 2)) / (seeds - 1);
    return { mean, margin: data.quantile * Math.sqrt(variance / seeds) };
  }

  /** Errors at each keep_prob, the lowest, and which others cannot be told from it. */
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
  return (...place) => {
    const key = place.join();
    if (!sweeps.has(key)) sweeps.set(key, sweep(...place));
    return sweeps.get(key);
  };
}

/** Lines and bands whose parts above `most` are cut where they leave the scale. */
function cutAbove(most, y) {
  const at = ([across, error]) => `${across.toFixed(2)} ${y(error).toFixed(2)}`;
  const cut = (points) => points.flatMap(([across, error], i) => {
    const [before, last] = points[i - 1] ?? [across, error];
    if ((last > most) === (error > most)) return [[across, error]];
    return [[before + ((most - last) / (error - last)) * (across - before), most], [across, error]];
  });
  const edge = (values, x, sign) => cut(values.map(({ mean, margin }, i) => [x(i), mean + sign * margin])).map(at);
  return {
    line: (values, x) => cut(values.map(({ mean }, i) => [x(i), mean])).map((point, i, points) =>
      (i && point[1] <= most && points[i - 1][1] <= most ? "L" : "M") + at(point)).join(""),
    band: (values, x) => `M${[...edge(values, x, 1), ...edge(values, x, -1).reverse()].join("L")}Z`,
  };
}

/** Errors against keep_prob. */
function errorsChart({ keep_probs: keepProbs, seeds }) {
  const picture = chart(400, 300);
  const { left, right, top, bottom } = BOX;
  const span = keepProbs.at(-1) - keepProbs[0] || 1;
  const x = (i) => left + PAD + ((keepProbs[i] - keepProbs[0]) / span) * (right - left - 2 * PAD);
  const every = Math.ceil(keepProbs.length / 9); // labels that fit side by side

  function point(i, { test, lowest, tied }, y, most) {
    const cy = y(test[i].mean);
    if (test[i].mean > most) {
      const above = `↑${fixed(100 * test[i].mean, 0)}`;
      return i % every ? [] : [svgText(x(i), top - 6, above, "middle", { "data-above": short(keepProbs[i]) })];
    }
    const kind = i === lowest ? "lowest" : tied[i] ? "tied" : "worse";
    return [
      h("svg:circle", {
        class: `dl-point dl-${kind}`, cx: x(i), cy, r: i === lowest ? 7 : 4.5,
        "data-keep-prob": short(keepProbs[i]), "data-kind": kind, "data-error": test[i].mean,
      }),
      ...(i === lowest ? [h("svg:circle", { class: "dl-point dl-center", cx: x(i), cy, r: 2.5 })] : []),
    ];
  }

  /** `best` is the lowest error of all that share the scale. */
  function draw(sweep, best, here) {
    const { test, train } = sweep;
    const tick = niceStep(2.2 * best / 5);
    const most = tick * Math.ceil(2.2 * best / tick);
    const place = scaleOf([0, most], [bottom, top]);
    const y = (error) => place(Math.max(0, Math.min(error, most)));
    const { line, band } = cutAbove(most, y);
    const percents = ticksOf([0, most], tick).map(([value]) => [value, fixed(100 * value, tick < 0.01 ? 1 : 0)]);
    picture.draw([
      svgPath("dl-axis dl-now", `M${x(here)} ${top}V${bottom}`),
      frameOf(BOX),
      svgPath("dl-sure", band(test, x)),
      svgPath("dl-sure", band(train, x)),
      svgPath("dl-curve dl-training", line(train, x)),
      svgPath("dl-curve", line(test, x)),
      ...axis("left", BOX, y, percents),
      ...axis("bottom", BOX, x, keepProbs.map((each, i) => [i, i % every ? "" : short(each)])),
      ...keepProbs.flatMap((_, i) => point(i, sweep, y, most)),
      ...axisNames({ ...BOX, top: top - 16 }, "keep_prob p", "error (%)"), // above the numbers of what leaves the box
    ]);
    picture.describe(`Error against keep_prob. ${keepProbs.map((each, i) =>
      `${short(each)}: test ${percent(test[i].mean)}, training ${percent(train[i].mean)}`).join("; ")}.`);
  }

  const dots = (...kinds) => swatch(14, ...kinds.map(([kind, r]) => h("svg:circle", { class: `dl-point dl-${kind}`, cx: 14, cy: 7, r })));
  const key = legend(
    [swatch(14, svgPath("dl-curve", "M0 7H28")), `test error, mean of ${seeds} seeds with its 95% interval`],
    [swatch(14, svgPath("dl-curve dl-training", "M0 7H28")), "training error, dropout off"],
    [dots(["lowest", 6], ["center", 2]), "lowest"],
    [dots(["tied", 4.5]), `not told apart from it by ${seeds} seeds`],
    [dots(["worse", 4.5]), "higher"]);
  return { parts: [picture.element, key], draw };
}

/** A sweep's numbers at one keep_prob. */
function numbersAt(keepProbs) {
  const rows = {
    units: row(["units in a layer, ", h("i", {}, "n")], "units"),
    left: row(["left on average, ", h("i", {}, "pn")], "left"),
    training: row(["training error"], "training"),
    test: row(["test error"], "test"),
    behind: row(["above the lowest, points"], "behind"),
  };
  const heading = valueOf("looked-at");
  const interval = ({ mean, margin }) => `${fixed(100 * mean, 1)} ± ${fixed(100 * margin, 1)}`;
  return {
    element: table([["at ", h("i", {}, "p"), " = ", heading], "mean"], Object.values(rows)),
    show({ units, train, test, lowest, behind }, i) {
      heading.textContent = short(keepProbs[i]);
      for (const [name, shown] of Object.entries({
        units: grouped(units[i]),
        left: fixed(keepProbs[i] * units[i], 0),
        training: `${interval(train[i])}%`,
        test: `${interval(test[i])}%`,
        behind: i === lowest ? "it is the lowest" : interval(behind[i]),
      })) rows[name].cells[0].textContent = shown;
    },
  };
}

/** The best keep_prob for every number of examples and units, with those that are not told apart from it. */
function bestEverywhere({ trains, widths, keep_probs: keepProbs }, sweepOf) {
  const headings = widths.map(() => h("span"));
  const rows = trains.map((train) => row(`${grouped(train)} examples`, ...widths.map(() => null)));
  trains.forEach((train, j) => widths.forEach((width, k) => rows[j].cells[k].setAttribute("data-best", `${train},${width}`)));

  /** Neighbors as a range: "0.4–0.6, 0.9". */
  function ranges(tied) {
    const runs = [];
    tied.forEach((is, i) => {
      if (is && tied[i - 1]) runs.at(-1)[1] = i;
      else if (is) runs.push([i, i]);
    });
    return runs.map(([first, last]) => [...new Set([first, last])].map((i) => short(keepProbs[i])).join("–")).join(", ");
  }

  return {
    element: table([["best ", h("i", {}, "p"), " (not told apart)"], ...headings], rows, { class: "dl-bests" }),
    show(train, width, held, shapeOf) {
      trains.forEach((eachTrain, j) => widths.forEach((eachWidth, k) => {
        const there = sweepOf(eachTrain, eachWidth, held);
        rows[j].cells[k].replaceChildren(h("strong", {}, short(keepProbs[there.lowest])), ` (${ranges(there.tied)})`);
        rows[j].cells[k].classList.toggle("dl-current", eachTrain === train && eachWidth === width);
      }));
      widths.forEach((each, k) => (headings[k].textContent = shapeOf(sweepOf(train, each, held))));
    },
  };
}

function handles(model, { trains, widths, held, keep_probs: keepProbs }) {
  const step = keepProbs.length > 1 ? Number((keepProbs[1] - keepProbs[0]).toFixed(6)) : 1;
  const widthLegend = h("span");
  const labels = {
    "n": h("span", {}, h("i", {}, "n"), ", the units"),
    "p*n": h("span", {}, h("i", {}, "pn"), ", the units that are left"),
  };
  const controls = [
    choice(model, "train", "Training examples:", trains.map((train) => [train, grouped(train)])),
    choice(model, "width", widthLegend, widths.map((width) => [width, grouped(width)])),
    ...(held.length > 1 ? [choice(model, "held", "Held fixed:", held.map((each) => [each, labels[each]]))] : []),
    slider(model, "keep_prob", ["Keep probability ", h("i", {}, "p"), " "],
      { min: keepProbs[0], max: keepProbs.at(-1), step, show: (value) => fixed(value, 2) }),
  ];
  return { widthLegend, controls };
}

function render({ model, el }) {
  const data = model.get("data");
  const { widths, keep_probs: keepProbs, held: helds, seeds } = data;
  const sweepOf = sweepsOf(data);
  const { widthLegend, controls } = handles(model, data);
  const picture = errorsChart(data);
  const numbers = numbersAt(keepProbs);
  const everywhere = bestEverywhere(data, sweepOf);
  const summary = liveSummary();

  const shapeOf = ({ units }) => (model.get("held") === "n"
    ? `${grouped(units[0])} units` : `${grouped(Math.round(keepProbs.at(-1) * units.at(-1)))} left on average`);

  /** The keep_prob at which a width means the same for both, if there is one. */
  function sharedKeepProb() {
    const i = keepProbs.findIndex((_, j) => data.units[0].every((ofHeld) => ofHeld.every((each) => each[j] === ofHeld[0][j])));
    return i < 0 ? "" : ` at p = ${short(keepProbs[i])}`;
  }

  function inWords({ test, train, lowest, tied }, i) {
    const others = keepProbs.filter((_, j) => tied[j] && j !== lowest).map(short);
    return `${percent(test[lowest].mean)}, is at ${short(keepProbs[lowest])}; ` +
      `${others.length ? `${enumerated(others)} ${others.length > 1 ? "are" : "is"}` : "none is"} not told apart from it by ${seeds} seeds. ` +
      `At ${short(keepProbs[i])} the test error is ${percent(test[i].mean)}, the training error ${percent(train[i].mean)}.`;
  }

  function update() {
    const [train, width, held] = ["train", "width", "held"].map((name) => model.get(name));
    const now = sweepOf(train, width, held);
    const i = keepProbs.findIndex((each) => Math.abs(each - model.get("keep_prob")) < 1e-9);
    // The scale belongs to the number of examples, so that widths can be compared.
    const alike = widths.flatMap((each) => helds.map((other) => sweepOf(train, each, other)));
    picture.draw(now, Math.min(...alike.map((each) => each.test[each.lowest].mean)), i);
    numbers.show(now, i);
    everywhere.show(train, width, held, shapeOf);
    widthLegend.textContent = `Units in a hidden layer${held === "n" ? "" : sharedKeepProb()}:`;
    summary.textContent = `${grouped(train)} examples, ${shapeOf(now)}: the lowest test error, ${inWords(now, i)}`;
  }

  return mount({ model, el }, {
    name: "keep_prob_sweep",
    title: "Which keep probability?",
    parts: [
      h("div", { class: "dl-controls" }, ...controls.map(({ element }) => element)),
      columns(picture.parts, [numbers.element, everywhere.element]),
      summary,
    ],
    controls,
    traits: ["keep_prob", "train", "width", "held"],
    update,
  });
}

export default { render };
