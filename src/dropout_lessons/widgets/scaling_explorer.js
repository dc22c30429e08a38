// What each convention does to the sum of the kept terms: in training, and to the full sum at test.
const SCALINGS = {
  standard: {
    label: "standard", inTraining: () => 1, atTest: (p) => p,
    training: "z = Σ w_i m_i h_i", test: "z = p Σ w_i h_i",
    mean: "p Σ w_i h_i", variance: "p(1 − p) Σ w_i² h_i²",
  },
  inverted: {
    label: "inverted", inTraining: (p) => 1 / p, atTest: () => 1,
    training: "z = Σ w_i m_i h_i / p", test: "z = Σ w_i h_i",
    mean: "Σ w_i h_i", variance: "(1 − p)/p Σ w_i² h_i²",
  },
  none: {
    label: "no scaling at all (the bug)", inTraining: () => 1, atTest: () => 1,
    training: "z = Σ w_i m_i h_i", test: "z = Σ w_i h_i",
    mean: "p Σ w_i h_i", variance: "p(1 − p) Σ w_i² h_i²",
  },
};
const BINS = 36;
const PLOT = { left: 50, right: 352, top: 62, bottom: 238 };

/** "w_i h_i" with italic letters and a subscript. */
function math(text) {
  return h("span", { class: "dl-math" }, ...text.split(/([a-z](?:_[a-z])?)/).map((part) => {
    if (!/^[a-z]/.test(part)) return part;
    const letter = h("i", {}, part[0]);
    return part.length > 1 ? h("span", {}, letter, h("sub", {}, h("i", {}, part[2]))) : letter;
  }));
}

/** A histogram of the sampled values, with the mean in training and the value at test. */
function valuesPicture(masks) {
  const { left, right, top, bottom } = PLOT;
  const picture = chart(360, 282);
  const drawing = h("svg:g");
  picture.draw([drawing]);

  /** The upper label belongs to the marker that leaves the lower label free of its line. */
  function markers(training, test) {
    const sorted = [{ x: training, label: "mean in training", kind: "training" }, { x: test, label: "value at test", kind: "test" }]
      .sort((a, b) => a.x - b.x);
    const room = 112;
    const asSorted = sorted[1].x + room <= 360;
    const drawn = (asSorted ? sorted : [...sorted].reverse()).flatMap(({ x, label, kind }, line) => {
      const before = asSorted ? x + room > 360 : x - room >= 0;
      const y = 14 + 18 * line;
      return [
        svgPath(`dl-marker dl-${kind}`, `M${x} ${y - 11}V${bottom}`),
        svgText(x + (before ? -7 : 7), y, label, before ? "end" : "start"),
      ];
    });
    const [from, to] = sorted.map(({ x }) => x);
    if (to - from > 16) drawn.push(svgPath("dl-axis", `M${from + 3} 52H${to - 3}m-5 -4l5 4l-5 4M${from + 8} 48l-5 4l5 4`));
    if (to - from > 44) drawn.push(svgText((from + to) / 2, 48, "gap"));
    return drawn;
  }

  function draw(values, trainingMean, testValue) {
    let [low, high] = [Math.min(0, testValue), Math.max(0, testValue)];
    for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (low === high) high = low + 1;
    const step = niceStep((high - low) / 5);
    const range = [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
    const binOf = scaleOf(range, [0, BINS]);
    const shares = new Array(BINS).fill(0);
    for (const value of values) shares[Math.min(BINS - 1, Math.floor(binOf(value)))] += 1 / masks;
    const most = niceStep(Math.max(...shares));
    const [toX, toY] = [scaleOf(range, [left, right]), scaleOf([0, most], [bottom, top])];
    const width = (right - left) / BINS;
    drawing.replaceChildren(
      ...shares.map((share, i) => h("svg:rect", {
        class: "dl-bar", x: left + i * width + 0.5, y: toY(share), width: width - 1, height: bottom - toY(share),
      })),
      frameOf(PLOT),
      ...axis("bottom", PLOT, toX, ticksOf(range, step)),
      ...axis("left", PLOT, toY, [0, most / 2, most].map((share) => [share, `${Number((100 * share).toPrecision(3))}%`])),
      svgText((left + right) / 2, bottom + 39, `input z of the unit, over ${grouped(masks)} masks`),
      ...markers(toX(trainingMean), toX(testValue)));
  }
  return { element: picture.element, describe: picture.describe, draw };
}

/** Moments and the value at test, exact and over the sampled masks, each with its formula. */
function momentsTable(masks) {
  const titled = (title, ...keys) => {
    const formula = h("span", { class: "dl-formula" });
    return { formula, ...row([title, formula], ...keys, ...(keys.length < 2 ? [null] : [])) };
  };
  const rows = [
    titled("Mean in training", "training-mean", "sampled-mean"),
    titled("Variance in training", "training-variance", "sampled-variance"),
    titled("Value at test", "test-value"),
    titled("Gap, test − mean", "gap"),
  ];
  return {
    element: table(["", "exact", `${grouped(masks)} masks`], rows),
    show({ mean, variance, test }, results) {
      [mean, variance, test.slice(4)].forEach((formula, i) => rows[i].formula.replaceChildren(math(formula)));
      results.forEach((numbers, i) => numbers.forEach((number, j) => (rows[i].cells[j].textContent = fixed(number, 3))));
    },
  };
}

function render({ model, el }) {
  const { activations, weights, masks, seed } = model.get("data");
  const terms = weights.map((weight, i) => weight * activations[i]);
  const fullSum = sum(terms);
  const squares = dot(terms, terms);
  const uniform = uniformStream(seed);
  const noise = Float64Array.from({ length: masks * terms.length }, (_, i) => uniform(i)); // the same for every p

  const keepProb = keepProbSlider(model);
  const scaling = choice(model, "scaling", "Scaling:", Object.entries(SCALINGS).map(([key, { label }]) => [key, label]));
  const picture = valuesPicture(masks);
  const definition = h("p");
  const numbers = momentsTable(masks);
  const summary = liveSummary();

  function sample(p, factor) {
    const inputs = terms.length;
    return Float64Array.from({ length: masks }, (_, k) => {
      let total = 0;
      for (let i = 0; i < inputs; i++) if (noise[k * inputs + i] < p) total += terms[i];
      return total * factor;
    });
  }

  function update() {
    const p = model.get("keep_prob");
    const chosen = SCALINGS[model.get("scaling")];
    const factor = chosen.inTraining(p);
    const mean = p * factor * fullSum;
    const variance = p * (1 - p) * factor ** 2 * squares;
    const test = chosen.atTest(p) * fullSum;
    const values = sample(p, factor);
    const sampledMean = sum([...values]) / masks;
    const sampledVariance = sum([...values].map((value) => (value - sampledMean) ** 2)) / (masks - 1);
    picture.draw(values, mean, test);
    definition.replaceChildren("In training ", math(chosen.training), ", at test ", math(chosen.test), ".");
    numbers.show(chosen, [[mean, sampledMean], [variance, sampledVariance], [test], [test - mean]]);
    summary.textContent = Math.abs(test - mean) <= 1e-12 * Math.abs(fullSum)
      ? `The test value, ${fixed(test, 3)}, is the mean over masks; the variance is ${fixed(variance, 3)}.`
      : `The test value, ${fixed(test, 3)}, is not the mean over masks, ${fixed(mean, 3)}: ` +
        `it is 1/p = ${fixed(1 / p, 2)} times what the unit had in training on average.`;
    picture.describe(`Histogram of the unit's input over ${grouped(masks)} masks, with its mean in training and its value at test. ` +
      summary.textContent);
  }

  return mount({ model, el }, {
    name: "scaling_explorer",
    title: "One unit's input in training and at test",
    parts: [
      h("div", { class: "dl-controls" }, keepProb.element, scaling.element),
      columns([picture.element], [definition, numbers.element, summary]),
    ],
    controls: [keepProb, scaling],
    traits: ["keep_prob", "scaling"],
    update,
  });
}

export default { render };
