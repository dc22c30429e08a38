// A table that is too wide scrolls in a box of its own. The keyboard must reach the box to scroll it.
const reachable = () => {
  for (const box of document.querySelectorAll(".pst-scrollable-table-container")) {
    box.toggleAttribute("tabindex", false);
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
};
addEventListener("load", reachable);
addEventListener("resize", reachable);
