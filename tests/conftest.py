"""What several test files share: hypothesis's settings, and a page in a browser."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import chromium  # of the folder book
import pytest

# Before PyTorch is imported, which asks once: with more threads, workers side by side wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hypothesis import settings
from playwright.sync_api import Browser, Error, Page, Route, sync_playwright

# Timings on a shared machine say nothing about the code, so a slow example is no failure.
settings.register_profile("course", deadline=None, print_blob=True)
settings.load_profile("course")

# A shell that starts the tests in the background has Ctrl+C ignored, here and by every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_compiler_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile into a folder of this run: a kernel that another run left half-written would end the process that loads it.

    And in this process: of others, each would import PyTorch first, which takes longer than the kernels of the tests.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(scope="session", autouse=True)
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where toys/toy.py is told what to do: one place for all tests, since the processes of a pool outlive a test."""
    folder = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOY", str(folder))
        yield folder


@pytest.fixture
def told(toy_folder: Path) -> Iterator[Path]:
    """The toy's folder, with an empty log and nothing told; nothing that a test tells it stays."""
    (toy_folder / "log").write_text("")
    yield toy_folder
    for path in toy_folder.iterdir():
        path.unlink()


@pytest.fixture(autouse=True)
def seeded_draws() -> None:
    """What a test draws without a generator, such as a layer's first weights, is the same alone and among others."""
    torch.default_generator.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what a file does in a browser in one worker, which starts one for it; the files with most come first."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            launched = chromium.launch(playwright)
        except Error as error:
            if os.environ.get("CI"):
                pytest.fail(f"no Chromium to test the interactives in: {error}")
            pytest.skip("no Chromium: install one, or run `playwright install chromium`")
        yield launched
        launched.close()


class Pages:
    """Pages of a browser without a network, kept from test to test: opening one takes more than what is shown in it."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._kept: dict[bool, list[Page]] = {True: [], False: []}  # by whether scripts run
        self._used: list[Page] = []
        self.complaints: list[str] = []

    def take(self, width: int, scripts: bool) -> Page:
        """One that no one has taken since they were all blank, with the mouse where nothing is."""
        unused = [page for page in self._kept[scripts] if page not in self._used]
        page = unused[0] if unused else self._new(scripts)
        self._used.append(page)
        page.set_viewport_size({"width": width, "height": 800})
        page.mouse.move(0, 0)
        return page

    def _new(self, scripts: bool) -> Page:
        page = self._browser.new_context(offline=True, java_script_enabled=scripts).new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._kept[scripts].append(page)
        return page

    def blank(self) -> None:
        """End whatever runs in a page, and forget what was asked for; one that cannot be left is not kept."""
        for page in self._used:
            try:
                page.unroute_all()
                page.goto("about:blank")
            except Error:
                self._kept = {
                    scripts: [kept for kept in pages if kept is not page] for scripts, pages in self._kept.items()
                }
                page.context.close()
        self._used.clear()


@pytest.fixture(scope="module")
def pages(browser: Browser) -> Pages:
    return Pages(browser)


@pytest.fixture
def open_page(pages: Pages, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open a static page with these outputs, offline; whatever it asks for or complains of fails the test."""
    complaints = pages.complaints
    complaints.clear()

    def follow(route: Route, page_address: str) -> None:
        if route.request.url != page_address:
            complaints.append(route.request.url)
        route.continue_()

    def open_page(*outputs: str, dark: bool = False, width: int = 1000, scripts: bool = True) -> Page:
        page = pages.take(width, scripts)
        colors = "#ced6dd; background: #14181e" if dark else "#222832; background: #fff"
        path = tmp_path / "page.html"
        path.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>'
            '<meta name="viewport" content="width=device-width">'
            f"<style>html {{color-scheme: {'dark' if dark else 'light'}}} body {{font: 16px sans-serif; color: {colors}}}"
            f"</style></head><body><main><h1>A page</h1>{''.join(outputs)}</main></body></html>",
            encoding="utf-8",
        )
        page.route(re.compile("^(?!blob:)"), lambda route: follow(route, path.as_uri()))
        page.goto(path.as_uri())
        return page

    yield open_page
    pages.blank()
    assert complaints == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the pages of the book weigh, where that was tested (test_book.py)."""
    reports = [report for state in ("passed", "failed") for report in terminalreporter.getreports(state)]
    weights = [dict(report.user_properties).get("weight") for report in reports]
    if any(weights):
        terminalreporter.section("pages: kilobytes on the wire")
        terminalreporter.line(f"{'page':46}{'all':>8}{'HTML':>8}{'scripts':>9}{'pictures':>10}")
        for name, *sizes in sorted(filter(None, weights)):
            terminalreporter.line(f"{name:46}" + "{:8.0f}{:8.0f}{:9.0f}{:10.0f}".format(*sizes))
