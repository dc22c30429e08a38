// What the two arms of a small world look like, and how their losses go.

const FIT_BOX = { left: 34, right: 352, top: 24, bottom: 206 };
const FIT_RANGE = [-1.8, 1.8];
const LOSS_BOX = { left: 50, right: 392, top: 30, bottom: 170 };

/** Lines along which values on a square grid are 0, from marching squares; x and y place a column and a row. */
function zeroLines(values, x, y) {
  const parts = [];
  for (let row = 0; row + 1 < GRID; row++) {
    for (let column = 0; column + 1 < GRID; column++) {
      const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
      const at = corners.map(([i, j]) => values[j * GRID + i]);
      const crossings = corners.flatMap(([i, j], k) => {
        const [next, [ni, nj]] = [at[(k + 1) % 4], corners[(k + 1) % 4]];
        if (at[k] > 0 === next > 0) return [];
        const share = at[k] / (at[k] - next);
        return [[x(i + share * (ni - i)), y(j + share * (nj - j))]];
      });
      for (let k = 0; k + 1 < crossings.length; k += 2) parts.push(through([crossings[k], crossings[k + 1]]));
    }
  }
  return parts.join("");
}

/** A function, its points, the fit of the whole network, and thin lines of thinned ones behind it. */
function curvePicture(world, arm) {
  const { left, right, top, bottom } = FIT_BOX;
  const picture = chart(360, 246);
  const x = scaleOf([CURVE.low, CURVE.high], [left, right]);
  const y = scaleOf(FIT_RANGE, [bottom, top]);
  const lineOf = (values) => through([...values].map((value, i) => [x(world().picture[i]), y(value)]));
  const [thinned, fit, fixedMarks] = [h("svg:g"), svgPath(`dl-fit dl-${arm}`, ""), h("svg:g")];
  const box = uniqueId(); // what leaves the box is not seen
  picture.draw([
    h("svg:clipPath", { id: box }, h("svg:rect", { x: left, y: 0, width: right - left, height: bottom })),
    frameOf(FIT_BOX),
    ...axis("bottom", FIT_BOX, x, ticksOf([-1, 1], 0.5)),
    ...axis("left", FIT_BOX, y, ticksOf([-1, 1], 1)),
    ...axisNames(FIT_BOX, "x", "y"),
    h("svg:g", { "clip-path": `url(#${box})` }, thinned, fixedMarks, fit),
  ]);
  return {
    parts: [picture.element],
    describe: picture.describe,
    /** Draw the points anew, with no fit. */
    clear() {
      const { x: xs, y: ys } = world().train;
      fit.setAttribute("d", "");
      thinned.replaceChildren();
      fixedMarks.replaceChildren(svgPath("dl-truth", lineOf(world().picture.map(curveTruth))),
        ...Array.from(xs, (value, i) => h("svg:circle", { class: "dl-point", cx: x(value), cy: y(ys[i]), r: 3.2 })));
    },
    draw({ fit: values, thinned: lines }) {
      if (lines) thinned.replaceChildren(...lines.map((line) => svgPath("dl-thinned", lineOf(line))));
      fit.setAttribute("d", lineOf(values));
    },
    unit: (values, range) => svgPath("dl-unit-line", through([...values].map((value, i) =>
      [scaleOf([0, values.length - 1], [2, 42])(i), scaleOf([-range, range], [40, 2])(value)]))),
  };
}

/** Two classes of points, the boundary of the whole network, and thin ones of thinned networks. */
function moonsPicture(world, arm) {
  const { left, right, top, bottom } = FIT_BOX;
  const picture = chart(360, 246);
  const x = scaleOf([MOONS.low[0], MOONS.high[0]], [left, right]);
  const y = scaleOf([MOONS.low[1], MOONS.high[1]], [bottom, top]);
  const [column, row] = [scaleOf([0, GRID - 1], [left, right]), scaleOf([0, GRID - 1], [bottom, top])];
  const lineOf = (values) => zeroLines(values, column, row);
  const [thinned, fit, points] = [h("svg:g"), svgPath(`dl-fit dl-${arm}`, ""), h("svg:g")];
  picture.draw([
    frameOf(FIT_BOX),
    ...axis("bottom", FIT_BOX, x, ticksOf([-1, 2], 1)),
    ...axis("left", FIT_BOX, y, ticksOf([-1, 1], 1)),
    ...axisNames(FIT_BOX, "first input", "second input"),
    thinned, points, fit,
  ]);
  const mark = (at, down, label) => (label
    ? svgPath("dl-point", `M${at} ${down - 4.5}l4.2 7.4h-8.4Z`)
    : h("svg:circle", { class: "dl-point dl-hollow", cx: at, cy: down, r: 3.2 }));
  return {
    parts: [picture.element],
    describe: picture.describe,
    clear() {
      const { x: xs, y: labels, n } = world().train;
      fit.setAttribute("d", "");
      thinned.replaceChildren();
      points.replaceChildren(...Array.from({ length: n }, (_, e) => mark(x(xs[2 * e]), y(xs[2 * e + 1]), labels[e])));
    },
    draw({ fit: values, thinned: lines }) {
      if (lines) thinned.replaceChildren(...lines.map((line) => svgPath("dl-thinned", lineOf(line))));
      fit.setAttribute("d", lineOf(values));
    },
    unit: null, // drawn in grays
  };
}

/** Errors or losses of both arms against the steps: new examples as a line, training examples dashed. */
function lossCurves(mode) {
  const { left, right, top, bottom } = LOSS_BOX;
  const digits = mode === "digits";
  const picture = chart(400, 212);
  const range = digits ? [0, 30] : [-3, 1]; // percent, or powers of ten
  const place = scaleOf(range, [bottom, top]);
  const y = (value) => place(Math.max(range[0], Math.min(range[1], value)));
  const shown = digits ? ({ error }) => 100 * error : ({ loss }) => Math.log10(Math.max(loss, 1e-9));
  const ticks = digits ? ticksOf(range, 10) : [-3, -2, -1, 0, 1].map((power) => [power, String(Number((10 ** power).toPrecision(1)))]);
  const lines = ARMS.flatMap(({ key }) => ["test", "train"].map((part) => ({ key, part, line: svgPath(`dl-loss dl-${key} dl-${part}`, "") })));
  const name = { digits: "error (%)", curve: "mean squared error", moons: "loss (nats)" }[mode];
  const places = { digits: "epochs", curve: "steps", moons: "steps" }[mode];
  let seen = { plain: [], dropout: [] };
  function draw(epochs) {
    const x = scaleOf([0, 1], [left, right]);
    for (const { key, part, line } of lines) {
      line.setAttribute("d", seen[key].length ? through(seen[key].map((frame) => [x(frame.done / frame.steps), y(shown(frame[part]))])) : "");
    }
    picture.draw([
      frameOf(LOSS_BOX),
      ...axis("left", LOSS_BOX, y, ticks),
      ...axis("bottom", LOSS_BOX, scaleOf([0, epochs], [left, right]), [0, epochs / 2, epochs].map((value) => [value, grouped(value)])),
      ...lines.map(({ line }) => line),
      ...axisNames(LOSS_BOX, places, name),
    ]);
  }
  const line = (key, part) => swatch(10, svgPath(`dl-loss dl-${key} dl-${part}`, "M0 5H28"));
  const key = legend(
    [line("plain", "test"), "all units, new examples"], [line("plain", "train"), "all units, training examples"],
    [line("dropout", "test"), "dropout, new examples"], [line("dropout", "train"), "dropout, training examples"]);
  return {
    parts: [picture.element, key],
    clear(epochs) {
      seen = { plain: [], dropout: [] };
      draw(epochs);
      picture.describe(`No ${name} yet.`);
    },
    add: (frame) => seen[frame.arm].push(frame),
    draw(epochs) {
      draw(epochs);
      const last = ARMS.filter(({ key: arm }) => seen[arm].length).map(({ key: arm, name: words }) => {
        const { test, train } = seen[arm].at(-1);
        return digits ? `${words}: ${fixed(100 * test.error, 1)}% of new and ${fixed(100 * train.error, 1)}% of training examples`
          : `${words}: ${fixed(test.loss, 3)} on new and ${fixed(train.loss, 3)} on training examples`;
      });
      picture.describe(`${name} against ${places}. ${last.join("; ")}.`);
    },
  };
}
