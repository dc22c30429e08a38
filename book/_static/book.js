// What is too wide scrolls in a box of its own, and the keyboard must reach the box to scroll it. Formulas are typeset
// while one reads, so what is wide is looked for again whenever some are.
const BOXES = ".pst-scrollable-table-container, .bd-article mjx-container, .bd-article .cell_output .text_html";
const goesOn = (box) => box.classList.toggle("goes-on", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
const reachable = () => {
  for (const formula of document.querySelectorAll(".bd-article span.math > mjx-container")) {
    formula.classList.remove("wide");
    const room = formula.closest("p, li, td, th, dd, div")?.clientWidth ?? Infinity;
    formula.classList.toggle("wide", formula.getBoundingClientRect().width > room);
  }
  for (const box of document.querySelectorAll(BOXES)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else if (box.tabIndex === 0) box.removeAttribute("tabindex");
    goesOn(box);
  }
};
let planned = 0;
const plan = () => {
  cancelAnimationFrame(planned);
  planned = requestAnimationFrame(reachable);
};
const scrolled = ({ target }) => target.matches?.(BOXES) && goesOn(target);
document.addEventListener("scroll", scrolled, { capture: true, passive: true }); // it does not bubble
addEventListener("load", plan);
addEventListener("resize", plan);
document.fonts.addEventListener("loadingdone", plan);
for (const article of document.querySelectorAll("article.bd-article")) {
  new MutationObserver((changes) => {
    const typeset = (node) => node.localName?.startsWith("mjx-"); // the whole, or what stands in it once it is seen
    if (changes.some(({ addedNodes }) => [...addedNodes].some(typeset))) plan();
  }).observe(article, { childList: true, subtree: true });
}

// What a term of the glossary means, shown at the term while the mouse or the focus is on it; Escape closes it. A finger
// cannot wait above a link: its first tap shows the meaning, and its second follows the link.
const note = document.createElement("div");
note.id = "term-meaning";
note.role = "tooltip";
note.hidden = true;
const explain = (link) => {
  const term = TERMS[decodeURIComponent(link.hash.slice(1))];
  if (!term) return;
  note.textContent = term.meaning;
  note.hidden = false;
  link.setAttribute("aria-describedby", note.id);
  link.after(note);
  const place = link.getClientRects()[0];
  const frame = note.offsetParent.getBoundingClientRect();
  const left = Math.min(place.left, document.documentElement.clientWidth - note.offsetWidth - 12);
  note.style.left = `${Math.max(left, 12) - frame.left}px`;
  note.style.top = `${place.bottom - frame.top}px`;
};
const forget = () => {
  note.previousElementSibling?.removeAttribute("aria-describedby");
  note.remove();
};
const stands = (link) => note.previousElementSibling === link;
for (const link of document.querySelectorAll("a.term")) {
  let first = false;
  link.addEventListener("pointerdown", ({ pointerType }) => (first = pointerType === "touch" && !stands(link)));
  link.addEventListener("click", (event) => {
    if (!first) return;
    first = false;
    event.preventDefault();
    explain(link);
  });
  link.addEventListener("mouseenter", () => explain(link));
  link.addEventListener("focus", () => explain(link));
  link.addEventListener("mouseleave", () => {
    // By then the note may stand at another term.
    setTimeout(() => !stands(link) || [note, link].some((place) => place.matches(":hover, :focus")) || forget(), 150);
  });
  link.addEventListener("blur", () => stands(link) && forget());
}
note.addEventListener("mouseleave", forget);
addEventListener("pointerdown", ({ target }) => [note, note.previousElementSibling].some((place) => place?.contains(target)) || forget());
addEventListener("keydown", ({ key }) => key === "Escape" && forget());

// On a phone, code that is wider than the page is folded: who wants to read it opens it, and scrolls.
const phone = matchMedia("(max-width: 600px)");
const summary = `<summary aria-label="Toggle hidden content"><p class="collapsed admonition-title">Code</p>
  <p class="expanded admonition-title">Code</p></summary>`;
const fold = (code) => {
  const details = document.createElement("details");
  details.className = "admonition hide above-input on-phones";
  details.innerHTML = summary;
  code.replaceWith(details);
  details.append(code);
};
const seen = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const lines = target.querySelector("pre");
    if (!phone.matches || lines.scrollWidth <= lines.clientWidth) continue;
    seen.unobserve(target);
    fold(target);
  }
});
for (const lines of document.querySelectorAll(".bd-article .cell > .cell_input pre")) {
  seen.observe(lines.closest(".cell_input")); // what a prediction hides is as wide as the page when it is shown
}
phone.addEventListener("change", () => {
  for (const details of document.querySelectorAll("details.on-phones")) details.open = !phone.matches;
});

// One switch for all folded code of a page; it is remembered, since who wants to see code wants it everywhere.
const folds = ".cell details.hide, .cell .claims details";
addEventListener("DOMContentLoaded", () => {
  const cells = () => document.querySelectorAll(folds);
  const title = document.querySelector(".bd-article h1");
  if (!cells().length || !title) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "show-all-code";
  const show = (open) => {
    button.textContent = open ? "Fold code" : "Show all code";
    button.dataset.open = String(open);
    for (const cell of cells()) cell.open = open;
  };
  const remembered = () => {
    try {
      return localStorage.getItem("show-all-code") === "true";
    } catch {
      return false; // a page that may not store anything
    }
  };
  button.addEventListener("click", () => {
    const open = button.dataset.open !== "true";
    show(open);
    try {
      localStorage.setItem("show-all-code", String(open));
    } catch {}
  });
  if (remembered()) show(true);
  else {
    button.textContent = "Show all code";
    button.dataset.open = "false";
  }
  title.before(button);
});
