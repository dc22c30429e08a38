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

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const dot = (a, b) => sum(a.map((number, i) => number * b[i]));

/** A place for a live result. Tests and style sheets find it as [data-value="name"]. */
function valueOf(name, tag = "span") {
  return h(tag, { "data-value": name });
}

/** The slider for keep_prob, kept equal to the model in both directions. */
function keepProbSlider(model, { min = 0.05, step = 0.05 } = {}) {
  const id = uniqueId();
  const input = h("input", {
    id, type: "range", min, max: 1, step,
    oninput: () => assign(model, { keep_prob: Number(input.value) }),
  });
  const shown = valueOf("keep_prob");
  const label = h("label", { for: id }, "Keep probability ", h("i", {}, "p"), " ");
  return {
    element: h("div", { class: "dl-slider" }, label, input, shown),
    update() {
      input.value = model.get("keep_prob");
      shown.textContent = fixed(model.get("keep_prob"), 2);
    },
  };
}

/** A group of radio buttons for one trait; choices are [value, label] pairs. */
function choice(model, trait, legend, choices) {
  const group = uniqueId();
  const inputs = choices.map(([value]) =>
    h("input", { type: "radio", name: group, value, onchange: () => assign(model, { [trait]: value }) }));
  const labels = choices.map(([, label], i) => h("label", {}, inputs[i], " ", label));
  return {
    element: h("fieldset", {}, h("legend", {}, legend), ...labels),
    update() {
      for (const input of inputs) input.checked = input.value === model.get(trait);
    },
  };
}

function assign(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
}

/**
 * Put an interactive into `el`, and update it whenever one of its traits changes, here or in the kernel.
 * Returns what Jupyter calls when the view is closed.
 */
function mount({ model, el }, { name, title, parts, traits, update }) {
  const titleId = uniqueId();
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
