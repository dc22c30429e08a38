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
const NUMBER_AT = [-RADIUS, 3 - RADIUS]; // of a hidden unit, from its center
const COLUMNS = [24, 155, 284];

const circle = ([cx, cy], attributes = {}) => h("svg:circle", { cx, cy, r: RADIUS, ...attributes });
const inCircle = ([x, y], text = "") => svgText(x, y, text, "middle", { "dominant-baseline": "central", class: "dl-in-circle" });
const toggled = (mask, unit) => mask.map((kept, j) => (j === unit ? !kept : kept));

/** The centers of the circles of each layer, and the height of the picture that holds them. */
function placesOf(sizes) {
  const height = 34 + 50 * Math.max(sizes[0], sizes[1]) + 6;
  const centers = sizes.map((units, layer) => {
    const spacing = Math.min((height - 40) / units, layer === 1 ? 50 : 80);
    return Array.from({ length: units }, (_, i) => [
      COLUMNS[layer], 34 + (height - 40) / 2 + (i - (units - 1) / 2) * spacing,
    ]);
  });
  return { height, centers };
}

/** A line for each weight, from rim to rim. */
function weightLines({ w1, w2 }, centers) {
  return [[0, "w1", w1], [1, "w2", w2]].flatMap(([layer, name, weights]) => weights.flatMap((row, to) => row.map((weight, from) => {
    const [x1, y1] = centers[layer][from];
    const [x2, y2] = centers[layer + 1][to];
    const inset = (RADIUS + 2) / Math.hypot(x2 - x1, y2 - y1);
    const [dx, dy] = [(x2 - x1) * inset, (y2 - y1) * inset];
    const line = h("svg:line", { x1: x1 + dx, y1: y1 + dy, x2: x2 - dx, y2: y2 - dy, "data-weight": `${name}[${to}, ${from}]` });
    return { line, name, to, from, weight, unit: layer === 0 ? to : from };
  })));
}

/** A hidden unit that is dropped and kept by a press. */
function hiddenUnit(model, [cx, cy], unit) {
  const toggle = () => assign(model, { mask: toggled(model.get("mask"), unit) });
  const text = inCircle([cx, cy]);
  const number = svgText(cx + NUMBER_AT[0], cy + NUMBER_AT[1], `${unit + 1}`, "end", { class: "dl-unit-number", "aria-hidden": "true" });
  const group = h("svg:g", {
    class: "dl-unit", role: "checkbox", tabindex: 0,
    onclick: toggle,
    onkeydown: (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault(); // the space bar would scroll the page
      toggle();
    },
  }, circle([cx, cy], { class: "dl-ring", r: RADIUS + 4 }), circle([cx, cy]), text, number);
  return {
    group,
    show(kept, output) {
      group.setAttribute("aria-checked", kept);
      group.setAttribute("aria-label", `Hidden unit ${unit + 1}, ${kept ? `kept, output ${short(output)}` : "dropped, output 0"}`);
      text.textContent = kept ? short(output) : "";
    },
  };
}

/** The network with what its mask leaves. */
function diagram(model, data, gradientOf) {
  const { height, centers } = placesOf([data.x.length, data.b1.length, data.b2.length]);
  const lines = weightLines(data, centers);
  const units = centers[1].map((center, unit) => hiddenUnit(model, center, unit));
  const probs = centers[2].map((center) => inCircle(center));
  const label = ([x, y], text, anchor) => svgText(x, y, text, anchor, { "dominant-baseline": "central" });
  const element = h("svg:svg", { viewBox: `0 0 360 ${height}`, role: "group", "aria-label": "Diagram of the network" },
    h("svg:g", { "aria-hidden": "true" },
      ...["inputs", "hidden units", "outputs"].map((text, layer) => label([COLUMNS[layer], 12], text)),
      ...lines.map(({ line }) => line),
      ...centers[0].flatMap((center, i) => [circle(center, { class: "dl-plain" }), inCircle(center, short(data.x[i]))]),
      ...centers[2].flatMap(([cx, cy], k) => [
        circle([cx, cy], { class: "dl-plain" }), probs[k],
        label([cx + RADIUS + 6, cy], `class ${k}`, "start"),
      ])),
    ...units.map(({ group }) => group));
  const line = (kind) => swatch(10,
    h("svg:line", { x1: 0, y1: 5, x2: 28, y2: 5, class: `dl-${kind}`, "stroke-width": kind === "kept" ? 3 : 1 }));
  const widest = valueOf("widest");
  const key = legend([line("kept"), widest], [line("dropped"), "at a dropped unit: gradient exactly 0"],
    [line("silent"), "kept, but its ReLU gives 0: gradient 0"]);

  function draw(pass, kept) {
    const byGradient = model.get("show") === "gradients";
    const size = (edge) => Math.abs(byGradient ? gradientOf(pass, edge) : edge.weight);
    const largest = Math.max(...lines.filter(({ unit }) => kept[unit]).map(size), 0);
    const kinds = lines.map((edge) => (!kept[edge.unit] ? "dropped" : size(edge) === 0 ? "silent" : "kept"));
    lines.forEach((edge, i) => {
      edge.line.setAttribute("class", `dl-${kinds[i]}`);
      edge.line.setAttribute("stroke-width", kinds[i] === "kept" ? 0.6 + 6 * (size(edge) / largest) : 1);
      edge.line.setAttribute("data-gradient", gradientOf(pass, edge));
    });
    units.forEach(({ show }, unit) => show(kept[unit], pass.hidden[unit]));
    probs.forEach((text, k) => (text.textContent = fixed(pass.probs[k], 2)));
    widest.textContent = byGradient
      ? `width: |gradient|, widest ${fixed(largest, 3)}` : `width: |weight|, widest ${fixed(largest, 2)}`;
    key.lastChild.hidden = !kinds.includes("silent");
  }
  return { parts: [element, key], lines, draw };
}

const receiving = (pass) => [...pass.gradW1, ...pass.gradW2].flat().filter((gradient) => gradient !== 0).length;

/** Both passes in numbers, under this mask and under none. */
function passesTable(data, weightCount) {
  const full = forwardBackward(data, data.b1.map(() => true), 1);
  const hiddenUnits = data.b1.length;
  const rows = [
    ...full.probs.map((_, k) => [`P(class ${k})${k === data.target ? ", the target" : ""}`, `prob-${k}`, 3, (pass) => pass.probs[k]]),
    ["Loss in nats", "loss", 3, (pass) => pass.loss],
    [`Units kept, of ${hiddenUnits}`, "kept", 0, (_, kept) => kept.filter(Boolean).length],
    [`Weights with a gradient, of ${weightCount}`, "receiving", 0, receiving],
  ].map(([name, key, digits, of]) => {
    const made = row(name, key, null);
    made.cells[1].textContent = fixed(of(full, data.b1.map(() => true)), digits);
    return { ...made, show: (pass, kept) => (made.cells[0].textContent = fixed(of(pass, kept), digits)) };
  });
  return {
    element: table(["", "This mask", "No mask (test)"], rows),
    show: (pass, kept) => rows.forEach(({ show }) => show(pass, kept)),
  };
}

/** Every hidden unit in numbers, behind a fold. */
function unitsInNumbers(hiddenUnits, lines, gradientOf) {
  const rows = Array.from({ length: hiddenUnits }, (_, unit) => row(`${unit + 1}`, ...new Array(5).fill(null)));
  const [p, m] = [h("i", {}, "p"), h("i", {}, "m")];
  return {
    element: h("details", {}, h("summary", {}, "Every hidden unit in numbers"),
      table(["unit", m.cloneNode(true), "ReLU", ["× ", m, "/", p], "in", "out"], rows),
      h("p", {}, "In and out: the largest |gradient| among the weights into the unit, and out of it.")),
    show(pass, kept) {
      rows.forEach(({ cells }, unit) => {
        const most = (name) =>
          Math.max(...lines.filter((edge) => edge.unit === unit && edge.name === name).map((edge) => Math.abs(gradientOf(pass, edge))));
        [kept[unit] ? 1 : 0, pass.relu[unit], pass.hidden[unit], most("w1"), most("w2")]
          .map((number) => (Number.isInteger(number) ? String(number) : fixed(number, 3)))
          .forEach((text, i) => (cells[i].textContent = text));
      });
    },
  };
}

/** How rare this mask is, and how many were drawn. */
function rarity(hiddenUnits) {
  const [networks, maskProb, drawn] = [valueOf("subnetworks"), valueOf("mask-prob"), valueOf("draws")];
  networks.textContent = grouped(2 ** hiddenUnits);
  return {
    element: h("p", {}, "One of 2", h("sup", {}, `${hiddenUnits}`), " = ", networks, " thinned networks. At this ", h("i", {}, "p"),
      " a mask is this one with probability ", maskProb, ". Masks drawn so far: ", drawn, "."),
    show(keptCount, keepProb, draws) {
      const prob = keepProb ** keptCount * (1 - keepProb) ** (hiddenUnits - keptCount);
      maskProb.textContent = prob === 0 ? "0" : String(Number(prob.toPrecision(3)));
      drawn.textContent = draws;
    },
  };
}

function render({ model, el }) {
  const data = model.get("data");
  const hiddenUnits = data.b1.length;
  const weightCount = hiddenUnits * (data.x.length + data.b2.length);
  const mask = () => model.get("mask");
  const gradientOf = (pass, { name, to, from }) => (name === "w1" ? pass.gradW1 : pass.gradW2)[to][from];
  let draws = 0;

  const keepProb = keepProbSlider(model);
  const show = choice(model, "show", "Line width:", [["gradients", "|gradient|"], ["weights", "|weight|"]]);
  const draw = button("Draw a new mask", () => {
    draws += 1;
    assign(model, { mask: mask().map(() => Math.random() < model.get("keep_prob")) });
    update(); // the same mask may come up again: the count shows that it was drawn
  });
  const keepAll = button("Keep all units", () => assign(model, { mask: mask().map(() => true) }));
  const picture = diagram(model, data, gradientOf);
  const numbers = passesTable(data, weightCount);
  const details = unitsInNumbers(hiddenUnits, picture.lines, gradientOf);
  const rare = rarity(hiddenUnits);
  const summary = liveSummary();

  function update() {
    const kept = mask();
    const pass = forwardBackward(data, kept, model.get("keep_prob"));
    picture.draw(pass, kept);
    numbers.show(pass, kept);
    details.show(pass, kept);
    rare.show(kept.filter(Boolean).length, model.get("keep_prob"), draws);
    const dropped = kept.flatMap((isKept, unit) => (isKept ? [] : [unit + 1]));
    summary.textContent = (dropped.length === 0
      ? "No hidden unit is dropped. "
      : `${listed("Hidden unit", dropped)} of ${hiddenUnits} ${dropped.length > 1 ? "are" : "is"} ` +
        "dropped: the weights into and out of them get a gradient of exactly 0. ") +
      `The loss is ${fixed(pass.loss, 3)} nats, and ${receiving(pass)} of ${weightCount} weights receive a gradient.`;
  }

  return mount({ model, el }, {
    name: "thinned_network",
    title: "Drop hidden units and watch both passes",
    parts: [
      h("div", { class: "dl-controls" }, keepProb.element, buttons(draw, keepAll), show.element),
      columns(picture.parts, [numbers.element, rare.element, summary]),
      details.element,
    ],
    controls: [keepProb, show],
    traits: ["keep_prob", "mask", "show"],
    update,
  });
}

export default { render };
