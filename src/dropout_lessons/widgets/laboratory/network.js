// Networks of ReLU units. A layer's weights stand in rows by its inputs, so that an input that is 0 costs nothing:
// dropped units, silent ReLUs and white paper are skipped.

/** Numbers drawn one after another for a purpose; the same for a seed on every visit. */
function drawing(seed, purpose) {
  const uniform = uniformStream(Math.imul(seed, 64) + purpose);
  let drawn = 0;
  const next = () => uniform(drawn++);
  return {
    uniform: next,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    below: (n) => Math.floor(next() * n),
    /** The numbers from 0 to n - 1 in a random order. */
    order(n) {
      const places = Int32Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const j = Math.floor(next() * (i + 1));
        [places[i], places[j]] = [places[j], places[i]];
      }
      return places;
    },
  };
}

/** Layers of these sizes: He's normal weights and biases of 0, or for `wide` the first ones wide, so that kinks lie everywhere. */
function makeLayers(sizes, draw, wide) {
  return sizes.slice(1).map((outputs, l) => {
    const inputs = sizes[l];
    const spread = wide && l === 0 ? wide : Math.sqrt(2 / inputs);
    return {
      inputs, outputs,
      w: Float64Array.from({ length: inputs * outputs }, () => spread * draw.normal()),
      b: Float64Array.from({ length: outputs }, () => (wide && l === 0 ? wide * (2 * draw.uniform() - 1) : 0)),
    };
  });
}

/** One factor for each number: 1 / keepProb where it is kept, 0 where it is dropped. Null where nothing can be dropped. */
function drawMask(length, keepProb, draw) {
  if (keepProb === 1) return null;
  const mask = new Float64Array(length);
  for (let i = 0; i < length; i++) mask[i] = draw.uniform() < keepProb ? 1 / keepProb : 0;
  return mask;
}

/** What a layer makes of its inputs, before a ReLU. */
function affine({ inputs, outputs, w, b }, a, batch) {
  const z = new Float64Array(batch * outputs);
  for (let e = 0; e < batch; e++) {
    const to = e * outputs;
    for (let k = 0; k < outputs; k++) z[to + k] = b[k];
    for (let j = 0; j < inputs; j++) {
      const value = a[e * inputs + j];
      if (value === 0) continue;
      const row = j * outputs;
      for (let k = 0; k < outputs; k++) z[to + k] += value * w[row + k];
    }
  }
  return z;
}

/**
 * A batch through all layers: `received[l]` is what layer l gets, after its mask. A mask has a factor for each number
 * of the batch, or one for each unit, which the whole batch then shares.
 */
function forward(layers, x, batch, masks = []) {
  const received = [];
  let a = x;
  layers.forEach((layer, l) => {
    const mask = masks[l];
    if (mask) {
      const length = mask.length;
      a = a.map((value, i) => value * mask[length === a.length ? i : i % length]);
    }
    received.push(a);
    a = affine(layer, a, batch);
    if (l < layers.length - 1) for (let i = 0; i < a.length; i++) if (!(a[i] > 0)) a[i] = 0;
  });
  return { received, output: a };
}

/** Gradients of every layer's weights and biases, from the loss's gradient for the outputs; masks as they were forward. */
function backward(layers, { received }, masks, dOutput, batch) {
  const gradients = layers.map(({ w, b }) => ({ w: new Float64Array(w.length), b: new Float64Array(b.length) }));
  let d = dOutput;
  for (let l = layers.length - 1; l >= 0; l--) {
    const { inputs, outputs, w } = layers[l];
    const [a, mask, gw, gb] = [received[l], masks[l], gradients[l].w, gradients[l].b];
    const below = l > 0 ? new Float64Array(batch * inputs) : null;
    for (let e = 0; e < batch; e++) {
      const from = e * outputs;
      for (let k = 0; k < outputs; k++) gb[k] += d[from + k];
      for (let j = 0; j < inputs; j++) {
        const value = a[e * inputs + j];
        if (value === 0) continue; // dropped, or its ReLU is silent: no gradient passes
        const row = j * outputs;
        let total = 0;
        for (let k = 0; k < outputs; k++) {
          gw[row + k] += value * d[from + k];
          total += w[row + k] * d[from + k];
        }
        if (below) below[e * inputs + j] = mask ? total * mask[e * inputs + j] : total;
      }
    }
    d = below;
  }
  return gradients;
}

/** Mean cross-entropy in nats of classes y, the number of errors, and the gradient for the logits. */
function crossEntropy(logits, y, batch) {
  const classes = logits.length / batch;
  const d = new Float64Array(logits.length);
  let [loss, errors] = [0, 0];
  for (let e = 0; e < batch; e++) {
    const at = e * classes;
    let [largest, best] = [-Infinity, 0];
    for (let k = 0; k < classes; k++) if (logits[at + k] > largest) [largest, best] = [logits[at + k], k];
    let total = 0;
    for (let k = 0; k < classes; k++) total += d[at + k] = Math.exp(logits[at + k] - largest);
    for (let k = 0; k < classes; k++) d[at + k] /= total * batch;
    d[at + y[e]] -= 1 / batch;
    loss += largest + Math.log(total) - logits[at + y[e]];
    errors += best === y[e] ? 0 : 1;
  }
  return { loss: loss / batch, error: errors / batch, d };
}

/** Mean squared error of one output, which is its error too, and its gradient. */
function squaredError(outputs, y, batch) {
  let loss = 0;
  const d = outputs.map((output, e) => {
    loss += (output - y[e]) ** 2 / batch;
    return (2 * (output - y[e])) / batch;
  });
  return { loss, error: loss, d };
}

/** A step of SGD with momentum mu: v <- mu v + g, w <- w - rate v. */
function momentumStep(mu) {
  const velocities = new Map();
  return (values, gradient, rate) => {
    if (!velocities.has(values)) velocities.set(values, new Float64Array(values.length));
    const v = velocities.get(values);
    for (let i = 0; i < v.length; i++) {
      v[i] = mu * v[i] + gradient[i];
      values[i] -= rate * v[i];
    }
  };
}

/** A step of Adam, with the usual constants. */
function adamStep() {
  const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
  const moments = new Map();
  return (values, gradient, rate) => {
    if (!moments.has(values)) {
      moments.set(values, { m: new Float64Array(values.length), v: new Float64Array(values.length), steps: 0 });
    }
    const moment = moments.get(values);
    const { m, v } = moment;
    moment.steps += 1;
    const [first, second] = [1 - beta1 ** moment.steps, 1 - beta2 ** moment.steps];
    for (let i = 0; i < m.length; i++) {
      m[i] = beta1 * m[i] + (1 - beta1) * gradient[i];
      v[i] = beta2 * v[i] + (1 - beta2) * gradient[i] ** 2;
      values[i] -= (rate * (m[i] / first)) / (Math.sqrt(v[i] / second) + epsilon);
    }
  };
}

/** Project each unit's incoming weights onto the ball of this radius. */
function projectNorms({ inputs, outputs, w }, radius) {
  for (let k = 0; k < outputs; k++) {
    let square = 0;
    for (let j = 0; j < inputs; j++) square += w[j * outputs + k] ** 2;
    const factor = radius / Math.sqrt(square);
    if (factor < 1) for (let j = 0; j < inputs; j++) w[j * outputs + k] *= factor;
  }
}
