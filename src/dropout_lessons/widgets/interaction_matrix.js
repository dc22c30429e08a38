// Told apart by color-blind readers, and at 3:1 or more on white and on near-black.
const SYNERGY = [46, 158, 91];
const REDUNDANT = [155, 89, 182];
const SIZE = [125, 125, 125];

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

function render({ model, el }) {
  const { units, bits, step, most, networks: packed } = model.get("data");
  const hasSizes = packed[0].size !== null;
  const hasEffects = packed[0].effects !== null;
  const digits = Math.max(2 - Math.floor(Math.log10(most)), -Math.floor(Math.log10(step) + 1e-9), 0);
  const nats = (value) => fixed(value, digits);
  const indices = Array.from({ length: units }, (_, unit) => unit);
  const pairs = indices.flatMap((i) => indices.slice(i + 1).map((j) => [i, j]));
  const at = ([i, j]) => i * units + j;

  const networks = packed.map(({ name, color, mean, size, effects, grouped: order, total }) => {
    const means = unpack(mean, bits, units, true);
    const sizes = hasSizes ? unpack(size, bits, units, false) : means.map(Math.abs);
    const totals = indices.map((i) => sum(indices.map((j) => sizes[i * units + j])));
    const largestFirst = (values) => [...indices].sort((a, b) => values[b] - values[a] || a - b);
    const strongest = (values) => pairs.reduce((best, pair) => (values[at(pair)] > values[at(best)] ? pair : best));
    return {
      name, color, effects, total, most: mean.most, mostSize: hasSizes ? size.most : mean.most,
      shown: { mean: means, size: sizes },
      orders: { network: indices, effect: effects && largestFirst(effects), interaction: largestFirst(totals), grouped: order },
      synergy: strongest(means), redundancy: strongest(means.map((value) => -value)), last: strongest(means.map(Math.abs)),
    };
  });
  const current = () => networks.find(({ name }) => name === model.get("network"));
  const orderOf = (network) => network.orders[model.get("order")];

  // Controls
  const show = choice(model, "show", "Show", [["mean", "mean interaction"], ["size", "mean size"]]);
  const order = choice(model, "order", "Units", [["network", "as in the network"], ...(hasEffects ? [["effect", "by effect"]] : []),
    ["interaction", "by total interaction"], ["grouped", "grouped"]]);
  const scale = choice(model, "scale", "Color scale", [["shared", "shared"], ["own", "each its own"]]);
  const threshold = slider(model, "threshold", ["Threshold "], { min: 0, max: most, step, show: (value) => `${nats(value)} nats` });
  threshold.element.classList.add("dl-wide-value");

  // A card for each network
  for (const network of networks) {
    const canvas = h("canvas", { class: "dl-matrix", width: units, height: units, "aria-hidden": "true" });
    const around = Math.max(0.1, units / 60 - 0.5);
    const band = (attributes) => h("svg:rect", { class: "dl-cross-hair", ...attributes });
    const marks = [band({ x: 0, width: units, height: 1 }), band({ y: 0, width: 1, height: units }),
      h("svg:rect", { class: "dl-cursor", width: 1 + 2 * around, height: 1 + 2 * around })];
    const overlay = h("svg:svg", { viewBox: `0 0 ${units} ${units}`, "aria-hidden": "true" }, ...marks);
    const move = (row, column) => {
      const within = (place) => Math.min(units - 1, Math.max(0, place));
      const pair = [orderOf(network)[within(row)], orderOf(network)[within(column)]];
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
      const [row, column] = pair.map((unit) => orderOf(network).indexOf(unit));
      const far = event.shiftKey ? 10 : 1;
      const to = {
        ArrowUp: [row - far, column], ArrowDown: [row + far, column], ArrowLeft: [row, column - far], ArrowRight: [row, column + far],
        PageUp: [row - 10, column], PageDown: [row + 10, column], Home: [row, 0], End: [row, units - 1],
      }[event.key];
      if (!to || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      move(...to);
    };
    const field = h("div", {
      class: "dl-field", tabindex: 0, role: "application",
      "aria-label": `${network.name}: a cell for each pair of ${units} units; arrow keys move from pair to pair`,
      onclick: point,
      onpointermove: (event) => event.pointerType === "mouse" && point(event),
      onkeydown: keys,
      onfocus: () => {
        if (model.get("network") !== network.name) assign(model, { network: network.name, pair: network.last });
      },
    }, canvas, overlay);
    const ramp = h("div", { class: "dl-ramp" });
    const ticks = h("div", { class: "dl-ticks" });
    const strongest = [["synergy", "Strongest synergy"], ["redundancy", "Strongest redundancy"]].map(([kind, label]) =>
      button(label, () => assign(model, { network: network.name, pair: network[kind] })));
    const card = h("div", { class: `dl-network dl-color-${network.color}`, "data-network": network.name, role: "group", "aria-label": network.name },
      h("p", { class: "dl-name" }, h("span", { class: "dl-key", "aria-hidden": "true" }), network.name),
      field, ramp, ticks,
      h("div", { class: "dl-buttons" }, ...strongest));
    const cell = (name) => h("td", { class: "dl-number", "data-value": name });
    const cells = { above: cell("above"), redundant: cell("redundant"), synergistic: cell("synergistic"), total: cell("total") };
    const tr = h("tr", { "data-network": network.name }, h("th", { scope: "row" }, network.name), ...Object.values(cells));
    Object.assign(network, { canvas, marks, field, ramp, ticks, around, card, cells, tr });
  }

  // Numbers
  const column = (...name) => h("th", { scope: "col", class: "dl-number" }, ...name);
  const limit = h("span");
  const counts = h("table", {},
    h("thead", {}, h("tr", {}, h("td"), column("pairs above ", limit), column("redundant"), column("synergy"),
      column("sum of all sizes, nats"))),
    h("tbody", {}, ...networks.map(({ tr }) => tr)));
  const pairRow = (name) => {
    const [th, td] = [h("th", { scope: "row" }, name), h("td", { class: "dl-number", "data-value": name })];
    return { th, td, tr: h("tr", {}, th, td) };
  };
  const rows = { row: pairRow("effect-row"), column: pairRow("effect-column"), mean: pairRow("interaction"), size: pairRow("size") };
  rows.mean.th.replaceChildren("mean interaction ", h("i", {}, "I"), ", nats");
  rows.size.th.replaceChildren("mean size |", h("i", {}, "I"), "|, nats");
  const pairName = valueOf("pair");
  const pairTable = h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, pairName), h("td"))),
    h("tbody", {}, ...(hasEffects ? [rows.row.tr, rows.column.tr] : []), rows.mean.tr, ...(hasSizes ? [rows.size.tr] : [])));
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });
  const note = h("p", { class: "dl-note" });

  function draw(network, largest) {
    const kind = model.get("show");
    const values = network.shown[kind];
    const places = orderOf(network);
    const context = network.canvas.getContext("2d");
    const image = context.createImageData(units, units);
    places.forEach((i, row) => places.forEach((j, column) => {
      const value = values[at([i, j])];
      if (i === j || Math.abs(value) <= model.get("threshold")) return;
      const color = kind === "size" ? SIZE : value > 0 ? SYNERGY : REDUNDANT;
      image.data.set([...color, Math.round(255 * Math.sqrt(Math.abs(value) / largest))], 4 * (row * units + column));
    }));
    context.putImageData(image, 0, 0);
    const colors = (kind === "size" ? ["transparent", SIZE] : [REDUNDANT, "transparent", SYNERGY])
      .map((color) => (color === "transparent" ? color : `rgb(${color.join(",")})`));
    network.ramp.style.background = `linear-gradient(to right, ${colors.join(", ")})`;
    network.ticks.replaceChildren(...(kind === "size" ? [0, largest / 4, largest].map(nats)
      : [`${nats(-largest)} redundant`, "0", `synergy ${nats(largest)}`]).map((label) => h("span", {}, label)));

    const above = pairs.filter((pair) => Math.abs(values[at(pair)]) > model.get("threshold"));
    const counted = (sign) => grouped(above.filter((pair) => sign * network.shown.mean[at(pair)] > 0).length);
    network.cells.above.textContent = grouped(above.length);
    network.cells.redundant.textContent = counted(-1);
    network.cells.synergistic.textContent = counted(1);
    network.cells.total.textContent = Number(network.total.toPrecision(3));
  }

  /** What the pair's mean interaction means. */
  function meaning(value) {
    const size = nats(Math.abs(value));
    if (Number(size) === 0) return "Their effects add up: removing both costs what removing each costs in sum.";
    return value < 0
      ? `Redundant: removing both costs ${size} nats more than the sum of removing each; one covers for the other.`
      : `Synergy: removing both costs ${size} nats less than the sum of removing each; they need each other.`;
  }

  let drawn;
  function update() {
    const [i, j] = model.get("pair");
    const network = current();
    network.last = [i, j];
    const state = ["show", "order", "scale", "threshold"].map((trait) => model.get(trait)).join();
    if (state !== drawn) {
      const largest = (each) => (model.get("show") === "size" ? each.mostSize : each.most);
      for (const each of networks) {
        draw(each, Math.max(...(model.get("scale") === "shared" ? networks : [each]).map(largest)) || 1);
      }
      drawn = state;
    }
    for (const each of networks) {
      const [row, column] = each.last.map((unit) => orderOf(each).indexOf(unit));
      const [across, down, cursor] = each.marks;
      across.setAttribute("y", row);
      down.setAttribute("x", column);
      cursor.setAttribute("x", column - each.around);
      cursor.setAttribute("y", row - each.around);
      each.field.classList.toggle("dl-current", each === network);
    }
    limit.textContent = `${nats(model.get("threshold"))} nats`;

    const value = network.shown.mean[at([i, j])];
    const effects = hasEffects ? [network.effects[i], network.effects[j]] : [];
    pairName.textContent = i === j ? `${network.name}, unit ${i + 1}` : `${network.name}, units ${i + 1} and ${j + 1}`;
    if (hasEffects) {
      rows.row.th.textContent = `mean effect of unit ${i + 1}, nats`;
      rows.row.td.textContent = nats(effects[0]);
      rows.column.tr.hidden = i === j;
      rows.column.th.textContent = `mean effect of unit ${j + 1}, nats`;
      rows.column.td.textContent = nats(effects[1]);
    }
    rows.mean.td.textContent = i === j ? "–" : nats(value);
    rows.size.td.textContent = i === j ? "–" : nats(network.shown.size[at([i, j])]);
    const single = (unit, effect) => `unit ${unit + 1} brings ${nats(effect)}`;
    summary.textContent = `${pairName.textContent}: ` +
      (i === j ? `no pair${hasEffects ? `; ${single(i, effects[0])} nats on average` : ""}. `
        : `${hasEffects ? `on average ${single(i, effects[0])} and ${single(j, effects[1])} nats, and they interact by ` : "they interact by "}` +
          `${nats(value)} nats. ${meaning(value)} `) +
      `Above ${nats(model.get("threshold"))} nats in size: ${networks.map(({ name, cells }) => `${cells.above.textContent} in ${name}`).join(" and ")}, of ${grouped(pairs.length)} pairs.`;
    note.textContent = `Rows and columns are the units, ${{
      network: "as in the network", effect: "the largest effect first", interaction: "the largest total interaction first",
      grouped: "those that interact beside each other",
    }[model.get("order")]}. Color grows with the square root of the size.`;
    for (const control of [show, order, scale, threshold]) control.update();
  }

  return mount({ model, el }, {
    name: "interaction_matrix",
    title: "Which units interact?",
    parts: [
      h("div", { class: "dl-controls" }, order.element, ...(networks.length > 1 ? [scale.element] : []),
        ...(hasSizes ? [show.element] : []), threshold.element),
      h("div", { class: "dl-networks" }, ...networks.map(({ card }) => card)),
      note,
      summary,
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-values" }, pairTable),
        h("div", { class: "dl-values" }, counts)),
    ],
    traits: ["show", "order", "scale", "threshold", "network", "pair"],
    update,
  });
}

export default { render };
