// One arm's training at one seed, wherever it runs: a worker finishes it, the page's own thread takes it in slices.

const HIDDEN_LAYERS = 2;
const THINNED = 12; // thinned networks in a picture
const LOOKS = 24; // times that the digits' losses are measured

/** How a world is trained: the digits as the book's recipe has it, the small worlds with all examples in a step. */
function scheduleOf({ mode, epochs, examples }) {
  if (mode !== "digits") return { batch: examples, rate: 0.005, steps: epochs, optimizer: adamStep() };
  const batch = Math.min(100, examples);
  return { batch, rate: 0.1, steps: epochs * Math.ceil(examples / batch), optimizer: momentumStep(0.9) };
}

/** The masks of one step, drawn in the order of the layers. */
function stepMasks(layers, batch, { keepInput, keepHidden }, draw) {
  return layers.map(({ inputs }, l) => drawMask(batch * inputs, l === 0 ? keepInput : keepHidden, draw));
}

/** The network of a task before any step; both arms of a seed begin with the same one. */
function initialLayers({ seed, width }, { sizes: [inputs, outputs], wide }) {
  return makeLayers([inputs, ...new Array(HIDDEN_LAYERS).fill(width), outputs], drawing(seed, 2), wide);
}

function takeBatch({ x, y, n }, places) {
  if (places === null) return { x, y };
  const inputs = x.length / n;
  const chosen = new Float64Array(places.length * inputs);
  places.forEach((place, e) => chosen.set(x.subarray(place * inputs, (place + 1) * inputs), e * inputs));
  return { x: chosen, y: y.constructor.from(places, (place) => y[place]) };
}

/** One step down the gradient; returns the loss before it, under its masks. */
function step(layers, { x, y }, masks, rate, { loss, optimizer, l2, maxNorm }) {
  const pass = forward(layers, x, y.length, masks);
  const { loss: value, d } = loss(pass.output, y, y.length);
  backward(layers, pass, masks, d, y.length).forEach((gradient, l) => {
    const { w, b } = layers[l];
    if (l2 > 0) for (let i = 0; i < w.length; i++) gradient.w[i] += l2 * w[i];
    optimizer(w, gradient.w, rate);
    optimizer(b, gradient.b, rate);
    if (maxNorm > 0) projectNorms(layers[l], maxNorm);
  });
  return value;
}

/** What a network makes of the picture's places: its output, or by how much it prefers the second class. */
function drawnOutputs(layers, { picture, sizes }, masks) {
  const places = picture.length / sizes[0];
  const { output } = forward(layers, picture, places, masks);
  return Float32Array.from({ length: places }, (_, i) => (sizes[1] === 1 ? output[i] : output[2 * i + 1] - output[2 * i]));
}

/** Pictures of thinned networks. Each keeps one mask for all places, or its line would be noise. */
function thinnedOutputs(layers, world, task) {
  if (task.keepHidden === 1) return [];
  const draw = drawing(task.seed, 5);
  return Array.from({ length: THINNED }, () => drawnOutputs(layers, world,
    layers.map(({ inputs }, l) => (l === 0 ? null : drawMask(inputs, task.keepHidden, draw)))));
}

function score(layers, { x, y, n }, loss) {
  const { loss: value, error } = loss(forward(layers, x, n).output, y, n);
  return { loss: value, error };
}

const copied = (layers) => layers.map(({ inputs, outputs, w, b }) => ({ inputs, outputs, w: w.slice(), b: b.slice() }));

/** What there is to see after a step: scores without masks, and in a small world its picture. */
function lookOf(layers, world, task, done, steps, whole) {
  const frame = { kind: "frame", done, steps, train: score(layers, world.train, world.loss), test: score(layers, world.test, world.loss) };
  if (!world.picture) return frame;
  return { ...frame, fit: drawnOutputs(layers, world), thinned: whole ? thinnedOutputs(layers, world, task) : null };
}

/**
 * Train one arm at one seed. Yields after each step, so that who drives it may rest: the step's loss under its masks,
 * and now and then a frame; at last the result.
 */
function* training(task) {
  const world = worldOf(task);
  const layers = initialLayers(task, world);
  const { batch, rate, steps, optimizer } = scheduleOf(task);
  const how = { loss: world.loss, optimizer, l2: task.l2, maxNorm: task.maxNorm };
  const [masks, batches] = [drawing(task.seed, 3), drawing(task.seed, 4)];
  const every = Math.max(1, Math.round(steps / (world.picture ? task.frames : LOOKS)));
  yield lookOf(layers, world, task, 0, steps, true);
  let [order, at] = [null, 0];
  for (let done = 1; done <= steps; done++) {
    if (batch < world.train.n && (order === null || at >= order.length)) [order, at] = [batches.order(world.train.n), 0];
    const places = batch < world.train.n ? order.slice(at, at + batch) : null;
    at += batch;
    const chosen = takeBatch(world.train, places);
    yield step(layers, chosen, stepMasks(layers, chosen.y.length, task, masks), rate * (1 - (done - 1) / steps), how);
    if (done % every === 0 && done < steps) yield lookOf(layers, world, task, done, steps, (done / every) % 8 === 0);
  }
  yield lookOf(layers, world, task, steps, steps, true);
  yield { kind: "result", train: score(layers, world.train, world.loss), test: score(layers, world.test, world.loss), layers: copied(layers) };
}

/** What a worker does with the tasks that it is given: all of each, posting what it yields. */
function work() {
  self.onmessage = ({ data: task }) => {
    for (const said of training(task)) if (said.kind) self.postMessage({ id: task.id, ...said });
  };
}

// A worker's whole program. A function that is missing here is a ReferenceError there.
const PROGRAM = [
  uniformStream, drawing, makeLayers, drawMask, affine, forward, backward, crossEntropy, squaredError, momentumStep, adamStep,
  projectNorms, curveTruth, curveWorld, moonPoints, moonsWorld, digitsWorld, worldOf, scheduleOf, stepMasks, initialLayers,
  takeBatch, step, drawnOutputs, thinnedOutputs, score, lookOf, training, work,
];

function programText() {
  const constants = { GRID, LINE, CURVE, MOONS, HIDDEN_LAYERS, THINNED, LOOKS };
  return [
    ...Object.entries(constants).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`),
    `const copied = ${copied};`, ...PROGRAM.map(String), "work();",
  ].join("\n");
}
