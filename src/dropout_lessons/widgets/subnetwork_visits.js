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

function render({ model, el }) {
  const mostSteps = model.get("data").most_steps;
  const keepProb = keepProbSlider(model);
  const units = slider(model, "units", ["Units ", h("i", {}, "n"), " "], { min: 2, max: MOST_UNITS, step: 1, show: String });
  const more = [1, 10, 100].map((count) => ({
    count,
    element: button(count === 1 ? "1 step" : `${count} steps`, () => assign(model, { steps: model.get("steps") + count })),
  }));
  const again = button("Start again", () => assign(model, { steps: 0, seed: (model.get("seed") + 1) % 2 ** 32 }));

  const text = (x, y, content) => h("svg:text", { x, y, "text-anchor": "middle" }, content);
  const picture = h("svg:svg", { role: "img", "aria-label": "" });
  const frame = h("svg:rect", { class: "dl-frame" });
  let cells = []; // by mask
  let drawnUnits = 0;

  /** A column for each number of kept units, its cells stacked from the axis up. */
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
    cells = Array.from({ length: 2 ** n }, (_, mask) => {
      const kept = keptOf(mask);
      const place = placed[kept]++;
      const row = Math.floor(place / across);
      const inRow = Math.min(across, counts[kept]);
      const x = 2 + (kept + 0.5) * column + ((place % across) - inRow / 2) * size;
      return h("svg:rect", {
        class: "dl-cell", x: x + gap / 2, y: bottom - (row + 1) * size + gap / 2,
        width: size - gap, height: size - gap,
        "data-mask": unitsOf(mask, n).map(Number).join(""),
      });
    });
    picture.setAttribute("viewBox", `0 0 ${PICTURE_WIDTH} ${bottom + 46}`);
    picture.replaceChildren(
      ...cells,
      frame,
      h("svg:path", { class: "dl-axis", d: `M2 ${bottom + 2}H${PICTURE_WIDTH - 2}` }),
      ...counts.flatMap((count, kept) => {
        const x = 2 + (kept + 0.5) * column;
        return [
          text(x, bottom + 18, kept),
          h("svg:text", {
            class: "dl-count", x, y: bottom - Math.ceil(count / across) * size - 5, "text-anchor": "middle",
          }, count),
        ];
      }),
      text(PICTURE_WIDTH / 2, bottom + 39, "units kept; on top, how many such subnetworks"),
    );
    drawnUnits = n;
  }

  // The last mask
  const lastMask = h("svg:svg", { class: "dl-last", role: "img", "aria-label": "" });
  function drawLast(mask, n) {
    const spacing = 34;
    lastMask.setAttribute("viewBox", `0 0 ${spacing * MOST_UNITS} 32`);
    lastMask.replaceChildren(...Array.from({ length: n }, (_, unit) => {
      const [x, y] = [(unit + 0.5) * spacing, 16];
      const state = mask === undefined ? "none" : mask & (1 << unit) ? "kept" : "dropped";
      return h("svg:g", { class: `dl-${state}`, "data-unit": state },
        h("svg:circle", { cx: x, cy: y, r: 13 }),
        state === "dropped"
          ? h("svg:path", { class: "dl-cross", d: `M${x - 6} ${y - 6}l12 12m0 -12l-12 12` })
          : text(x, y + 5, unit + 1));
    }));
  }

  // Numbers
  const row = (name, key, ...after) => {
    const value = valueOf(key);
    return { value, tr: h("tr", {}, h("th", { scope: "row" }, ...name), h("td", { class: "dl-number" }, value, ...after)) };
  };
  const all = valueOf("subnetworks");
  const i = (letter) => h("i", {}, letter);
  const sub = h("sub", {}, i("m"));
  const rows = {
    steps: row(["Steps ", i("T")], "steps"),
    seen: row(["Subnetworks seen"], "seen", " of ", all),
    expected: row(["Expected, on average", h("span", { class: "dl-formula" }, "Σ", sub, " [1 − (1 − π", sub.cloneNode(true), ")",
      h("sup", {}, i("T")), "]")], "expected"),
    repeats: row(["Steps that drew one seen before"], "repeats"),
    most: row(["Most visits to one subnetwork"], "most"),
  };
  const numbers = h("table", {}, h("tbody", {}, ...Object.values(rows).map(({ tr }) => tr)));
  const sizes = h("tbody");
  const details = h("details", {}, h("summary", {}, "Every size in numbers"),
    h("table", {},
      h("thead", {}, h("tr", {}, ...["units kept", "subnetworks", "π of each", "seen", "visits"].map((name, column) =>
        h("th", { scope: "col", class: column ? "dl-number" : "" }, name)))),
      sizes));
  const legend = h("p", { class: "dl-legend" });
  const named = (name, ...shapes) => h("span", { class: "dl-named" },
    h("svg:svg", { class: "dl-swatch dl-small", viewBox: "0 0 14 14", "aria-hidden": "true" }, ...shapes), name);
  const swatch = (name, visits, most) => {
    const rect = h("svg:rect", { class: "dl-cell", x: 1, y: 1, width: 12, height: 12 });
    paint(rect, visits, most);
    return named(name, rect);
  };
  const lastNote = h("p", {}, "Last mask drawn:");
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });

  function paint(cell, visits, most) {
    cell.classList.toggle("dl-visited", visits > 0);
    // the logarithm, or one favorite would leave all others pale
    cell.setAttribute("fill-opacity", visits === 0 ? 0 : most === 1 ? 1 : 0.4 + (0.6 * Math.log(visits)) / Math.log(most));
    cell.setAttribute("data-visits", visits);
  }

  function update() {
    const [n, p, steps] = [model.get("units"), model.get("keep_prob"), model.get("steps")];
    const masks = drawMasks({ units: n, keepProb: p, steps, seed: model.get("seed") });
    const visits = new Array(2 ** n).fill(0);
    for (const mask of masks) visits[mask] += 1;
    const last = masks.at(-1);
    const seen = visits.filter((count) => count > 0).length;
    const most = Math.max(...visits);
    const counts = binomials(n);
    const probs = counts.map((_, kept) => p ** kept * (1 - p) ** (n - kept));
    const expected = sum(counts.map((count, kept) => count * seenProb(probs[kept], steps)));

    if (n !== drawnUnits) layOut(n);
    cells.forEach((cell, mask) => paint(cell, visits[mask], most));
    frame.classList.toggle("dl-none", last === undefined);
    if (last !== undefined) {
      for (const [name, outside] of [["x", -1], ["y", -1], ["width", 2], ["height", 2]]) {
        frame.setAttribute(name, Number(cells[last].getAttribute(name)) + outside);
      }
    }
    drawLast(last, n);
    rows.steps.value.textContent = grouped(steps);
    rows.seen.value.textContent = grouped(seen);
    all.textContent = grouped(2 ** n);
    rows.expected.value.textContent = fixed(expected, 1);
    rows.repeats.value.textContent = grouped(steps - seen);
    rows.most.value.textContent = grouped(most);
    sizes.replaceChildren(...counts.map((count, kept) => {
      const ofSize = visits.filter((_, mask) => keptOf(mask) === kept);
      return h("tr", {}, h("th", { scope: "row" }, kept), ...[
        grouped(count), Number(probs[kept].toPrecision(2)), grouped(ofSize.filter(Boolean).length), grouped(sum(ofSize)),
      ].map((value) => h("td", { class: "dl-number" }, value)));
    }));
    legend.replaceChildren(swatch("never drawn", 0, most),
      ...(most > 0 ? [swatch("once", 1, most)] : []),
      ...(most > 1 ? [swatch(`${grouped(most)} times`, most, most)] : []),
      ...(steps > 0 ? [named("the last one", h("svg:rect", { class: "dl-frame", x: 1, y: 1, width: 12, height: 12 }))] : []));

    const kept = last === undefined ? [] : unitsOf(last, n).flatMap((isKept, unit) => (isKept ? [unit + 1] : []));
    const what = kept.length === 0 ? "drops every unit" : kept.length === n ? "keeps every unit" : `keeps ${listed("unit", kept)}`;
    const place = last === undefined ? 0 : visits[last];
    summary.textContent = steps === 0
      ? `No step yet: none of the ${grouped(2 ** n)} subnetworks has been seen.`
      : `After ${grouped(steps)} step${steps > 1 ? "s" : ""}, ${grouped(seen)} of the ${grouped(2 ** n)} subnetworks ` +
        `${seen > 1 ? "have" : "has"} been seen, where ${fixed(expected, 1)} are expected. The last mask ${what}: ` +
        (place === 1 ? "seen for the first time." : `drawn ${grouped(place)} times so far.`);
    lastMask.setAttribute("aria-label", last === undefined ? "No mask drawn yet" : `The last mask ${what} of ${n}`);
    picture.setAttribute("aria-label",
      `A cell for each of ${grouped(2 ** n)} subnetworks, by the number of units kept; ${grouped(seen)} of them colored.`);
    for (const { count, element } of more) element.disabled = steps + count > mostSteps;
    keepProb.update();
    units.update();
  }

  return mount({ model, el }, {
    name: "subnetwork_visits",
    title: "How often is a subnetwork ever seen again?",
    parts: [
      h("div", { class: "dl-controls" }, keepProb.element, units.element,
        h("div", { class: "dl-buttons" }, ...more.map(({ element }) => element), again)),
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, picture, legend),
        h("div", { class: "dl-values" }, numbers, lastNote, lastMask, summary)),
      details,
    ],
    traits: ["keep_prob", "units", "steps", "seed"],
    update,
  });
}

export default { render };
