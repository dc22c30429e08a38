const CHART = { left: 50, right: 356, top: 28, bottom: 188, fontSize: 13 };

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

/** The networks unpacked, each with what is measured of it intact. */
function unpackNetworks({ labels, units, networks }) {
  return networks.map(({ name, color, h: activations, layers }) => {
    const network = { name, color, units, h: floats(activations), layers: layers.map(({ w, b }) => ({ w: floats(w), b: floats(b) })) };
    return { ...network, intact: evaluate(network, labels, []) };
  });
}

const byEffect = (units, effects) => [...units].sort((a, b) => effects[a] - effects[b] || a - b);

/** A column for each unit: its effect now beside its effect in the intact network. */
function effectsChart(units, toggle) {
  const { left, right, top, bottom, fontSize } = CHART;
  const slot = (right - left) / units;
  const labelRows = Math.ceil((1.25 * fontSize) / slot);
  const height = bottom + 14 * labelRows + 26;
  const picture = chart(360, height);

  function column(unit, place, intact, now, y) {
    const x = left + place * slot;
    const bar = (kind, effect, from) => h("svg:rect", {
      class: `dl-${kind}`, x: x + from * slot, width: 0.42 * slot,
      y: Math.min(y(effect), y(0)), height: Math.abs(y(effect) - y(0)), "data-unit": unit, "data-effect": effect,
    });
    const isThere = now.effects[unit] !== null;
    return h("svg:g", { class: isThere ? "dl-column" : "dl-column dl-gone", onclick: () => toggle(unit) },
      h("svg:rect", { class: "dl-hit", x, y: top, width: slot, height: bottom + 14 * labelRows - top }),
      bar("intact", intact.effects[unit], 0.06),
      ...(isThere ? [bar("now", now.effects[unit], 0.5)] : []),
      svgText(x + slot / 2, bottom + 14 * (1 + (place % labelRows)), unit + 1));
  }

  function draw(intact, now, removed, order) {
    const values = [0, ...intact.effects, ...now.effects.filter((effect) => effect !== null)];
    const [lowest, highest] = [Math.min(...values), Math.max(...values)];
    const step = niceStep(Math.max(highest - lowest, 0.001) / 4);
    const range = [Math.floor(lowest / step + 1e-9) * step, Math.max(Math.ceil(highest / step - 1e-9), 1) * step];
    const y = scaleOf(range, [bottom, top]);
    const sorted = order === "unit" ? Array.from({ length: units }, (_, unit) => unit)
      : [...byEffect(now.present, now.effects).reverse(), ...byEffect(removed, intact.effects).reverse()];
    picture.draw([
      svgPath("dl-axis", `M${left} ${top}V${bottom}M${left} ${y(0)}H${right}`),
      ...axis("left", CHART, y, ticksOf(range, step, decimalsOf(step, 1))),
      ...sorted.map((unit, place) => column(unit, place, intact, now, y)),
      ...axisNames({ ...CHART, bottom: height - 44 }, "unit", "loss if it goes next minus loss now (nats)"),
    ]);
  }

  const bar = (...classes) => swatch(12,
    h("svg:g", { class: classes[1] ?? "" }, h("svg:rect", { class: classes[0], x: 1, y: 1, width: 26, height: 10 })));
  const key = legend(
    [bar("dl-now"), "effect now"],
    [bar("dl-intact"), "effect in the intact network"],
    [bar("dl-intact", "dl-gone"), "the same, of a unit that is removed"]);
  return { parts: [picture.element, key], draw, describe: picture.describe };
}

const percent = (share) => fixed(100 * share, 1);

/** What removing the units costs, in numbers and in words. */
function damageInNumbers(units) {
  const before = table(["", "intact", "now"], [
    row("accuracy, %", "accuracy-intact", "accuracy"),
    row("mean loss, nats", "loss-intact", "loss"),
    row("mean effect of the units still there, nats", "effect-intact", "effect")]);
  const damage = table(null, [
    row("damage of the removed units together, nats", "damage"),
    row("damage of each alone, in sum, nats", "damage-sum"),
    row("together, as a multiple of the sum", "ratio")]);
  const summary = liveSummary();

  function show({ name, intact }, now, removed) {
    const together = now.loss - intact.loss;
    const alone = sum(removed.map((unit) => intact.effects[unit]));
    const ratio = together > 0.0005 && alone > 0.0005 ? fixed(together / alone, 1) : "–";
    const mean = (effects) => (now.present.length ? fixed(sum(now.present.map((unit) => effects[unit])) / now.present.length, 3) : "–");
    for (const [key, value] of Object.entries({
      "accuracy-intact": percent(intact.accuracy), accuracy: percent(now.accuracy),
      "loss-intact": fixed(intact.loss, 3), loss: fixed(now.loss, 3),
      "effect-intact": mean(intact.effects), effect: mean(now.effects),
      damage: fixed(together, 3), "damage-sum": fixed(alone, 3), ratio,
    })) [before, damage].map((each) => each.querySelector(`[data-value="${key}"]`)).find(Boolean).textContent = value;
    summary.textContent = removed.length ? `${name}: removed ${removed.length} of ${units} units: accuracy ` +
      `${percent(intact.accuracy)}% to ${percent(now.accuracy)}%, damage ${fixed(together, 3)} nats` +
      (removed.length === 1 ? "." : `; one at a time these units cost ${fixed(alone, 3)} nats in sum` +
        (ratio === "–" ? "." : `: ${ratio} times as much together.`)) + stillThere(intact, now)
      : `${name}: all ${units} units are there; accuracy ${percent(intact.accuracy)}%, mean loss ${fixed(intact.loss, 3)} nats.`;
  }
  const stillThere = (intact, now) => (now.present.length
    ? ` Of the ${now.present.length} still there, ${grown(intact, now)} cost more now than in the intact network.` : "");
  return { tables: [before, damage], summary, show };
}

/** How many of the units still there cost more than in the intact network. */
const grown = (intact, { present, effects }) => present.filter((unit) => effects[unit] > intact.effects[unit]).length;

function render({ model, el }) {
  const data = model.get("data");
  const { labels, layer, units } = data;
  const networks = unpackNetworks(data);
  const removed = () => model.get("removed");
  let now;

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
  const picture = effectsChart(units, toggle);
  const numbers = damageInNumbers(units);
  const count = valueOf("removed");
  const colored = h("div", {},
    h("p", {}, "Units of ", layer, ", press one to remove it or to put it back; removed: ", count),
    h("div", { class: "dl-toggles", role: "group", "aria-label": "Units present" }, ...toggles),
    buttons(...removing, back),
    numbers.summary,
    columns(picture.parts, numbers.tables));

  function update() {
    const shown = networks.find(({ name }) => name === model.get("network"));
    const { color, intact } = shown;
    now = evaluate(shown, labels, removed());
    numbers.show(shown, now, removed());
    count.textContent = `${removed().length} of ${units}`;
    colored.setAttribute("style", inColorOf(color).style);
    toggles.forEach((element, unit) => {
      const effect = now.effects[unit];
      element.setAttribute("aria-pressed", effect !== null);
      element.setAttribute("aria-label", `${unit + 1}, ${effect === null ? "removed" : `effect ${fixed(effect, 3)} nats`}`);
    });
    picture.draw(intact, now, removed(), model.get("order"));
    const turned = now.present.filter((unit) => now.effects[unit] * intact.effects[unit] < 0).length;
    picture.describe(`The effect of each of the ${now.present.length} units still there, now and in the intact ` +
      `network: it is larger now for ${grown(intact, now)}, and has changed its sign for ${turned}.`);
    for (const element of removing) element.disabled = now.present.length === 0;
    back.disabled = removed().length === 0;
  }

  return mount({ model, el }, {
    name: "remove_units",
    title: "Remove units: what are the others worth then?",
    parts: [
      h("div", { class: "dl-controls" }, ...(networks.length > 1 ? [network.element] : []), order.element),
      colored,
    ],
    controls: [network, order],
    traits: ["network", "removed", "order", "seed"],
    update,
  });
}

export default { render };
