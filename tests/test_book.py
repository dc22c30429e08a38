"""The built book in a real browser: whole, self-contained, accessible, and alive without a network.

`make book` builds what is tested here. Set BOOK_SCREENSHOTS to a folder to keep a picture of every page as it is seen
in light and dark mode, on a laptop and on a phone.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, sync_playwright
from playwright.sync_api import TimeoutError as NotInTime

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
NO_BROWSER = f"no browser to open the book in: none of {', '.join(BROWSERS)} is installed"
if BROWSER is None and not os.environ.get("CI"):
    pytest.skip(NO_BROWSER, allow_module_level=True)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What the libraries below the book do against axe's rules, by rule and by what the element looks like.
EXCUSED = [
    ("region", 'class="title logo__title"'),  # the theme puts the book's title outside of every landmark
    ("aria-required-children", 'class="citation-list"'),  # docutils marks up a bibliography as it was done in 2020
    ("aria-allowed-role", 'role="doc-biblioentry"'),
    ("aria-deprecated-role", 'role="doc-biblioentry"'),
]


def toc_pages(entry: dict | list) -> Iterator[str]:
    for item in entry if isinstance(entry, list) else [entry]:
        if name := item.get("file") or item.get("root"):
            yield name
        for key in ("parts", "chapters", "sections"):
            yield from toc_pages(item.get(key, []))


CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
PAGES = list(toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
CHAPTERS = [name for name in PAGES if name.startswith("chapters/")]


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BROWSER is None:
        pytest.fail(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of the book that was opened, and what was seen while it loaded."""

    name: str
    page: Page
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


# As a reader has it who wants nothing hidden behind a prediction.
NOTHING_HIDDEN = "localStorage.setItem('dropout-lessons.predictions', '{\"open\": true}')"


def open_page(browser: Browser, origin: str, name: str, *, hiding: bool = False) -> Visit:
    """Open a page with every request to another origin recorded and refused, and wait until it is all there."""
    context = browser.new_context(viewport=LAPTOP)
    if not hiding:
        context.add_init_script(NOTHING_HIDDEN)
    visit = Visit(name, context.new_page())

    def only_own_origin(route: Route) -> None:
        url = route.request.url
        if url.startswith((origin + "/", "data:", "blob:")):
            route.continue_()
        else:
            visit.foreign.append(url)
            route.abort()

    def note_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            visit.errors.append(message.text)

    context.route("**/*", only_own_origin)
    visit.page.on("console", note_console)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("requestfailed", lambda request: visit.failed.append(request.url))
    visit.page.on(
        "response",
        lambda answer: visit.failed.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    visit.page.goto(f"{origin}/{name}.html", wait_until="load")
    visit.page.evaluate("() => window.MathJax ? window.MathJax.startup.promise : null")
    visit.page.evaluate("() => document.fonts.ready.then(() => null)")
    visit.page.wait_for_load_state("networkidle")  # MathJax asks for fonts only once it has typeset
    return visit


# One page after the other, each in the hands of one worker: pytest -n 2 --dist loadgroup.
@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in PAGES])
def visit(request: pytest.FixtureRequest, browser: Browser, origin: str) -> Iterator[Visit]:
    visit = open_page(browser, origin, request.param)
    yield visit
    visit.page.context.close()


def show(page: Page, mode: str, size: dict[str, int]) -> None:
    """Switch to light or dark mode and to a window size."""
    page.set_viewport_size(size)
    page.evaluate("mode => { document.documentElement.dataset.theme = mode }", mode)
    page.wait_for_timeout(300)  # the theme fades colors in
    # Some time after a change of size the theme lets the keyboard reach what now scrolls; later on a busy machine.
    with contextlib.suppress(NotInTime):  # a page that stays without is axe's to report
        page.wait_for_function(
            "() => [...document.querySelectorAll('pre')].every(e => e.scrollWidth <= e.clientWidth || e.tabIndex >= 0)",
            timeout=5000,
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


def test_math_is_typeset(visit: Visit) -> None:
    formulas = visit.page.locator("article .math.notranslate").count()
    typeset = visit.page.locator("article .math.notranslate mjx-container").count()
    assert typeset >= formulas
    assert visit.page.locator("mjx-merror, [data-mjx-error]").count() == 0


def test_every_image_is_there_and_says_what_it_shows(visit: Visit) -> None:
    visit.page.evaluate("() => document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
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


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_a_page_does_not_scroll_sideways(visit: Visit, size: dict[str, int]) -> None:
    show(visit.page, "light", size)
    too_wide = visit.page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    assert too_wide <= 0, f"{visit.name} is {too_wide} pixels wider than a window of {size['width']}"


@pytest.mark.parametrize(("mode", "size"), [("light", LAPTOP), ("dark", PHONE)], ids=["light", "dark"])
def test_a_page_is_accessible(visit: Visit, mode: str, size: dict[str, int]) -> None:
    show(visit.page, mode, size)
    if folder := os.environ.get("BOOK_SCREENSHOTS"):
        picture = f"{visit.name.replace('/', '_')}-{mode}-{size['width']}.png"
        visit.page.screenshot(path=Path(folder, picture), full_page=True)
    found = [
        f"{violation['id']}: {' '.join(node['target'])}: {node['failureSummary']}"
        for violation in Axe().run(visit.page).response["violations"]
        for node in violation["nodes"]
        if not any(violation["id"] == rule and mark in node["html"] for rule, mark in EXCUSED)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_opens_on_colab(browser: Browser, origin: str, name: str) -> None:
    visit = open_page(browser, origin, name)
    links = visit.page.locator("a[href*='colab.research.google.com']").evaluate_all("links => links.map(a => a.href)")
    repository, stem = urlsplit(CONFIG["repository"]["url"]).path, name.removeprefix("chapters/")
    installed = re.search(r"@(v[\d.]+)", nbformat.read(ROOT / f"{name}.ipynb", as_version=4).cells[1].source)[1]
    branch = f"notebooks-{installed}"
    assert links == [f"https://colab.research.google.com/github{repository}/blob/{branch}/{stem}.ipynb"]
    download = visit.page.locator("a.btn-download-notebook-button, a[href$='.ipynb'][href*='notebooks/']").first
    answer = visit.page.request.get(f"{origin}/chapters/{download.get_attribute('href')}")
    assert answer.ok
    assert len(answer.body()) < 3_000_000  # GitHub shows no notebook that is much larger
    cells = nbformat.reads(answer.text(), as_version=4).cells
    assert any(cell.outputs for cell in cells if cell.cell_type == "code")
    visit.page.context.close()


@pytest.mark.parametrize("name", CHAPTERS)
def test_predictions_hide_what_follows_and_know_what_came_out(browser: Browser, origin: str, name: str) -> None:
    visit = open_page(browser, origin, name, hiding=True)
    hidden = visit.page.locator("[hidden='until-found']")
    assert hidden.count() >= 1
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
    while (button := visit.page.get_by_role("button", name="Show me").first).count():
        button.click()
    assert hidden.count() == 0
    assert visit.errors == []
    visit.page.context.close()


@pytest.mark.parametrize("name", CHAPTERS)
def test_interactives_answer_to_the_keyboard_offline(browser: Browser, origin: str, name: str) -> None:
    visit = open_page(browser, origin, name)
    visit.page.context.set_offline(True)
    interactives = visit.page.locator(".dropout-lessons-interactive[data-interactive]")
    assert interactives.count() >= 1, f"{name} has no interactive"
    for interactive in interactives.all():
        title = interactive.get_attribute("data-interactive")
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
    assert visit.errors == []
    visit.page.context.close()
