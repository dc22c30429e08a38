const MOST_UNITS = 12;
const BOX = { left: 50, right: 350, top: 28, bottom: 210 };
const RULES = ["arithmetic", "geometric"];

/** logits - log(sum(exp(logits))) */
function logSoftmax(logits) {
  const largest = Math.max(...logits);
  const logSum = largest + Math.log(sum(logits.map((logit) => Math.exp(logit - largest))));
  return logits.map((logit) => logit - logSum);
}

/** A mask as a number whose binary digit j is 1 where unit j is kept. */
const numberOf = (mask) => mask.reduce((number, kept, unit) => number + (kept ? 1 << unit : 0), 0);

/**
 * Every subnetwork of one example: its probability as a mask and its log-probabilities of the classes, by number, with
 * inverted scaling; the exact means over all of them; and weight scaling, for which no subnetwork is needed.
 */
function everySubnetwork(hidden, w, b, keepProb) {
  const n = hidden.length;
  const logits = [b];
  for (let number = 1; number < 2 ** n; number++) {
    const lowest = 31 - Math.clz32(number & -number);
    const without = logits[number & (number - 1)];
    logits.push(w.map((row, k) => without[k] + (row[lowest] * hidden[lowest]) / keepProb));
  }
  const logProbs = logits.map(logSoftmax);
  const maskProbs = logProbs.map((_, number) => {
    const kept = number.toString(2).replaceAll("0", "").length;
    return keepProb ** kept * (1 - keepProb) ** (n - kept);
  });
  const mean = (of) => b.map((_, k) => sum(maskProbs.map((prob, number) => prob * of(logProbs[number][k]))));
  const arithmetic = mean(Math.exp);
  const spread = b.map((_, k) =>
    Math.sqrt(sum(maskProbs.map((prob, number) => prob * (Math.exp(logProbs[number][k]) - arithmetic[k]) ** 2))));
  return {
    logProbs, maskProbs, arithmetic, spread,
    geometric: logSoftmax(mean((logProb) => logProb)).map(Math.exp),
    weightScaling: logSoftmax(w.map((row, k) => dot(row, hidden) + b[k])).map(Math.exp),
  };
}

/** What is averaged: the chosen members, their masks, and every subnetwork of the chosen example, computed once. */
function averaging(model) {
  const data = model.get("data");
  const units = data.h[0].length;
  let computed = {};
  return {
    data, units,
    names: data.class_names,
    all: grouped(2 ** units),
    members: () => model.get("members"),
    subnetworks() {
      const [example, keepProb] = [model.get("example"), model.get("keep_prob")];
      if (computed.example !== example || computed.keepProb !== keepProb) {
        computed = { example, keepProb, ...everySubnetwork(data.h[example], data.w, data.b, keepProb) };
      }
      return computed;
    },
    /** The mask that is drawn at random as the average's member `index`, the same uniforms for every p. */
    drawnMask(index) {
      const uniform = uniformStream(model.get("seed"));
      return Array.from({ length: units }, (_, unit) => uniform(index * MOST_UNITS + unit) < model.get("keep_prob"));
    },
    /** The running means of all classes: entry k - 1 is over the first k members. */
    runningMeans(logProbs) {
      const probSum = new Array(data.class_names.length).fill(0);
      const logSum = new Array(data.class_names.length).fill(0);
      return model.get("members").map((mask, index) => {
        const member = logProbs[numberOf(mask ?? this.drawnMask(index))];
        member.forEach((logProb, k) => {
          probSum[k] += Math.exp(logProb);
          logSum[k] += logProb;
        });
        return {
          arithmetic: probSum.map((total) => total / (index + 1)),
          geometric: logSoftmax(logSum.map((total) => total / (index + 1))).map(Math.exp),
        };
      });
    },
  };
}

/** The running means of one class against the number of members, with the exact means and the band they settle in. */
function meansCurve(all) {
  const curve = chart(360, 256);
  const { left, right, top, bottom } = BOX;

  function rangeOf(series, exact) {
    const values = [...RULES.map((rule) => exact[rule]), ...RULES.flatMap((rule) => series.map((means) => means[rule]))];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const step = niceStep(Math.max(high - low, 0.004) / 4);
    return { step, range: [Math.max(0, Math.floor(low / step - 0.2) * step), Math.min(1, Math.ceil(high / step + 0.2) * step)] };
  }

  function draw(series, exact, spread) {
    const k = series.length;
    const decades = Math.max(2, Math.ceil(Math.log10(Math.max(k, 1)) - 1e-9));
    const { step, range } = rangeOf(series, exact);
    const x = (count) => left + (Math.log10(count) / decades) * (right - left);
    const inside = (prob) => Math.min(range[1], Math.max(range[0], prob));
    const place = scaleOf(range, [bottom, top]);
    const y = (prob) => place(inside(prob));
    const counts = Array.from({ length: 61 }, (_, i) => 10 ** ((i / 60) * decades));
    const side = (sign) => counts.map((count) => [x(count), y(exact.arithmetic + (sign * 1.96 * spread) / Math.sqrt(count))]);
    const tens = Array.from({ length: decades + 1 }, (_, decade) =>
      [10 ** decade, grouped(10 ** decade), decade === decades ? "end" : "middle"]);
    curve.draw([
      svgPath("dl-band", `${through([...side(1), ...side(-1).reverse()])}Z`),
      frameOf(BOX),
      ...axis("bottom", BOX, x, tens),
      ...axis("left", BOX, y, ticksOf(range, step, decimalsOf(step, 1))),
      ...axisNames(BOX, "subnetworks averaged, k", "probability of the true class"),
      ...RULES.flatMap((rule) => [
        svgPath(`dl-line dl-exact dl-${rule}`, `M${left} ${y(exact[rule])}H${right}`, { "data-exact": exact[rule] }),
        ...(k === 0 ? [] : [
          svgPath(`dl-line dl-${rule}`, through(series.map((means, i) => [x(i + 1), y(means[rule])]))),
          h("svg:circle", { class: `dl-end dl-${rule}`, cx: x(k), cy: y(series[k - 1][rule]), r: 4 }),
        ]),
      ]),
    ]);
  }

  const line = (...classes) => swatch(10, svgPath(classes.join(" "), "M0 5H28"));
  const key = legend(
    [line("dl-line", "dl-arithmetic"), "arithmetic mean of k"],
    [line("dl-line", "dl-exact", "dl-arithmetic"), `of all ${all}`],
    [line("dl-line", "dl-geometric"), "geometric mean of k"],
    [line("dl-line", "dl-exact", "dl-geometric"), `of all ${all} = weight scaling`],
    [swatch(10, svgPath("dl-band", "M0 0H28V10H0Z")), "holds 95% of arithmetic means of k, for large k"]);
  return { parts: [curve.element, key], draw, describe: curve.describe };
}

/** The probabilities of the classes: the mean of the members, all subnetworks, weight scaling. */
function classBars(names, all) {
  const bars = classRows(names);
  const half = 7;

  function draw(means, { arithmetic, weightScaling }) {
    const drawn = names.flatMap((_, k) => [
      ...(means ? [h("svg:rect", {
        class: "dl-bar", x: bars.left, y: bars.y(k) - half, width: bars.x(means[k]) - bars.left, height: 2 * half, "data-prob": means[k],
      })] : []),
      svgPath("dl-tick", `M${bars.x(arithmetic[k])} ${bars.y(k) - half - 2}v${2 * half + 4}`),
      h("svg:circle", { class: "dl-dot-scaling", cx: bars.x(weightScaling[k]), cy: bars.y(k), r: 4.5 }),
    ]);
    const order = names.map((_, i) => i).sort((a, b) => arithmetic[b] - arithmetic[a]).slice(0, 3);
    bars.draw(drawn, `Probabilities of the classes. The most probable over all ${all}: ` +
      order.map((i) => `${names[i]} with ${fixed(arithmetic[i], 3)}`).join(", ") + ".");
  }

  const key = legend(
    [swatch(14, h("svg:rect", { class: "dl-bar", x: 0, y: 2, width: 28, height: 10 })), "arithmetic mean of k"],
    [swatch(14, svgPath("dl-tick", "M14 0V14")), `of all ${all}`],
    [swatch(14, h("svg:circle", { class: "dl-dot-scaling", cx: 14, cy: 7, r: 4.5 })), "weight scaling"]);
  return { parts: [bars.element, key], draw };
}

/** The averages of one class in numbers and in words. */
function averagesInNumbers({ names, all }) {
  const [k, title] = [valueOf("k"), h("span")];
  const rows = RULES.map((rule) => ({ rule, ...row(`${rule} mean`, rule, `exact-${rule}`, `difference-${rule}`) }));
  const scaled = row("weight scaling", null, "weight-scaling", null);
  scaled.cells[0].textContent = "one pass";
  const numbers = table([title, [h("i", {}, "k"), " = ", k], `all ${all}`, "difference"], [...rows, scaled]);
  const summary = liveSummary();

  function show(means, exact, label) {
    const className = `class ${names[label]}`;
    const last = means.at(-1);
    title.textContent = `P(${className})`;
    k.textContent = grouped(means.length);
    for (const { rule, cells } of rows) {
      cells[0].textContent = last ? fixed(last[rule][label], 4) : "–";
      cells[1].textContent = fixed(exact[rule][label], 4);
      cells[2].textContent = last ? fixed(last[rule][label] - exact[rule][label], 4) : "–";
    }
    scaled.cells[1].textContent = fixed(exact.weightScaling[label], 4);
    const truth = fixed(exact.arithmetic[label], 3);
    summary.textContent = (last
      ? `On average ${grouped(means.length)} subnetwork${means.length > 1 ? "s give" : " gives"} ${className} a probability of ` +
        `${fixed(last.arithmetic[label], 3)}; all ${all} give ${truth}, a difference of ` +
        `${fixed(last.arithmetic[label] - exact.arithmetic[label], 3)}.`
      : `No subnetwork averaged yet; all ${all} give ${className} a probability of ${truth} on average.`) +
      ` Weight scaling gives ${fixed(exact.weightScaling[label], 3)}: the geometric mean over all.`;
    return summary.textContent;
  }
  return { parts: [numbers, summary], show };
}

/** A subnetwork that is set by hand. */
function byHand(model, { data, units, names, members }) {
  const toggles = Array.from({ length: units }, (_, unit) => {
    const element = button(`${unit + 1}`, () =>
      assign(model, { mask: model.get("mask").map((kept, j) => (j === unit ? !kept : kept)) }));
    element.className = "dl-toggle";
    return element;
  });
  const add = button("Add this subnetwork", () => assign(model, { members: [...members(), model.get("mask")] }));
  const [className, prob, maskProb, added] = [h("span"), valueOf("mask-class-prob"), valueOf("mask-prob"), valueOf("by-hand")];

  function show({ logProbs, maskProbs }, label) {
    const mask = model.get("mask");
    toggles.forEach((toggle, unit) => {
      toggle.setAttribute("aria-pressed", mask[unit]);
      toggle.setAttribute("aria-label", `${unit + 1}, activation ${fixed(data.h[model.get("example")][unit], 2)}`);
    });
    prob.textContent = fixed(Math.exp(logProbs[numberOf(mask)][label]), 4);
    maskProb.textContent = String(Number(maskProbs[numberOf(mask)].toPrecision(3)));
    className.textContent = `class ${names[label]}`;
    added.textContent = members().filter(Boolean).length;
    add.disabled = members().length >= data.most_members;
  }
  return {
    show,
    parts: [
      h("p", {}, "By hand: press a unit to drop or keep it."),
      h("div", { class: "dl-toggles", role: "group", "aria-label": "Units kept" }, ...toggles),
      h("p", {}, "This subnetwork gives ", className, " a probability of ", prob, ", and is itself drawn with probability ", maskProb, "."),
      h("div", { class: "dl-buttons dl-add" }, add, h("span", {}, "Added by hand: ", added)),
    ],
  };
}

function render({ model, el }) {
  const averaged = averaging(model);
  const { data, names, all, members } = averaged;
  const keepProb = keepProbSlider(model);
  const example = exampleChoice(model, namesByClass(data.labels.map((label) => names[label])), data.images,
    (i) => data.images.pixels[i]);
  const more = [1, 10, 100].map((count) => ({
    count,
    element: button(`Draw ${count}`, () => {
      const added = [...members(), ...new Array(count).fill(null)];
      assign(model, { members: added, mask: averaged.drawnMask(added.length - 1) });
    }),
  }));
  const again = button("Start again", () => assign(model, { members: [], seed: (model.get("seed") + 1) % 2 ** 32 }));
  const curve = meansCurve(all);
  const bars = classBars(names, all);
  const numbers = averagesInNumbers(averaged);
  const hand = byHand(model, averaged);

  function update() {
    const exact = averaged.subnetworks();
    const label = data.labels[model.get("example")];
    const means = averaged.runningMeans(exact.logProbs);
    curve.draw(means.map(({ arithmetic, geometric }) => ({ arithmetic: arithmetic[label], geometric: geometric[label] })),
      { arithmetic: exact.arithmetic[label], geometric: exact.geometric[label] }, exact.spread[label]);
    bars.draw(means.at(-1)?.arithmetic, exact);
    hand.show(exact, label);
    curve.describe(`Running means against the number of subnetworks averaged. ${numbers.show(means, exact, label)}`);
    for (const { count: added, element } of more) element.disabled = members().length + added > data.most_members;
  }

  return mount({ model, el }, {
    name: "average_subnetworks",
    title: "Average subnetworks and watch the average settle",
    parts: [
      h("div", { class: "dl-controls" }, example.element, keepProb.element, buttons(...more.map(({ element }) => element), again)),
      columns(curve.parts, numbers.parts),
      columns(bars.parts, hand.parts),
    ],
    controls: [keepProb, example],
    traits: ["keep_prob", "example", "mask", "members", "seed"],
    update,
  });
}

export default { render };
