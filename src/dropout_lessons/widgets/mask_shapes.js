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

/** The layers' maps as numbers, with what each entry deviates from its mean. */
function unpackLayers(layers) {
  return layers.map((layer) => {
    const means = unpack(layer.means);
    const values = layer.values.map(unpack);
    return {
      ...layer, means, values, size: layer.maps * layer.height * layer.width,
      deviations: values.map((each) => each.map((value, i) => value - means[i])),
    };
  });
}

/** Masks of every example of the layer, and what is told of what they drop. */
function dropFrom(layer, kind, { keepProb, block, seed, mostBlock }) {
  const uniform = uniformStream(seed);
  const most = layer.maps * (layer.height + mostBlock) * (layer.width + mostBlock);
  const dropped = layer.deviations.map((deviations, i) => {
    const mask = drawMask(kind, layer, uniform, i * most, keepProb, block);
    return { mask, deviations, ...nearestKept(deviations, mask, layer) };
  });
  const kept = sum(dropped.map(({ mask }) => mask.reduce((total, entry) => total + entry, 0))) / (dropped.length * layer.size);
  return { dropped, kept, ...fit(dropped) };
}

/** Each map of one example: as it is, with what is dropped in orange, and with that guessed from its neighbors. */
function mapPictures() {
  const element = h("div", { class: "dl-maps", role: "img", "aria-label": "" });
  const gray = (value) => new Array(3).fill(Math.round(255 * Math.min(1, Math.max(0, value))));

  function canvas({ height, width }, colorOf) {
    const picture = h("canvas", { class: "dl-image", width, height, "aria-hidden": "true" });
    const image = new ImageData(width, height);
    for (let i = 0; i < height * width; i++) image.data.set([...colorOf(i), 255], 4 * i);
    picture.getContext("2d").putImageData(image, 0, 0);
    return picture;
  }

  function draw(layer, example, { dropped, factors }) {
    const { mask, distance, neighbors } = dropped[example];
    const values = layer.values[example];
    element.replaceChildren(...Array.from({ length: layer.maps }, (_, map) => {
      const at = (i) => map * layer.height * layer.width + i;
      const guess = (i) => layer.means[i] + (factors[distance[i]] ?? 0) * neighbors[i];
      return h("div", { class: "dl-map", "data-map": map },
        canvas(layer, (i) => gray(values[at(i)])),
        canvas(layer, (i) => (mask[at(i)] ? gray(values[at(i)]) : PALETTE.dropout)),
        canvas(layer, (i) => gray(mask[at(i)] ? values[at(i)] : guess(at(i)))));
    }));
    element.classList.toggle("dl-few", layer.maps < 4);
  }
  return { element, draw };
}

/** What is kept and told with each shape of mask. */
function shapesInNumbers() {
  const rows = SHAPES.map((shape) => {
    const name = h("span");
    return { shape, name, ...row(name, `kept-${shape}`, `told-${shape}`) };
  });
  const caption = h("span");
  return {
    element: table([caption, "kept", "of what is dropped, neighbors tell"], rows),
    show(heading, names, results, chosen) {
      caption.textContent = heading;
      for (const { shape, name, cells, tr } of rows) {
        name.textContent = names[shape];
        cells[0].textContent = percent(results[shape].kept);
        cells[1].textContent = percent(results[shape].told);
        tr.classList.toggle("dl-current", shape === chosen);
      }
    },
  };
}

const percent = (value) => (Number.isNaN(value) ? "–" : `${fixed(100 * value, 1)}%`);

function handles(model, layers, { examples, most_block: mostBlock }) {
  const block = slider(model, "block_size", ["Block size "],
    { min: 2, max: mostBlock, step: 1, show: (side) => `${side} × ${side}` });
  block.element.classList.add("dl-wide-value");
  const images = Array.from({ length: examples }, (_, i) => [i, `${i + 1}`]);
  return [
    ...(layers.length > 1 ? [choice(model, "layer", "Layer:", layers.map(({ name }) => [name, name]))] : []),
    ...(examples > 1 ? [choice(model, "example", "Image:", images)] : []),
    choice(model, "shape", "Drop", [["entries", "entries one by one"], ["blocks", "blocks"], ["maps", "whole maps"]]),
    keepProbSlider(model),
    block,
  ];
}

function render({ model, el }) {
  const data = model.get("data");
  const layers = unpackLayers(data.layers);
  const controls = handles(model, layers, data);
  const again = button("Draw new masks", () => assign(model, { seed: model.get("seed") + 1 }));
  const pictures = mapPictures();
  const numbers = shapesInNumbers();
  const summary = liveSummary();

  function update() {
    const layer = layers.find(({ name }) => name === model.get("layer"));
    const [shape, example, block] = ["shape", "example", "block_size"].map((trait) => model.get(trait));
    const names = { entries: "entries one by one", blocks: `blocks of ${block} × ${block}`, maps: "whole maps" };
    const handle = { keepProb: model.get("keep_prob"), block, seed: model.get("seed"), mostBlock: data.most_block };
    const results = Object.fromEntries(SHAPES.map((name) => [name, dropFrom(layer, name, handle)]));
    const { kept, told } = results[shape];
    pictures.draw(layer, example, results[shape]);
    numbers.show(`${layer.name}, ${data.examples > 1 ? `${data.examples} images` : "one image"}`, names, results, shape);
    const size = `${layer.maps} map${layer.maps > 1 ? "s" : ""} of ${layer.height} × ${layer.width}`;
    summary.textContent = `${layer.name}, ${size}, ${names[shape]} at p = ${fixed(handle.keepProb, 2)}: ` +
      (Number.isNaN(told) ? "nothing is dropped." : `${percent(kept)} of the entries are kept, and the nearest kept neighbors tell ` +
        `${percent(told)} of the variance of those that are dropped.`);
    pictures.element.setAttribute("aria-label", `The maps of image ${example + 1}: as they are, with what is dropped in orange, ` +
      `and with that guessed from its neighbors. ${summary.textContent}`);
  }

  return mount({ model, el }, {
    name: "mask_shapes",
    title: "What does a mask hide?",
    parts: [
      h("div", { class: "dl-controls" }, ...controls.map(({ element }) => element), again),
      h("p", { class: "dl-note" }, "From top to bottom: as it is; what is kept (dropped: orange); what is dropped, guessed from the kept."),
      pictures.element,
      summary,
      h("div", { class: "dl-values" }, numbers.element),
    ],
    controls,
    traits: ["layer", "example", "shape", "keep_prob", "block_size", "seed"],
    update,
  });
}

export default { render };
