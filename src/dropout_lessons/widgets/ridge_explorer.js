const PLANE = { left: 52, right: 350, top: 30, bottom: 262 };
const MARKS = 48; // points of a path
const AROUND = 240; // points of an ellipse

/** The solution of a symmetric system of two equations. */
function solve([[a, b], [, d]], [e, f]) {
  const determinant = a * d - b * b;
  return [(d * e - b * f) / determinant, (a * f - b * e) / determinant];
}

/** X'X and X'y of examples with two features. */
function moments(x, y) {
  let [a, b, d, e, f] = [0, 0, 0, 0, 0];
  x.forEach(([u, v], i) => {
    a += u * u;
    b += u * v;
    d += v * v;
    e += u * y[i];
    f += v * y[i];
  });
  return { square: [[a, b], [b, d]], cross: [e, f] };
}

/** Weights with penalties on the two squared weights. */
const penalized = ({ square: [[a, b], [, d]], cross }, [first, second]) => solve([[a + first, b], [b, d + second]], cross);

/** Least squares on copies of the examples whose inputs are dropped or divided by p; null where they do not decide. */
function trainedOnCopies(x, y, keepProb, copies, uniform, start) {
  let [a, b, d, e, f] = [0, 0, 0, 0, 0];
  let at = start;
  for (let k = 0; k < copies; k++) {
    for (let i = 0; i < x.length; i++) {
      const u = uniform(at++) < keepProb ? x[i][0] / keepProb : 0;
      const v = uniform(at++) < keepProb ? x[i][1] / keepProb : 0;
      a += u * u;
      b += u * v;
      d += v * v;
      e += u * y[i];
      f += v * y[i];
    }
  }
  return a * d - b * b > 1e-9 * a * d ? solve([[a, b], [b, d]], [e, f]) : null;
}

function render({ model, el }) {
  const { x, y, names, trainings, least } = model.get("data");
  const data = moments(x, y);
  const scales = [data.square[0][0], data.square[1][1]];
  const equal = [sum(scales) / 2, sum(scales) / 2];
  const leastSquares = penalized(data, [0, 0]);
  const following = () => (1 - model.get("keep_prob")) / model.get("keep_prob");
  const strength = () => (model.get("linked") ? following() : model.get("strength"));
  const ridgeAt = (lambda, penalty) => penalized(data, (penalty === "plain" ? equal : scales).map((scale) => lambda * scale));

  // Controls. While they are linked, both sliders move keep_prob; what is shown of the strength follows from it.
  const handle = {
    get: (name) => (name === "strength" ? strength() : model.get(name)),
    set(name, value) {
      if (name === "strength" && model.get("linked")) model.set("keep_prob", 1 / (1 + value));
      else {
        if (name === "linked" && !value) model.set("strength", following()); // let go where it stands
        model.set(name, value);
      }
    },
    save_changes: () => model.save_changes(),
  };
  const keepProb = keepProbSlider(model, { min: least });
  const lambda = slider(handle, "strength", ["Ridge strength ", h("i", {}, "λ"), " "],
    { min: 0, max: (1 - least) / least, step: 0.05, show: (value) => fixed(value, 2) });
  const linked = choice(handle, "linked", "λ:", [[true, "follows p: λ = (1 − p)/p"], [false, "free"]]);
  const penalty = choice(model, "penalty", "Ridge weighs:",
    [["scaled", "each weight by its feature's size"], ["plain", "both weights alike"]]);
  const copies = choice(model, "copies", "Noisy copies of each example:", [[1, "1"], [10, "10"], [100, "100"]]);
  const again = button("Draw other masks", () => assign(model, { seed: (model.get("seed") + 1) % 2 ** 32 }));

  // The plane of weights has room for least squares, for zero, and for both paths between them.
  const paths = Object.fromEntries(["scaled", "plain"].map((kind) => [kind,
    Array.from({ length: MARKS + 1 }, (_, k) => (k === MARKS ? [0, 0] : ridgeAt(k / (MARKS - k), kind)))]));
  const everywhere = [...paths.scaled, ...paths.plain];
  const axes = [0, 1].map((j) => {
    const [low, high] = [Math.min(...everywhere.map((w) => w[j])), Math.max(...everywhere.map((w) => w[j]))];
    const step = niceStep((high - low) / 4);
    const range = { low: low - 0.35 * (high - low), high: high + 0.35 * (high - low) };
    const ticks = [];
    for (let k = Math.ceil(range.low / step); k * step <= range.high; k++) ticks.push(k * step);
    return { ...range, ticks, decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  });
  const digits = axes.map(({ decimals }) => decimals + 2);
  const toX = (w) => PLANE.left + ((w[0] - axes[0].low) / (axes[0].high - axes[0].low)) * (PLANE.right - PLANE.left);
  const toY = (w) => PLANE.bottom - ((w[1] - axes[1].low) / (axes[1].high - axes[1].low)) * (PLANE.bottom - PLANE.top);
  const inside = (w) => w.every((value, j) => value >= axes[j].low && value <= axes[j].high);
  /** A line through those of the points that are in the plane's window. */
  const pathOf = (points) => points.map((w, k) => (inside(w)
    ? `${k && inside(points[k - 1]) ? "L" : "M"}${toX(w).toFixed(2)} ${toY(w).toFixed(2)}` : "")).join("");
  /** The weights around a center where the quadratic form is the square of `radius`. */
  const ellipse = ([[a, b], [, d]], center, radius) => {
    const [l11, l21] = [Math.sqrt(a), b / Math.sqrt(a)];
    const l22 = Math.sqrt(d - l21 * l21);
    return pathOf(Array.from({ length: AROUND + 1 }, (_, k) => {
      const angle = (2 * Math.PI * k) / AROUND;
      const second = (radius * Math.sin(angle)) / l22;
      return [center[0] + (radius * Math.cos(angle) - l21 * second) / l11, center[1] + second];
    }));
  };

  const text = (at, down, content, anchor = "middle") => h("svg:text", { x: at, y: down, "text-anchor": anchor }, content);
  const drawing = h("svg:g");
  const toZero = Math.sqrt(leastSquares[0] * data.cross[0] + leastSquares[1] * data.cross[1]);
  const frame = [
    ...[0.25, 0.5, 0.75, 1].map((share) =>
      h("svg:path", { class: "dl-contour", d: ellipse(data.square, leastSquares, share * toZero) })),
    h("svg:path", { class: "dl-zero", d: `M${toX([0, 0])} ${PLANE.top}V${PLANE.bottom}M${PLANE.left} ${toY([0, 0])}H${PLANE.right}` }),
    h("svg:path", { class: "dl-axis", d: `M${PLANE.left} ${PLANE.top}V${PLANE.bottom}H${PLANE.right}` }),
    ...axes[0].ticks.flatMap((tick) => [
      h("svg:path", { class: "dl-axis", d: `M${toX([tick, 0])} ${PLANE.bottom}v5` }),
      text(toX([tick, 0]), PLANE.bottom + 19, fixed(tick, axes[0].decimals)),
    ]),
    ...axes[1].ticks.flatMap((tick) => [
      h("svg:path", { class: "dl-axis", d: `M${PLANE.left} ${toY([0, tick])}h-5` }),
      text(PLANE.left - 8, toY([0, tick]) + 5, fixed(tick, axes[1].decimals), "end"),
    ]),
    text((PLANE.left + PLANE.right) / 2, PLANE.bottom + 39, `weight of ${names[0]}`),
    text(4, 16, `weight of ${names[1]}`, "start"),
  ];
  const picture = h("svg:svg", { viewBox: "0 0 360 306", role: "img", "aria-label": "" }, ...frame, drawing);

  const shapes = {
    squares: (at, down) => h("svg:circle", { class: "dl-squares", cx: at, cy: down, r: 5 }),
    dropout: (at, down) => h("svg:circle", { class: "dl-exact", cx: at, cy: down, r: 9 }),
    training: (at, down) => h("svg:circle", { class: "dl-training", cx: at, cy: down, r: 2.4 }),
    ridge: (at, down) => h("svg:path", { class: "dl-ridge", d: `M${at} ${down - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5Z` }),
  };
  const legend = (shape, label) => h("li", {},
    h("svg:svg", { class: "dl-swatch", viewBox: "0 0 28 20", "aria-hidden": "true" }, shapes[shape](14, 10)), label);

  // Numbers
  const row = (key, label) => {
    const cells = names.map((_, j) => h("td", { class: "dl-number", "data-value": `${key}-${j}` }));
    return {
      tr: h("tr", {}, h("th", { scope: "row" }, label), ...cells),
      show: (w) => cells.forEach((cell, j) => (cell.textContent = w ? fixed(w[j], digits[j]) : "–")),
    };
  };
  const rows = {
    squares: row("squares", "least squares"),
    dropout: row("dropout", "dropout, on average over masks"),
    trained: row("trained", "mean of the small dots"),
    ridge: row("ridge", "ridge"),
  };
  const table = h("table", {},
    h("thead", {}, h("tr", {}, h("td"), ...names.map((name) => h("th", { scope: "col", class: "dl-number" }, name)))),
    h("tbody", {}, ...Object.values(rows).map(({ tr }) => tr)));
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });
  rows.squares.show(leastSquares);

  function update() {
    const [p, kind] = [model.get("keep_prob"), model.get("penalty")];
    const dropout = ridgeAt(following(), "scaled");
    const ridge = ridgeAt(strength(), kind);
    const uniform = uniformStream(model.get("seed"));
    const each = 2 * x.length * model.get("copies");
    const trained = Array.from({ length: trainings }, (_, k) => trainedOnCopies(x, y, p, model.get("copies"), uniform, k * each))
      .filter((w) => w !== null);
    const mean = trained.length ? [0, 1].map((j) => sum(trained.map((w) => w[j])) / trained.length) : null;

    const weighed = kind === "plain" ? equal : scales;
    const reach = Math.sqrt(weighed[0] * ridge[0] ** 2 + weighed[1] * ridge[1] ** 2);
    drawing.replaceChildren(
      h("svg:path", { class: "dl-path", d: pathOf(paths[kind]) }),
      ...(reach > 0 ? [h("svg:path", { class: "dl-penalty", d: ellipse([[weighed[0], 0], [0, weighed[1]]], [0, 0], reach) })] : []),
      ...trained.filter(inside).map((w) => shapes.training(toX(w), toY(w))),
      shapes.squares(toX(leastSquares), toY(leastSquares)),
      shapes.dropout(toX(dropout), toY(dropout)),
      shapes.ridge(toX(ridge), toY(ridge)));
    rows.dropout.show(dropout);
    rows.trained.show(mean);
    rows.ridge.show(ridge);

    const apart = Math.max(...[0, 1].map((j) => Math.abs(dropout[j] - ridge[j]) / (axes[j].high - axes[j].low)));
    const both = (w) => w.map((value, j) => fixed(value, digits[j])).join(" and ");
    summary.textContent = `At p = ${fixed(p, 2)} dropout ends with the weights ${both(dropout)}. ` +
      (apart < 1e-9
        ? `Ridge with λ = ${fixed(strength(), 2)} has the same weights.`
        : `Ridge with λ = ${fixed(strength(), 2)}${kind === "plain" ? ", the same on both weights," : ""} has ${both(ridge)}.` +
          (kind === "scaled" ? ` They meet at λ = ${fixed(following(), 2)}.` : ""));
    picture.setAttribute("aria-label",
      `The plane of the two weights with contours of the squared error around least squares, the path of ridge to zero, and ` +
      `${trained.length} trainings on noisy copies as dots. ${summary.textContent}`);
    for (const control of [keepProb, lambda, linked, penalty, copies]) control.update();
  }

  return mount({ model, el }, {
    name: "ridge_explorer",
    title: "Dropout and a ridge penalty, in the plane of two weights",
    parts: [
      h("div", { class: "dl-controls" }, keepProb.element, lambda.element, linked.element),
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, picture),
        h("div", { class: "dl-values" },
          h("ul", { class: "dl-legend" }, legend("squares", "least squares"),
            legend("dropout", "dropout, on average over masks"), legend("training", "least squares on noisy copies"),
            legend("ridge", "ridge; its path, and where its penalty is equal")),
          table, summary)),
      h("div", { class: "dl-controls dl-more" }, penalty.element, copies.element, again),
    ],
    traits: ["keep_prob", "strength", "linked", "penalty", "copies", "seed"],
    update,
  });
}

export default { render };
