const BOX = { left: 44, right: 350, top: 28, bottom: 188 };

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

const lineOf = (d, dashes) => svgPath("dl-line dl-of-method", d, { "stroke-dasharray": dashes });

/** A method's card, with the bars of its classes, and its row of counts. */
function methodCard({ name, color, probs }, dashes, { class_names: names, labels }) {
  const predictions = probs.map((steps) => steps.map(predict));
  const bars = classRows(names, { width: 180, fontSize: 15 });
  const [answer, verdict] = [valueOf("answer", "strong"), valueOf("verdict")];
  const entropy = row("entropy, nats", "entropy");
  const information = row("mutual information, nats", "mutual-information");
  const key = swatch(10, lineOf("M0 5H28", dashes));
  const count = probs[0][0].length;
  const card = h("div", { class: "dl-method", ...inColorOf(color), "data-method": name, role: "group", "aria-label": name },
    h("p", { class: "dl-name" }, key.cloneNode(true), name, h("small", {}, count > 1 ? `mean of ${count} members` : "one network")),
    bars.element,
    h("p", { class: "dl-answer" }, answer, " ", verdict),
    table(null, [entropy, information]));
  const counts = row([key, name], "answered", ...(labels ? ["wrong"] : []));
  counts.tr.setAttribute("style", inColorOf(color).style);
  counts.tr.setAttribute("data-method", name);

  function drawBars({ members, mean, answer: said }) {
    const spread = members.length > 1 ? 13 / (members.length - 1) : 0;
    bars.draw(names.flatMap((_, k) => [
      h("svg:rect", {
        class: "dl-mean", x: bars.left, y: bars.y(k) - 8, width: bars.x(mean[k]) - bars.left, height: 16, "data-prob": mean[k],
      }),
      ...members.map((member, i) => h("svg:circle", {
        class: "dl-member", r: 2.2, cx: bars.x(member[k]), cy: bars.y(k) + (i - (members.length - 1) / 2) * spread,
      })),
    ]), `${name}: most probable is ${names[said]}, with ${fixed(mean[said], 2)} on average over members.`);
  }

  /** Show what the method says of an example at a step, and return it in words. */
  function show(example, step, answers) {
    const prediction = predictions[example][step];
    drawBars(prediction);
    entropy.cells[0].textContent = fixed(prediction.entropy, 2);
    information.cells[0].textContent = fixed(prediction.information, 2);
    answer.textContent = answers(prediction) ? `answers ${names[prediction.answer]}` : "does not answer";
    verdict.textContent = labels && answers(prediction) ? `(${prediction.answer === labels[example] ? "right" : "wrong"})` : "";
    const every = predictions.flatMap((steps, i) => steps.map((each) => ({ ...each, label: labels?.[i] }))).filter(answers);
    counts.cells[0].textContent = every.length;
    if (labels) counts.cells[1].textContent = every.filter((each) => each.answer !== each.label).length;
    return `${name} ${answer.textContent} (entropy ${fixed(prediction.entropy, 2)})`;
  }
  return { name, color, dashes, card, tr: counts.tr, show, entropies: (example) => predictions[example].map((each) => each.entropy) };
}

/** Entropy against the step, for each method. */
function entropyChart({ step_labels: labels, step_name: stepName }, methods, largestEntropy) {
  const picture = chart(360, 232);
  const { left, right, top, bottom } = BOX;
  const last = labels.length - 1;
  const x = last ? scaleOf([0, last], [left, right]) : () => (left + right) / 2;
  const y = scaleOf([0, largestEntropy], [bottom, top]);
  const every = Math.ceil(labels.length / 7);
  const steps = labels.map((label, i) => [i, label]).filter(([i]) => i % every === 0);
  const name = stepName.toLowerCase();

  function draw(example, step, threshold) {
    picture.draw([
      h("svg:rect", { class: "dl-band", x: left, y: top, width: right - left, height: y(threshold) - top }),
      svgPath("dl-axis dl-threshold", `M${left} ${y(threshold)}H${right}`),
      frameOf(BOX),
      svgPath("dl-axis dl-now", `M${x(step)} ${top}V${bottom}`),
      ...axis("left", BOX, y, ticksOf([0, largestEntropy], niceStep(largestEntropy / 5), 1)),
      ...axis("bottom", BOX, x, steps),
      ...methods.map(({ color, dashes, entropies }) => h("svg:g", inColorOf(color),
        lineOf(through(entropies(example).map((entropy, i) => [x(i), y(entropy)])), dashes),
        h("svg:circle", { class: "dl-here", r: 5, cx: x(step), cy: y(entropies(example)[step]) }))),
      ...axisNames(BOX, name, "entropy (nats), gray: no answer"),
    ]);
    picture.describe(`Entropy against ${name}: ` + methods.map((method) => {
      const entropies = method.entropies(example);
      return `${method.name} from ${fixed(entropies[0], 2)} to ${fixed(entropies.at(-1), 2)}, at most ${fixed(Math.max(...entropies), 2)}`;
    }).join("; ") + ".");
  }
  return { element: picture.element, draw };
}

function handles(model, { step_labels: stepLabels, step_name: stepName, images }, exampleNames, largestEntropy) {
  const threshold = slider(model, "threshold", ["Entropy threshold "],
    { min: 0, max: largestEntropy, step: 0.05, show: (value) => `${fixed(value, 2)} nats` });
  threshold.element.classList.add("dl-wide-value");
  return [
    exampleChoice(model, exampleNames, images, (i) => images.pixels[i][0]),
    slider(model, "step", [`${stepName} `], { min: 0, max: stepLabels.length - 1, step: 1, show: (i) => stepLabels[i] }),
    threshold,
  ];
}

function render({ model, el }) {
  const data = model.get("data");
  const { class_names: names, labels, step_labels: stepLabels, images } = data;
  const largestEntropy = Math.log(names.length);
  const exampleNames = labels ? namesByClass(labels.map((label) => names[label])) : images.pixels.map((_, i) => `image ${i + 1}`);
  const controls = handles(model, data, exampleNames, largestEntropy);
  const picture = grayImage(images, { role: "img", "aria-label": "" });
  const methods = data.methods.map((method, i) => methodCard(method, ["", "7 4", "2 4"][i], data));
  const entropies = entropyChart(data, methods, largestEntropy);
  const numbers = table([`over all ${grouped(images.pixels.length * stepLabels.length)} pictures`, "answered",
    ...(labels ? ["of these wrong"] : [])], methods);
  const summary = liveSummary();

  function update() {
    const [example, step, threshold] = ["example", "step", "threshold"].map((trait) => model.get(trait));
    const said = methods.map(({ show }) => show(example, step, ({ entropy }) => entropy <= threshold));
    entropies.draw(example, step, threshold);
    picture.draw(images.pixels[example][step]);
    const shown = `${labels ? "Example of class" : "The"} ${exampleNames[example]}, ${data.step_name.toLowerCase()} ${stepLabels[step]}`;
    picture.element.setAttribute("aria-label", shown);
    summary.textContent = `${shown}: ${said.join("; ")}.`;
  }

  return mount({ model, el }, {
    name: "uncertainty_explorer",
    title: "Who would rather not answer?",
    parts: [
      h("div", { class: "dl-controls" }, ...controls.map(({ element }) => element)),
      h("div", { class: "dl-shown" }, picture.element, summary),
      h("div", { class: "dl-methods" }, ...methods.map(({ card }) => card)),
      columns([entropies.element], [numbers]),
    ],
    controls,
    traits: ["example", "step", "threshold"],
    update,
  });
}

export default { render };
