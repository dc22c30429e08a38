const CHART = { left: 44, right: 350, top: 10, bottom: 170 };

/** In nats; a probability of 0 adds nothing. */
const entropyOf = (probs) => -sum(probs.map((prob) => (prob > 0 ? prob * Math.log(prob) : 0)));

/** What a method says, from its members' probabilities in any one unit: rounding moved their sums. */
function predict(members) {
  const probs = members.map((member) => {
    const total = sum(member);
    return member.map((prob) => prob / total);
  });
  const mean = probs[0].map((_, k) => sum(probs.map((member) => member[k])) / probs.length);
  const entropy = entropyOf(mean);
  return {
    members: probs, mean, entropy, answer: mean.indexOf(Math.max(...mean)),
    information: Math.max(0, entropy - sum(probs.map(entropyOf)) / probs.length),
  };
}

function render({ model, el }) {
  const data = model.get("data");
  const { class_names: names, labels, step_labels: stepLabels } = data;
  const examples = data.images.pixels.length;
  const pictures = examples * stepLabels.length;
  const largestEntropy = Math.log(names.length);
  const dashes = ["", "7 4", "2 4"];
  const text = (x, y, content, anchor = "middle") => h("svg:text", { x, y, "text-anchor": anchor }, content);

  // Controls
  const example = exampleChoice(model, data.images.pixels.map((_, i) => (labels ? `${i + 1}. ${names[labels[i]]}` : `${i + 1}`)),
    data.images, (i) => data.images.pixels[i][0]);
  const step = slider(model, "step", [`${data.step_name} `],
    { min: 0, max: stepLabels.length - 1, step: 1, show: (i) => stepLabels[i] });
  const threshold = slider(model, "threshold", ["Entropy threshold "],
    { min: 0, max: largestEntropy, step: 0.05, show: (value) => `${fixed(value, 2)} nats` });
  threshold.element.classList.add("dl-wide-value");

  // The picture, and a card for each method
  const picture = grayImage(data.images, { role: "img", "aria-label": "" });
  const methods = data.methods.map(({ name, color, probs }, i) => {
    const predictions = probs.map((steps) => steps.map(predict));
    const bars = classRows(names, { width: 180, fontSize: 15 });
    const [answer, verdict] = [valueOf("answer", "strong"), valueOf("verdict")];
    const number = (key) => h("td", { class: "dl-number", "data-value": key });
    const [entropy, information] = [number("entropy"), number("mutual-information")];
    const line = (attributes) => h("svg:path", { class: "dl-line dl-of-method", "stroke-dasharray": dashes[i], ...attributes });
    const swatch = h("svg:svg", { class: "dl-swatch", viewBox: "0 0 28 10", "aria-hidden": "true" }, line({ d: "M0 5H28" }));
    const count = probs[0][0].length;
    const card = h("div", { class: `dl-method dl-color-${color}`, "data-method": name, role: "group", "aria-label": name },
      h("p", { class: "dl-name" }, swatch.cloneNode(true), name, h("small", {}, count > 1 ? `mean of ${count} members` : "one network")),
      bars.element,
      h("p", { class: "dl-answer" }, answer, " ", verdict),
      h("table", {}, h("tbody", {},
        h("tr", {}, h("th", { scope: "row" }, "entropy, nats"), entropy),
        h("tr", {}, h("th", { scope: "row" }, "mutual information, nats"), information))));
    const [answered, wrong] = [number("answered"), number("wrong")];
    const tr = h("tr", { class: `dl-color-${color}`, "data-method": name },
      h("th", { scope: "row" }, swatch, name), answered, ...(labels ? [wrong] : []));
    return { name, color, predictions, bars, answer, verdict, entropy, information, line, card, answered, wrong, tr };
  });
  const numbers = h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, `over all ${grouped(pictures)} pictures`),
      ...["answered", ...(labels ? ["of these wrong"] : [])].map((name) => h("th", { scope: "col", class: "dl-number" }, name)))),
    h("tbody", {}, ...methods.map(({ tr }) => tr)));
  const summary = h("p", { "aria-live": "polite", "data-value": "summary" });

  function drawBars({ bars, name }, { members, mean, answer }) {
    const spread = members.length > 1 ? 13 / (members.length - 1) : 0;
    const drawn = names.flatMap((_, k) => [
      h("svg:rect", {
        class: "dl-mean", x: bars.left, y: bars.y(k) - 8, width: bars.x(mean[k]) - bars.left, height: 16, "data-prob": mean[k],
      }),
      ...members.map((member, i) => h("svg:circle", {
        class: "dl-member", r: 2.2, cx: bars.x(member[k]), cy: bars.y(k) + (i - (members.length - 1) / 2) * spread,
      })),
    ]);
    bars.draw(drawn, `${name}: most probable is ${names[answer]}, with ${fixed(mean[answer], 2)} on average over members.`);
  }

  // Entropy against the step
  const chart = h("svg:svg", { viewBox: "0 0 360 214", role: "img", "aria-label": "" });
  function drawChart() {
    const { left, right, top, bottom } = CHART;
    const last = stepLabels.length - 1;
    const x = (i) => (last ? left + (i / last) * (right - left) : (left + right) / 2);
    const y = (entropy) => bottom - (entropy / largestEntropy) * (bottom - top);
    const limit = y(model.get("threshold"));
    const drawn = [
      h("svg:rect", { class: "dl-band", x: left, y: top, width: right - left, height: limit - top }),
      h("svg:path", { class: "dl-axis dl-threshold", d: `M${left} ${limit}H${right}` }),
      h("svg:path", { class: "dl-axis", d: `M${left} ${top}V${bottom}H${right}` }),
      h("svg:path", { class: "dl-axis dl-now", d: `M${x(model.get("step"))} ${top}V${bottom}` }),
    ];
    const tick = niceStep(largestEntropy / 5);
    for (let value = 0; value <= largestEntropy; value += tick) {
      drawn.push(h("svg:path", { class: "dl-axis", d: `M${left} ${y(value)}h-5` }), text(left - 8, y(value) + 5, fixed(value, 1), "end"));
    }
    const every = Math.ceil(stepLabels.length / 7);
    stepLabels.forEach((label, i) => {
      if (i % every) return;
      drawn.push(h("svg:path", { class: "dl-axis", d: `M${x(i)} ${bottom}v5` }), text(x(i), bottom + 19, label));
    });
    for (const { color, predictions, line } of methods) {
      const entropies = predictions[model.get("example")].map(({ entropy }) => entropy);
      const path = `M${entropies.map((entropy, i) => `${x(i).toFixed(2)} ${y(entropy).toFixed(2)}`).join("L")}`;
      drawn.push(h("svg:g", { class: `dl-color-${color}` }, line({ d: path }),
        h("svg:circle", { class: "dl-here", r: 5, cx: x(model.get("step")), cy: y(entropies[model.get("step")]) })));
    }
    drawn.push(text((left + right) / 2, bottom + 39, `${data.step_name.toLowerCase()}; entropy in nats, gray: no answer`));
    chart.replaceChildren(...drawn);
  }

  function update() {
    const [shown, now] = [model.get("example"), model.get("step")];
    const answers = ({ entropy }) => entropy <= model.get("threshold");
    const said = methods.map((method) => {
      const prediction = method.predictions[shown][now];
      const { entropy, information, answer } = prediction;
      drawBars(method, prediction);
      method.entropy.textContent = fixed(entropy, 2);
      method.information.textContent = fixed(information, 2);
      const right = labels && answer === labels[shown] ? "right" : "wrong";
      method.answer.textContent = answers(prediction) ? `answers ${names[answer]}` : "does not answer";
      method.verdict.textContent = labels && answers(prediction) ? `(${right})` : "";
      const every = method.predictions.flatMap((steps, i) => steps.map((each) => ({ ...each, label: labels?.[i] }))).filter(answers);
      method.answered.textContent = every.length;
      method.wrong.textContent = every.filter((each) => each.answer !== each.label).length;
      return `${method.name} ${method.answer.textContent} (entropy ${fixed(entropy, 2)})`;
    });
    drawChart();
    picture.draw(data.images.pixels[shown][now]);
    const place = `${data.step_name.toLowerCase()} ${stepLabels[now]}`;
    picture.element.setAttribute("aria-label", `Example ${shown + 1}${labels ? `, class ${names[labels[shown]]}` : ""}, ${place}`);
    chart.setAttribute("aria-label", `Entropy against ${data.step_name.toLowerCase()}: ` + methods.map(({ name, predictions }) => {
      const entropies = predictions[shown].map(({ entropy }) => entropy);
      return `${name} from ${fixed(entropies[0], 2)} to ${fixed(entropies.at(-1), 2)}, at most ${fixed(Math.max(...entropies), 2)}`;
    }).join("; ") + ".");
    summary.textContent = `Example ${shown + 1}, ${place}: ${said.join("; ")}.`;
    example.update();
    step.update();
    threshold.update();
  }

  return mount({ model, el }, {
    name: "uncertainty_explorer",
    title: "Who would rather not answer?",
    parts: [
      h("div", { class: "dl-controls" }, example.element, step.element, threshold.element),
      h("div", { class: "dl-shown" }, picture.element, summary),
      h("div", { class: "dl-methods" }, ...methods.map(({ card }) => card)),
      h("div", { class: "dl-columns" },
        h("div", { class: "dl-picture" }, chart),
        h("div", { class: "dl-values" }, numbers)),
    ],
    traits: ["example", "step", "threshold"],
    update,
  });
}

export default { render };
