// The units of the trained networks: what each looks like, what is lost without it, and how pairs interact.

const MOST_SHOWN = 24;
const PAIR_EXAMPLES = 300;

/** The layer whose units are looked at: the first of the digits' networks, whose weights are pictures; else the last. */
const lookedAt = (mode) => (mode === "digits" ? 0 : HIDDEN_LAYERS - 1);

/** A trained network cut above one layer: what its units send for these examples, and what the next layer makes of it. */
function cutAbove(layers, layer, { x, y, n }, most = n) {
  const examples = Math.min(most, n);
  const { received } = forward(layers, x.subarray(0, (x.length / n) * examples), examples);
  const tail = layers.slice(layer + 1);
  const h = received[layer + 1];
  return { tail, h, z: affine(tail[0], h, examples), y: y.subarray(0, examples), n: examples };
}

/** Loss and error where these units send 0. */
function scoreWithout({ tail, h, z, y, n }, gone, loss) {
  const { inputs, outputs, w } = tail[0];
  let out = z.slice();
  for (const unit of gone) {
    for (let e = 0; e < n; e++) {
      const value = h[e * inputs + unit];
      if (value === 0) continue;
      for (let k = 0; k < outputs; k++) out[e * outputs + k] -= value * w[unit * outputs + k];
    }
  }
  if (tail.length > 1) out = forward(tail.slice(1), out.map((value) => Math.max(value, 0)), n).output;
  const { loss: value, error } = loss(out, y, n);
  return { loss: value, error };
}

/** Interactions I of pairs of units in nats: below 0 where removing both costs more than the sum of removing each. */
function pairInteractions(cut, units, loss) {
  const damage = (gone) => scoreWithout(cut, gone, loss).loss - intact;
  const intact = scoreWithout(cut, [], loss).loss;
  const alone = units.map((unit) => damage([unit]));
  return units.map((a, i) => units.map((b, j) => (j <= i ? 0 : alone[i] + alone[j] - damage([a, b]))));
}

/** What one unit adds to the network's output, or to its preference for the second class, over the picture's places. */
function contribution(layers, world, unit) {
  const places = world.picture.length / world.sizes[0];
  const { received } = forward(layers, world.picture, places);
  const { inputs, outputs, w } = layers[HIDDEN_LAYERS];
  const weight = outputs === 1 ? w[unit] : w[unit * outputs + 1] - w[unit * outputs];
  return Float32Array.from({ length: places }, (_, i) => weight * received[HIDDEN_LAYERS][i * inputs + unit]);
}

/** A square of grays: 0 is the middle one. */
function grayPicture(values, side, range) {
  const canvas = h("canvas", { class: "dl-feature", width: side, height: side, "aria-hidden": "true" });
  const image = new ImageData(side, side);
  values.forEach((value, i) => {
    const gray = 128 + 127 * Math.max(-1, Math.min(1, value / range));
    image.data.set([gray, gray, gray, 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** A picture of each unit that is shown, on one scale. */
function unitPictures(mode, layers, world, units, lineOf) {
  if (mode === "digits") {
    const { inputs, outputs, w } = layers[0];
    const weights = units.map((unit) => Float32Array.from({ length: inputs }, (_, j) => w[j * outputs + unit]));
    const range = Math.max(...weights.map((each) => Math.max(...each.map(Math.abs))));
    return weights.map((each) => grayPicture(each, 14, range));
  }
  const added = units.map((unit) => contribution(layers, world, unit));
  const sizes = added.flatMap((each) => [...each.map(Math.abs)]).sort((a, b) => a - b);
  const range = Math.max(1e-9, sizes[Math.floor((mode === "curve" ? 1 : 0.95) * (sizes.length - 1))]); // corners of the plane are far
  if (mode === "moons") {
    const upright = (each) => each.map((_, i) => each[(GRID - 1 - Math.floor(i / GRID)) * GRID + (i % GRID)]);
    return added.map((each) => grayPicture(upright(each), GRID, range));
  }
  return added.map((each) => h("svg:svg", { class: "dl-feature", viewBox: "0 0 44 42", "aria-hidden": "true" },
    svgPath("dl-axis dl-zero", "M2 21H42"), lineOf(each, range)));
}

/** The units worth a look: the first ones of the digits' networks, else those that add the most, from the largest on. */
function unitsToShow(mode, layers, world) {
  const count = layers[lookedAt(mode)].outputs;
  const all = Array.from({ length: count }, (_, unit) => unit);
  if (mode === "digits") return all.slice(0, MOST_SHOWN);
  const size = all.map((unit) => contribution(layers, world, unit).reduce((total, value) => total + value ** 2, 0));
  return all.sort((a, b) => size[b] - size[a]).slice(0, MOST_SHOWN);
}

/** Which units are shown, of how many, and what they are seen by. */
function whichUnits(mode, count) {
  const shown = Math.min(count, MOST_SHOWN);
  if (mode === "digits") {
    return `${shown < count ? `The first ${shown} of ${count}` : `All ${count}`} units of the first hidden layer, by their weights from ` +
      "the pixels (white: positive).";
  }
  const those = shown < count ? `${shown} of ${count} units of the second hidden layer, those that add the most`
    : `All ${count} units of the second hidden layer, by what they add`;
  return `${those} to the output, from the largest on. A square shows what its unit adds.`;
}

/** One arm's units below its fit: a button with a picture for each, pressed to remove it; the cost; and the matrix of pairs. */
function armUnits(mode, { key, name }, picture, pressed) {
  const grid = h("div", { class: "dl-units", role: "group", "aria-label": `Units of ${name}` });
  const [cost, pairs] = [h("p", { class: "dl-cost", "data-value": `cost-${key}` }), h("div")];
  const element = h("div", { class: `dl-arm dl-of-${key}` }, h("p", { class: "dl-name" }, name), ...(picture?.parts ?? []), grid, cost, pairs);
  const { scale, unit, digits, name: measure } = SAID[mode];
  let buttonsOf = new Map();

  function show(layers, world) {
    const units = unitsToShow(mode, layers, world);
    const pictures = unitPictures(mode, layers, world, units, picture?.unit);
    buttonsOf = new Map(units.map((each, i) => {
      const made = h("button", { type: "button", class: "dl-unit-button", onclick: () => pressed(key, each) }, pictures[i]);
      return [each, made];
    }));
    grid.replaceChildren(...buttonsOf.values());
    pairs.replaceChildren();
    return units;
  }
  function mark(removed, intact, now) {
    for (const [each, made] of buttonsOf) {
      made.setAttribute("aria-pressed", !removed.has(each));
      made.setAttribute("aria-label", `Unit ${each + 1}, ${removed.has(each) ? "removed" : "there"}`);
    }
    cost.textContent = removed.size === 0 ? `All units are there: ${measure} ${fixed(scale * intact.error, digits)}${unit}.`
      : `Without ${removed.size} unit${removed.size > 1 ? "s" : ""}: ${measure} ${fixed(scale * intact.error, digits)}${unit} to ` +
        `${fixed(scale * now.error, digits)}${unit}, loss up by ${fixed(now.loss - intact.loss, 3)}.`;
  }
  /** Draw interactions with colors whose strongest is `largest`. */
  function drawPairs(matrix, largest) {
    const side = matrix.length;
    const { synergy, redundancy } = PALETTE;
    const canvas = h("canvas", { class: "dl-pairs", width: side, height: side, "aria-hidden": "true" });
    const image = new ImageData(side, side);
    matrix.forEach((values, i) => values.forEach((value, j) => {
      if (j <= i) return;
      const color = [...(value > 0 ? synergy : redundancy), 255 * Math.sqrt(Math.abs(value) / largest)];
      for (const at of [i * side + j, j * side + i]) image.data.set(color, 4 * at);
    }));
    canvas.getContext("2d").putImageData(image, 0, 0);
    pairs.replaceChildren(canvas);
  }
  return { key, element, show, mark, drawPairs };
}

/** The fold below the results: units of both arms at one seed, each below its picture; `redraw(arm, removed)` shows what is left of a fit. */
function unitsPanel(mode, redraw, pictures) {
  const removed = { plain: new Set(), dropout: new Set() };
  let shown = null; // { world, results, cuts, units }
  const arms = ARMS.map((arm) => armUnits(mode, arm, pictures[arm.key], (key, unit) => {
    if (!removed[key].delete(unit)) removed[key].add(unit);
    update();
  }));
  const [which, words] = [valueOf("which-units"), h("p", { "data-value": "pairs" })];
  const clearAll = () => ARMS.forEach(({ key }) => removed[key].clear());
  const count = () => shown.results.plain.layers[lookedAt(mode)].outputs;
  let draws = 0;
  const removeSome = (share) => button(`Remove ${share === 0.5 ? "half" : "a tenth"} at random`, () => {
    clearAll();
    const gone = drawing(++draws, 6).order(count()).slice(0, Math.max(1, Math.round(share * count())));
    for (const unit of gone) ARMS.forEach(({ key }) => removed[key].add(unit));
    update();
  });
  const back = button("Put all back", () => {
    clearAll();
    update();
  });
  const pairsButton = button("See pairs interact", showPairs);
  const element = h("div", { class: "dl-units-panel" },
    h("p", {}, which, " Press one to remove it."),
    buttons(removeSome(0.1), removeSome(0.5), back, pairsButton),
    h("div", { class: "dl-arms" }, ...arms.map((arm) => arm.element)), words);

  function update() {
    for (const { key, mark } of arms) {
      const gone = removed[key];
      const { loss } = shown.world;
      mark(gone, scoreWithout(shown.cuts[key], [], loss), scoreWithout(shown.cuts[key], gone, loss));
      redraw(key, gone);
    }
    back.disabled = !ARMS.some(({ key }) => removed[key].size);
  }
  function showPairs() {
    const found = arms.map(({ key }) => pairInteractions(
      cutAbove(shown.results[key].layers, lookedAt(mode), shown.world.test, PAIR_EXAMPLES), shown.units[key], shown.world.loss));
    const sizes = found.map((matrix) => matrix.flatMap((values, i) => values.slice(i + 1)).map(Math.abs));
    const largest = Math.max(1e-12, ...sizes.flat());
    arms.forEach(({ drawPairs }, i) => drawPairs(found[i], largest));
    const mean = sizes.map((each) => Number((sum(each) / each.length).toPrecision(2)));
    words.textContent = `Each cell is a pair of the units above, in their order: purple pairs are redundant (removing both costs more than ` +
      `the sum of removing each), green ones synergistic. The mean size of an interaction is ${mean[0]} with all units and ` +
      `${mean[1]} with dropout, over ${grouped(sizes[0].length)} pairs.`;
  }
  return {
    element,
    show(world, results) {
      clearAll();
      words.textContent = "";
      const cuts = Object.fromEntries(ARMS.map(({ key }) => [key, cutAbove(results[key].layers, lookedAt(mode), world.test)]));
      shown = { world, results, cuts, units: {} };
      which.textContent = whichUnits(mode, count());
      for (const { key, show } of arms) shown.units[key] = show(results[key].layers, world);
      update();
    },
  };
}
