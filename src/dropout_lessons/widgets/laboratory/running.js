// Where the tasks of an experiment run: a worker for each arm, or slices of the page's own thread where a host refuses
// workers.

const SLICE = 12; // milliseconds of the page's thread at a time

let program; // the address of the workers' program, a blob, so that it needs no file and no server

/** A worker; null where none can be made. */
function makeWorker() {
  try {
    program ??= URL.createObjectURL(new Blob([programText()], { type: "text/javascript" }));
    return new Worker(program);
  } catch {
    return null;
  }
}

/** Drive one task on the page's own thread, so that the page stays alive. */
function inSlices(task, hear, isStopped) {
  const steps = training(task);
  const slice = () => {
    const until = performance.now() + SLICE;
    while (!isStopped() && performance.now() < until) {
      const { value, done } = steps.next();
      if (done) return;
      if (value.kind) hear(task, value);
    }
    if (!isStopped()) setTimeout(slice);
  };
  setTimeout(slice);
}

/** Run an arm's tasks one after another; `hear(task, said)` gets what each says. Returns what stops it. */
function runArm(tasks, hear) {
  let [worker, at, heard, stopped] = [makeWorker(), 0, false, false];
  const isStopped = () => stopped;
  const said = (task, message) => {
    hear(task, message);
    if (message.kind === "result") next(at + 1);
  };
  function next(place) {
    at = place;
    if (stopped || at === tasks.length) worker?.terminate();
    else if (worker) worker.postMessage(tasks[at]);
    else inSlices(tasks[at], said, isStopped);
  }
  if (worker) {
    worker.onmessage = ({ data }) => {
      heard = true;
      if (!stopped) said(tasks[at], data);
    };
    worker.onerror = (event) => {
      if (heard) return; // a fault of its own, which the console tells
      event.preventDefault(); // a policy of the page refuses it
      worker.terminate();
      worker = null;
      next(0);
    };
  }
  next(0);
  return () => {
    stopped = true;
    worker?.terminate();
  };
}

/** The digits' bytes, from base64 text of their compressed form. */
async function unpackDigits(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The digits: in the output itself, from a script that several pages share (not fetched: it works from a file), or of the kernel. */
function loadDigits(model) {
  const { digits, digits_script: address } = model.get("data");
  if (digits) return unpackDigits(digits);
  if (globalThis.dropoutLessonsDigits) return unpackDigits(globalThis.dropoutLessonsDigits);
  if (model instanceof StaticModel) {
    return new Promise((resolve, reject) => {
      const script = h("script", {
        onload: () => resolve(unpackDigits(globalThis.dropoutLessonsDigits)),
        onerror: () => reject(new Error(`The digits could not be loaded from ${address}.`)),
      });
      script.setAttribute("src", address);
      document.head.append(script);
    });
  }
  return new Promise((resolve) => {
    const arrived = () => {
      model.off("change:digits", arrived);
      resolve(unpackDigits(model.get("digits")));
    };
    if (model.get("digits")) arrived();
    else model.on("change:digits", arrived);
    assign(model, { wanted: true });
  });
}
