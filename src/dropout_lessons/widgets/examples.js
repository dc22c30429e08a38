/** A picture of hexadecimal digits, a gray for each pixel, as base.py writes them. */
function grayImage({ height, width }, attributes) {
  const element = h("canvas", { class: "dl-image", width, height, ...attributes });
  const context = element.getContext("2d");
  return {
    element,
    draw(pixels) {
      const image = context.createImageData(width, height);
      [...pixels].forEach((digit, i) => image.data.set([...new Array(3).fill(17 * parseInt(digit, 16)), 255], 4 * i));
      context.putImageData(image, 0, 0);
    },
  };
}

/** Names of examples by their classes: "8", and where a class comes again, "8 (image 3)". */
const namesByClass = (classes) => classes.map((name, i) => (classes.indexOf(name) === i ? name : `${name} (image ${i + 1})`));

/** Radio buttons for the trait `example`: each a small picture, where there is one, and a name. */
function exampleChoice(model, names, images, pixelsOf) {
  return choice(model, "example", "Example:", names.map((name, example) => {
    const label = h("span", { class: "dl-example" });
    if (images) {
      const small = grayImage(images, { "aria-hidden": "true" });
      small.draw(pixelsOf(example));
      label.append(small.element);
    }
    label.append(name);
    return [example, label];
  }));
}

/**
 * A row for each class, with its name, and probabilities from 0 to 1 along it. `draw(marks)` takes for each class a
 * list of elements made with `x(prob)` and the row's `y(class)`.
 */
function classRows(names, { width = 360, rowHeight = 20, fontSize = 14 } = {}) {
  const longest = Math.max(...names.map((name) => name.length));
  const left = Math.min(0.45 * width, Math.max(1.2, 0.56 * longest) * fontSize + 8);
  const right = width - 12;
  const bottom = 4 + rowHeight * names.length;
  const y = (k) => 4 + rowHeight * (k + 0.5);
  const x = scaleOf([0, 1], [left, right]);
  const text = (at, down, content, anchor) => svgText(at, down, content, anchor, { "font-size": fontSize });
  const marks = h("svg:g");
  const picture = chart(width, bottom + 1.6 * fontSize + 4);
  picture.draw([
    ...names.map((name, k) => {
      const label = text(left - 7, y(k) + 0.35 * fontSize, name, "end");
      if (0.56 * name.length * fontSize > left - 8) {
        label.setAttribute("textLength", left - 8);
        label.setAttribute("lengthAdjust", "spacingAndGlyphs");
      }
      return label;
    }),
    frameOf({ left, right, top: 4, bottom }),
    ...[0, 0.5, 1].flatMap((prob) => [
      svgPath("dl-axis", `M${x(prob)} ${bottom}v4`),
      text(x(prob), bottom + 1.3 * fontSize + 2, prob, "middle"),
    ]),
    marks,
  ]);
  return { element: picture.element, x, y, left, draw: (drawn, label) => {
    marks.replaceChildren(...drawn);
    picture.describe(label);
  } };
}
