const MAIN_HANDLES = ["keep_hidden", "keep_input", "examples", "noise", "seeds"];
const TITLES = {
  digits: "The laboratory: two networks learn digits",
  curve: "The laboratory: two networks learn a curve",
  moons: "The laboratory: two networks tell two moons apart",
};

/** The handles, the rarer ones behind a fold. */
function makeHandles(model) {
  const { mode, ranges, landing } = model.get("data");
  const words = handleWords(mode);
  const make = (name) => {
    const [[label, show], [min, max, step]] = [words[name], ranges[name]];
    const made = slider(model, name, label, { min, max, step, show });
    made.element.classList.add("dl-wide-value");
    return made;
  };
  const there = HANDLES.filter((name) => ranges[name]);
  const main = (landing ? ["keep_hidden"] : there.filter((name) => MAIN_HANDLES.includes(name))).map(make);
  const more = landing ? [] : there.filter((name) => !MAIN_HANDLES.includes(name)).map(make);
  const fold = more.length ? [h("details", {}, h("summary", {}, "More settings"),
    h("div", { class: "dl-controls" }, ...more.map(({ element }) => element)))] : [];
  return { controls: [...main, ...more], parts: [h("div", { class: "dl-controls" }, ...main.map(({ element }) => element)), ...fold] };
}

/** Shows frames one for each repaint; who asked for less motion sees the last one alone. */
function makePlayer(draw) {
  const queues = { plain: [], dropout: [] };
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const player = { calm: calm.matches, playAnyway: false };
  let waiting = false;
  const request = () => {
    if (!waiting) requestAnimationFrame(tick);
    waiting = true;
  };
  function tick() {
    waiting = false;
    const frames = Object.values(queues).flatMap((queue) => queue.splice(0, 1));
    if (frames.length) draw(frames, frames);
    if (Object.values(queues).some((queue) => queue.length)) request();
  }
  player.add = (frame) => {
    const queue = queues[frame.arm];
    queue.push(frame);
    if (!calm.matches || player.playAnyway) request();
    else if (frame.done === frame.steps) draw(queue.splice(0), [frame]);
  };
  /** Show at once what is still to come. */
  player.finish = () => {
    const rest = Object.values(queues).map((queue) => queue.splice(0));
    if (rest.flat().length) draw(rest.flat(), rest.flatMap((frames) => frames.slice(-1)));
  };
  player.clear = () => Object.values(queues).forEach((queue) => queue.splice(0));
  return player;
}

/** The pictures of both arms of a small world; of the digits there is none but their curves. */
function makePictures(mode, world) {
  const make = { curve: curvePicture, moons: moonsPicture }[mode];
  const scores = Object.fromEntries(ARMS.map(({ key }) => [key, valueOf(`score-${key}`)]));
  const [pictures, beside] = [0, 1].map(() => (make ? Object.fromEntries(ARMS.map(({ key }) => [key, make(world, key)])) : {}));
  const { scale, unit, digits, short } = SAID[mode];
  const said = ({ error }) => `${short} ${fixed(scale * error, digits)}${unit}`;
  const line = (kind) => swatch(10, svgPath(kind, "M0 5H28"));
  const key = legend(...(mode === "curve" ? [[line("dl-truth"), "the true curve"]] : []),
    [line("dl-thinned"), "single thinned networks"]);
  return {
    beside, // once more, next to the units
    parts: make ? [h("div", { class: "dl-arms" }, ...ARMS.map(({ key: arm, name: words }) =>
      h("div", { class: `dl-arm dl-of-${arm}` }, h("p", { class: "dl-name" }, words, h("small", {}, scores[arm])), ...pictures[arm].parts))), key] : [],
    clear() {
      for (const { key: arm, name: words } of ARMS) {
        scores[arm].textContent = "not trained yet";
        pictures[arm]?.clear();
        pictures[arm]?.describe(`${words}: the points, and no fit yet.`);
      }
    },
    draw(arm, frame) {
      pictures[arm]?.draw(frame);
      if (frame.test) scores[arm].textContent = said(frame.test);
      pictures[arm]?.describe(`${arm === "plain" ? "All units" : "Dropout"}: ${scores[arm].textContent}.`);
    },
    /** Draw what is left of a fit without some units, also beside these. */
    drawWithout(arm, fit, count) {
      pictures[arm].draw({ fit });
      beside[arm].clear();
      beside[arm].draw({ fit });
      beside[arm].describe(count ? `The fit without ${count} unit${count > 1 ? "s" : ""}.` : "The fit of the whole network.");
    },
  };
}

const timeLeft = (seconds) => (seconds === null ? ""
  : seconds > 90 ? `${Math.round(seconds / 60)} min left` : `${Math.ceil(seconds)} s left`);

/** What starts, stops and resets; the bar; the link to the experiment as it is set. */
function makeButtons(model, experiment, player) {
  const { landing, defaults, mode } = model.get("data");
  const toggle = button("Train", () => (experiment.running ? experiment.stop() : experiment.start()));
  const another = button("New points", () => assign(model, { seed: 1 + (model.get("seed") % 10) }));
  const play = button("Play", () => {
    player.playAnyway = true;
    experiment.start(true);
  });
  const reset = button("Reset", () => assign(model, defaults));
  const link = h("a", { href: "#" }, "Link to this experiment");
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Training" });
  const left = valueOf("time-left");
  const progress = h("div", { class: "dl-progress" }, bar, ...(landing ? [] : [left]));
  const shown = landing ? [another, ...(player.calm ? [play] : [])] : [toggle, reset, link];
  return {
    parts: [h("div", { class: "dl-buttons dl-run" }, ...shown, progress)],
    toggle, mode,
    update() {
      toggle.textContent = experiment.running ? "Stop" : "Train";
      bar.value = experiment.progress;
      left.textContent = experiment.running ? timeLeft(experiment.secondsLeft()) : "";
      progress.style.visibility = experiment.running ? "visible" : "hidden";
      link.setAttribute("href", addressOf(model));
    },
  };
}

/** The world of the shown seed, as long as nothing of it changes. */
function worldCache(model, experiment) {
  let [key, world] = ["", null];
  return () => {
    const task = tasksOf(model, "dropout", [model.get("seed")], experiment.digits())[0];
    const now = [task.seed, task.examples, task.noise].join();
    if (now !== key) [key, world] = [now, worldOf(task)];
    return world;
  };
}

/** What the reader sees of an experiment, and what changes it. */
function laboratoryView(model) {
  const data = model.get("data");
  const { mode, landing, quantiles } = data;
  const view = {};
  const experiment = makeExperiment(model, (kind, frame) => view.changed(kind, frame));
  const world = worldCache(model, experiment);
  const pictures = makePictures(mode, world);
  const curves = lossCurves(mode);
  const player = makePlayer((seen, last) => {
    for (const frame of last) pictures.draw(frame.arm, frame);
    if (landing) return; // it shows no curves
    for (const frame of seen) curves.add(frame);
    curves.draw(model.get("epochs"));
  });
  const controls = makeButtons(model, experiment, player);
  const numbers = resultsTable(mode);
  const summary = liveSummary();
  const seedChoice = choice(model, "seed", "Look at seed", Array.from({ length: 10 }, (_, i) => [i + 1, `${i + 1}`]));
  const shownResult = () => {
    const result = experiment.results.get(model.get("seed"));
    return result && ARMS.every(({ key }) => result[key]) ? result : null;
  };
  const redraw = (arm, gone) => {
    if (mode === "digits") return;
    const { layers } = shownResult()[arm];
    const mask = Float64Array.from({ length: layers[HIDDEN_LAYERS].inputs }, (_, unit) => (gone.has(unit) ? 0 : 1));
    pictures.drawWithout(arm, drawnOutputs(layers, world(), layers.map((_, l) => (l === HIDDEN_LAYERS ? mask : null))), gone.size);
  };
  const panel = unitsPanel(mode, redraw, pictures.beside);
  return Object.assign(view, { data, experiment, world, pictures, curves, player, controls, numbers, summary, seedChoice, shownResult, panel,
    results: () => experiment.seedsDone().map((seed) => [seed, experiment.results.get(seed)]), quantiles, landing, mode });
}

/** Say in words and numbers where the experiment stands. */
function report(model, view) {
  const { experiment, mode, quantiles } = view;
  const results = view.results();
  view.numbers.show(results, quantiles);
  view.controls.update();
  const seeds = experiment.wanted?.length ?? 0;
  view.summary.textContent = experiment.failure ||
    (experiment.running ? `Training both networks, ${seeds > 1 ? `${seeds} seeds` : `seed ${experiment.wanted[0]}`}. ` : "") +
    (results.length ? outcome(mode, results, quantiles) : experiment.running ? "" : intention(model));
  const labels = view.seedChoice.element.querySelectorAll("label");
  labels.forEach((label, i) => (label.hidden = !results.some(([seed]) => seed === i + 1) && i + 1 !== model.get("seed")));
  view.seedChoice.element.hidden = results.length < 2;
}

/** Show what both networks make of the world before any step: there is a picture before a worker is up. */
function showStart(model, view) {
  for (const { key } of ARMS) {
    const task = tasksOf(model, key, [model.get("seed")], null)[0];
    view.pictures.draw(key, { fit: drawnOutputs(initialLayers(task, view.world()), view.world()) });
  }
}

/** Show the trained networks of the shown seed, or the world without any. */
function showSeed(model, view) {
  const result = view.shownResult();
  view.inside.allow(result);
  if (!result) return;
  view.player.finish();
  for (const { key } of ARMS) {
    const task = tasksOf(model, key, [model.get("seed")], null)[0];
    const { layers, test } = result[key];
    if (view.mode !== "digits") {
      view.pictures.draw(key, { fit: drawnOutputs(layers, view.world()), thinned: thinnedOutputs(layers, view.world(), task), test });
    }
  }
  if (view.inside.isOpen()) view.panel.show(view.world(), result);
}

/** The fold with the panel of units, which has something to show once networks are trained. */
function makeInside(panel, opened) {
  const note = h("p", {}, "There is nothing to look at yet: train the networks first.");
  const element = h("details", { ontoggle: () => element.open && opened() },
    h("summary", {}, "Look inside: remove units, see pairs interact"), note, panel.element);
  return {
    element,
    isOpen: () => element.open,
    isAllowed: () => note.hidden,
    allow(result) {
      note.hidden = Boolean(result);
      panel.element.hidden = !result;
    },
  };
}

/** Take up what has moved since the last time. */
function follow(model, view, last) {
  const settings = HANDLES.filter((name) => !KEPT_BY_SEEDS.includes(name)).map((name) => model.get(name)).join();
  const seed = model.get("seed");
  if (settings === last.settings && seed === last.seed) return { settings, seed };
  const moved = settings !== last.settings;
  view.player.clear();
  view.curves.clear(model.get("epochs"));
  view.inside.allow(null);
  if (moved) view.experiment.clear();
  else if (view.landing) view.experiment.stop();
  if (view.mode !== "digits") {
    view.pictures.clear();
    if (view.landing) showStart(model, view);
  }
  if (view.shownResult()) showSeed(model, view);
  if (view.landing && last.settings !== undefined) view.experiment.start();
  return { settings, seed };
}

function render({ model, el }) {
  const linked = model instanceof StaticModel && readAddress(model);
  const view = laboratoryView(model);
  const handles = makeHandles(model);
  const { experiment, mode, landing } = view;
  view.inside = makeInside(view.panel, () => view.shownResult() && showSeed(model, view));
  view.changed = (kind, frame) => {
    if (kind === "frame") {
      if (frame.seed === model.get("seed")) view.player.add(frame);
      view.controls.update();
    } else {
      report(model, view);
      if (!experiment.running && view.shownResult() && !view.inside.isAllowed()) {
        if (view.inside.isOpen()) showSeed(model, view);
        else view.inside.allow(view.shownResult());
      }
    }
  };
  let last = {};
  function update() {
    const address = addressOf(model);
    if (model instanceof StaticModel && last.address && last.address !== address) history.replaceState(null, "", address);
    last = { ...follow(model, view, last), address };
    report(model, view);
  }
  const close = mount({ model, el }, {
    name: "laboratory",
    title: landing ? "Two networks learn the same points" : TITLES[mode],
    parts: landing
      ? [...view.pictures.parts, h("div", { class: "dl-landing" }, ...handles.parts, ...view.controls.parts), view.summary]
      : [...handles.parts, ...view.controls.parts, ...view.pictures.parts, // words, whose length changes, stand below all pictures
        columns(view.curves.parts, [view.summary, view.numbers.element, view.seedChoice.element]), view.inside.element],
    controls: [...handles.controls, view.seedChoice],
    traits: [...HANDLES, "seed"],
    update,
  });
  if (linked) el.scrollIntoView();
  if (landing) experiment.start();
  return () => {
    experiment.stop();
    close();
  };
}

export default { render };
