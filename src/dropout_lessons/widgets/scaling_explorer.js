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

function render({ model, el }) {
  const { activations, weights, masks, seed } = model.get("data");
  const terms = weights.map((weight, i) => weight * activations[i]);
  const fullSum = sum(terms);
  const squares = dot(terms, terms);
  const uniform = uniformStream(seed);
  const noise = Float64Array.from({ length: masks * terms.length }, (_, i) => uniform(i)); // the same for every p
  const maskCount = grouped(masks);

  const keepProb = keepProbSlider(model);
  const scaling = choice(model, "scaling", "Scaling:", Object.entries(SCALINGS).map(([key, { label }]) => [key, label]));

  const text = (x, y, content, attributes = {}) => h("svg:text", { x, y, "text-anchor": "middle", ...attributes }, content);
  const drawing = h("svg:g");
  const picture = h("svg:svg", { viewBox: "0 0 360 282", role: "img", "aria-label": "" }, drawing);

  const definition = h("p");
  const row = (title, exact, sampled) => {
    const formula = h("span", { class: "dl-formula" });
    const values = [exact, sampled].map((name) =>
      h("td", { class: "dl-number", ...(name ? { "data-value": name } : {}) }));
    return { formula, values, tr: h("tr", {}, h("th", { scope: "row" }, title, formula), ...values) };
  };
  const mean = row("Mean in training", "training-mean", "sampled-mean");
  const variance = row("Variance in training", "training-variance", "sampled-variance");
  const atTest = row("Value at test", "test-value");
  const gap = row("Gap, test − mean", "gap");
  const numbers = h("table", {},
    h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col", class: "dl-number" }, "exact"),
      h("th", { scope: "col", class: "dl-number" }, `${maskCount} masks`))),
    h("tbody", {}, mean.tr, variance.tr, atTest.tr, gap.tr));
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });

  function sample(p, factor) {
    const inputs = terms.length;
    return Float64Array.from({ length: masks }, (_, k) => {
      let total = 0;
      for (let i = 0; i < inputs; i++) if (noise[k * inputs + i] < p) total += terms[i];
      return total * factor;
    });
  }

  function plot(values, trainingMean, testValue) {
    let [low, high] = [Math.min(0, testValue), Math.max(0, testValue)];
    for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (low === high) high = low + 1;
    const step = niceStep((high - low) / 5);
    low = Math.floor(low / step + 1e-9) * step;
    high = Math.ceil(high / step - 1e-9) * step;
    const shares = new Array(BINS).fill(0);
    for (const value of values) shares[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))] += 1 / masks;
    const top = niceStep(Math.max(...shares));
    const { left, right, bottom } = PLOT;
    const toX = (value) => left + ((value - low) / (high - low)) * (right - left);
    const toY = (share) => bottom - (share / top) * (bottom - PLOT.top);

    const width = (right - left) / BINS;
    const bars = shares.map((share, i) => h("svg:rect", {
      class: "dl-bar", x: left + i * width + 0.5, y: toY(share), width: width - 1, height: bottom - toY(share),
    }));
    const axes = [h("svg:path", { class: "dl-axis", d: `M${left} ${PLOT.top}V${bottom}H${right}` })];
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    for (let k = 0; k <= Math.round((high - low) / step); k++) {
      const x = toX(low + k * step);
      axes.push(h("svg:path", { class: "dl-axis", d: `M${x} ${bottom}v5` }),
        text(x, bottom + 19, fixed(low + k * step, decimals)));
    }
    for (const share of [0, top / 2, top]) {
      axes.push(h("svg:path", { class: "dl-axis", d: `M${left} ${toY(share)}h-5` }),
        text(left - 8, toY(share) + 4, `${Number((100 * share).toPrecision(3))}%`, { "text-anchor": "end" }));
    }
    axes.push(text((left + right) / 2, bottom + 39, `input z of the unit, over ${maskCount} masks`));

    // The upper label belongs to the marker that leaves the lower label free of its line.
    const markers = [
      { x: toX(trainingMean), label: "mean in training", kind: "training" },
      { x: toX(testValue), label: "value at test", kind: "test" },
    ].sort((a, b) => a.x - b.x);
    const room = 112;
    const ordered = markers[1].x + room <= 360 ? markers : [...markers].reverse();
    const drawn = ordered.flatMap(({ x, label, kind }, line) => {
      const before = ordered === markers ? x + room > 360 : x - room >= 0;
      const y = 14 + 18 * line;
      return [
        h("svg:path", { class: `dl-marker dl-${kind}`, d: `M${x} ${y - 11}V${bottom}` }),
        text(x + (before ? -7 : 7), y, label, { "text-anchor": before ? "end" : "start" }),
      ];
    });
    const [from, to] = markers.map(({ x }) => x);
    if (to - from > 16) {
      drawn.push(h("svg:path", {
        class: "dl-axis", d: `M${from + 3} 52H${to - 3}m-5 -4l5 4l-5 4M${from + 8} 48l-5 4l5 4`,
      }));
      if (to - from > 44) drawn.push(text((from + to) / 2, 48, "gap"));
    }
    drawing.replaceChildren(...bars, ...axes, ...drawn);
  }

  function update() {
    const p = model.get("keep_prob");
    const chosen = SCALINGS[model.get("scaling")];
    const factor = chosen.inTraining(p);
    const trainingMean = p * factor * fullSum;
    const trainingVariance = p * (1 - p) * factor ** 2 * squares;
    const testValue = chosen.atTest(p) * fullSum;
    const difference = testValue - trainingMean;
    const values = sample(p, factor);
    const sampledMean = sum([...values]) / masks;
    const sampledVariance = sum([...values].map((value) => (value - sampledMean) ** 2)) / (masks - 1);
    plot(values, trainingMean, testValue);

    definition.replaceChildren("In training ", math(chosen.training), ", at test ", math(chosen.test), ".");
    mean.formula.replaceChildren(math(chosen.mean));
    variance.formula.replaceChildren(math(chosen.variance));
    atTest.formula.replaceChildren(math(chosen.test.slice(4)));
    [[mean, trainingMean, sampledMean], [variance, trainingVariance, sampledVariance], [atTest, testValue],
      [gap, difference]].forEach(([{ values: cells }, ...results]) =>
      results.forEach((result, i) => (cells[i].textContent = fixed(result, 3))));
    const agree = Math.abs(difference) <= 1e-12 * Math.abs(fullSum);
    summary.textContent = agree
      ? `The test value, ${fixed(testValue, 3)}, is the mean over masks; the variance is ${fixed(trainingVariance, 3)}.`
      : `The test value, ${fixed(testValue, 3)}, is not the mean over masks, ${fixed(trainingMean, 3)}: ` +
        `it is 1/p = ${fixed(1 / p, 2)} times what the unit had in training on average.`;
    picture.setAttribute("aria-label",
      `Histogram of the unit's input over ${maskCount} masks, with its mean in training and its value at test. ` +
      summary.textContent);
    keepProb.update();
    scaling.update();
  }

  return mount({ model, el }, {
    name: "scaling_explorer",
    title: "One unit's input in training and at test",
    parts: [
      h("div", { class: "dl-controls" }, keepProb.element, scaling.element),
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, picture),
        h("div", { class: "dl-values" }, definition, numbers, summary)),
    ],
    traits: ["keep_prob", "scaling"],
    update,
  });
}

export default { render };
