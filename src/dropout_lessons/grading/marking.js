// The page that marks are given on. It keeps what is entered in this browser, and saves it as a table for `grade`: only
// what differs from the page, which `grade` has written, so that an old page takes back no newer mark.
"use strict";
const key = document.body.dataset.key;
const answers = [...document.querySelectorAll("article")];
const kept = JSON.parse(localStorage.getItem(key) ?? "{}");

const field = (answer, name) => answer.querySelector(`[name=${name}]`);
const NAMES = ["points", "comment"];
const boxes = (answer) => [...answer.querySelectorAll("[type=checkbox]")];

function remember(answer) {
  kept[answer.id] = {
    points: field(answer, "points").value,
    comment: field(answer, "comment").value,
    boxes: boxes(answer).map((box) => box.checked),
    page: Object.fromEntries(NAMES.map((name) => [name, field(answer, name).defaultValue])),
  };
  localStorage.setItem(key, JSON.stringify(kept));
  count();
}

function count() {
  const marked = answers.filter((answer) => field(answer, "points").value !== "").length;
  document.querySelector("output").textContent = `${marked} of ${answers.length} marked`;
}

// What the boxes say is in the comment, too, until somebody writes another one: the student reads which points are missing.
function missed(answer) {
  const left = boxes(answer).filter((box) => !box.checked);
  return left.map((box) => `Missing (${box.value}): ${box.parentElement.textContent.replace(/^[^:]*: /, "")}`).join("\n");
}

for (const answer of answers) {
  const before = kept[answer.id];
  if (before) {
    // What was entered on a page that said something else is older than what this one says.
    for (const name of NAMES.filter((name) => before.page?.[name] === field(answer, name).defaultValue)) {
      field(answer, name).value = before[name];
      if (name === "points") boxes(answer).forEach((box, at) => (box.checked = before.boxes[at] ?? false));
    }
  }
  let said = missed(answer);
  for (const box of boxes(answer)) {
    box.addEventListener("change", () => {
      const comment = field(answer, "comment");
      if (comment.value === "" || comment.value === said) comment.value = missed(answer);
      said = missed(answer);
      const ticked = boxes(answer).filter((one) => one.checked);
      const sum = ticked.reduce((total, one) => total + Number(one.value), 0);
      field(answer, "points").value = Math.min(sum, Number(field(answer, "points").max));
    });
  }
  answer.addEventListener("input", () => remember(answer));
  answer.addEventListener("change", () => remember(answer));
}

function quoted(text) {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}

function changed(answer, name) {
  const { value, defaultValue } = field(answer, name);
  return value === defaultValue ? "" : value;
}

function table() {
  const rows = answers.map((answer) => [
    quoted(answer.dataset.student),
    quoted(answer.dataset.exercise),
    changed(answer, "points"),
    quoted(changed(answer, "comment")),
  ]);
  return [["student", "exercise", "points", "comment"], ...rows].map((row) => row.join(",")).join("\r\n") + "\r\n";
}

document.querySelector("button").addEventListener("click", () => {
  const wrong = answers.find((answer) => !field(answer, "points").reportValidity());
  if (wrong) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", table()], { type: "text/csv" }));
  link.download = "marking.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});
count();
