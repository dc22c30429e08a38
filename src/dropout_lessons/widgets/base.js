// Shared by every interactive: base.py puts this file in front of the interactive's own module, so that what Jupyter
// imports and what the static page holds are one and the same text, with nothing to fetch.

/** An element, h("p", {class: "x", onclick: f}, "text", child); "svg:line" makes an SVG element. */
function h(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Drawn at random, since one page may hold the same interactive twice, each in a module of its own. */
function uniqueId() {
  return "dropout-lessons-" + Math.random().toString(36).slice(2, 12);
}

/** 0.5 -> "0.50", -1.25 -> "−1.25"; what rounds to zero has no sign. */
function fixed(number, digits) {
  const text = number.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** 4096 -> "4,096" */
const grouped = (integer) => integer.toLocaleString("en-US");

/** "1, 4 and 5" from [1, 4, 5]. */
const enumerated = (items) => (items.length > 1 ? `${items.slice(0, -1).join(", ")} and ${items.at(-1)}` : items.join());

/** "units 1, 4 and 5" from ("unit", [1, 4, 5]). */
const listed = (noun, items) => `${noun}${items.length > 1 ? "s" : ""} ${enumerated(items)}`;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const dot = (a, b) => sum(a.map((number, i) => number * b[i]));

/** The smallest of 1, 2 or 5 times a power of ten that is at least `atLeast`. */
function niceStep(atLeast) {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= atLeast * (1 - 1e-9));
}

/**
 * The stream of uniform numbers in [0, 1) that belongs to a seed; its i-th number is a hash of both, so that a draw is
 * the same on every visit and needs none of those before it. The mixing is that of MurmurHash3's last step.
 */
function uniformStream(seed) {
  const mix = (x) => {
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  };
  const start = mix(seed + 0x9e3779b9);
  return (i) => mix((start + Math.imul(i, 0x9e3779b9)) | 0) / 2 ** 32;
}

/** Attributes of what is drawn in the color of an idea, which its style sheet knows as --dl-color. */
const inColorOf = (idea) => ({ style: `--dl-color: var(--dl-${idea.toLowerCase().replaceAll(" ", "-")})` });

/** A place for a live result. Tests and style sheets find it as [data-value="name"]. */
function valueOf(name, tag = "span") {
  return h(tag, { "data-value": name });
}

/** A slider for one numeric trait, kept equal to the model in both directions; `show` words its value. */
function slider(model, trait, label, { min, max, step, show }) {
  const id = uniqueId();
  const input = h("input", {
    id, type: "range", min, max, step,
    oninput: () => assign(model, { [trait]: Number(input.value) }),
  });
  const shown = valueOf(trait);
  return {
    element: h("div", { class: "dl-slider" }, h("label", { for: id }, ...label), input, shown),
    update() {
      input.value = model.get(trait);
      shown.textContent = show(model.get(trait));
      input.setAttribute("aria-valuetext", shown.textContent);
    },
  };
}

function keepProbSlider(model, { min = 0.05, step = 0.05 } = {}) {
  const label = ["Keep probability ", h("i", {}, "p"), " "];
  return slider(model, "keep_prob", label, { min, max: 1, step, show: (value) => fixed(value, 2) });
}

function button(label, onclick) {
  return h("button", { type: "button", onclick }, label);
}

/** A group of radio buttons for one trait; choices are [value, label] pairs, a label text or an element. */
function choice(model, trait, legend, choices) {
  const group = uniqueId();
  const inputs = choices.map(([value]) =>
    h("input", { type: "radio", name: group, value, onchange: () => assign(model, { [trait]: value }) }));
  const labels = choices.map(([, label], i) => h("label", {}, inputs[i], " ", label));
  return {
    element: h("fieldset", {}, h("legend", {}, legend), ...labels),
    update() {
      inputs.forEach((input, i) => (input.checked = choices[i][0] === model.get(trait)));
    },
  };
}

/** What the interactive shows in words, read aloud when they change. */
function liveSummary(...parts) {
  return h("p", { "aria-live": "polite", "data-value": "summary" }, ...parts);
}

/** A picture on the left, or above on a phone, and what belongs to it on the right. */
function columns(picture, values) {
  return h("div", { class: "dl-columns" }, h("div", { class: "dl-picture" }, ...picture), h("div", { class: "dl-values" }, ...values));
}

const buttons = (...elements) => h("div", { class: "dl-buttons" }, ...elements);

/** A cell for a number, found by its name if it has one. */
const cell = (name, ...content) => h("td", { class: "dl-number", ...(name ? { "data-value": name } : {}) }, ...content);

/** A row with its name and a cell for each key; null makes a cell without a name. */
function row(name, ...keys) {
  const cells = keys.map((key) => cell(key));
  return { cells, tr: h("tr", {}, h("th", { scope: "row" }, ...[name].flat()), ...cells) };
}

/** A table of rows; `header` names its columns, "" for a first one without a name, or is null. */
function table(header, rows, attributes = {}) {
  const named = (name, i) => (name === "" ? h("td") : h("th", { scope: "col", ...(i ? { class: "dl-number" } : {}) }, ...[name].flat()));
  const head = header ? [h("thead", {}, h("tr", {}, ...header.map(named)))] : [];
  return h("table", attributes, ...head, h("tbody", {}, ...rows.map((each) => each.tr ?? each)));
}

function svgText(x, y, content, anchor = "middle", attributes = {}) {
  return h("svg:text", { x, y, "text-anchor": anchor, ...attributes }, content);
}

const svgPath = (kind, d, attributes = {}) => h("svg:path", { class: kind, d, ...attributes });

/** A line through points [x, y]. */
const through = (points) => `M${points.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join("L")}`;

/** A picture that is drawn anew at each change, and described to who cannot see it. */
function chart(width, height) {
  const element = h("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "" });
  return {
    element,
    draw: (marks) => element.replaceChildren(...marks),
    describe: (words) => element.setAttribute("aria-label", words),
    setHeight: (tall) => element.setAttribute("viewBox", `0 0 ${width} ${tall}`),
  };
}

/** Where a value between `low` and `high` is drawn between two places. */
const scaleOf = ([low, high], [from, to]) => (value) => from + ((value - low) / (high - low)) * (to - from);

/** The decimals that a step of an axis needs. */
const decimalsOf = (step, least = 0) => Math.max(least, -Math.floor(Math.log10(step) + 1e-9));

/** The multiples of a step from `low` to `high`, each with its label. */
function ticksOf([low, high], step, digits = decimalsOf(step)) {
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.max(0, Math.floor(high / step + 1e-9) - first + 1);
  return Array.from({ length: count }, (_, k) => [(first + k) * step, fixed((first + k) * step, digits)]);
}

/** Ticks [value, label] along the "bottom" or the "left" of a box; a bottom label may be "" or bring an anchor. */
function axis(side, { left, bottom }, place, ticks) {
  return ticks.flatMap(([value, label, anchor = "middle"]) => (side === "bottom"
    ? [svgPath("dl-axis", `M${place(value)} ${bottom}v5`), ...(label === "" ? [] : [svgText(place(value), bottom + 19, label, anchor)])]
    : [svgPath("dl-axis", `M${left} ${place(value)}h-5`), svgText(left - 8, place(value) + 5, label, "end")]));
}

/** The lines of a box's left and bottom. */
const frameOf = ({ left, right, top, bottom }) => svgPath("dl-axis", `M${left} ${top}V${bottom}H${right}`);

/** The names of a box's axes: below it, and above its upper left corner. */
const axisNames = ({ left, right, top, bottom }, across, upward) =>
  [svgText((left + right) / 2, bottom + 39, across), svgText(left - 8, top - 12, upward, "start")];

function swatch(height, ...marks) {
  return h("svg:svg", { class: "dl-swatch", viewBox: `0 0 28 ${height}`, "aria-hidden": "true" }, ...marks);
}

/** What the marks of a picture mean: entries [swatch, words]. */
const legend = (...entries) => h("ul", { class: "dl-legend" }, ...entries.map((entry) => h("li", {}, ...entry)));

function assign(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
}

/**
 * Put an interactive into `el`, and update it and its controls whenever one of its traits changes, here or in the
 * kernel. Returns what Jupyter calls when the view is closed.
 */
function mount({ model, el }, { name, title, parts, controls = [], traits, update: redraw }) {
  const titleId = uniqueId();
  const update = () => {
    redraw();
    for (const control of controls) control.update();
  };
  const root = h(
    "div",
    {
      class: "dropout-lessons-interactive",
      "data-interactive": name,
      role: "group",
      "aria-labelledby": titleId,
      // JupyterLab and Sphinx bind the arrow keys and letters; here they belong to the controls.
      "data-lm-suppress-shortcuts": "true",
      onkeydown: (event) => {
        if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
      },
    },
    h("p", { class: "dl-title", id: titleId }, title),
    ...parts,
  );
  update();
  el.replaceChildren(root);
  for (const trait of traits) model.on(`change:${trait}`, update);
  return () => {
    for (const trait of traits) model.off(`change:${trait}`, update);
  };
}

/** What Jupyter's model offers a view, over plain values: the static page's stand-in for a kernel. */
class StaticModel {
  constructor(state) {
    this.state = { ...state };
    this.listeners = {};
  }
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    if (this.state[name] === value) return;
    this.state[name] = value;
    for (const listener of this.listeners[`change:${name}`] ?? []) listener();
  }
  on(event, listener) {
    (this.listeners[event] ??= new Set()).add(listener);
  }
  off(event, listener) {
    this.listeners[event]?.delete(listener);
  }
  save_changes() {}
}

/** Start every place of the page that waits for this state; one output may have been put into the page twice. */
function startStatic(key, state, render) {
  for (const el of document.querySelectorAll(`[data-dropout-lessons-state="${key}"]`)) {
    if (el.started) continue;
    el.started = true; // a property: a page saved from the browser starts anew
    render({ model: new StaticModel(state), el });
  }
}
