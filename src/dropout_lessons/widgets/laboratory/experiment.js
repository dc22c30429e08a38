// An experiment: its handles, the tasks that they stand for, its results, and its address.

const ARMS = [{ key: "plain", name: "All units" }, { key: "dropout", name: "Dropout" }];
const HANDLES = ["keep_hidden", "keep_input", "width", "examples", "noise", "l2", "max_norm", "epochs", "seeds"];
const KEPT_BY_SEEDS = ["seeds", "seed"]; // what was trained stays when these move

/** What each handle is called and how its value is shown. */
function handleWords(mode) {
  const digits = mode === "digits";
  const percents = (value) => `${fixed(100 * value, 0)}%`;
  const off = (value) => (value === 0 ? "none" : String(Number(value.toPrecision(3))));
  return {
    keep_hidden: [["Keep a hidden unit with ", h("i", {}, "p"), " "], (value) => fixed(value, 2)],
    keep_input: [["Keep an input with ", h("i", {}, "p"), " "], (value) => fixed(value, 2)],
    width: [["Units in a hidden layer "], String],
    examples: [[digits ? "Digits for training " : "Points for training "], grouped],
    noise: [[digits ? "Labels made random " : "Noise of the points "], digits ? percents : (value) => fixed(value, 2)],
    l2: [["L2 penalty "], off],
    max_norm: [["Max-norm "], off],
    epochs: [[digits ? "Epochs " : "Steps "], grouped],
    seeds: [["Seeds "], String],
  };
}

/** The tasks of one arm for these seeds. */
function tasksOf(model, arm, seeds, digits) {
  const { mode, frames } = model.get("data");
  const dropout = arm === "dropout";
  return seeds.map((seed) => ({
    mode, arm, seed, digits, frames,
    id: `${arm}-${seed}`,
    keepInput: dropout ? model.get("keep_input") : 1,
    keepHidden: dropout ? model.get("keep_hidden") : 1,
    width: model.get("width"), examples: model.get("examples"), noise: model.get("noise"),
    l2: model.get("l2"), maxNorm: model.get("max_norm"), epochs: model.get("epochs"),
  }));
}

/**
 * What has been trained with the handles where they stand. `changed(kind)` is called for "frame", "result" and "state";
 * frames come with their arm and seed.
 */
function makeExperiment(model, changed) {
  const experiment = { results: new Map(), running: false, failure: "", progress: 0 };
  let stops = [];
  let digits = null;
  const resultAt = (seed) => experiment.results.get(seed) ?? {};
  experiment.seedsDone = () => [...experiment.results.keys()].sort((a, b) => a - b)
    .filter((seed) => seed <= model.get("seeds") && ARMS.every(({ key }) => resultAt(seed)[key]));

  function settle() {
    if (ARMS.every(({ key }) => experiment.wanted.every((seed) => resultAt(seed)[key]))) experiment.stop();
    else changed("result");
  }
  function hear(task, said) {
    const total = ARMS.length * experiment.wanted.length;
    if (!experiment.parts.size) experiment.begun = performance.now(); // workers are up
    if (said.kind === "result") {
      experiment.results.set(task.seed, { ...resultAt(task.seed), [task.arm]: said });
      settle();
    } else {
      experiment.parts.set(task.id, said.done / said.steps);
      experiment.progress = sum([...experiment.parts.values()]) / total;
      changed("frame", { ...said, arm: task.arm, seed: task.seed });
    }
  }
  /** How long the slower arm would still take at the speed that it has had; null before there is one. */
  experiment.secondsLeft = () => {
    const seconds = (performance.now() - experiment.begun) / 1000;
    const shares = ARMS.map(({ key }) =>
      sum([...experiment.parts].map(([id, part]) => (id.startsWith(`${key}-`) ? part : 0))) / experiment.wanted.length);
    return seconds < 0.5 || Math.min(...shares) === 0 ? null : seconds * (1 / Math.min(...shares) - 1);
  };
  experiment.stop = () => {
    for (const stop of stops) stop();
    stops = [];
    experiment.running = false;
    changed("state");
  };
  experiment.clear = () => {
    experiment.results.clear();
    experiment.stop();
  };
  /** Train the seeds that are not trained yet; the shown one first. */
  experiment.start = async (again = false) => {
    if (experiment.running) return;
    if (again) experiment.results.clear();
    const seeds = model.get("data").landing ? [model.get("seed")] : Array.from({ length: model.get("seeds") }, (_, i) => i + 1);
    experiment.wanted = seeds.filter((seed) => !ARMS.every(({ key }) => resultAt(seed)[key]));
    if (!experiment.wanted.length) return;
    const run = {};
    Object.assign(experiment, { run, running: true, failure: "", progress: 0, parts: new Map() });
    changed("state");
    try {
      if (model.get("data").mode === "digits") digits ??= await loadDigits(model);
    } catch (error) {
      experiment.failure = error.message;
      experiment.stop();
      return;
    }
    if (!experiment.running || experiment.run !== run) return; // stopped while the digits came
    stops = ARMS.map(({ key }) => runArm(tasksOf(model, key, experiment.wanted, digits), hear));
  };
  experiment.digits = () => digits;
  return experiment;
}

const addressOf = (model) => `#laboratory-${model.get("data").mode}?` +
  [...HANDLES, "seed"].map((name) => `${name}=${model.get(name)}`).join("&");

/** Take the handles from the page's address, if it is of this kind of laboratory; returns whether it was. */
function readAddress(model) {
  const [name, settings] = decodeURIComponent(location.hash).split("?");
  const { mode, ranges } = model.get("data");
  if (name !== `#laboratory-${mode}` || !settings) return false;
  for (const [handle, text] of new URLSearchParams(settings)) {
    const [value, range] = [Number(text), ranges[handle]];
    if (text !== "" && range && value >= range[0] && value <= range[1]) model.set(handle, value);
  }
  return true;
}

/** Mean of one value for each seed with half of its 95% interval, Student's t. */
function meanAndMargin(values, quantiles) {
  const n = values.length;
  const mean = sum(values) / n;
  if (n < 2) return { mean, margin: NaN };
  const sd = Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / (n - 1));
  return { mean, margin: (quantiles[n - 2] * sd) / Math.sqrt(n) };
}
