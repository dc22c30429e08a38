const MOST_UNITS = 12;
const CHART = { left: 50, right: 350, top: 8, bottom: 190 };

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

function render({ model, el }) {
  const data = model.get("data");
  const names = data.class_names;
  const units = data.h[0].length;
  const all = grouped(2 ** units);
  const members = () => model.get("members");

  let computed = {};
  function subnetworks() {
    const [example, keepProb] = [model.get("example"), model.get("keep_prob")];
    if (computed.example !== example || computed.keepProb !== keepProb) {
      computed = { example, keepProb, ...everySubnetwork(data.h[example], data.w, data.b, keepProb) };
    }
    return computed;
  }

  /** The mask that is drawn at random as the average's member `index`, the same uniforms for every p. */
  function drawnMask(index) {
    const uniform = uniformStream(model.get("seed"));
    return Array.from({ length: units }, (_, unit) => uniform(index * MOST_UNITS + unit) < model.get("keep_prob"));
  }

  /** The running means of all classes: entry k - 1 is over the first k members. */
  function runningMeans(logProbs) {
    const probSum = new Array(names.length).fill(0);
    const logSum = new Array(names.length).fill(0);
    return members().map((mask, index) => {
      const member = logProbs[numberOf(mask ?? drawnMask(index))];
      member.forEach((logProb, k) => {
        probSum[k] += Math.exp(logProb);
        logSum[k] += logProb;
      });
      return {
        arithmetic: probSum.map((total) => total / (index + 1)),
        geometric: logSoftmax(logSum.map((total) => total / (index + 1))).map(Math.exp),
      };
    });
  }

  // Controls
  const keepProb = keepProbSlider(model);
  const example = exampleChoice(model, data.labels.map((label, i) => `${i + 1}. ${names[label]}`), data.images,
    (i) => data.images.pixels[i]);
  const more = [1, 10, 100].map((count) => ({
    count,
    element: button(`Draw ${count}`, () => {
      const added = [...members(), ...new Array(count).fill(null)];
      assign(model, { members: added, mask: drawnMask(added.length - 1) });
    }),
  }));
  const again = button("Start again", () => assign(model, { members: [], seed: (model.get("seed") + 1) % 2 ** 32 }));
  const toggles = Array.from({ length: units }, (_, unit) => {
    const element = button(`${unit + 1}`, () =>
      assign(model, { mask: model.get("mask").map((kept, j) => (j === unit ? !kept : kept)) }));
    element.className = "dl-toggle";
    return element;
  });
  const add = button("Add this subnetwork", () => assign(model, { members: [...members(), model.get("mask")] }));
  const thisClass = h("span");
  const [thisProb, thisMaskProb, byHand] = [valueOf("mask-class-prob"), valueOf("mask-prob"), valueOf("by-hand")];
  const toggleGroup = h("div", { class: "dl-toggles", role: "group", "aria-label": "Units kept" }, ...toggles);

  // The curve
  const text = (x, y, content, anchor = "middle") => h("svg:text", { x, y, "text-anchor": anchor }, content);
  const curve = h("svg:svg", { viewBox: "0 0 360 236", role: "img", "aria-label": "" });
  const rules = ["arithmetic", "geometric"];
  function drawCurve(series, exact, spread) {
    const { left, right, top, bottom } = CHART;
    const k = series.length;
    const decades = Math.max(2, Math.ceil(Math.log10(Math.max(k, 1)) - 1e-9));
    const values = [...rules.map((rule) => exact[rule]), ...rules.flatMap((rule) => series.map((means) => means[rule]))];
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const step = niceStep(Math.max(high - low, 0.004) / 4);
    low = Math.max(0, Math.floor(low / step - 0.2) * step);
    high = Math.min(1, Math.ceil(high / step + 0.2) * step);
    const x = (count) => left + (Math.log10(count) / decades) * (right - left);
    const y = (prob) => bottom - ((Math.min(high, Math.max(low, prob)) - low) / (high - low)) * (bottom - top);
    const path = (points) => `M${points.map(([px, py]) => `${px.toFixed(2)} ${py.toFixed(2)}`).join("L")}`;

    const counts = Array.from({ length: 61 }, (_, i) => 10 ** ((i / 60) * decades));
    const side = (sign) => counts.map((count) => [x(count), y(exact.arithmetic + (sign * 1.96 * spread) / Math.sqrt(count))]);
    const drawn = [h("svg:path", { class: "dl-band", d: path([...side(1), ...side(-1).reverse()]) + "Z" })];
    drawn.push(h("svg:path", { class: "dl-axis", d: `M${left} ${top}V${bottom}H${right}` }));
    for (let decade = 0; decade <= decades; decade++) {
      drawn.push(h("svg:path", { class: "dl-axis", d: `M${x(10 ** decade)} ${bottom}v5` }),
        text(x(10 ** decade), bottom + 19, grouped(10 ** decade), decade === decades ? "end" : "middle"));
    }
    const digits = Math.max(1, -Math.floor(Math.log10(step) + 1e-9));
    for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + 1e-9; tick++) {
      drawn.push(h("svg:path", { class: "dl-axis", d: `M${left} ${y(tick * step)}h-5` }),
        text(left - 8, y(tick * step) + 5, fixed(tick * step, digits), "end"));
    }
    drawn.push(text((left + right) / 2, bottom + 40, "subnetworks averaged, k"));
    for (const rule of rules) {
      const at = y(exact[rule]);
      drawn.push(h("svg:path", { class: `dl-line dl-exact dl-${rule}`, d: `M${left} ${at}H${right}`, "data-exact": exact[rule] }));
      if (k > 0) {
        drawn.push(
          h("svg:path", { class: `dl-line dl-${rule}`, d: path(series.map((means, i) => [x(i + 1), y(means[rule])])) }),
          h("svg:circle", { class: `dl-end dl-${rule}`, cx: x(k), cy: y(series[k - 1][rule]), r: 4 }));
      }
    }
    curve.replaceChildren(...drawn);
  }
  const swatch = (...classes) => h("svg:svg", { class: "dl-swatch", viewBox: "0 0 28 10", "aria-hidden": "true" },
    h("svg:path", { class: classes.join(" "), d: classes.includes("dl-band") ? "M0 0H28V10H0Z" : "M0 5H28" }));
  const legend = h("ul", { class: "dl-legend" },
    h("li", {}, swatch("dl-line", "dl-arithmetic"), "arithmetic mean of k"),
    h("li", {}, swatch("dl-line", "dl-exact", "dl-arithmetic"), `of all ${all}`),
    h("li", {}, swatch("dl-line", "dl-geometric"), "geometric mean of k"),
    h("li", {}, swatch("dl-line", "dl-exact", "dl-geometric"), `of all ${all} = weight scaling`),
    h("li", {}, swatch("dl-band"), "holds 95% of arithmetic means of k, for large k"));

  // The bars
  const bars = classRows(names);
  function drawBars(means, exact, weightScaling, label) {
    const drawn = names.flatMap((_, k) => {
      const [at, half] = [bars.y(k), 7];
      const marks = [
        h("svg:path", { class: "dl-tick", d: `M${bars.x(exact[k])} ${at - half - 2}v${2 * half + 4}` }),
        h("svg:circle", { class: "dl-dot-scaling", cx: bars.x(weightScaling[k]), cy: at, r: 4.5 }),
      ];
      if (means) {
        marks.unshift(h("svg:rect", {
          class: "dl-bar", x: bars.left, y: at - half, width: bars.x(means[k]) - bars.left, height: 2 * half, "data-prob": means[k],
        }));
      }
      return marks;
    });
    bars.draw(drawn, label);
  }
  const key = (shape) => h("svg:svg", { class: "dl-swatch", viewBox: "0 0 28 14", "aria-hidden": "true" }, shape);
  const barLegend = h("ul", { class: "dl-legend" },
    h("li", {}, key(h("svg:rect", { class: "dl-bar", x: 0, y: 2, width: 28, height: 10 })), "arithmetic mean of k"),
    h("li", {}, key(h("svg:path", { class: "dl-tick", d: "M14 0V14" })), `of all ${all}`),
    h("li", {}, key(h("svg:circle", { class: "dl-dot-scaling", cx: 14, cy: 7, r: 4.5 })), "weight scaling"));

  // Numbers
  const number = (name) => h("td", { class: "dl-number", ...(name ? { "data-value": name } : {}) });
  const title = h("th", { scope: "col" });
  const k = valueOf("k");
  const rows = rules.map((rule) => {
    const cells = [number(rule), number(`exact-${rule}`), number(`difference-${rule}`)];
    return { rule, cells, tr: h("tr", {}, h("th", { scope: "row" }, `${rule} mean`), ...cells) };
  });
  const scaled = number("weight-scaling");
  const numbers = h("table", {},
    h("thead", {}, h("tr", {}, title, h("th", { scope: "col", class: "dl-number" }, h("i", {}, "k"), " = ", k),
      h("th", { scope: "col", class: "dl-number" }, `all ${all}`), h("th", { scope: "col", class: "dl-number" }, "difference"))),
    h("tbody", {}, ...rows.map(({ tr }) => tr),
      h("tr", {}, h("th", { scope: "row" }, "weight scaling"), h("td", { class: "dl-number" }, "one pass"), scaled, number())));
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });

  function update() {
    const exact = subnetworks();
    const label = data.labels[model.get("example")];
    const className = `class ${names[label]}`;
    const means = runningMeans(exact.logProbs);
    const count = means.length;
    const last = means.at(-1);
    drawCurve(means.map(({ arithmetic, geometric }) => ({ arithmetic: arithmetic[label], geometric: geometric[label] })),
      { arithmetic: exact.arithmetic[label], geometric: exact.geometric[label] }, exact.spread[label]);

    title.textContent = `P(${className})`;
    k.textContent = grouped(count);
    for (const { rule, cells } of rows) {
      cells[0].textContent = last ? fixed(last[rule][label], 4) : "–";
      cells[1].textContent = fixed(exact[rule][label], 4);
      cells[2].textContent = last ? fixed(last[rule][label] - exact[rule][label], 4) : "–";
    }
    scaled.textContent = fixed(exact.weightScaling[label], 4);
    const truth = fixed(exact.arithmetic[label], 3);
    summary.textContent = (last
      ? `On average ${grouped(count)} subnetwork${count > 1 ? "s give" : " gives"} ${className} a probability of ` +
        `${fixed(last.arithmetic[label], 3)}; all ${all} give ${truth}, a difference of ` +
        `${fixed(last.arithmetic[label] - exact.arithmetic[label], 3)}.`
      : `No subnetwork averaged yet; all ${all} give ${className} a probability of ${truth} on average.`) +
      ` Weight scaling gives ${fixed(exact.weightScaling[label], 3)}: the geometric mean over all.`;
    curve.setAttribute("aria-label", `Running means against the number of subnetworks averaged. ${summary.textContent}`);
    const order = names.map((_, i) => i).sort((a, b) => exact.arithmetic[b] - exact.arithmetic[a]).slice(0, 3);
    drawBars(last?.arithmetic, exact.arithmetic, exact.weightScaling,
      `Probabilities of the classes. The most probable over all ${all}: ` +
      order.map((i) => `${names[i]} with ${fixed(exact.arithmetic[i], 3)}`).join(", ") + ".");

    const mask = model.get("mask");
    toggles.forEach((toggle, unit) => {
      toggle.setAttribute("aria-pressed", mask[unit]);
      toggle.setAttribute("aria-label", `${unit + 1}, activation ${fixed(data.h[model.get("example")][unit], 2)}`);
    });
    thisProb.textContent = fixed(Math.exp(exact.logProbs[numberOf(mask)][label]), 4);
    thisMaskProb.textContent = String(Number(exact.maskProbs[numberOf(mask)].toPrecision(3)));
    thisClass.textContent = className;
    byHand.textContent = members().filter(Boolean).length;
    for (const { count: added, element } of more) element.disabled = count + added > data.most_members;
    add.disabled = count >= data.most_members;
    keepProb.update();
    example.update();
  }

  return mount({ model, el }, {
    name: "average_subnetworks",
    title: "Average subnetworks and watch the average settle",
    parts: [
      h("div", { class: "dl-controls" }, example.element, keepProb.element,
        h("div", { class: "dl-buttons" }, ...more.map(({ element }) => element), again)),
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, curve, legend),
        h("div", { class: "dl-values" }, numbers, summary)),
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, bars.element, barLegend),
        h("div", { class: "dl-values" },
          h("p", {}, "By hand: press a unit to drop or keep it."),
          toggleGroup,
          h("p", {}, "This subnetwork gives ", thisClass, " a probability of ", thisProb,
            ", and is itself drawn with probability ", thisMaskProb, "."),
          h("div", { class: "dl-buttons dl-add" }, add, h("span", {}, "Added by hand: ", byHand)))),
    ],
    traits: ["keep_prob", "example", "mask", "members", "seed"],
    update,
  });
}

export default { render };
