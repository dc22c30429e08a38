// Predictions that commit. What follows a question in its section is hidden until the reader answers it or asks to be
// shown. Answers stay in this browser (localStorage); none is sent, none is graded. The questions come from
// book/_ext/predictions.py, what came out from dropout_lessons.predictions.

(() => {
  const KEY = "dropout-lessons.predictions";
  const CLOSE = 1 / 10; // of the scale: so near is "as you thought"
  const page = location.pathname.split("/").pop().replace(/\.html$/, "");

  let memory = {}; // where the browser keeps nothing
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return memory;
    }
  };
  const write = (all) => {
    memory = all;
    try {
      localStorage.setItem(KEY, JSON.stringify(all));
    } catch {}
  };
  const change = (edit) => {
    const all = read();
    edit(all);
    write(all);
  };

  /** An element; "svg:line" makes an SVG element. */
  const h = (tag, attributes = {}, ...children) => {
    const element = tag.startsWith("svg:")
      ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
      : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  };
  const button = (label, onclick, kind = "") => h("button", { type: "button", class: kind, onclick }, label);

  const numeral = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
  const withUnit = ({ unit }, value) => `${numeral(value)}${!unit || unit === "%" ? unit : ` ${unit}`}`;
  const onAxis = (data, value) => (data.unit === "%" ? withUnit(data, value) : numeral(value));
  const stepOf = ({ low, high }) => 10 ** Math.floor(Math.log10((high - low) / 20));
  const within = ({ low, high }, value) => Math.min(high, Math.max(low, value));

  /** A picture of curves over the places, or of a scale with marks. */
  const WIDE = 340, TALL = 190, LEFT = 46, RIGHT = 14, TOP = 24, BOTTOM = 44;
  const x = (data, i) => LEFT + 12 + (i * (WIDE - LEFT - RIGHT - 24)) / Math.max(1, data.places.length - 1);
  const y = (data, value) => TALL - BOTTOM - ((within(data, value) - data.low) / (data.high - data.low)) * (TALL - TOP - BOTTOM);
  const text = (at, content, anchor = "middle") => h("svg:text", { x: at[0], y: at[1], "text-anchor": anchor }, content);
  const line = (kind, data, heights) =>
    h("svg:polyline", { class: kind, points: heights.map((value, i) => `${x(data, i)},${y(data, value)}`).join(" ") });

  const drawn = (data, found) => [
    line("real", data, found),
    ...found.map((value, i) => h("svg:circle", { class: "real", r: 4, cx: x(data, i), cy: y(data, value) })),
  ];

  const curveFrame = (data, label) => {
    const svg = h("svg:svg", { viewBox: `0 0 ${WIDE} ${TALL}`, class: "prediction-curve", role: "group", "aria-label": label });
    svg.append(h("svg:path", { class: "frame", d: `M${LEFT} ${TOP}V${TALL - BOTTOM}H${WIDE - RIGHT}` }));
    for (const value of [data.low, (data.low + data.high) / 2, data.high]) {
      svg.append(text([LEFT - 6, y(data, value) + 4], onAxis(data, value), "end"));
    }
    if (data.unit !== "%") svg.append(text([LEFT - 6, 11], data.unit, "start"));
    if (data.low < 0) svg.append(h("svg:path", { class: "zero", d: `M${LEFT} ${y(data, 0)}H${WIDE - RIGHT}` }));
    data.places.forEach((place, i) => svg.append(text([x(data, i), TALL - BOTTOM + 16], place)));
    svg.append(text([(LEFT + WIDE - RIGHT) / 2, TALL - 8], data.axis));
    return svg;
  };

  /** What a reader answers with: an element, the answer or undefined, and a way to show an answer that was given. */
  const inputs = {
    choice(data, box, changed) {
      const list = box.querySelector("ul");
      const radios = [];
      const group = h("fieldset", {}, h("legend", { class: "visually-hidden" }, "Your prediction"));
      [...list.children].forEach((item, i) => {
        const radio = h("input", { type: "radio", name: box.id, value: i, onchange: changed });
        radios.push(radio);
        const label = h("label", {}, radio, h("span"));
        const inner = item.children.length === 1 && item.firstElementChild.tagName === "P" ? item.firstElementChild : item;
        label.lastChild.append(...inner.childNodes);
        group.append(label);
      });
      list.replaceWith(group);
      return {
        get: () => (radios.some((radio) => radio.checked) ? data.choices[radios.findIndex((radio) => radio.checked)] : undefined),
        set: (value) => radios.forEach((radio, i) => (radio.checked = data.choices[i] === value)),
        lock: (locked) => (group.disabled = locked),
      };
    },

    number(data, box, changed) {
      let moved = false;
      const shown = h("output", {}, "move the slider");
      const slider = h("input", { type: "range", min: data.low, max: data.high, step: stepOf(data), "aria-label": `Your prediction${data.unit ? `, in ${data.unit}` : ""}` });
      const show = () => {
        shown.textContent = moved ? withUnit(data, Number(slider.value)) : "move the slider";
        slider.setAttribute("aria-valuetext", moved ? shown.textContent : "no answer yet");
      };
      slider.value = (data.low + data.high) / 2;
      slider.addEventListener("input", () => ((moved = true), show(), changed()));
      slider.addEventListener("pointerup", () => ((moved = true), show(), changed()));
      box.querySelector(".prediction-scale").replaceWith(
        h("div", { class: "prediction-slider" }, h("span", {}, onAxis(data, data.low)), slider, h("span", {}, onAxis(data, data.high)), shown),
      );
      show();
      return {
        get: () => (moved ? Number(slider.value) : undefined),
        set(value) {
          moved = value !== undefined;
          slider.value = value ?? (data.low + data.high) / 2;
          show();
        },
        lock: (locked) => (slider.disabled = locked),
      };
    },

    curve(data, box, changed) {
      const middle = () => data.places.map(() => (data.low + data.high) / 2);
      let heights = middle(), moved = new Set(), locked = false;
      const label = `Your curve over ${data.axis}: draw it, or move its points with the arrow keys`;
      const svg = curveFrame(data, label), real = h("svg:g");
      const hint = h("p", { class: "prediction-hint" }, "Draw your curve with a finger or the mouse, in one sweep or point by point.");
      const path = line("yours", data, heights);
      const points = data.places.map((place, i) =>
        h("svg:circle", {
          r: 8, cx: x(data, i), tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-label": `at ${place}`,
          "aria-valuemin": data.low, "aria-valuemax": data.high,
          onkeydown(event) {
            const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
            if (!steps || locked) return;
            event.preventDefault();
            event.stopPropagation();
            put(i, heights[i] + steps * stepOf(data));
          },
        }));
      svg.append(path, ...points, real);
      const draw = () => {
        path.setAttribute("points", line("", data, heights).getAttribute("points"));
        points.forEach((point, i) => {
          point.setAttribute("cy", y(data, heights[i]));
          point.setAttribute("aria-valuenow", heights[i]);
          point.setAttribute("aria-valuetext", withUnit(data, heights[i]));
        });
      };
      const put = (i, value) => {
        const step = stepOf(data);
        heights[i] = Number(within(data, Math.round(value / step) * step).toPrecision(6));
        moved.add(i);
        draw();
        changed();
      };
      let last = null; // where the pointer was: the place and the value, while it is down
      const follow = (event) => {
        const area = svg.getBoundingClientRect();
        const [px, py] = [((event.clientX - area.left) / area.width) * WIDE, ((event.clientY - area.top) / area.height) * TALL];
        const i = data.places.reduce((best, _, each) => (Math.abs(x(data, each) - px) < Math.abs(x(data, best) - px) ? each : best), 0);
        const value = data.low + ((TALL - BOTTOM - py) / (TALL - TOP - BOTTOM)) * (data.high - data.low);
        const from = last ?? [i, value], steps = Math.abs(i - from[0]) || 1;
        for (let step = 1; step <= steps; step++) { // a quick sweep leaves no place out
          put(from[0] + (Math.sign(i - from[0]) * step), from[1] + ((value - from[1]) * step) / steps);
        }
        last = [i, value];
      };
      svg.addEventListener("pointerdown", (event) => {
        if (locked) return;
        svg.setPointerCapture(event.pointerId);
        follow(event);
      });
      svg.addEventListener("pointermove", (event) => last && follow(event));
      for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => (last = null));
      draw();
      box.querySelector(".prediction-scale").replaceWith(h("div", {}, svg, hint));
      return {
        get: () => (moved.size >= Math.min(2, data.places.length) ? heights : undefined), // one point is a slip
        set(value) {
          moved = new Set(value?.keys());
          heights = value ? [...value] : middle();
          draw();
        },
        show(found) { // in the place of a curve that nobody drew
          svg.classList.toggle("shown", Boolean(found));
          svg.setAttribute("aria-label", found ? `What came out: ${inWords(data, found)}.` : label);
          real.replaceChildren(...(found ? drawn(data, found) : []));
        },
        lock(now) {
          locked = hint.hidden = now;
          svg.classList.toggle("locked", now);
          for (const point of points) {
            if (now) point.setAttribute("aria-disabled", "true");
            else point.removeAttribute("aria-disabled");
            point.setAttribute("tabindex", now ? -1 : 0);
          }
        },
      };
    },
  };

  const near = (data, a, b) => Math.abs(a - b) <= CLOSE * (data.high - data.low) + 1e-9;
  const asThought = (data, answer, found) => {
    if (data.kind === "choice") return answer === found;
    if (data.kind === "number") return near(data, answer, found);
    return distance(data, answer, found) <= CLOSE * (data.high - data.low);
  };
  const inWords = (data, value) =>
    data.kind === "choice" ? value : data.kind === "number" ? withUnit(data, value) : value.map((each) => withUnit(data, each)).join(", ");

  const distance = (data, a, b) => a.reduce((sum, value, i) => sum + Math.abs(within(data, b[i]) - value), 0) / a.length;
  const quoted = (data, value) => (data.kind === "choice" ? `“${value}”` : inWords(data, value));
  const surprise = (data, answer, found) =>
    data.kind === "curve" ? `your curve was ${withUnit({ unit: data.unit === "%" ? "points" : data.unit }, distance(data, answer, found))} off, on average`
      : `you said ${quoted(data, answer)}; it came out ${quoted(data, found)}`;

  /** The reader's number or curve and the real one in one picture. */
  const compared = (data, answer, found) => {
    if (data.kind === "curve") {
      const svg = curveFrame(data, "");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", `Your curve: ${inWords(data, answer)}. What came out: ${inWords(data, found)}.`);
      svg.append(line("yours", data, answer), ...drawn(data, found));
      return [svg, h("p", { class: "prediction-key" }, h("span", { class: "yours" }, "your curve"), " ", h("span", { class: "real" }, "what came out"))];
    }
    if (data.kind !== "number") return [];
    const at = (value) => 20 + ((within(data, value) - data.low) / (data.high - data.low)) * 300;
    const svg = h("svg:svg", {
      viewBox: "0 0 340 62", class: "prediction-scale-picture", role: "img",
      "aria-label": `Your number: ${inWords(data, answer)}. What came out: ${inWords(data, found)}.`,
    });
    const anchor = (value) => (at(value) < 70 ? "start" : at(value) > 270 ? "end" : "middle");
    svg.append(
      h("svg:path", { class: "frame", d: "M20 31H320M20 26v10M320 26v10" }),
      h("svg:path", { class: "yours", d: `M${at(answer)} 22v18` }),
      h("svg:circle", { class: "real", r: 6, cx: at(found), cy: 31 }),
      text([at(answer), 15], `you: ${inWords(data, answer)}`, anchor(answer)),
      text([at(found), 56], inWords(data, found), anchor(found)),
    );
    return [svg];
  };

  const boxes = [...document.querySelectorAll(".admonition.prediction")];
  const outcomes = new Map([...document.querySelectorAll(".prediction-outcome")].map((element) => [element.dataset.prediction, element]));

  const predictions = boxes.map((box) => {
    const data = JSON.parse(box.querySelector("script").textContent);
    const key = `${page}/${data.name}`;
    const outcome = outcomes.get(data.name);
    const found = outcome && JSON.parse(outcome.dataset.found);
    const state = () => read()[key]; // {answer} once committed, {shown: true} once shown
    const commit = button("Commit", () => settle({ answer: input.get() }), "commit");
    const input = inputs[data.kind](data, box, () => (commit.disabled = input.get() === undefined));
    const status = h("p", { class: "prediction-status", role: "status", tabindex: -1 });
    const controls = h("div", { class: "prediction-buttons" }, commit, button("Show me", () => settle({ shown: true })));
    const all = button("Show all results of this book", () => showAll(true), "quiet");
    const undo = button("Undo", () => showAll(false));
    const told = h("p", { class: "prediction-all", hidden: true }, h("span", { role: "status" }), undo);
    const yours = h("div", { class: "prediction-yours" });
    outcome?.append(yours);
    controls.append(all, told);
    box.append(controls, status);

    /** Show everything, or no longer; this question stays where it is, although those above it grow or shrink. */
    function showAll(open) {
      const before = box.getBoundingClientRect().top;
      change((stored) => (stored.open = open));
      told.hidden = !open;
      update();
      told.firstChild.textContent = open ? "All results are shown." : "";
      (open ? undo : all).focus({ preventScroll: true });
      scrollBy({ top: box.getBoundingClientRect().top - before, behavior: "instant" });
    }

    function settle(result) {
      change((all) => (all[key] = result));
      update();
      status.focus({ preventScroll: true });
    }

    function draw(open) {
      const now = state();
      box.classList.toggle("answered", Boolean(now));
      controls.hidden = Boolean(now);
      all.hidden = open;
      told.hidden ||= !open;
      commit.disabled = true;
      input.set(now?.answer);
      input.lock(Boolean(now));
      input.show?.(now?.shown ? found : undefined);
      status.hidden = !now;
      status.textContent = !now ? "" : now.answer === undefined ? `You asked to be shown${data.kind === "curve" ? ": this came out" : ""}.` : data.kind === "curve" ? "Your curve is kept. Now read on." : `You said: ${inWords(data, now.answer)}. Now read on.`;
      yours.replaceChildren();
      if (now?.answer === undefined || found === undefined) return;
      const right = asThought(data, now.answer, found);
      const said = data.kind === "curve" ? "" : `You said: ${inWords(data, now.answer)}. `;
      yours.append(h("p", {}, `${said}${right ? "As you thought." : "A surprise."}`), ...compared(data, now.answer, found));
    }

    return { box, data, key, found, state, draw };
  });

  /** Hide what follows an unanswered question in its section; the browser's own search still finds it. */
  function hide(open) {
    for (const section of new Set(boxes.map((box) => box.parentElement))) {
      let seen = true;
      for (const child of section.children) {
        if (seen || open) child.removeAttribute("hidden");
        else child.setAttribute("hidden", "until-found");
        if (child.matches(".prediction:not(.answered)")) seen = false;
      }
    }
  }

  const summary = h("aside", { class: "prediction-summary", "aria-label": "Your predictions" });
  document.querySelector("section#summary > h2")?.after(summary);

  function summarize(open) {
    const judged = predictions.filter(({ state, found }) => state()?.answer !== undefined && found !== undefined);
    const surprises = judged.filter(({ data, state, found }) => !asThought(data, state().answer, found));
    const left = predictions.filter(({ state }) => !state());
    const link = ({ box, data }) => h("a", { href: `#${box.id}` }, data.name);
    const parts = [h("p", { class: "prediction-summary-title" }, "Your predictions")];
    if (judged.length) {
      const right = judged.length - surprises.length;
      parts.push(h("p", {}, `${right} of ${judged.length} as you thought${surprises.length ? "; here is what surprised you:" : "."}`));
      if (surprises.length) {
        parts.push(h("ul", {}, ...surprises.map((each) =>
          h("li", {}, link(each), `: ${surprise(each.data, each.state().answer, each.found)}`))));
      }
    } else parts.push(h("p", {}, "You have committed to none in this chapter."));
    if (left.length) parts.push(h("p", {}, "Not answered: ", ...left.flatMap((each, i) => [i ? ", " : "", link(each)]), "."));
    const forget = button("Forget my answers", () => {
      change((all) => predictions.forEach(({ key }) => delete all[key]));
      update();
    });
    const toggle = button(open ? "Hide results until I answer" : "Show all results of this book", () => {
      change((all) => (all.open = !open));
      update();
    });
    forget.disabled = left.length === predictions.length;
    parts.push(
      h("p", { class: "prediction-note" }, "A number or a curve counts as you thought within a tenth of its scale. Answers stay in this browser, and nobody grades them."),
      h("div", { class: "prediction-buttons" }, forget, toggle),
    );
    summary.replaceChildren(...parts);
  }

  function update() {
    const open = Boolean(read().open);
    for (const prediction of predictions) prediction.draw(open);
    hide(open);
    summarize(open);
    document.documentElement.classList.remove("predicting");
    dispatchEvent(new Event("resize")); // what was hidden has a size now
  }

  /** Show the place that was found or linked to: whoever looks for it has asked to see it. */
  function reveal(target) {
    const place = target?.closest?.("[hidden='until-found']");
    if (!place) return;
    const before = predictions.filter(({ box, state }) =>
      box.parentElement === place.parentElement && !state() && box.compareDocumentPosition(place) & Node.DOCUMENT_POSITION_FOLLOWING);
    change((all) => before.forEach(({ key }) => (all[key] = { shown: true })));
    update();
    target.scrollIntoView();
  }
  const linked = () => {
    let id = location.hash.slice(1);
    try {
      id = decodeURIComponent(id);
    } catch {}
    if (id) reveal(document.getElementById(id));
  };
  document.addEventListener("beforematch", (event) => reveal(event.target));
  addEventListener("hashchange", linked);
  addEventListener("beforeprint", () => hide(true));
  addEventListener("afterprint", () => hide(Boolean(read().open)));
  addEventListener("storage", (event) => event.key === KEY && update());
  update();
  linked();
})();
