const CHART = { left: 58, right: 352, top: 8, mean: 34 };

const SAID = {
  agrees: ["Agrees", "the whole interval lies"],
  disagrees: ["Disagrees", "no part of the interval lies"],
  undecided: ["Undecided", "only a part of the interval lies"],
};

/** The whole part of the square root of a BigInt. */
function squareRoot(n) {
  let root = 1n << BigInt(2 * n.toString(16).length); // Newton's steps from above
  while (root * root > n) root = (root + n / root) >> 1n;
  return root;
}

/**
 * Mean and standard deviation, each the double nearest to the exact one, as Python's statistics module gives them: the
 * order of the seeds does not matter, and equal values have no spread. Each value times 2^bits must be a whole number.
 */
function moments(values, bits) {
  const whole = values.map((value) => BigInt(value * 2 ** bits));
  const n = BigInt(whole.length);
  const total = whole.reduce((all, value) => all + value);
  const squares = whole.reduce((all, value) => all + value * value, 0n);
  const variance = ((n * squares - total * total) << 256n) / (n * (n - 1n));
  const nearest = (number) => Number(number) / 2 ** (bits + 128);
  return { mean: nearest((total << 128n) / n), sd: nearest(squareRoot(variance)) };
}

/** Whether an interval lies between the limits, as experiments.Finding.holds has it: a limit that is touched is not passed. */
function verdictOf([low, high], [bottom, top]) {
  if (bottom < low && high < top) return "agrees";
  return high <= bottom || low >= top ? "disagrees" : "undecided";
}

/** The seeds 0 to n - 1, as they are for order 0, else in an order that is drawn from it. */
function orderOf(n, order) {
  const seeds = Array.from({ length: n }, (_, seed) => seed);
  const uniform = uniformStream(order);
  for (let i = order === 0 ? 0 : n - 1; i > 0; i--) {
    const j = Math.floor(uniform(i) * (i + 1));
    [seeds[i], seeds[j]] = [seeds[j], seeds[i]];
  }
  return seeds;
}

/** 0.1 + 0.2 -> "0.3", -0.5 -> "−0.5" */
const short = (number) => String(Number(number.toPrecision(12)) + 0).replace("-", "−");

/** As many decimals as show two digits of what is finest, and more where rounding would hide which number is larger. */
function decimalsFor(finest, interval, limits) {
  const size = Math.max(...interval.map(Math.abs));
  const order = (a, b) => (Math.abs(a - b) <= 1e-12 * size ? 0 : Math.sign(a - b));
  const place = (number) => (number > 0 ? -Math.floor(Math.log10(number)) : 0);
  let decimals = Math.max(0, finest > 1e-12 * size ? place(finest) + 1 : place(size) + 2);
  const hides = (end) => limits.filter(Number.isFinite)
    .some((limit) => order(end, limit) && Math.sign(Number(end.toFixed(decimals)) - Number(limit.toPrecision(12))) !== order(end, limit));
  while (decimals < 20 && interval.some(hides)) decimals++;
  return Math.min(decimals, 100); // the most that toFixed takes
}

function render({ model, el }) {
  const { effects, unit, scale, quantiles, fewest } = model.get("data");
  const units = unit === "%" ? "%" : unit && ` ${unit}`;
  const named = (wanted) => effects.find(({ name }) => name === wanted);
  const shown = () => named(model.get("effect"));
  const own = (effect) => ({ seeds: effect.differences.length, bound: effect.bound });
  const intervalOf = ({ mean, sd }, n) => {
    const margin = (quantiles[n - 2] * sd) / Math.sqrt(n);
    return [mean - margin, mean + margin];
  };

  // Controls
  const selectId = uniqueId();
  const select = h("select", { id: selectId, onchange: () => assign(model, { effect: select.value, ...own(named(select.value)) }) },
    ...effects.map(({ name }) => h("option", { value: name }, name)));
  const statement = valueOf("statement");
  const required = valueOf("required");
  const seeds = slider(model, "seeds", ["Seeds used "],
    { min: 2, max: 2, step: 1, show: (count) => `${count} of ${shown().differences.length}` });
  const boundLabel = h("span");
  const bound = slider(model, "bound", [boundLabel], { min: 0, max: 1, step: "any", show: (value) => `${short(scale * value)}${units}` });
  for (const { element } of [seeds, bound]) element.classList.add("dl-wide-value");
  const setRange = ({ element }, { min, max, step }) => {
    const input = element.querySelector("input");
    for (const [name, value] of Object.entries({ min, max, step })) input.setAttribute(name, value);
  };
  const shuffle = button("Shuffle the seeds", () => assign(model, { order: (model.get("order") + 1) % 2 ** 32 }));
  const reset = button("Reset", () => assign(model, { order: 0, ...own(shown()) }));

  // Numbers
  const cells = {};
  const row = (name, key) => {
    cells[key] = h("td", { class: "dl-number", "data-value": key });
    return h("tr", {}, h("th", { scope: "row" }, ...name), cells[key]);
  };
  const inUnit = unit && `, ${unit}`;
  const numbers = h("table", {}, h("tbody", {},
    row(["mean difference", inUnit], "mean"),
    row(["standard deviation ", h("i", {}, "s"), inUnit], "sd"),
    row(["Student's ", h("i", {}, "t"), " for ", h("i", {}, "k"), " seeds"], "quantile"),
    row(["margin ", h("i", {}, "t s"), " / √", h("i", {}, "k"), inUnit], "margin"),
    row(["95% interval", inUnit], "interval")));
  const verdict = h("strong", { "data-value": "verdict" });
  const why = h("span");
  const plan = valueOf("plan");
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" }, verdict, why, " ", plan);

  // The picture
  const text = (x, y, content, anchor = "middle") => h("svg:text", { x, y, "text-anchor": anchor }, content);
  const circle = (kind, cx, cy, attributes) => h("svg:circle", { class: kind, r: 4.5, cx, cy, ...attributes });
  const bar = (attributes) => h("svg:path", { class: "dl-interval", ...attributes });
  const chart = h("svg:svg", { role: "img", "aria-label": "" });
  const swatch = (...drawn) => h("svg:svg", { class: "dl-swatch", viewBox: "0 0 28 12", "aria-hidden": "true" }, ...drawn);
  const legend = h("ul", { class: "dl-legend" },
    h("li", {}, swatch(circle("dl-seed", 14, 6)), "difference at a seed that is used"),
    h("li", {}, swatch(circle("dl-seed dl-unused", 14, 6)), "at a seed that is not"),
    h("li", {}, swatch(bar({ d: "M1 6H27" }), circle("dl-mean", 14, 6)), "mean of those used, 95% interval"),
    h("li", {}, swatch(h("svg:rect", { class: "dl-agreeing", width: 28, height: 12 })), "agrees with the statement"));

  function drawChart({ differences, axis: [low, high] }, order, used, mean, interval, limits) {
    const { left, right, top, mean: meanRow } = CHART;
    const rowHeight = Math.max(4, Math.min(15, 240 / order.length));
    const bottom = top + rowHeight * order.length + meanRow;
    const place = (value) => left + ((value - low) / (high - low)) * (right - left);
    const x = (value) => Math.max(left, Math.min(right, place(value)));
    const y = (i) => top + rowHeight * (i + 0.5);
    const every = Math.ceil(13 / rowHeight);
    const [bottomLimit, topLimit] = limits.map(x);
    const drawn = [
      h("svg:rect", { class: "dl-agreeing", x: bottomLimit, y: top, width: topLimit - bottomLimit, height: bottom - top }),
      ...limits.filter(Number.isFinite).filter((limit) => x(limit) === place(limit))
        .map((limit) => h("svg:path", { class: "dl-axis dl-bound", d: `M${x(limit)} ${top}V${bottom}`, "data-limit": limit })),
      h("svg:path", { class: "dl-axis", d: `M${left} ${bottom}H${right}` }),
    ];
    const step = niceStep((scale * (high - low)) / 5);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    for (let tick = Math.ceil((scale * low) / step); tick * step <= scale * high; tick++) {
      drawn.push(h("svg:path", { class: "dl-axis", d: `M${x((tick * step) / scale)} ${bottom}v5` }),
        text(x((tick * step) / scale), bottom + 18, fixed(tick * step, digits)));
    }
    order.forEach((seed, i) => {
      drawn.push(circle(i < used ? "dl-seed" : "dl-seed dl-unused", x(differences[seed]), y(i),
        { r: Math.min(4.5, rowHeight / 2), "data-seed": seed }));
      if (i % every === 0) drawn.push(text(left - 8, y(i) + 4, i ? seed : `seed ${seed}`, "end"));
    });
    // An end beyond the axis is an arrow.
    const middle = bottom - meanRow / 2 + 2;
    const ends = interval.map((end, i) => {
      const out = i ? -6 : 6;
      return place(end) === x(end) ? `M${x(end)} ${middle - 5}v10` : `M${x(end) + out} ${middle - 5}l${-out} 5l${out} 5`;
    });
    drawn.push(
      bar({ d: `M${x(interval[0])} ${middle}H${x(interval[1])}${ends.join("")}`, "data-low": interval[0], "data-high": interval[1] }),
      circle("dl-mean", x(mean), middle, { r: 5.5, "data-mean": mean }),
      text(left - 8, middle + 4, "mean", "end"),
      text((left + right) / 2, bottom + 37, `difference${inUnit}`));
    chart.setAttribute("viewBox", `0 0 360 ${bottom + 42}`);
    chart.replaceChildren(...drawn);
  }

  function update() {
    const effect = shown();
    const { differences, kind, center } = effect;
    const used = Math.min(model.get("seeds"), differences.length);
    const moved = model.get("bound");
    const range = moved === effect.bound ? effect.limits : [center - moved, center + moved]; // not a rounding away from its own
    const limits = { above: [moved, Infinity], below: [-Infinity, moved], within: range }[kind];
    const order = orderOf(differences.length, model.get("order"));
    const values = order.slice(0, used).map((seed) => differences[seed]);
    const measured = moments(values, effect.bits);
    const interval = intervalOf(measured, used);
    const decided = verdictOf(interval, limits);

    const margin = (interval[1] - interval[0]) / 2;
    const decimals = decimalsFor(scale * Math.min(measured.sd, margin), interval.map((end) => scale * end), limits.map((limit) => scale * limit));
    const show = (value) => fixed(scale * value, decimals);
    cells.mean.textContent = show(measured.mean);
    cells.sd.textContent = show(measured.sd);
    cells.quantile.textContent = fixed(quantiles[used - 2], 3);
    cells.margin.textContent = show(margin);
    cells.interval.textContent = `${show(interval[0])} to ${show(interval[1])}`;

    const words = (numbers) => (kind === "within"
      ? `between ${short(scale * numbers[0])} and ${short(scale * numbers[1])}${units}`
      : `${kind} ${short(scale * numbers[0])}${units}`);
    const where = words(kind === "within" ? range : [moved]);
    const [said, part] = SAID[decided];
    verdict.textContent = said;
    why.textContent = `: ${part} ${where}.`;
    const enough = quantiles.findIndex((_, i) => verdictOf(intervalOf(measured, i + 2), limits) !== "undecided") + 2;
    const planned = enough >= 2 ? `${enough}` : `more than ${grouped(quantiles.length + 1)}`;
    plan.textContent = (decided === "undecided"
      ? `If mean and spread stayed as they are, it would take ${planned} seeds to decide.`
      : `Already decided with these ${used} seeds.`) +
      (used < fewest ? ` With fewer than ${fewest} seeds, no claim is made in this book.` : "");

    statement.textContent = effect.statement;
    required.textContent = `Required: the whole 95% interval ${words(effect.limits)}.`;
    boundLabel.textContent = { above: "Bound: above", below: "Bound: below", within: "Bound: within ±" }[kind];
    if (kind === "within" && center !== 0) boundLabel.textContent = `Bound: within ${short(scale * center)} ±`;
    select.value = model.get("effect");
    setRange(seeds, { min: 2, max: differences.length, step: 1 });
    setRange(bound, effect);
    seeds.update();
    bound.update();
    drawChart(effect, order, used, measured.mean, interval, limits);
    chart.setAttribute("aria-label", `Differences at ${used} of ${differences.length} seeds${inUnit}, from ${show(Math.min(...values))} ` +
      `to ${show(Math.max(...values))}; their mean ${show(measured.mean)} with its 95% interval from ${show(interval[0])} to ` +
      `${show(interval[1])}; what lies ${where} agrees with the statement.`);
  }

  return mount({ model, el }, {
    name: "verdict_explorer",
    title: "A verdict is an interval against a bound",
    parts: [
      ...(effects.length > 1 ? [h("p", { class: "dl-choose" }, h("label", { for: selectId }, "Statement "), select)] : []),
      h("p", { class: "dl-statement" }, statement, " ", required),
      h("div", { class: "dl-controls" }, seeds.element, bound.element, h("div", { class: "dl-buttons" }, shuffle, reset)),
      summary,
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, chart, legend),
        h("div", { class: "dl-values" }, numbers)),
    ],
    traits: ["effect", "seeds", "bound", "order"],
    update,
  });
}

export default { render };
