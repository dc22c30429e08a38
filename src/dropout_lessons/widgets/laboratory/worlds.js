// What there is to learn: the digits, a function of one variable, two moons. A world of a seed has the same examples for
// every arm.

const GRID = 28; // of the picture of the moons, squared
const LINE = 161; // points of the picture of a function
const CURVE = { low: -1.15, high: 1.15 };
const MOONS = { low: [-1.5, -1.1], high: [2.5, 1.6] };

function curveTruth(x) {
  return 0.8 * Math.sin(3 * x);
}

/** Noisy points of a function, and the function itself between them. */
function curveWorld({ seed, examples, noise }) {
  const draw = drawing(seed, 1);
  const x = Float64Array.from({ length: examples }, () => 2 * draw.uniform() - 1);
  const y = x.map((value) => curveTruth(value) + noise * draw.normal());
  const testX = Float64Array.from({ length: 201 }, (_, i) => -1 + i / 100);
  const picture = Float64Array.from({ length: LINE }, (_, i) => CURVE.low + (i / (LINE - 1)) * (CURVE.high - CURVE.low));
  return {
    train: { x, y, n: examples }, test: { x: testX, y: testX.map(curveTruth), n: testX.length }, picture,
    sizes: [1, 1], wide: 3, loss: squaredError,
  };
}

/** Points of two half circles that reach into each other. */
function moonPoints(n, noise, draw) {
  const [x, y] = [new Float64Array(2 * n), new Uint8Array(n)];
  for (let e = 0; e < n; e++) {
    const angle = Math.PI * draw.uniform();
    y[e] = e % 2;
    x[2 * e] = (y[e] ? 1 - Math.cos(angle) : Math.cos(angle)) + noise * draw.normal();
    x[2 * e + 1] = (y[e] ? 0.5 - Math.sin(angle) : Math.sin(angle)) + noise * draw.normal();
  }
  return { x, y, n };
}

function moonsWorld({ seed, examples, noise }) {
  const draw = drawing(seed, 1);
  const picture = new Float64Array(2 * GRID * GRID);
  for (let i = 0; i < GRID * GRID; i++) {
    const place = [(i % GRID) / (GRID - 1), Math.floor(i / GRID) / (GRID - 1)];
    place.forEach((share, axis) => (picture[2 * i + axis] = MOONS.low[axis] + share * (MOONS.high[axis] - MOONS.low[axis])));
  }
  return {
    train: moonPoints(examples, noise, draw), test: moonPoints(1000, noise, draw), picture,
    sizes: [2, 2], wide: 1.5, loss: crossEntropy,
  };
}

/** Digits from bytes: 1,000 for training, then 1,000 for testing, each 14 x 14 pixels; then their labels. */
function digitsWorld({ seed, examples, noise, digits }) {
  const draw = drawing(seed, 1);
  const pixels = 196;
  const take = (places) => {
    const x = new Float64Array(places.length * pixels);
    places.forEach((place, e) => {
      for (let i = 0; i < pixels; i++) x[e * pixels + i] = digits[place * pixels + i] / 255;
    });
    return { x, y: Uint8Array.from(places, (place) => digits[2000 * pixels + place]), n: places.length };
  };
  const train = take(draw.order(1000).slice(0, examples));
  // As datasets.load has it: an exact number of labels is replaced by ones drawn from all classes, the true one included.
  const random = Uint8Array.from({ length: examples }, () => draw.below(10));
  for (const e of draw.order(examples).slice(0, Math.round(noise * examples))) train.y[e] = random[e];
  return { train, test: take(Int32Array.from({ length: 1000 }, (_, i) => 1000 + i)), sizes: [pixels, 10], loss: crossEntropy };
}

function worldOf(task) {
  return { digits: digitsWorld, curve: curveWorld, moons: moonsWorld }[task.mode](task);
}
