"""What axe finds wrong with an open page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# What the libraries below the book do against axe's rules, by rule and by what the element looks like.
EXCUSED = [
    ("region", 'class="title logo__title"'),  # the theme puts the book's title outside of every landmark
]

# An element of each style of text: what contrast it has does not depend on where else the style is used.
SAMPLES = """() => {
    const seen = new Map(), grounds = new Map([[null, ["", 1]]]);
    const ground = (element) => {
        if (!grounds.has(element)) {
            const style = getComputedStyle(element), [below, opacity] = ground(element.parentElement);
            const clear = /, 0\\)$|transparent/.test(style.backgroundColor);
            grounds.set(element, [clear ? below : style.backgroundColor, opacity * style.opacity]);
        }
        return grounds.get(element);
    };
    for (const element of document.querySelectorAll("body *")) {
        element.removeAttribute("data-sample");
        const written = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!written || !element.checkVisibility()) continue;
        const { color, fontSize, fontWeight } = getComputedStyle(element);
        const part = element.closest("svg, button, a, label")?.localName;
        const style = [color, fontSize, fontWeight, part, ...ground(element)].join();
        seen.set(style, (seen.get(style) ?? 0) + 1);
        if (seen.get(style) <= 3) element.dataset.sample = "";
    }
}"""

# Nine in ten elements are glyphs of a formula, words of code, and lines of a drawing. Axe, which in each of its rules
# looks at all of them, is shown those of which a rule may say something: samples, what has a name or a role, what can be
# reached, and what can be scrolled to.
RUN = """(options) => {
    const wholes = "mjx-container, pre, svg", parts = "mjx-container *, pre *, svg *", shown = new Set();
    const telling = /^(aria-.*|data-sample|href|id|lang|role|tabindex|title)$/;
    const named = (part) => part.getAttributeNames().some((name) => telling.test(name));
    const scrolls = (box) => /auto|scroll/.test(getComputedStyle(box).overflow)
        && (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight);
    const scrolled = [...document.querySelectorAll(`:is(${wholes}), article :has(${wholes})`)].filter(scrolls);
    for (const part of scrolled.flatMap((box) => [...box.querySelectorAll("*")])) shown.add(part);
    for (let part of document.querySelectorAll(parts))
        if (named(part) || part.matches("a, button, desc, input, title, svg [role] *"))
            for (; part && !shown.has(part); part = part.parentElement) shown.add(part);
    const left = new Set([...document.querySelectorAll(parts)].filter((part) => !shown.has(part)));
    // Axe makes one tree before it returns, and later one with places, in which only what is drawn matters.
    const { get } = Object.getOwnPropertyDescriptor(Node.prototype, "childNodes");
    const childNodes = function () { return [...get.call(this)].filter((node) => !left.has(node)); };
    Object.defineProperty(Element.prototype, "childNodes", { get: childNodes, configurable: true });
    document.createTreeWalker = (root, kinds) => Document.prototype.createTreeWalker.call(document, root, kinds, (element) =>
        left.has(element) || !element.checkVisibility() ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
    const found = axe.run(options).then(({ violations }) => violations);
    delete Element.prototype.childNodes;
    return found.finally(() => delete document.createTreeWalker);
}"""


def violations(page: Page, **options: object) -> list[str]:
    """What axe finds wrong; contrast, in samples. The members of the reference are alike: one in twelve is looked at."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(Axe().axe_script)
        page.evaluate("() => axe.configure({rules: [{id: 'color-contrast', selector: '[data-sample]'}]})")
        page.evaluate("() => [...document.querySelectorAll('dl.py')].forEach((e, i) => i % 12 && e.remove())")
    page.evaluate(SAMPLES)
    found = page.evaluate(RUN, {"resultTypes": ["violations"], "preload": False, **options})
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for violation in found
        for node in violation["nodes"]
        if not any(violation["id"] == rule and mark in node["html"] for rule, mark in EXCUSED)
    ]
