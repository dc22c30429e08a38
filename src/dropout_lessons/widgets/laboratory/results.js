// Both arms of each seed in numbers, and in words what came of it.

/** How the results of a mode are said: its unit, digits, and what is better. */
const SAID = {
  digits: { of: "error", scale: 100, unit: "%", difference: " points", digits: 1, name: "test error", short: "test error" },
  curve: { of: "error", scale: 1, unit: "", difference: "", digits: 3, name: "mean squared error against the true curve", short: "mean squared error" },
  moons: { of: "error", scale: 100, unit: "%", difference: " points", digits: 1, name: "error on new points", short: "error on new points" },
};

function resultsTable(mode) {
  const { scale, unit, digits } = SAID[mode];
  const measures = [["error", scale, digits], ...(mode === "curve" ? [] : [["loss", 1, 3]])];
  const named = { error: mode === "curve" ? "mean squared error" : `error (${unit})`, loss: "loss (nats)" };
  const compared = { error: ["all units", "dropout", "dropout − all units"], loss: ["all units", "dropout"] };
  const element = table(null, [], { class: "dl-results" });
  element.prepend(h("thead", {},
    h("tr", {}, h("td"), ...measures.map(([of]) => h("th", { scope: "colgroup", class: "dl-number", colspan: compared[of].length }, named[of]))),
    h("tr", {}, h("th", { scope: "col" }, "seed"),
      ...measures.flatMap(([of]) => compared[of]).map((name) => h("th", { scope: "col", class: "dl-number" }, name)))));
  const line = (name, values) => {
    const made = row(name, ...values.map(() => null));
    values.forEach((value, i) => (made.cells[i].textContent = value));
    return made.tr;
  };
  return {
    element,
    show(results, quantiles) {
      const at = (result, arm, [of, factor]) => factor * result[arm].test[of];
      const difference = (result) => at(result, "dropout", measures[0]) - at(result, "plain", measures[0]);
      const cells = (mean, last) => measures.flatMap((measure) => [
        ...ARMS.map(({ key }) => fixed(mean((result) => at(result, key, measure)), measure[2])), ...(measure[0] === "error" ? [last] : [])]);
      const rows = results.map(([seed, result]) => line(`${seed}`, cells((of) => of(result), fixed(difference(result), digits))));
      if (results.length > 1) {
        const values = results.map(([, result]) => result);
        const { mean, margin } = meanAndMargin(values.map(difference), quantiles);
        rows.push(line("mean", cells((of) => sum(values.map(of)) / values.length, `${fixed(mean, digits)} ± ${fixed(margin, digits)}`)));
      }
      element.hidden = !results.length;
      element.querySelector("tbody").replaceChildren(...rows);
    },
  };
}

/** One sentence of what the arms did, and whether the interval of their difference excludes zero. */
function outcome(mode, results, quantiles) {
  const { of, scale, unit, difference, digits, name } = SAID[mode];
  const values = ARMS.map(({ key }) => results.map(([, result]) => scale * result[key].test[of]));
  const show = (value) => fixed(value, digits);
  const [plain, dropout] = values.map((each) => sum(each) / each.length);
  if (results.length === 1) {
    return `Seed ${results[0][0]}: the ${name} is ${show(plain)}${unit} with all units and ${show(dropout)}${unit} with dropout. ` +
      "One run is an anecdote: more seeds tell what is the rule.";
  }
  const { mean, margin } = meanAndMargin(values[1].map((value, i) => value - values[0][i]), quantiles);
  const [low, high] = [mean - margin, mean + margin];
  const interval = `95% interval from ${show(low)} to ${show(high)}${difference}`;
  const means = `${show(plain)}${unit} with all units and ${show(dropout)}${unit} with dropout`;
  return `Over ${results.length} seeds the ${name} is ${means} on average: a difference of ${show(mean)}${difference}, ${interval}. ` +
    (low > 0 || high < 0
      ? `It excludes zero: dropout ${mean < 0 ? "lowers" : "raises"} it here.`
      : "It includes zero: these seeds do not tell the two apart.");
}

/** What is about to be trained, while nothing is. */
function intention(model) {
  const { mode } = model.get("data");
  const inputs = mode === "digits" ? ` and each pixel with ${fixed(model.get("keep_input"), 2)}` : "";
  const what = { digits: "digits", curve: "points", moons: "points" }[mode];
  return `Nothing is trained yet. Two networks with ${grouped(model.get("width"))} units in each of 2 hidden layers will learn the same ` +
    `${grouped(model.get("examples"))} ${what}; in one, each step keeps a hidden unit with probability ${fixed(model.get("keep_hidden"), 2)}${inputs}.`;
}
