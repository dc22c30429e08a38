/** The numbers that interaction_matrix.py packed, as a symmetric matrix with a diagonal of 0. */
function unpack({ most, steps }, bits, units, signed) {
  const levels = 2 ** bits - 1;
  const length = bits + (signed ? 1 : 0);
  const bytes = Uint8Array.from(atob(steps), (character) => character.charCodeAt(0));
  const matrix = new Float64Array(units * units);
  let [at, buffer, buffered] = [0, 0, 0];
  for (let i = 0; i < units; i++) {
    for (let j = i + 1; j < units; j++) {
      while (buffered < length) {
        buffer = ((buffer & (2 ** buffered - 1)) << 8) | bytes[at++];
        buffered += 8;
      }
      buffered -= length;
      const step = ((buffer >> buffered) & (2 ** length - 1)) - (signed ? levels : 0);
      matrix[i * units + j] = matrix[j * units + i] = Math.sign(step) * most * (step / levels) ** 2;
    }
  }
  return matrix;
}

/** The networks' matrices unpacked, with the orders of their units and their strongest pairs. */
function interacting({ units, bits, step, most, networks: packed }) {
  const hasSizes = packed[0].size !== null;
  const hasEffects = packed[0].effects !== null;
  const indices = Array.from({ length: units }, (_, unit) => unit);
  const pairs = indices.flatMap((i) => indices.slice(i + 1).map((j) => [i, j]));
  const at = ([i, j]) => i * units + j;
  const largestFirst = (values) => [...indices].sort((a, b) => values[b] - values[a] || a - b);
  const strongest = (values) => pairs.reduce((best, pair) => (values[at(pair)] > values[at(best)] ? pair : best));
  const networks = packed.map(({ name, color, mean, size, effects, grouped: order, total }) => {
    const means = unpack(mean, bits, units, true);
    const sizes = hasSizes ? unpack(size, bits, units, false) : means.map(Math.abs);
    const totals = indices.map((i) => sum(indices.map((j) => sizes[i * units + j])));
    return {
      name, color, effects, total, most: mean.most, mostSize: hasSizes ? size.most : mean.most,
      shown: { mean: means, size: sizes },
      orders: { network: indices, effect: effects && largestFirst(effects), interaction: largestFirst(totals), grouped: order },
      synergy: strongest(means), redundancy: strongest(means.map((value) => -value)), last: strongest(means.map(Math.abs)),
    };
  });
  const digits = Math.max(2 - Math.floor(Math.log10(most)), -Math.floor(Math.log10(step) + 1e-9), 0);
  return { units, networks, pairs, at, hasSizes, hasEffects, nats: (value) => fixed(value, digits) };
}

/** The field of a network's cells, on which the pointer and the keys choose a pair. */
function pairField(model, network, { units }) {
  const canvas = h("canvas", { class: "dl-matrix", width: units, height: units, "aria-hidden": "true" });
  const around = Math.max(0.1, units / 60 - 0.5);
  const band = (attributes) => h("svg:rect", { class: "dl-cross-hair", ...attributes });
  const marks = [band({ x: 0, width: units, height: 1 }), band({ y: 0, width: 1, height: units }),
    h("svg:rect", { class: "dl-cursor", width: 1 + 2 * around, height: 1 + 2 * around })];
  const order = () => network.orders[model.get("order")];
  const move = (row, column) => {
    const within = (place) => Math.min(units - 1, Math.max(0, place));
    const pair = [order()[within(row)], order()[within(column)]];
    if (model.get("network") !== network.name || String(pair) !== String(model.get("pair"))) {
      assign(model, { network: network.name, pair });
    }
  };
  const point = (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    move(Math.floor(((event.clientY - top) / height) * units), Math.floor(((event.clientX - left) / width) * units));
  };
  const keys = (event) => {
    const pair = model.get("network") === network.name ? model.get("pair") : network.last;
    const [row, column] = pair.map((unit) => order().indexOf(unit));
    const far = event.shiftKey ? 10 : 1;
    const to = {
      ArrowUp: [row - far, column], ArrowDown: [row + far, column], ArrowLeft: [row, column - far], ArrowRight: [row, column + far],
      PageUp: [row - 10, column], PageDown: [row + 10, column], Home: [row, 0], End: [row, units - 1],
    }[event.key];
    if (!to || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(...to);
  };
  const element = h("div", {
    class: "dl-field", tabindex: 0, role: "application",
    "aria-label": `${network.name}: a cell for each pair of ${units} units; arrow keys move from pair to pair`,
    onclick: point,
    onpointermove: (event) => event.pointerType === "mouse" && point(event),
    onkeydown: keys,
    onfocus: () => {
      if (model.get("network") !== network.name) assign(model, { network: network.name, pair: network.last });
    },
  }, canvas, h("svg:svg", { viewBox: `0 0 ${units} ${units}`, "aria-hidden": "true" }, ...marks));

  /** Mark the pair that was looked at last. */
  function mark() {
    const [row, column] = network.last.map((unit) => order().indexOf(unit));
    const [across, down, cursor] = marks;
    across.setAttribute("y", row);
    down.setAttribute("x", column);
    cursor.setAttribute("x", column - around);
    cursor.setAttribute("y", row - around);
    element.classList.toggle("dl-current", model.get("network") === network.name);
  }
  return { element, mark, context: canvas.getContext("2d") };
}

/** A network's card: its field, the scale of its colors, its strongest pairs; and its row of counts. */
function networkCard(model, network, data) {
  const { units, pairs, at, nats } = data;
  const field = pairField(model, network, data);
  const [ramp, ticks] = [h("div", { class: "dl-ramp" }), h("div", { class: "dl-ticks" })];
  const strongest = [["synergy", "Strongest synergy"], ["redundancy", "Strongest redundancy"]].map(([kind, label]) =>
    button(label, () => assign(model, { network: network.name, pair: network[kind] })));
  const element = h("div", { class: "dl-network", ...inColorOf(network.color), "data-network": network.name, role: "group", "aria-label": network.name },
    h("p", { class: "dl-name" }, h("span", { class: "dl-key", "aria-hidden": "true" }), network.name),
    field.element, ramp, ticks, buttons(...strongest));
  const counts = row(network.name, "above", "redundant", "synergistic", "total");
  counts.tr.setAttribute("data-network", network.name);

  function drawCells(values, kind, largest) {
    const image = field.context.createImageData(units, units);
    const places = network.orders[model.get("order")];
    places.forEach((i, row) => places.forEach((j, column) => {
      const value = values[at([i, j])];
      if (i === j || Math.abs(value) <= model.get("threshold")) return;
      const color = PALETTE[kind === "size" ? "reference" : value > 0 ? "synergy" : "redundancy"];
      image.data.set([...color, Math.round(255 * Math.sqrt(Math.abs(value) / largest))], 4 * (row * units + column));
    }));
    field.context.putImageData(image, 0, 0);
  }

  function draw(largest) {
    const kind = model.get("show");
    const values = network.shown[kind];
    drawCells(values, kind, largest);
    const colors = (kind === "size" ? [null, "reference"] : ["redundancy", null, "synergy"])
      .map((idea) => (idea ? `var(--dl-${idea})` : "transparent"));
    ramp.style.background = `linear-gradient(to right, ${colors.join(", ")})`;
    ticks.replaceChildren(...(kind === "size" ? [0, largest / 4, largest].map(nats)
      : [`${nats(-largest)} redundant`, "0", `synergy ${nats(largest)}`]).map((label) => h("span", {}, label)));

    const above = pairs.filter((pair) => Math.abs(values[at(pair)]) > model.get("threshold"));
    const counted = (sign) => grouped(above.filter((pair) => sign * network.shown.mean[at(pair)] > 0).length);
    [grouped(above.length), counted(-1), counted(1), Number(network.total.toPrecision(3))]
      .forEach((count, i) => (counts.cells[i].textContent = count));
  }
  return { network, element, draw, mark: field.mark, tr: counts.tr, above: () => `${counts.cells[0].textContent} in ${network.name}` };
}

/** What a mean interaction means. */
function meaning(value, nats) {
  const size = nats(Math.abs(value));
  if (Number(size) === 0) return "Their effects add up: removing both costs what removing each costs in sum.";
  return value < 0
    ? `Redundant: removing both costs ${size} nats more than the sum of removing each; one covers for the other.`
    : `Synergy: removing both costs ${size} nats less than the sum of removing each; they need each other.`;
}

/** The chosen pair in numbers and in words. */
function pairInNumbers({ at, hasSizes, hasEffects, nats }) {
  const names = [h("span"), h("span")];
  const effects = [row(names[0], "effect-row"), row(names[1], "effect-column")];
  const mean = row(["mean interaction ", h("i", {}, "I"), ", nats"], "interaction");
  const size = row(["mean size |", h("i", {}, "I"), "|, nats"], "size");
  const pair = valueOf("pair");
  const element = table(["", ""], [...(hasEffects ? effects : []), mean, ...(hasSizes ? [size] : [])]);
  element.querySelector("td").replaceWith(h("th", { scope: "col" }, pair));

  function show(network, [i, j]) {
    const value = network.shown.mean[at([i, j])];
    pair.textContent = i === j ? `${network.name}, unit ${i + 1}` : `${network.name}, units ${i + 1} and ${j + 1}`;
    const worth = hasEffects ? [network.effects[i], network.effects[j]].map(nats) : [];
    worth.forEach((effect, k) => {
      names[k].textContent = `mean effect of unit ${[i, j][k] + 1}, nats`;
      effects[k].cells[0].textContent = effect;
    });
    effects[1].tr.hidden = hasEffects && i === j;
    mean.cells[0].textContent = i === j ? "–" : nats(value);
    size.cells[0].textContent = i === j ? "–" : nats(network.shown.size[at([i, j])]);
    const single = (unit, effect) => `unit ${unit + 1} brings ${effect}`;
    return `${pair.textContent}: ` +
      (i === j ? `no pair${hasEffects ? `; ${single(i, worth[0])} nats on average` : ""}. `
        : `${hasEffects ? `on average ${single(i, worth[0])} and ${single(j, worth[1])} nats, and they interact by ` : "they interact by "}` +
          `${nats(value)} nats. ${meaning(value, nats)} `);
  }
  return { element, show };
}

function handles(model, { step, most }, { hasEffects, nats }) {
  const threshold = slider(model, "threshold", ["Threshold "], { min: 0, max: most, step, show: (value) => `${nats(value)} nats` });
  threshold.element.classList.add("dl-wide-value");
  return {
    order: choice(model, "order", "Units", [["network", "as in the network"], ...(hasEffects ? [["effect", "by effect"]] : []),
      ["interaction", "by total interaction"], ["grouped", "grouped"]]),
    scale: choice(model, "scale", "Color scale", [["shared", "shared"], ["own", "each its own"]]),
    show: choice(model, "show", "Show", [["mean", "mean interaction"], ["size", "mean size"]]),
    threshold,
  };
}

const SORTED = {
  network: "as in the network", effect: "the largest effect first", interaction: "the largest total interaction first",
  grouped: "those that interact beside each other",
};

function render({ model, el }) {
  const data = interacting(model.get("data"));
  const { networks, pairs, nats } = data;
  const { order, scale, show, threshold } = handles(model, model.get("data"), data);
  const cards = networks.map((network) => networkCard(model, network, data));
  const chosen = pairInNumbers(data);
  const limit = h("span");
  const counts = table(["", ["pairs above ", limit], "redundant", "synergy", "sum of all sizes, nats"], cards);
  const summary = liveSummary();
  const note = h("p", { class: "dl-note" });

  let drawn;
  function redraw() {
    const state = ["show", "order", "scale", "threshold"].map((trait) => model.get(trait)).join();
    if (state === drawn) return;
    const largest = ({ most, mostSize }) => (model.get("show") === "size" ? mostSize : most);
    for (const { network, draw } of cards) {
      draw(Math.max(...(model.get("scale") === "shared" ? networks : [network]).map(largest)) || 1);
    }
    drawn = state;
  }

  function update() {
    const network = networks.find(({ name }) => name === model.get("network"));
    network.last = model.get("pair");
    redraw();
    for (const { mark } of cards) mark();
    limit.textContent = `${nats(model.get("threshold"))} nats`;
    summary.textContent = chosen.show(network, network.last) +
      `Above ${limit.textContent} in size: ${cards.map(({ above }) => above()).join(" and ")}, of ${grouped(pairs.length)} pairs.`;
    note.textContent = `Rows and columns are the units, ${SORTED[model.get("order")]}. Color grows with the square root of the size.`;
  }

  return mount({ model, el }, {
    name: "interaction_matrix",
    title: "Which units interact?",
    parts: [
      h("div", { class: "dl-controls" }, order.element, ...(networks.length > 1 ? [scale.element] : []),
        ...(data.hasSizes ? [show.element] : []), threshold.element),
      h("div", { class: "dl-networks" }, ...cards.map(({ element }) => element)),
      note,
      summary,
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-values" }, chosen.element),
        h("div", { class: "dl-values" }, counts)),
    ],
    controls: [show, order, scale, threshold],
    traits: ["show", "order", "scale", "threshold", "network", "pair"],
    update,
  });
}

export default { render };
