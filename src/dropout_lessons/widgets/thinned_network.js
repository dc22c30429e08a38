/** One training step's forward and backward pass, with inverted scaling; keepProb 1 and a mask of true is test time. */
function forwardBackward({ w1, b1, w2, b2, x, target }, mask, keepProb) {
  const scale = mask.map((kept) => (kept ? 1 / keepProb : 0));
  const preActivation = w1.map((row, j) => dot(row, x) + b1[j]);
  const relu = preActivation.map((a) => Math.max(a, 0));
  const hidden = relu.map((value, j) => value * scale[j]);
  const logits = w2.map((row, k) => dot(row, hidden) + b2[k]);
  const largest = Math.max(...logits);
  const logSum = largest + Math.log(sum(logits.map((logit) => Math.exp(logit - largest))));
  const probs = logits.map((logit) => Math.exp(logit - logSum));

  const dLogits = probs.map((prob, k) => prob - (k === target ? 1 : 0));
  const dHidden = relu.map((_, j) => sum(dLogits.map((d, k) => d * w2[k][j])));
  const dPreActivation = dHidden.map((d, j) => (preActivation[j] > 0 ? d * scale[j] : 0));
  return {
    relu, hidden, probs, loss: logSum - logits[target],
    gradW1: dPreActivation.map((d) => x.map((value) => d * value)),
    gradW2: dLogits.map((d) => hidden.map((value) => d * value)),
  };
}

/** Three digits or so, for a circle or a narrow column. */
function short(number) {
  const size = Math.abs(number);
  return fixed(number, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

const RADIUS = 21;
const COLUMNS = [24, 155, 284];

function render({ model, el }) {
  const data = model.get("data");
  const sizes = [data.x.length, data.b1.length, data.b2.length];
  const [inputs, hiddenUnits, outputs] = sizes;
  const weightCount = hiddenUnits * (inputs + outputs);
  const height = 34 + 50 * Math.max(inputs, hiddenUnits) + 6;
  const centers = sizes.map((units, layer) => {
    const spacing = Math.min((height - 40) / units, layer === 1 ? 50 : 80);
    return Array.from({ length: units }, (_, i) => [
      COLUMNS[layer], 34 + (height - 40) / 2 + (i - (units - 1) / 2) * spacing,
    ]);
  });
  const full = forwardBackward(data, data.b1.map(() => true), 1);
  const mask = () => model.get("mask");
  let draws = 0;

  // Controls
  const keepProb = keepProbSlider(model);
  const show = choice(model, "show", "Line width:", [["gradients", "|gradient|"], ["weights", "|weight|"]]);
  const draw = button("Draw a new mask", () => {
    draws += 1;
    assign(model, { mask: mask().map(() => Math.random() < model.get("keep_prob")) });
    update(); // the same mask may come up again: the count shows that it was drawn
  });
  const keepAll = button("Keep all units", () => assign(model, { mask: mask().map(() => true) }));

  // Picture: a line for each weight, from rim to rim, then the units
  const lines = [];
  for (const [layer, name, weights] of [[0, "w1", data.w1], [1, "w2", data.w2]]) {
    weights.forEach((row, to) => row.forEach((weight, from) => {
      const [x1, y1] = centers[layer][from];
      const [x2, y2] = centers[layer + 1][to];
      const inset = (RADIUS + 2) / Math.hypot(x2 - x1, y2 - y1);
      const [dx, dy] = [(x2 - x1) * inset, (y2 - y1) * inset];
      const line = h("svg:line", {
        x1: x1 + dx, y1: y1 + dy, x2: x2 - dx, y2: y2 - dy,
        "data-weight": `${name}[${to}, ${from}]`,
      });
      lines.push({ line, name, to, from, weight, unit: layer === 0 ? to : from });
    }));
  }
  const circle = ([cx, cy], attributes = {}) => h("svg:circle", { cx, cy, r: RADIUS, ...attributes });
  const label = ([x, y], text, attributes = {}) =>
    h("svg:text", { x, y, "text-anchor": "middle", "dominant-baseline": "central", ...attributes }, text);
  const toggle = (unit) => assign(model, { mask: mask().map((kept, j) => (j === unit ? !kept : kept)) });
  const units = centers[1].map(([cx, cy], unit) => {
    const text = label([cx, cy], "", { class: "dl-in-circle" });
    const cross = h("svg:path", { d: `M${cx - 8} ${cy - 8}l16 16m0 -16l-16 16`, class: "dl-cross" });
    const group = h("svg:g", {
      class: "dl-unit", role: "checkbox", tabindex: 0,
      onclick: () => toggle(unit),
      onkeydown: (event) => {
        if (event.key !== " " && event.key !== "Enter") return;
        event.preventDefault(); // the space bar would scroll the page
        toggle(unit);
      },
    }, circle([cx, cy], { class: "dl-ring", r: RADIUS + 4 }), circle([cx, cy]), cross, text);
    return { group, text };
  });
  const probs = centers[2].map((center) => label(center, "", { class: "dl-in-circle" }));
  const picture = h("svg:svg", { viewBox: `0 0 360 ${height}`, role: "group", "aria-label": "Diagram of the network" },
    h("svg:g", { "aria-hidden": "true" },
      ...["inputs", "hidden units", "outputs"].map((text, layer) => label([COLUMNS[layer], 12], text)),
      ...lines.map(({ line }) => line),
      ...centers[0].flatMap((center, i) => [circle(center, { class: "dl-plain" }), label(center, short(data.x[i]), { class: "dl-in-circle" })]),
      ...centers[2].flatMap(([cx, cy], k) => [
        circle([cx, cy], { class: "dl-plain" }), probs[k],
        label([cx + RADIUS + 6, cy], k === data.target ? "target" : `class ${k}`, { "text-anchor": "start" }),
      ])),
    ...units.map(({ group }) => group));
  const swatch = (kind) => h("svg:svg", { class: "dl-swatch", viewBox: "0 0 28 10", "aria-hidden": "true" },
    h("svg:line", { x1: 0, y1: 5, x2: 28, y2: 5, class: `dl-${kind}`, "stroke-width": kind === "kept" ? 3 : 1 }));
  const widest = valueOf("widest");
  const silentNote = h("li", {}, swatch("silent"), "kept, but its ReLU gives 0: gradient 0");
  const legend = h("ul", { class: "dl-legend" },
    h("li", {}, swatch("kept"), widest),
    h("li", {}, swatch("dropped"), "at a dropped unit: gradient exactly 0"),
    silentNote);

  // Numbers
  const cell = (name) => h("td", { class: "dl-number", "data-value": name });
  const row = (name, key, digits, fullValue) => {
    const value = cell(key);
    return { value, digits, tr: h("tr", {}, h("th", { scope: "row" }, ...name), value,
      h("td", { class: "dl-number" }, fixed(fullValue, digits))) };
  };
  const receiving = (pass) => [...pass.gradW1, ...pass.gradW2].flat().filter((gradient) => gradient !== 0).length;
  const probRows = full.probs.map((prob, k) =>
    row([`P(class ${k})`, k === data.target ? ", the target" : ""], `prob-${k}`, 3, prob));
  const lossRow = row(["Loss in nats"], "loss", 3, full.loss);
  const keptRow = row([`Units kept, of ${hiddenUnits}`], "kept", 0, hiddenUnits);
  const receivingRow = row([`Weights with a gradient, of ${weightCount}`], "receiving", 0, receiving(full));
  const header = (...names) => h("thead", {}, h("tr", {}, ...names.map((name, i) =>
    i === 0 && !name ? h("td") : h("th", { scope: "col", class: i === 0 ? "" : "dl-number" }, name))));
  const numbers = h("table", {}, header("", "This mask", "No mask (test)"),
    h("tbody", {}, ...[...probRows, lossRow, keptRow, receivingRow].map(({ tr }) => tr)));
  const [networks, maskProb, drawn] = [valueOf("subnetworks"), valueOf("mask-prob"), valueOf("draws")];
  networks.textContent = grouped(2 ** hiddenUnits);
  const unitRows = mask().map((_, unit) => {
    const cells = Array.from({ length: 5 }, () => h("td", { class: "dl-number" }));
    return { cells, tr: h("tr", {}, h("th", { scope: "row" }, `${unit + 1}`), ...cells) };
  });
  const [p, m] = [h("i", {}, "p"), h("i", {}, "m")];
  const details = h("details", {}, h("summary", {}, "Every hidden unit in numbers"),
    h("table", {},
      header("unit", m, "ReLU", "× m/p", "in", "out"),
      h("tbody", {}, ...unitRows.map(({ tr }) => tr))),
    h("p", {}, "In and out: the largest |gradient| among the weights into the unit, and out of it."));
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });

  function update() {
    const kept = mask();
    const pass = forwardBackward(data, kept, model.get("keep_prob"));
    const gradient = ({ name, to, from }) => (name === "w1" ? pass.gradW1 : pass.gradW2)[to][from];
    const byGradient = model.get("show") === "gradients";
    const size = (edge) => Math.abs(byGradient ? gradient(edge) : edge.weight);
    const largest = Math.max(...lines.filter(({ unit }) => kept[unit]).map(size), 0);
    for (const edge of lines) {
      const kind = !kept[edge.unit] ? "dropped" : size(edge) === 0 ? "silent" : "kept";
      edge.line.setAttribute("class", `dl-${kind}`);
      edge.line.setAttribute("stroke-width", kind === "kept" ? 0.6 + 6 * (size(edge) / largest) : 1);
      edge.line.setAttribute("data-gradient", gradient(edge));
    }
    units.forEach(({ group, text }, unit) => {
      const value = short(pass.hidden[unit]);
      group.setAttribute("aria-checked", kept[unit]);
      group.setAttribute("aria-label",
        `Hidden unit ${unit + 1}, ${kept[unit] ? `kept, output ${value}` : "dropped, output 0"}`);
      text.textContent = kept[unit] ? value : "";
    });
    probs.forEach((text, k) => (text.textContent = fixed(pass.probs[k], 2)));

    const keptCount = kept.filter(Boolean).length;
    const receivingCount = receiving(pass);
    probRows.forEach(({ value }, k) => (value.textContent = fixed(pass.probs[k], 3)));
    lossRow.value.textContent = fixed(pass.loss, 3);
    keptRow.value.textContent = keptCount;
    receivingRow.value.textContent = receivingCount;
    widest.textContent = byGradient
      ? `width: |gradient|, widest ${fixed(largest, 3)}` : `width: |weight|, widest ${fixed(largest, 2)}`;
    silentNote.hidden = !lines.some(({ line }) => line.getAttribute("class") === "dl-silent");
    const prob = model.get("keep_prob") ** keptCount * (1 - model.get("keep_prob")) ** (hiddenUnits - keptCount);
    maskProb.textContent = prob === 0 ? "0" : String(Number(prob.toPrecision(3)));
    drawn.textContent = draws;
    unitRows.forEach(({ cells }, unit) => {
      const most = (name) =>
        Math.max(...lines.filter((edge) => edge.unit === unit && edge.name === name).map((e) => Math.abs(gradient(e))));
      [kept[unit] ? 1 : 0, pass.relu[unit], pass.hidden[unit], most("w1"), most("w2")]
        .map((number) => (Number.isInteger(number) ? String(number) : fixed(number, 3)))
        .forEach((text, i) => (cells[i].textContent = text));
    });
    const dropped = kept.flatMap((isKept, unit) => (isKept ? [] : [unit + 1]));
    summary.textContent = (dropped.length === 0
      ? "No hidden unit is dropped. "
      : `${listed("Hidden unit", dropped)} of ${hiddenUnits} ${dropped.length > 1 ? "are" : "is"} ` +
        "dropped: the weights into and out of them get a gradient of exactly 0. ") +
      `The loss is ${fixed(pass.loss, 3)} nats, and ${receivingCount} of ${weightCount} weights receive a gradient.`;
    keepProb.update();
    show.update();
  }

  return mount({ model, el }, {
    name: "thinned_network",
    title: "Drop hidden units and watch both passes",
    parts: [
      h("div", { class: "dl-controls" }, keepProb.element, h("div", { class: "dl-buttons" }, draw, keepAll), show.element),
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, picture, legend),
        h("div", { class: "dl-values" }, numbers,
          h("p", {}, "One of 2", h("sup", {}, `${hiddenUnits}`), " = ", networks, " thinned networks. At this ", p,
            " a mask is this one with probability ", maskProb, ". Masks drawn so far: ", drawn, "."),
          summary)),
      details,
    ],
    traits: ["keep_prob", "mask", "show"],
    update,
  });
}

export default { render };
