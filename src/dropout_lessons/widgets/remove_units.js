const CHART = { left: 50, right: 356, top: 10, bottom: 170, fontSize: 12 };

/** Numbers of 32 bits, as remove_units.py writes them. */
const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);

/** Mean loss in nats and accuracy; `z` are the inputs of the first layer above, for each example, `gone` a unit to leave out. */
function measure({ h, layers, units }, labels, z, gone) {
  const [first, ...rest] = layers;
  const width = first.b.length;
  let [loss, right] = [0, 0];
  labels.forEach((label, example) => {
    let a = z.slice(example * width, (example + 1) * width);
    if (gone !== undefined) {
      const activation = h[example * units + gone];
      for (let k = 0; k < width; k++) a[k] -= first.w[k * units + gone] * activation;
    }
    for (const { w, b } of rest) {
      const next = Float64Array.from(b);
      for (let j = 0; j < a.length; j++) {
        if (a[j] > 0) for (let k = 0; k < next.length; k++) next[k] += w[k * a.length + j] * a[j];
      }
      a = next;
    }
    const largest = Math.max(...a);
    loss += largest - a[label] + Math.log(a.reduce((total, logit) => total + Math.exp(logit - largest), 0));
    right += a.indexOf(largest) === label;
  });
  return { loss: loss / labels.length, accuracy: right / labels.length };
}

/** Loss and accuracy without the removed units, and the effect of each unit that is there. */
function evaluate(network, labels, removed) {
  const { h, layers: [{ w, b }], units } = network;
  const present = Array.from({ length: units }, (_, unit) => unit).filter((unit) => !removed.includes(unit));
  const z = new Float64Array(labels.length * b.length);
  for (let example = 0; example < labels.length; example++) {
    for (let k = 0; k < b.length; k++) {
      let total = b[k];
      for (const unit of present) total += w[k * units + unit] * h[example * units + unit];
      z[example * b.length + k] = total;
    }
  }
  const now = measure(network, labels, z);
  const effects = new Array(units).fill(null);
  for (const unit of present) effects[unit] = measure(network, labels, z, unit).loss - now.loss;
  return { ...now, present, effects };
}

function render({ model, el }) {
  const { labels, layer, units, networks: packed } = model.get("data");
  const networks = packed.map(({ name, color, h: activations, layers }) => {
    const network = { name, color, units, h: floats(activations), layers: layers.map(({ w, b }) => ({ w: floats(w), b: floats(b) })) };
    return { ...network, intact: evaluate(network, labels, []) };
  });
  const shown = () => networks.find(({ name }) => name === model.get("network"));
  const removed = () => model.get("removed");
  let now;
  const byEffect = (list, effects) => [...list].sort((a, b) => effects[a] - effects[b] || a - b);

  // Controls
  const network = choice(model, "network", "Network:", networks.map(({ name }) => [name, name]));
  const order = choice(model, "order", "Bars by", [["unit", "unit"], ["effect", "effect"]]);
  const remove = (unit) => assign(model, { removed: [...removed(), unit] });
  const toggle = (unit) => (removed().includes(unit)
    ? assign(model, { removed: removed().filter((other) => other !== unit) })
    : remove(unit));
  const toggles = Array.from({ length: units }, (_, unit) => {
    const element = button(`${unit + 1}`, () => toggle(unit));
    element.className = "dl-toggle";
    return element;
  });
  const removing = [
    button("Remove the least important", () => remove(byEffect(now.present, now.effects)[0])),
    button("Remove the most important", () => remove(byEffect(now.present, now.effects).at(-1))),
    button("Remove one at random", () =>
      remove(now.present[Math.floor(uniformStream(model.get("seed"))(removed().length) * now.present.length)])),
  ];
  const back = button("Put all back", () => assign(model, { removed: [], seed: (model.get("seed") + 1) % 2 ** 32 }));

  // The effects
  const { left, right, top, bottom, fontSize } = CHART;
  const slot = (right - left) / units;
  const labelRows = Math.ceil((1.25 * fontSize) / slot);
  const text = (x, y, content, anchor = "middle") => h("svg:text", { x, y, "text-anchor": anchor }, content);
  const height = bottom + 14 * labelRows + 26;
  const chart = h("svg:svg", { viewBox: `0 0 360 ${height}`, role: "img", "aria-label": "" });
  function drawChart(intact) {
    const values = [0, ...intact.effects, ...now.effects.filter((effect) => effect !== null)];
    const [lowest, highest] = [Math.min(...values), Math.max(...values)];
    const step = niceStep(Math.max(highest - lowest, 0.001) / 4);
    const low = Math.floor(lowest / step + 1e-9) * step;
    const high = Math.max(Math.ceil(highest / step - 1e-9), 1) * step;
    const y = (effect) => bottom - ((effect - low) / (high - low)) * (bottom - top);
    const digits = Math.max(1, -Math.floor(Math.log10(step) + 1e-9));
    const drawn = [h("svg:path", { class: "dl-axis", d: `M${left} ${top}V${bottom}M${left} ${y(0)}H${right}` })];
    for (let tick = Math.round(low / step); tick <= Math.round(high / step); tick++) {
      drawn.push(h("svg:path", { class: "dl-axis", d: `M${left} ${y(tick * step)}h-4` }),
        text(left - 7, y(tick * step) + 4, fixed(tick * step, digits), "end"));
    }
    const gone = byEffect(removed(), intact.effects);
    const sorted = model.get("order") === "unit" ? toggles.map((_, unit) => unit)
      : [...byEffect(now.present, now.effects).reverse(), ...gone.reverse()];
    sorted.forEach((unit, place) => {
      const x = left + place * slot;
      const bar = (kind, effect, from) => h("svg:rect", {
        class: `dl-${kind}`, x: x + from * slot, width: 0.42 * slot,
        y: Math.min(y(effect), y(0)), height: Math.abs(y(effect) - y(0)), "data-unit": unit, "data-effect": effect,
      });
      const isThere = now.effects[unit] !== null;
      const column = h("svg:g", { class: isThere ? "dl-column" : "dl-column dl-gone", onclick: () => toggle(unit) },
        h("svg:rect", { class: "dl-hit", x, y: top, width: slot, height: bottom + 14 * labelRows - top }),
        bar("intact", intact.effects[unit], 0.06));
      if (isThere) column.append(bar("now", now.effects[unit], 0.5));
      column.append(text(x + slot / 2, bottom + 14 * (1 + (place % labelRows)), unit + 1));
      drawn.push(column);
    });
    drawn.push(text((left + right) / 2, height - 5, "unit; loss if it goes next minus loss now, nats"));
    chart.replaceChildren(...drawn);
  }
  const swatch = (...classes) => h("svg:svg", { class: "dl-swatch", viewBox: "0 0 28 12", "aria-hidden": "true" },
    h("svg:g", { class: classes[1] ?? "" }, h("svg:rect", { class: classes[0], x: 1, y: 1, width: 26, height: 10 })));
  const legend = h("ul", { class: "dl-legend" },
    h("li", {}, swatch("dl-now"), "effect now"),
    h("li", {}, swatch("dl-intact"), "effect in the intact network"),
    h("li", {}, swatch("dl-intact", "dl-gone"), "the same, of a unit that is removed"));

  // Numbers
  const row = (name, ...keys) => h("tr", {}, h("th", { scope: "row" }, name),
    ...keys.map((key) => h("td", { class: "dl-number", "data-value": key })));
  const header = (name) => h("th", { scope: "col", class: "dl-number" }, name);
  const before = h("table", {},
    h("thead", {}, h("tr", {}, h("td"), header("intact"), header("now"))),
    h("tbody", {},
      row("accuracy, %", "accuracy-intact", "accuracy"),
      row("mean loss, nats", "loss-intact", "loss"),
      row("mean effect of the units still there, nats", "effect-intact", "effect")));
  const damage = h("table", {},
    h("tbody", {},
      row("damage of the removed units together, nats", "damage"),
      row("damage of each alone, in sum, nats", "damage-sum"),
      row("together, as a multiple of the sum", "ratio")));
  const count = valueOf("removed");
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });
  const cells = Object.fromEntries([before, damage].flatMap((table) => [...table.querySelectorAll("[data-value]")])
    .map((cell) => [cell.dataset.value, cell]));
  const colored = h("div");

  function update() {
    const { name, color, intact } = shown();
    now = evaluate(shown(), labels, removed());
    const together = now.loss - intact.loss;
    const alone = sum(removed().map((unit) => intact.effects[unit]));
    const ratio = together > 0.0005 && alone > 0.0005 ? fixed(together / alone, 1) : "–";
    const mean = (effects) => (now.present.length ? fixed(sum(now.present.map((unit) => effects[unit])) / now.present.length, 3) : "–");
    const percent = (share) => fixed(100 * share, 1);
    for (const [key, value] of Object.entries({
      "accuracy-intact": percent(intact.accuracy), accuracy: percent(now.accuracy),
      "loss-intact": fixed(intact.loss, 3), loss: fixed(now.loss, 3),
      "effect-intact": mean(intact.effects), effect: mean(now.effects),
      damage: fixed(together, 3), "damage-sum": fixed(alone, 3), ratio,
    })) cells[key].textContent = value;
    count.textContent = `${removed().length} of ${units}`;
    colored.className = `dl-color-${color}`;
    toggles.forEach((element, unit) => {
      const effect = now.effects[unit];
      element.setAttribute("aria-pressed", effect !== null);
      element.setAttribute("aria-label", `${unit + 1}, ${effect === null ? "removed" : `effect ${fixed(effect, 3)} nats`}`);
    });
    drawChart(intact);
    const grown = now.present.filter((unit) => now.effects[unit] > intact.effects[unit]).length;
    const turned = now.present.filter((unit) => now.effects[unit] * intact.effects[unit] < 0).length;
    chart.setAttribute("aria-label", `The effect of each of the ${now.present.length} units still there, now and in the intact ` +
      `network: it is larger now for ${grown}, and has changed its sign for ${turned}.`);
    const [was, is] = [percent(intact.accuracy), percent(now.accuracy)];
    if (!removed().length) {
      summary.textContent = `${name}: all ${units} units are there; accuracy ${was}%, mean loss ${fixed(intact.loss, 3)} nats.`;
    } else {
      summary.textContent = `${name}: removed ${removed().length} of ${units} units: accuracy ${was}% to ${is}%, ` +
        `damage ${fixed(together, 3)} nats` +
        (removed().length === 1 ? "." : `; one at a time these units cost ${fixed(alone, 3)} nats in sum` +
          (ratio === "–" ? "." : `: ${ratio} times as much together.`)) +
        (now.present.length ? ` Of the ${now.present.length} still there, ${grown} cost more now than in the intact network.` : "");
    }
    for (const element of removing) element.disabled = now.present.length === 0;
    back.disabled = removed().length === 0;
    network.update();
    order.update();
  }

  colored.append(
    h("p", {}, "Units of ", layer, ", press one to remove it or to put it back; removed: ", count),
    h("div", { class: "dl-toggles", role: "group", "aria-label": "Units present" }, ...toggles),
    h("div", { class: "dl-buttons" }, ...removing, back),
    summary,
    h("div", { class: "dl-columns" },
      h("div", { class: "dl-picture" }, chart, legend),
      h("div", { class: "dl-values" }, before, damage)));
  return mount({ model, el }, {
    name: "remove_units",
    title: "Remove units: what are the others worth then?",
    parts: [
      h("div", { class: "dl-controls" }, ...(networks.length > 1 ? [network.element] : []), order.element),
      colored,
    ],
    traits: ["network", "removed", "order", "seed"],
    update,
  });
}

export default { render };
