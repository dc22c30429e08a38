const BOX = { left: 58, right: 352, top: 8 };
const MEAN_ROW = 34; // the height of the mean's row

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

/** What claims.judge says of the evidence as it is given: the statement holds, does not, or neither is shown. */
const JUDGED = new Map([[true, "agrees"], [false, "disagrees"], [null, "undecided"]]);

/** The same where the reader has moved the bound or left out seeds: a limit that is touched is not passed. */
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

const seedCircle = (kind, cx, cy, attributes) => h("svg:circle", { class: kind, r: 4.5, cx, cy, ...attributes });

/** The seeds' differences in a column, their mean with its interval below, and what agrees with the statement. */
function seedsChart(scale, inUnit) {
  const picture = chart(360, 0);
  const { left, right, top } = BOX;

  function meanRow(mean, interval, place, middle) {
    const x = (value) => Math.max(left, Math.min(right, place(value)));
    // An end beyond the axis is an arrow.
    const ends = interval.map((end, i) => {
      const out = i ? -6 : 6;
      return place(end) === x(end) ? `M${x(end)} ${middle - 5}v10` : `M${x(end) + out} ${middle - 5}l${-out} 5l${out} 5`;
    });
    return [
      svgPath("dl-interval", `M${x(interval[0])} ${middle}H${x(interval[1])}${ends.join("")}`,
        { "data-low": interval[0], "data-high": interval[1] }),
      seedCircle("dl-mean", x(mean), middle, { r: 5.5, "data-mean": mean }),
      svgText(left - 8, middle + 4, "mean", "end"),
    ];
  }

  function draw({ differences, axis: ends }, order, used, { mean, interval, limits }) {
    const rowHeight = Math.max(4, Math.min(15, 240 / order.length));
    const bottom = top + rowHeight * order.length + MEAN_ROW;
    const place = scaleOf(ends, [left, right]);
    const x = (value) => Math.max(left, Math.min(right, place(value)));
    const y = (i) => top + rowHeight * (i + 0.5);
    const every = Math.ceil(13 / rowHeight);
    const [from, to] = limits.map(x);
    const ticks = ticksOf(ends.map((end) => scale * end), niceStep((scale * (ends[1] - ends[0])) / 5));
    picture.setHeight(bottom + 42);
    picture.draw([
      h("svg:rect", { class: "dl-agreeing", x: from, y: top, width: to - from, height: bottom - top }),
      ...limits.filter(Number.isFinite).filter((limit) => x(limit) === place(limit))
        .map((limit) => svgPath("dl-axis dl-bound", `M${x(limit)} ${top}V${bottom}`, { "data-limit": limit })),
      svgPath("dl-axis", `M${left} ${bottom}H${right}`),
      ...axis("bottom", { bottom }, (value) => x(value / scale), ticks),
      ...order.map((seed, i) => seedCircle(i < used ? "dl-seed" : "dl-seed dl-unused", x(differences[seed]), y(i),
        { r: Math.min(4.5, rowHeight / 2), "data-seed": seed })),
      ...order.map((seed, i) => svgText(left - 8, y(i) + 4, i ? seed : `seed ${seed}`, "end")).filter((_, i) => i % every === 0),
      ...meanRow(mean, interval, place, bottom - MEAN_ROW / 2 + 2),
      svgText((left + right) / 2, bottom + 37, `difference${inUnit}`),
    ]);
  }

  const key = legend(
    [swatch(12, seedCircle("dl-seed", 14, 6)), "difference at a seed that is used"],
    [swatch(12, seedCircle("dl-seed dl-unused", 14, 6)), "at a seed that is not"],
    [swatch(12, svgPath("dl-interval", "M1 6H27"), seedCircle("dl-mean", 14, 6)), "mean of those used, 95% interval"],
    [swatch(12, h("svg:rect", { class: "dl-agreeing", width: 28, height: 12 })), "agrees with the statement"]);
  return { parts: [picture.element, key], draw, describe: picture.describe };
}

/** What an interval is made of. */
function intervalTable(inUnit) {
  const rows = [
    row(["mean difference", inUnit], "mean"),
    row(["standard deviation ", h("i", {}, "s"), inUnit], "sd"),
    row(["Student's ", h("i", {}, "t"), " for ", h("i", {}, "k"), " seeds"], "quantile"),
    row(["margin ", h("i", {}, "t s"), " / √", h("i", {}, "k"), inUnit], "margin"),
    row(["95% interval", inUnit], "interval"),
  ];
  return { element: table(null, rows), show: (...texts) => texts.forEach((text, i) => (rows[i].cells[0].textContent = text)) };
}

/** The statement and what moves: the seeds that are used, their order, the bound. */
function handles(model, { effects, scale }, units) {
  const named = (wanted) => effects.find(({ name }) => name === wanted);
  const shown = () => named(model.get("effect"));
  const own = (effect) => ({ seeds: effect.differences.length, bound: effect.bound });
  const id = uniqueId();
  const select = h("select", { id, onchange: () => assign(model, { effect: select.value, ...own(named(select.value)) }) },
    ...effects.map(({ name }) => h("option", { value: name }, name)));
  const boundLabel = h("span");
  const seeds = slider(model, "seeds", ["Seeds used "],
    { min: 2, max: 2, step: 1, show: (count) => `${count} of ${shown().differences.length}` });
  const bound = slider(model, "bound", [boundLabel], { min: 0, max: 1, step: "any", show: (value) => `${short(scale * value)}${units}` });
  for (const { element } of [seeds, bound]) element.classList.add("dl-wide-value");
  const shuffle = button("Shuffle the seeds", () => assign(model, { order: (model.get("order") + 1) % 2 ** 32 }));
  const reset = button("Reset", () => assign(model, { order: 0, ...own(shown()) }));
  const setRange = ({ element }, { min, max, step }) => {
    const input = element.querySelector("input");
    for (const [name, value] of Object.entries({ min, max, step })) input.setAttribute(name, value);
  };
  return {
    shown,
    choose: effects.length > 1 ? [h("p", { class: "dl-choose" }, h("label", { for: id }, "Statement "), select)] : [],
    element: h("div", { class: "dl-controls" }, seeds.element, bound.element, buttons(shuffle, reset)),
    update() {
      const { kind, center } = shown();
      boundLabel.textContent = { above: "Bound: above", below: "Bound: below", within: "Bound: within ±" }[kind];
      if (kind === "within" && center !== 0) boundLabel.textContent = `Bound: within ${short(scale * center)} ±`;
      select.value = model.get("effect");
      setRange(seeds, { min: 2, max: shown().differences.length, step: 1 });
      setRange(bound, shown());
      seeds.update();
      bound.update();
    },
  };
}

/** The limits that a moved bound sets: those of the effect where it stands, not a rounding away from them. */
function limitsOf({ kind, bound, center, limits }, moved) {
  if (moved === bound) return { above: [moved, Infinity], below: [-Infinity, moved], within: limits }[kind];
  return { above: [moved, Infinity], below: [-Infinity, moved], within: [center - moved, center + moved] }[kind];
}

function render({ model, el }) {
  const data = model.get("data");
  const { unit, scale, quantiles, fewest } = data;
  const units = unit === "%" ? "%" : unit && ` ${unit}`;
  const inUnit = unit && `, ${unit}`;
  const control = handles(model, data, units);
  const picture = seedsChart(scale, inUnit);
  const numbers = intervalTable(inUnit);
  const [statement, required] = [valueOf("statement"), valueOf("required")];
  const [verdict, why, plan] = [h("strong", { "data-value": "verdict" }), h("span"), valueOf("plan")];

  const intervalOf = ({ mean, sd }, n) => {
    const margin = (quantiles[n - 2] * sd) / Math.sqrt(n);
    return [mean - margin, mean + margin];
  };
  const words = ([bottom, top]) => (Number.isFinite(bottom) && Number.isFinite(top)
    ? `between ${short(scale * bottom)} and ${short(scale * top)}${units}`
    : Number.isFinite(bottom) ? `above ${short(scale * bottom)}${units}` : `below ${short(scale * top)}${units}`);
  const planned = (measured, limits) => {
    const enough = quantiles.findIndex((_, i) => verdictOf(intervalOf(measured, i + 2), limits) !== "undecided") + 2;
    return enough >= 2 ? `${enough}` : `more than ${grouped(quantiles.length + 1)}`;
  };

  function update() {
    const effect = control.shown();
    const { differences } = effect;
    const used = Math.min(model.get("seeds"), differences.length);
    const limits = limitsOf(effect, model.get("bound"));
    const order = orderOf(differences.length, model.get("order"));
    const values = order.slice(0, used).map((seed) => differences[seed]);
    const measured = moments(values, effect.bits);
    const interval = intervalOf(measured, used);
    const margin = (interval[1] - interval[0]) / 2;
    const decimals = decimalsFor(scale * Math.min(measured.sd, margin), interval.map((end) => scale * end), limits.map((limit) => scale * limit));
    const show = (value) => fixed(scale * value, decimals);
    const ends = interval.map(show).join(" to ");
    numbers.show(show(measured.mean), show(measured.sd), fixed(quantiles[used - 2], 3), show(margin), ends);

    const asJudged = used === differences.length && model.get("bound") === effect.bound;
    const decided = asJudged ? JUDGED.get(effect.holds) : verdictOf(interval, limits);
    const [said, part] = SAID[decided];
    verdict.textContent = said;
    why.textContent = `: ${part} ${words(limits)}.`;
    plan.textContent = (decided === "undecided"
      ? `If mean and spread stayed as they are, it would take ${planned(measured, limits)} seeds to decide.`
      : `Already decided with these ${used} seeds.`) +
      (used < fewest ? ` With fewer than ${fewest} seeds, no claim is made in this book.` : "");
    statement.textContent = effect.statement;
    required.textContent = `Required: the whole 95% interval ${words(limitsOf(effect, effect.bound))}.`;
    picture.draw(effect, order, used, { mean: measured.mean, interval, limits });
    picture.describe(`Differences at ${used} of ${differences.length} seeds${inUnit}, from ${show(Math.min(...values))} ` +
      `to ${show(Math.max(...values))}; their mean ${show(measured.mean)} with its 95% interval from ${ends}; ` +
      `what lies ${words(limits)} agrees with the statement.`);
  }

  return mount({ model, el }, {
    name: "verdict_explorer",
    title: "A verdict is an interval against a bound",
    parts: [
      ...control.choose,
      h("p", { class: "dl-statement" }, statement, " ", required),
      control.element,
      liveSummary(verdict, why, " ", plan),
      columns(picture.parts, [numbers.element]),
    ],
    controls: [control],
    traits: ["effect", "seeds", "bound", "order"],
    update,
  });
}

export default { render };
