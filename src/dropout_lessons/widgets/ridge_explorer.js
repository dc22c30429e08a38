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

/** The weights of least squares and of ridge, and the ridge strength that is dropout's. */
function problem({ x, y }) {
  const data = moments(x, y);
  const scales = [data.square[0][0], data.square[1][1]];
  const weighed = { scaled: scales, plain: [sum(scales) / 2, sum(scales) / 2] };
  const ridgeAt = (strength, kind) => penalized(data, weighed[kind].map((scale) => strength * scale));
  // Least squares, zero, and the points between them.
  const paths = Object.fromEntries(Object.keys(weighed).map((kind) => [kind,
    Array.from({ length: MARKS + 1 }, (_, k) => (k === MARKS ? [0, 0] : ridgeAt(k / (MARKS - k), kind)))]));
  return { data, weighed, ridgeAt, paths, leastSquares: penalized(data, [0, 0]), following: (p) => (1 - p) / p };
}

/** The plane of weights, which has room for least squares, for zero, and for both paths between them. */
function planeOf({ paths }) {
  const everywhere = [...paths.scaled, ...paths.plain];
  const axes = [0, 1].map((j) => {
    const [low, high] = [Math.min(...everywhere.map((w) => w[j])), Math.max(...everywhere.map((w) => w[j]))];
    const step = niceStep((high - low) / 4);
    const range = [low - 0.35 * (high - low), high + 0.35 * (high - low)];
    return { range, ticks: ticksOf(range, step), digits: decimalsOf(step) + 2 };
  });
  const toX = scaleOf(axes[0].range, [PLANE.left, PLANE.right]);
  const toY = scaleOf(axes[1].range, [PLANE.bottom, PLANE.top]);
  const inside = (w) => w.every((value, j) => value >= axes[j].range[0] && value <= axes[j].range[1]);
  /** A line through those of the points that are in the plane's window. */
  const pathOf = (points) => points.map((w, k) => (inside(w)
    ? `${k && inside(points[k - 1]) ? "L" : "M"}${toX(w[0]).toFixed(2)} ${toY(w[1]).toFixed(2)}` : "")).join("");
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
  return { axes, toX, toY, inside, pathOf, ellipse };
}

const SHAPES = {
  squares: (at, down) => h("svg:circle", { class: "dl-squares", cx: at, cy: down, r: 5 }),
  dropout: (at, down) => h("svg:circle", { class: "dl-exact", cx: at, cy: down, r: 9 }),
  training: (at, down) => h("svg:circle", { class: "dl-training", cx: at, cy: down, r: 2.4 }),
  ridge: (at, down) => svgPath("dl-ridge", `M${at} ${down - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5Z`),
};

/** The plane of the two weights with everything in it. */
function weightsPicture(fitted, plane, names) {
  const { data, leastSquares, paths, weighed } = fitted;
  const { axes, toX, toY, inside, pathOf, ellipse } = plane;
  const toZero = Math.sqrt(leastSquares[0] * data.cross[0] + leastSquares[1] * data.cross[1]);
  const drawing = h("svg:g");
  const picture = chart(360, 306);
  picture.draw([
    ...[0.25, 0.5, 0.75, 1].map((share) => svgPath("dl-contour", ellipse(data.square, leastSquares, share * toZero))),
    svgPath("dl-zero", `M${toX(0)} ${PLANE.top}V${PLANE.bottom}M${PLANE.left} ${toY(0)}H${PLANE.right}`),
    frameOf(PLANE),
    ...axis("bottom", PLANE, toX, axes[0].ticks),
    ...axis("left", PLANE, toY, axes[1].ticks),
    svgText((PLANE.left + PLANE.right) / 2, PLANE.bottom + 39, `weight of ${names[0]}`),
    svgText(4, 16, `weight of ${names[1]}`, "start"),
    drawing,
  ]);

  function draw({ trained, dropout, ridge, kind }) {
    const [first, second] = weighed[kind];
    const reach = Math.sqrt(first * ridge[0] ** 2 + second * ridge[1] ** 2);
    const mark = (shape, w) => SHAPES[shape](toX(w[0]), toY(w[1]));
    drawing.replaceChildren(
      svgPath("dl-path", pathOf(paths[kind])),
      ...(reach > 0 ? [svgPath("dl-penalty", ellipse([[first, 0], [0, second]], [0, 0], reach))] : []),
      ...trained.filter(inside).map((w) => mark("training", w)),
      mark("squares", leastSquares), mark("dropout", dropout), mark("ridge", ridge));
  }
  return { element: picture.element, describe: picture.describe, draw };
}

/** The weights in numbers. */
function weightsTable(names, axes) {
  const labels = {
    squares: "least squares", dropout: "dropout, on average over masks", trained: "mean of the small dots", ridge: "ridge",
  };
  const rows = Object.entries(labels).map(([key, label]) => [key, row(label, ...names.map((_, j) => `${key}-${j}`))]);
  return {
    element: table(["", ...names], rows.map(([, each]) => each)),
    show(weights) {
      for (const [key, { cells }] of rows) {
        cells.forEach((each, j) => (each.textContent = weights[key] ? fixed(weights[key][j], axes[j].digits) : "–"));
      }
    },
  };
}

/** While they are linked, both sliders move keep_prob; what is shown of the strength follows from it. */
function handles(model, { following }, least) {
  const strength = () => (model.get("linked") ? following(model.get("keep_prob")) : model.get("strength"));
  const handle = {
    get: (name) => (name === "strength" ? strength() : model.get(name)),
    set(name, value) {
      if (name === "strength" && model.get("linked")) model.set("keep_prob", 1 / (1 + value));
      else {
        if (name === "linked" && !value) model.set("strength", strength()); // let go where it stands
        model.set(name, value);
      }
    },
    save_changes: () => model.save_changes(),
  };
  const above = [
    keepProbSlider(model, { min: least }),
    slider(handle, "strength", ["Ridge strength ", h("i", {}, "λ"), " "],
      { min: 0, max: (1 - least) / least, step: 0.05, show: (value) => fixed(value, 2) }),
    choice(handle, "linked", "λ:", [[true, "follows p: λ = (1 − p)/p"], [false, "free"]]),
  ];
  const below = [
    choice(model, "penalty", "Ridge weighs:", [["scaled", "each weight by its feature's size"], ["plain", "both weights alike"]]),
    choice(model, "copies", "Noisy copies of each example:", [[1, "1"], [10, "10"], [100, "100"]]),
  ];
  return { strength, above, below };
}

function render({ model, el }) {
  const { x, y, names, trainings, least } = model.get("data");
  const fitted = problem({ x, y });
  const { ridgeAt, leastSquares, following } = fitted;
  const plane = planeOf(fitted);
  const { axes } = plane;
  const { strength, above, below } = handles(model, fitted, least);
  const again = button("Draw other masks", () => assign(model, { seed: (model.get("seed") + 1) % 2 ** 32 }));
  const picture = weightsPicture(fitted, plane, names);
  const numbers = weightsTable(names, axes);
  const summary = liveSummary();
  const mark = (shape, label) => [swatch(20, SHAPES[shape](14, 10)), label];
  const key = legend(mark("squares", "least squares"), mark("dropout", "dropout, on average over masks"),
    mark("training", "least squares on noisy copies"), mark("ridge", "ridge; its path, and where its penalty is equal"));

  function inWords(dropout, ridge, p, kind) {
    const apart = Math.max(...[0, 1].map((j) => Math.abs(dropout[j] - ridge[j]) / (axes[j].range[1] - axes[j].range[0])));
    const both = (w) => w.map((value, j) => fixed(value, axes[j].digits)).join(" and ");
    return `At p = ${fixed(p, 2)} dropout ends with the weights ${both(dropout)}. ` +
      (apart < 1e-9
        ? `Ridge with λ = ${fixed(strength(), 2)} has the same weights.`
        : `Ridge with λ = ${fixed(strength(), 2)}${kind === "plain" ? ", the same on both weights," : ""} has ${both(ridge)}.` +
          (kind === "scaled" ? ` They meet at λ = ${fixed(following(p), 2)}.` : ""));
  }

  function update() {
    const [p, kind] = [model.get("keep_prob"), model.get("penalty")];
    const dropout = ridgeAt(following(p), "scaled");
    const ridge = ridgeAt(strength(), kind);
    const uniform = uniformStream(model.get("seed"));
    const each = 2 * x.length * model.get("copies");
    const trained = Array.from({ length: trainings }, (_, k) => trainedOnCopies(x, y, p, model.get("copies"), uniform, k * each))
      .filter((w) => w !== null);
    const mean = trained.length ? [0, 1].map((j) => sum(trained.map((w) => w[j])) / trained.length) : null;
    picture.draw({ trained, dropout, ridge, kind });
    numbers.show({ squares: leastSquares, dropout, trained: mean, ridge });
    summary.textContent = inWords(dropout, ridge, p, kind);
    picture.describe(`The plane of the two weights with contours of the squared error around least squares, the path of ridge to ` +
      `zero, and ${trained.length} trainings on noisy copies as dots. ${summary.textContent}`);
  }

  return mount({ model, el }, {
    name: "ridge_explorer",
    title: "Dropout and a ridge penalty, in the plane of two weights",
    parts: [
      h("div", { class: "dl-controls" }, ...above.map(({ element }) => element)),
      columns([picture.element], [key, numbers.element, summary]),
      h("div", { class: "dl-controls dl-more" }, ...below.map(({ element }) => element), again),
    ],
    controls: [...above, ...below],
    traits: ["keep_prob", "strength", "linked", "penalty", "copies", "seed"],
    update,
  });
}

export default { render };
