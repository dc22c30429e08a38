// A table that is too wide scrolls in a box of its own. The keyboard must reach the box to scroll it.
const reachable = () => {
  for (const box of document.querySelectorAll(".pst-scrollable-table-container")) {
    box.toggleAttribute("tabindex", false);
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
};
addEventListener("load", reachable);
addEventListener("resize", reachable);

// One switch for all folded code of a page; it is remembered, since who wants to see code wants it everywhere.
const folds = ".cell details.hide, .cell .claims details";
addEventListener("DOMContentLoaded", () => {
  const cells = document.querySelectorAll(folds);
  const title = document.querySelector(".bd-article h1");
  if (!cells.length || !title) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "show-all-code";
  const show = (open) => {
    button.textContent = open ? "Fold code" : "Show all code";
    button.dataset.open = String(open);
    for (const cell of cells) cell.open = open;
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
