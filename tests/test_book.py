"""The built book in a real browser: whole, self-contained, accessible, and alive without a network.

`make book` builds what is tested here. A page is opened once, and all of its tests look at it. Set BOOK_SCREENSHOTS to
a folder to keep a picture of every page as it is seen in light and dark mode, on a laptop and on a phone.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.server
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import accessibility
import chromium
import measure
import nbformat
import pandas as pd
import pytest
from built import CHAPTERS, CONFIG, HTML, PAGES, ROOT, each, soup
from playwright.sync_api import Browser, ConsoleMessage, Page, Route
from playwright.sync_api import TimeoutError as NotInTime

LAPTOP, PHONE, SMALL = ({"width": w, "height": h} for w, h in ((1280, 800), (390, 844), (360, 740)))
MODES = {"light": LAPTOP, "dark": LAPTOP, "light phone": PHONE, "dark phone": PHONE}
FIRST_PAGE, ANY_PAGE = 500, 1000
"""Kilobytes on the wire, with all that a page loads until one has read it to its end."""
if chromium.installed() is None and not os.environ.get("CI"):
    pytest.skip(chromium.MISSING, allow_module_level=True)

# Of an element that lies above others, and of all in it, the contrast of text to ground: axe does not tell it there.
CONTRASTS = """(element) => [element, ...element.querySelectorAll("*")].map((each) => {
    const light = (color) => {
        const parts = color.match(/[\\d.]+/g).map((part) => part / 255);
        const [r, g, b] = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    let ground = each;
    while (/, 0\\)$|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
    const { color, opacity } = getComputedStyle(each);
    const [a, b] = [light(color), light(getComputedStyle(ground).backgroundColor)];
    return opacity === "1" ? Math.max(a, b) / Math.min(a, b) : 0;
})"""

CLIPPED = """() => [...document.querySelectorAll("article *")].filter((element) => {
    if (element.matches("mjx-container *, svg *, .visually-hidden") || !element.checkVisibility()) return false;
    const style = getComputedStyle(element), { width } = element.getBoundingClientRect();
    if (element.localName === "mjx-container" && !/auto|scroll/.test(style.overflowX)) {
        for (let box = element.parentElement; box.localName !== "article"; box = box.parentElement)
            if (/auto|scroll/.test(getComputedStyle(box).overflowX)) return false;
        return element.getBoundingClientRect().right > element.closest("article").getBoundingClientRect().right + 1;
    }
    return /hidden|clip/.test(style.overflowX) && width > 1 && element.scrollWidth > element.clientWidth + 1;
}).map((element) => `${element.outerHTML.slice(0, 200)} lacks ${element.scrollWidth - element.clientWidth} pixels`)"""


HIDDEN = "[hidden='until-found']"
CUT_WORDS = """() => [...document.querySelectorAll(
    "article .pst-scrollable-table-container:has(table.words), article .cell_output .output pre"
)].filter((element) => element.checkVisibility() && element.scrollWidth > element.clientWidth + 1)
.map((element) => element.textContent.slice(0, 200))"""

WITHOUT_INTERACTIVE = {"chapters/10_dropout_today"}  # no other may do without
INTERACTIVE = [name for name in CHAPTERS if "dropout_lessons.widgets" in (ROOT / f"{name}.ipynb").read_text("utf-8")]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The address at which the built book is served."""
    if not (HTML / "index.html").exists():
        pytest.fail("there is no book in _build/html to test: run `make book`")
    handler = functools.partial(QuietHandler, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@dataclass
class Visit:
    """A page of the book that was opened, and what was seen while it loaded."""

    name: str
    page: Page
    own: set[str] = field(default_factory=set)
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    formulas_at_first: int = 0
    hidden_at_first: int = 0


def open_page(browser: Browser, origin: str, name: str) -> Visit:
    """Open a page with every request to another origin recorded and refused."""
    context = browser.new_context(viewport=LAPTOP, reduced_motion="reduce")
    visit = Visit(name, context.new_page())

    def only_own_origin(route: Route) -> None:
        url = route.request.url
        if url.startswith((origin + "/", "data:", "blob:")):
            visit.own.add(urlsplit(url).path)
            route.continue_()
        else:
            visit.foreign.append(url)
            route.abort()

    def note_console(message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        # Whenever a script changes the address, the browser itself asks for the icon again, also when it is offline.
        if message.type == "error" and not ("DISCONNECTED" in message.text and url.endswith("/favicon.svg")):
            visit.errors.append(f"{message.text} {url}".strip())

    context.route("**/*", only_own_origin)
    visit.page.on("console", note_console)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("requestfailed", lambda request: visit.failed.append(request.url))
    visit.page.on(
        "response",
        lambda answer: visit.failed.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    visit.page.goto(f"{origin}/{name}", wait_until="load")
    visit.page.add_style_tag(content="*, ::before, ::after { transition: none !important }")
    visit.page.evaluate("() => window.MathJax?.startup.promise.then(() => null)")
    visit.formulas_at_first = visit.page.locator("mjx-container mjx-math").count()
    visit.hidden_at_first = visit.page.locator(HIDDEN).count()
    return visit


def press(page: Page, name: str) -> bool:
    """Click the first button of this name that can be seen, if there is one."""
    button = page.locator("button:visible", has_text=name).first
    if there := button.count() > 0:
        button.click()
    return there


def read_to_the_end(page: Page) -> None:
    """Let everything come that waits until one scrolls to it."""
    page.evaluate("() => window.MathJax?.startup.document.lazyTypesetAll().then(() => null)")
    page.evaluate("() => document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
    page.evaluate("() => document.fonts.ready.then(() => null)")
    page.wait_for_load_state("networkidle")  # MathJax asks for fonts only once it has typeset


# One page after the other, each in the hands of one worker: pytest -n 2 --dist loadgroup. As a reader has it who wants
# nothing hidden behind a prediction.
@pytest.fixture(scope="module", params=each(PAGES))
def visit(request: pytest.FixtureRequest, browser: Browser, origin: str) -> Iterator[Visit]:
    visit = open_page(browser, origin, f"{request.param}.html")
    visit.name = request.param
    if visit.hidden_at_first:
        show_all = visit.page.get_by_text("Show all results of this book").first
        show_all.dispatch_event("click")  # which neither scrolls nor leaves the mouse on what is looked at
    read_to_the_end(visit.page)
    yield visit
    visit.page.context.close()


def show(page: Page, mode: str, size: dict[str, int]) -> None:
    """Switch to light or dark mode and to a window size."""
    page.set_viewport_size(size)
    page.evaluate("mode => { document.documentElement.dataset.theme = mode }", mode.split()[0])
    # Some time after a change of size the theme lets the keyboard reach what now scrolls; later on a busy machine.
    with contextlib.suppress(NotInTime):  # a page that stays without is axe's to report
        page.wait_for_function(
            "() => [...document.querySelectorAll('pre')].every(e => e.scrollWidth <= e.clientWidth || e.tabIndex >= 0)",
            timeout=5000,
        )
    # What fades in or out is looked at when it has: half of a fade has another color.
    page.evaluate(
        "() => document.getAnimations().filter(a => isFinite(a.effect.getComputedTiming().endTime)).forEach(a => a.finish())"
    )


def test_the_first_page_opens_from_the_root(browser: Browser, origin: str) -> None:
    page = browser.new_page()
    page.goto(f"{origin}/")
    page.wait_for_url(f"{origin}/{PAGES[0]}.html")
    assert page.title() != ""
    page.close()


def test_a_page_asks_nothing_of_other_servers(visit: Visit) -> None:
    assert visit.foreign == []


def test_a_page_loads_without_errors(visit: Visit) -> None:
    assert visit.failed == []
    assert visit.errors == []


def on_the_wire(path: Path) -> int:
    """The bytes of a file as a server sends it."""
    compressed = path.suffix in (".png", ".webp", ".woff", ".woff2")
    return path.stat().st_size if compressed else len(gzip.compress(path.read_bytes()))


def test_a_page_is_light(visit: Visit, record_property: Callable[[str, object], None]) -> None:
    sizes = {path: on_the_wire(HTML / path.lstrip("/")) for path in visit.own}
    own_scripts = sum(size for path, size in sizes.items() if path.endswith(".js"))
    pictures = sum(size for path, size in sizes.items() if path.startswith("/_images/"))
    total = sum(sizes.values()) / 1000
    record_property(
        "weight", (visit.name, total, sizes[f"/{visit.name}.html"] / 1000, own_scripts / 1000, pictures / 1000)
    )
    heaviest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    assert total < (FIRST_PAGE if visit.name == PAGES[0] else ANY_PAGE), heaviest


def test_nothing_holds_up_a_page(visit: Visit) -> None:
    """Scripts of the frame come with `defer`, pictures when they are near, with room kept for them."""
    page = soup(visit.name)
    waited_for = [script["src"] for script in page.select("script[src]:not([defer])")]
    assert [script for script in waited_for if "documentation_options" not in script] == []
    images = page.select("article img")
    for image in images:
        assert image["loading"] == "lazy"
        assert image["src"].endswith(".svg") or int(image["width"]) * int(image["height"]) > 0


def test_math_is_typeset_when_it_is_near(visit: Visit) -> None:
    formulas = visit.page.locator("article .math.notranslate").count()
    loads_mathjax = visit.page.evaluate("() => 'MathJax' in window")
    assert loads_mathjax == (formulas > 0)
    typeset = visit.page.locator("article .math.notranslate mjx-container").count()
    assert typeset >= formulas
    assert visit.page.locator("mjx-merror, [data-mjx-error]").count() == 0
    if formulas > 60:  # more than a screen and its margins hold
        assert visit.formulas_at_first < formulas


def test_every_image_is_there_and_says_what_it_shows(visit: Visit) -> None:
    images = visit.page.evaluate(
        """async () => Promise.all([...document.querySelectorAll("article img")].map(async image => {
            await image.decode().catch(() => null);
            return {src: image.src, alt: image.alt, width: image.naturalWidth};
        }))"""
    )
    for image in images:
        assert image["width"] > 0, f"{image['src']} does not load"
        assert len(image["alt"].split()) >= 5, f"{image['src']} is described only as {image['alt']!r}"
        assert "_images/" not in image["alt"]
    for drawing in visit.page.locator(".dropout-lessons-figure svg").all():
        assert len((drawing.get_attribute("aria-label") or "").split()) >= 5
    for figure in visit.page.locator("article figure").all():
        assert figure.locator("figcaption").inner_text().startswith("Figure ")


def test_a_chapter_passes_the_bars_of_reading(visit: Visit) -> None:
    if visit.name not in CHAPTERS:
        return
    show(visit.page, "light", LAPTOP)
    measured = measure.measures(visit.page, ROOT / f"{visit.name}.ipynb")
    missed = measure.misses(pd.DataFrame([measured])).loc[0]
    assert not missed.any(), {bar: (measured[bar], measure.BARS[bar]) for bar in missed[missed].index}


@pytest.mark.parametrize("size", [PHONE, SMALL, LAPTOP], ids=["phone", "small phone", "laptop"])
def test_a_page_does_not_scroll_sideways_and_clips_nothing(visit: Visit, size: dict[str, int]) -> None:
    show(visit.page, "light", size)
    visit.page.wait_for_timeout(100)  # book.js looks for what is wide in the next frame
    too_wide = visit.page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    assert too_wide <= 0, f"{visit.name} is {too_wide} pixels wider than a window of {size['width']}"
    assert visit.page.evaluate(CLIPPED) == []
    if size is not LAPTOP:  # what is read there needs no scrolling sideways: tables of words, and what cells print
        assert visit.page.evaluate(CUT_WORDS) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_page_is_accessible(visit: Visit, mode: str) -> None:
    """All rules on a laptop and on a phone; contrast, which is all that the mode changes, in each mode."""
    show(visit.page, mode, MODES[mode])
    if folder := os.environ.get("BOOK_SCREENSHOTS"):
        picture = f"{visit.name.replace('/', '_')}-{mode.split()[0]}-{MODES[mode]['width']}.png"
        visit.page.screenshot(path=Path(folder, picture), full_page=True)
    rules = {} if mode.startswith("light") else {"runOnly": ["color-contrast"]}
    found = accessibility.violations(visit.page, **rules)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("co-adaptation", "chapters/01_overfitting_and_coadaptation"),
        ("Mask", "chapters/02_dropping_units"),
        ("weight scaling", "chapters/05_model_averaging"),
        ("variance shift", "chapters/09_where_dropout_helps"),
        ("MC dropout", "chapters/12_uncertainty"),
    ],
)
def test_a_search_finds_the_page_that_explains_a_term_first(
    browser: Browser, origin: str, words: str, page: str
) -> None:
    visit = open_page(browser, origin, f"search.html?q={words}")
    results = visit.page.locator("#search-results li a")
    results.and_(visit.page.locator("[href*='book/glossary.html']")).first.wait_for()
    found = [urlsplit(link).path for link in results.evaluate_all("links => links.map(link => link.href)")]
    assert found[0] == f"/{page}.html"
    assert visit.errors == []
    visit.page.context.close()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_term_shows_its_meaning_to_the_mouse_and_to_the_keyboard(visit: Visit, mode: str) -> None:
    term = visit.page.locator("a.term").first
    if visit.name in CHAPTERS:
        assert term.count() == 1, "no term of the glossary is marked"
    if not term.count():
        return
    show(visit.page, mode, LAPTOP)
    meaning = visit.page.locator("[role=tooltip]:visible")
    for reach, leave in ((term.focus, lambda: visit.page.keyboard.press("Escape")), (term.hover, term.blur)):
        visit.page.mouse.move(0, 0)
        reach()
        meaning.wait_for(timeout=5000)
        assert len(meaning.inner_text().split()) >= 5
        assert term.get_attribute("aria-describedby") == meaning.get_attribute("id")
        assert min(meaning.evaluate(CONTRASTS)) >= 4.5
        leave()
        assert meaning.count() == 0


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_way_back_to_the_top_can_be_read_also_under_the_mouse(browser: Browser, origin: str, mode: str) -> None:
    page = open_page(browser, origin, "book/glossary.html").page
    show(page, mode, LAPTOP)
    page.add_style_tag(content="#pst-back-to-top { display: block !important }")  # as for whoever scrolls up
    button = page.locator("#pst-back-to-top")
    assert min(button.evaluate(CONTRASTS)) >= 4.5
    button.hover()
    assert min(button.evaluate(CONTRASTS)) >= 4.5
    page.context.close()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_link_in_a_table_can_be_read_under_the_mouse(browser: Browser, origin: str, mode: str) -> None:
    page = open_page(browser, origin, "book/replication.html").page
    show(page, mode, LAPTOP)
    link = page.locator("article td a").first
    link.hover()
    assert min(link.evaluate(CONTRASTS)) >= 4.5
    page.context.close()


def test_a_chapter_opens_on_colab(visit: Visit, origin: str) -> None:
    if visit.name not in CHAPTERS:
        return
    links = visit.page.locator("a[href*='colab.research.google.com']").evaluate_all("links => links.map(a => a.href)")
    repository, stem = urlsplit(CONFIG["repository"]["url"]).path, visit.name.removeprefix("chapters/")
    notebook = nbformat.read(ROOT / f"{visit.name}.ipynb", as_version=4)
    installed = re.search(r"@(v[\d.]+)", notebook.cells[1].source)[1]
    assert links == [f"https://colab.research.google.com/github{repository}/blob/notebooks-{installed}/{stem}.ipynb"]
    download = visit.page.locator("a.btn-download-notebook-button, a[href$='.ipynb'][href*='notebooks/']").first
    answer = visit.page.request.get(f"{origin}/chapters/{download.get_attribute('href')}")
    assert answer.ok
    assert len(answer.body()) < 3_000_000  # GitHub shows no notebook that is much larger
    cells = nbformat.reads(answer.text(), as_version=4).cells
    assert any(cell.outputs for cell in cells if cell.cell_type == "code")


def test_interactives_answer_to_the_keyboard_offline(visit: Visit) -> None:
    if visit.name not in INTERACTIVE:
        assert visit.name not in CHAPTERS or visit.name in WITHOUT_INTERACTIVE
        return
    show(visit.page, "light", LAPTOP)
    for interactive in visit.page.locator(".dropout-lessons-interactive[data-interactive]").all():
        interactive.scroll_into_view_if_needed()
        for button in interactive.get_by_role("button", name="Train").all():
            button.click()  # a laboratory fetches its digits when it first trains
            bar = interactive.locator("progress").element_handle()
            visit.page.wait_for_function("bar => bar.value > 0", arg=bar, polling=50)
            interactive.get_by_text("Stop", exact=True).evaluate_all("all => all.forEach(button => button.click())")
    visit.page.context.set_offline(True)
    interactives = visit.page.locator(".dropout-lessons-interactive[data-interactive]")
    assert interactives.count() >= 1, f"{visit.name} has no interactive"
    for interactive in interactives.all():
        title = interactive.get_attribute("data-interactive")
        interactive.locator("details").evaluate_all("all => all.forEach(fold => { fold.open = true })")
        values = interactive.locator("[data-value], output")
        assert values.count() >= 1, f"{title} shows no value"
        interactive.evaluate("each => each.querySelectorAll('details').forEach(fold => { fold.open = true })")
        sliders = interactive.locator("input[type=range]").all()
        # Without a slider, the first button that toggles something.
        for control in sliders or [interactive.locator("button[aria-pressed]").first]:
            before = values.all_inner_texts()
            control.focus()
            if sliders:
                at_end = control.evaluate("slider => slider.value === slider.max")
                for _ in range(3):
                    control.press("ArrowLeft" if at_end else "ArrowRight")
            else:
                control.press("Space")
            deadline = time.monotonic() + 5
            while values.all_inner_texts() == before:
                assert time.monotonic() < deadline, f"{title} does not answer to {control.get_attribute('id')}"
                visit.page.wait_for_timeout(20)
    assert visit.errors == []


def test_predictions_hide_what_follows_and_know_what_came_out(visit: Visit) -> None:
    """The last look at a page, since it changes it."""
    if visit.name not in CHAPTERS:
        return
    hidden = visit.page.locator(HIDDEN)
    assert visit.hidden_at_first >= 1
    assert hidden.count() == 0
    asked = [json.loads(text) for text in visit.page.locator(".prediction > script").all_text_contents()]
    found = {
        element.get_attribute("data-prediction"): json.loads(element.get_attribute("data-found"))
        for element in visit.page.locator(".prediction-outcome").all()
    }
    for prediction in asked:
        came_out = found.get(prediction["name"])
        if prediction["kind"] == "choice":
            assert came_out in prediction["choices"]
        elif prediction["kind"] == "curve":
            assert len(came_out) == len(prediction["places"])
        elif came_out is not None:
            assert prediction["low"] <= came_out <= prediction["high"]
    assert set(found) <= {prediction["name"] for prediction in asked}
    assert press(visit.page, "Hide results until I answer")
    assert hidden.count() == visit.hidden_at_first
    while press(visit.page, "Show me"):
        pass
    assert hidden.count() == 0
    assert visit.errors == []
