const DROPPED = [213, 94, 0];
const SHAPES = ["entries", "blocks", "maps"];

/** Numbers in [0, 1], one byte each. */
const unpack = (text) => Float64Array.from(atob(text), (character) => character.charCodeAt(0) / 255);

/** Which entries of maps are kept: a byte each, 1 = kept. The same numbers are drawn for every keep_prob. */
function drawMask(shape, { maps, height, width }, uniform, first, p, block) {
  const mask = new Uint8Array(maps * height * width);
  const side = shape === "blocks" ? block : 1;
  const [rows, columns] = [height + side - 1, width + side - 1];
  const noCenter = p ** (1 / side ** 2);
  for (let map = 0; map < maps; map++) {
    const draw = (i) => uniform(first + map * rows * columns + i) < noCenter;
    if (shape === "maps") {
      mask.fill(draw(0) ? 1 : 0, map * height * width, (map + 1) * height * width);
      continue;
    }
    // An entry is kept if no block is centered in its window.
    const free = Uint8Array.from({ length: rows * columns }, (_, i) => draw(i));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let kept = 1;
        for (let i = 0; i < side && kept; i++) for (let j = 0; j < side && kept; j++) kept = free[(y + i) * columns + x + j];
        mask[(map * height + y) * width + x] = kept;
      }
    }
  }
  return mask;
}

/** For each dropped entry the distance to its nearest kept neighbors, 0 if there are none, and their mean deviation. */
function nearestKept(deviations, mask, { maps, height, width }) {
  const distance = new Uint8Array(mask.length);
  const neighbors = new Float64Array(mask.length);
  for (let map = 0; map < maps; map++) {
    const start = map * height * width;
    if (!mask.subarray(start, start + height * width).includes(1)) continue;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = start + y * width + x;
        if (mask[at]) continue;
        for (let r = 1; !distance[at]; r++) {
          let [total, count] = [0, 0];
          const visit = (i, j) => {
            if (i < 0 || j < 0 || i >= height || j >= width || !mask[start + i * width + j]) return;
            total += deviations[start + i * width + j];
            count += 1;
          };
          for (let k = -r; k <= r; k++) for (const edge of [-r, r]) visit(y + edge, x + k);
          for (let k = 1 - r; k < r; k++) for (const edge of [-r, r]) visit(y + k, x + edge);
          if (count) [distance[at], neighbors[at]] = [r, total / count];
        }
      }
    }
  }
  return { distance, neighbors };
}

/** The best factor for each distance, and the share of the dropped entries' variance that is told with them. */
function fit(examples) {
  const [cross, square] = [[], []];
  let all = 0;
  for (const { deviations, mask, distance, neighbors } of examples) {
    for (let i = 0; i < mask.length; i++) {
      if (mask[i]) continue;
      all += deviations[i] ** 2;
      const r = distance[i];
      cross[r] = (cross[r] ?? 0) + deviations[i] * neighbors[i];
      square[r] = (square[r] ?? 0) + neighbors[i] ** 2;
    }
  }
  const factors = cross.map((value, r) => (r && square[r] > 0 ? value / square[r] : 0));
  const told = sum(cross.map((value, r) => value * factors[r]).filter(Number.isFinite));
  return { factors, told: all > 0 ? told / all : NaN };
}

function render({ model, el }) {
  const data = model.get("data");
  const layers = data.layers.map((layer) => {
    const means = unpack(layer.means);
    return { ...layer, means, values: layer.values.map(unpack), size: layer.maps * layer.height * layer.width };
  });
  const examples = Array.from({ length: data.examples }, (_, example) => example);
  for (const layer of layers) {
    layer.deviations = layer.values.map((values) => values.map((value, i) => value - layer.means[i]));
  }
  const current = () => layers.find(({ name }) => name === model.get("layer"));

  const layer = choice(model, "layer", "Layer:", layers.map(({ name }) => [name, name]));
  const example = choice(model, "example", "Image:", examples.map((i) => [i, `${i + 1}`]));
  const shape = choice(model, "shape", "Drop", [["entries", "entries one by one"], ["blocks", "blocks"], ["maps", "whole maps"]]);
  const keepProb = keepProbSlider(model);
  const block = slider(model, "block_size", ["Block size "],
    { min: 2, max: data.most_block, step: 1, show: (side) => `${side} × ${side}` });
  block.element.classList.add("dl-wide-value");
  const again = button("Draw new masks", () => assign(model, { seed: model.get("seed") + 1 }));

  const pictures = h("div", { class: "dl-maps", role: "img", "aria-label": "" });
  const number = (name) => h("td", { class: "dl-number", "data-value": name });
  const rows = Object.fromEntries(SHAPES.map((name) => {
    const [th, kept, told] = [h("th", { scope: "row" }), number(`kept-${name}`), number(`told-${name}`)];
    return [name, { th, kept, told, tr: h("tr", {}, th, kept, told) }];
  }));
  const caption = h("th", { scope: "col" });
  const numbers = h("table", {},
    h("thead", {}, h("tr", {}, caption, ...["kept", "of what is dropped, neighbors tell"].map((name) =>
      h("th", { scope: "col", class: "dl-number" }, name)))),
    h("tbody", {}, ...SHAPES.map((name) => rows[name].tr)));
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });

  /** Masks of every example of the layer, and what is told of what they drop. */
  function drop(kind) {
    const shown = current();
    const uniform = uniformStream(model.get("seed"));
    const most = shown.maps * (shown.height + data.most_block) * (shown.width + data.most_block);
    const dropped = examples.map((i) => {
      const mask = drawMask(kind, shown, uniform, i * most, model.get("keep_prob"), model.get("block_size"));
      const deviations = shown.deviations[i];
      return { mask, deviations, ...nearestKept(deviations, mask, shown) };
    });
    const kept = sum(dropped.map(({ mask }) => mask.reduce((total, entry) => total + entry, 0))) / (examples.length * shown.size);
    return { dropped, kept, ...fit(dropped) };
  }

  function canvas({ height, width }, colorOf) {
    const element = h("canvas", { class: "dl-image", width, height, "aria-hidden": "true" });
    const image = new ImageData(width, height);
    for (let i = 0; i < height * width; i++) image.data.set([...colorOf(i), 255], 4 * i);
    element.getContext("2d").putImageData(image, 0, 0);
    return element;
  }

  function drawMaps({ dropped, factors }) {
    const shown = current();
    const { mask, distance, neighbors } = dropped[model.get("example")];
    const values = shown.values[model.get("example")];
    const gray = (value) => new Array(3).fill(Math.round(255 * Math.min(1, Math.max(0, value))));
    pictures.replaceChildren(...Array.from({ length: shown.maps }, (_, map) => {
      const at = (i) => map * shown.height * shown.width + i;
      const guess = (i) => shown.means[i] + (factors[distance[i]] ?? 0) * neighbors[i];
      return h("div", { class: "dl-map", "data-map": map },
        canvas(shown, (i) => gray(values[at(i)])),
        canvas(shown, (i) => (mask[at(i)] ? gray(values[at(i)]) : DROPPED)),
        canvas(shown, (i) => gray(mask[at(i)] ? values[at(i)] : guess(at(i)))));
    }));
    pictures.classList.toggle("dl-few", shown.maps < 4);
  }

  function update() {
    const shown = current();
    const side = model.get("block_size");
    const names = { entries: "entries one by one", blocks: `blocks of ${side} × ${side}`, maps: "whole maps" };
    const percent = (value) => (Number.isNaN(value) ? "–" : `${fixed(100 * value, 1)}%`);
    const results = Object.fromEntries(SHAPES.map((name) => [name, drop(name)]));
    for (const name of SHAPES) {
      const { th, kept, told, tr } = rows[name];
      th.textContent = names[name];
      kept.textContent = percent(results[name].kept);
      told.textContent = percent(results[name].told);
      tr.classList.toggle("dl-current", name === model.get("shape"));
    }
    const { kept, told } = results[model.get("shape")];
    drawMaps(results[model.get("shape")]);
    caption.textContent = `${shown.name}, ${examples.length > 1 ? `${examples.length} images` : "one image"}`;
    const size = `${shown.maps} map${shown.maps > 1 ? "s" : ""} of ${shown.height} × ${shown.width}`;
    summary.textContent = `${shown.name}, ${size}, ${names[model.get("shape")]} at p = ${fixed(model.get("keep_prob"), 2)}: ` +
      (Number.isNaN(told) ? "nothing is dropped." : `${percent(kept)} of the entries are kept, and the nearest kept neighbors tell ` +
        `${percent(told)} of the variance of those that are dropped.`);
    pictures.setAttribute("aria-label", `The maps of image ${model.get("example") + 1}: as they are, with what is dropped in orange, ` +
      `and with that guessed from its neighbors. ${summary.textContent}`);
    for (const control of [layer, example, shape, keepProb, block]) control.update();
  }

  return mount({ model, el }, {
    name: "mask_shapes",
    title: "What does a mask hide?",
    parts: [
      h("div", { class: "dl-controls" }, ...(layers.length > 1 ? [layer.element] : []), ...(examples.length > 1 ? [example.element] : []),
        shape.element, keepProb.element, block.element, again),
      h("p", { class: "dl-note" }, "From top to bottom: as it is; what is kept (dropped: orange); what is dropped, guessed from the kept."),
      pictures,
      summary,
      h("div", { class: "dl-values" }, numbers),
    ],
    traits: ["layer", "example", "shape", "keep_prob", "block_size", "seed"],
    update,
  });
}

export default { render };
