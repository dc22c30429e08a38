const PICTURE_WIDTH = 360;
const TALLEST = 290; // of a column of cells
const LARGEST_CELL = 22;
const MOST_UNITS = 10;

/** The numbers of subnetworks with 0, 1, ..., n units kept. */
function binomials(n) {
  const row = [1];
  for (let k = 1; k <= n; k++) row.push(Math.round((row[k - 1] * (n - k + 1)) / k));
  return row;
}

const keptOf = (mask) => mask.toString(2).replaceAll("0", "").length;
const unitsOf = (mask, n) => Array.from({ length: n }, (_, unit) => Boolean(mask & (1 << unit)));

/** Masks as numbers whose binary digit j is 1 where unit j is kept. The uniforms of a step are the same for every p. */
function drawMasks({ units, keepProb, steps, seed }) {
  const uniform = uniformStream(seed);
  return Uint16Array.from({ length: steps }, (_, step) => {
    let mask = 0;
    for (let unit = 0; unit < units; unit++) if (uniform(step * MOST_UNITS + unit) < keepProb) mask |= 1 << unit;
    return mask;
  });
}

/** The probability that T steps draw a mask of this probability at least once. */
const seenProb = (prob, steps) => (steps === 0 ? 0 : -Math.expm1(steps * Math.log1p(-prob)));

/** The rectangle of each mask in a picture: a column for each number of kept units, stacked from the axis up. */
function layOut(n) {
  const counts = binomials(n);
  const most = Math.max(...counts);
  const column = (PICTURE_WIDTH - 4) / (n + 1);
  const sizeOf = (across) => Math.min(LARGEST_CELL, (column - 3) / across);
  let across = 1;
  while (Math.ceil(most / across) * sizeOf(across) > TALLEST) across += 1;
  const size = sizeOf(across);
  const bottom = 22 + Math.ceil(most / across) * size;
  const gap = size > 10 ? 2 : 1;
  const placed = counts.map(() => 0);
  const cells = Array.from({ length: 2 ** n }, (_, mask) => {
    const kept = keptOf(mask);
    const place = placed[kept]++;
    const inRow = Math.min(across, counts[kept]);
    const x = 2 + (kept + 0.5) * column + ((place % across) - inRow / 2) * size;
    return h("svg:rect", {
      class: "dl-cell", x: x + gap / 2, y: bottom - (Math.floor(place / across) + 1) * size + gap / 2,
      width: size - gap, height: size - gap,
      "data-mask": unitsOf(mask, n).map(Number).join(""),
    });
  });
  const labels = counts.flatMap((count, kept) => {
    const x = 2 + (kept + 0.5) * column;
    return [
      svgText(x, bottom + 18, kept),
      svgText(x, bottom - Math.ceil(count / across) * size - 5, count, "middle", { class: "dl-count" }),
    ];
  });
  return { cells, labels, bottom };
}

/** Color a cell by its visits: by their logarithm, or one favorite would leave all others pale. */
function paint(cell, visits, most) {
  cell.classList.toggle("dl-visited", visits > 0);
  cell.setAttribute("fill-opacity", visits === 0 ? 0 : most === 1 ? 1 : 0.4 + (0.6 * Math.log(visits)) / Math.log(most));
  cell.setAttribute("data-visits", visits);
}

/** A cell for each subnetwork, with a frame around the last one drawn. */
function cellsPicture() {
  const picture = chart(PICTURE_WIDTH, 0);
  const frame = h("svg:rect", { class: "dl-frame" });
  const key = h("p", { class: "dl-legend" });
  const named = (name, shape) => h("span", { class: "dl-named" },
    h("svg:svg", { class: "dl-swatch dl-small", viewBox: "0 0 14 14", "aria-hidden": "true" }, shape), name);
  const sample = (name, visits, most) => {
    const rect = h("svg:rect", { class: "dl-cell", x: 1, y: 1, width: 12, height: 12 });
    paint(rect, visits, most);
    return named(name, rect);
  };
  let cells = []; // by mask

  function draw(n, visits, last) {
    if (cells.length !== 2 ** n) {
      const placed = layOut(n);
      cells = placed.cells;
      picture.setHeight(placed.bottom + 46);
      picture.draw([...cells, frame, svgPath("dl-axis", `M2 ${placed.bottom + 2}H${PICTURE_WIDTH - 2}`), ...placed.labels,
        svgText(PICTURE_WIDTH / 2, placed.bottom + 39, "units kept (on top: how many such subnetworks)")]);
    }
    const most = Math.max(...visits);
    cells.forEach((cell, mask) => paint(cell, visits[mask], most));
    frame.classList.toggle("dl-none", last === undefined);
    if (last !== undefined) {
      for (const [name, outside] of [["x", -1], ["y", -1], ["width", 2], ["height", 2]]) {
        frame.setAttribute(name, Number(cells[last].getAttribute(name)) + outside);
      }
    }
    key.replaceChildren(sample("never drawn", 0, most),
      ...(most > 0 ? [sample("once", 1, most)] : []),
      ...(most > 1 ? [sample(`${grouped(most)} times`, most, most)] : []),
      ...(most > 0 ? [named("the last one", h("svg:rect", { class: "dl-frame", x: 1, y: 1, width: 12, height: 12 }))] : []));
  }
  return { parts: [picture.element, key], describe: picture.describe, draw };
}

/** The units of the last mask in a line. */
function lastMask() {
  const spacing = 34;
  const element = h("svg:svg", { class: "dl-last", role: "img", "aria-label": "", viewBox: `0 0 ${spacing * MOST_UNITS} 32` });
  return {
    element,
    draw(mask, n, what) {
      element.replaceChildren(...Array.from({ length: n }, (_, unit) => {
        const [x, y] = [(unit + 0.5) * spacing, 16];
        const state = mask === undefined ? "none" : mask & (1 << unit) ? "kept" : "dropped";
        return h("svg:g", { class: `dl-${state}`, "data-unit": state },
          h("svg:circle", { cx: x, cy: y, r: 13 }),
          ...(state === "dropped" ? [] : [svgText(x, y + 5, unit + 1)]));
      }));
      element.setAttribute("aria-label", mask === undefined ? "No mask drawn yet" : `The last mask ${what} of ${n}`);
    },
  };
}

/** What has been visited in numbers, in all and for each number of kept units. */
function visitsInNumbers() {
  const of = (name, ...content) => h("tr", {}, h("th", { scope: "row" }, ...name), cell(null, ...content));
  const [steps, seen, all, expected, repeats, most] =
    ["steps", "seen", "subnetworks", "expected", "repeats", "most"].map((name) => valueOf(name));
  const i = (letter) => h("i", {}, letter);
  const sub = h("sub", {}, i("m"));
  const numbers = table(null, [
    of(["Steps ", i("T")], steps),
    of(["Subnetworks seen"], seen, " of ", all),
    of(["Expected, on average", h("span", { class: "dl-formula" }, "Σ", sub, " [1 − (1 − π", sub.cloneNode(true), ")",
      h("sup", {}, i("T")), "]")], expected),
    of(["Steps that drew one seen before"], repeats),
    of(["Most visits to one subnetwork"], most),
  ]);
  const sizes = table(["units kept", "subnetworks", "π of each", "seen", "visits"], []);

  function show(n, p, visits) {
    const counts = binomials(n);
    const probs = counts.map((_, kept) => p ** kept * (1 - p) ** (n - kept));
    const [drawn, found] = [sum(visits), visits.filter((count) => count > 0).length];
    const mean = sum(counts.map((count, kept) => count * seenProb(probs[kept], drawn)));
    [[steps, grouped(drawn)], [seen, grouped(found)], [all, grouped(2 ** n)], [expected, fixed(mean, 1)],
      [repeats, grouped(drawn - found)], [most, grouped(Math.max(...visits))]].forEach(([value, shown]) => (value.textContent = shown));
    sizes.querySelector("tbody").replaceChildren(...counts.map((count, kept) => {
      const ofSize = visits.filter((_, mask) => keptOf(mask) === kept);
      const { tr, cells } = row(kept, null, null, null, null);
      [grouped(count), Number(probs[kept].toPrecision(2)), grouped(ofSize.filter(Boolean).length), grouped(sum(ofSize))]
        .forEach((value, k) => (cells[k].textContent = value));
      return tr;
    }));
    return { found, expected: fixed(mean, 1) };
  }
  return { numbers, details: h("details", {}, h("summary", {}, "Every size in numbers"), sizes), show };
}

function render({ model, el }) {
  const mostSteps = model.get("data").most_steps;
  const keepProb = keepProbSlider(model);
  const units = slider(model, "units", ["Units ", h("i", {}, "n"), " "], { min: 2, max: MOST_UNITS, step: 1, show: String });
  const more = [1, 10, 100].map((count) => ({
    count,
    element: button(count === 1 ? "1 step" : `${count} steps`, () => assign(model, { steps: model.get("steps") + count })),
  }));
  const again = button("Start again", () => assign(model, { steps: 0, seed: (model.get("seed") + 1) % 2 ** 32 }));
  const picture = cellsPicture();
  const last = lastMask();
  const { numbers, details, show } = visitsInNumbers();
  const summary = liveSummary();

  function update() {
    const [n, p, steps] = [model.get("units"), model.get("keep_prob"), model.get("steps")];
    const masks = drawMasks({ units: n, keepProb: p, steps, seed: model.get("seed") });
    const visits = new Array(2 ** n).fill(0);
    for (const mask of masks) visits[mask] += 1;
    const mask = masks.at(-1);
    const { found, expected } = show(n, p, visits);
    picture.draw(n, visits, mask);
    picture.describe(`A cell for each of ${grouped(2 ** n)} subnetworks, by the number of units kept; ${grouped(found)} of them colored.`);

    const kept = mask === undefined ? [] : unitsOf(mask, n).flatMap((isKept, unit) => (isKept ? [unit + 1] : []));
    const what = kept.length === 0 ? "drops every unit" : kept.length === n ? "keeps every unit" : `keeps ${listed("unit", kept)}`;
    last.draw(mask, n, what);
    summary.textContent = steps === 0
      ? `No step yet: none of the ${grouped(2 ** n)} subnetworks has been seen.`
      : `After ${grouped(steps)} step${steps > 1 ? "s" : ""}, ${grouped(found)} of the ${grouped(2 ** n)} subnetworks ` +
        `${found > 1 ? "have" : "has"} been seen, where ${expected} are expected. The last mask ${what}: ` +
        (visits[mask] === 1 ? "seen for the first time." : `drawn ${grouped(visits[mask])} times so far.`);
    for (const { count, element } of more) element.disabled = steps + count > mostSteps;
  }

  return mount({ model, el }, {
    name: "subnetwork_visits",
    title: "How often is a subnetwork ever seen again?",
    parts: [
      h("div", { class: "dl-controls" }, keepProb.element, units.element, buttons(...more.map(({ element }) => element), again)),
      columns(picture.parts, [numbers, h("p", {}, "Last mask drawn:"), last.element, summary]),
      details,
    ],
    controls: [keepProb, units],
    traits: ["keep_prob", "units", "steps", "seed"],
    update,
  });
}

export default { render };
