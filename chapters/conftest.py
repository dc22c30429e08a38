"""How nbval runs the chapters: the longest first, and what they put out is kept for the book."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Generator, Iterable
from pathlib import Path

import nbformat
import outputs  # of the folder book
import pytest
import replication
from nbval.plugin import IPyNbCell


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # by the number of cells, xdist would
    os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars write to stderr, which counts as an error in the book
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # with more threads, chapters side by side wait for each other
    if not hasattr(config, "workerinput"):
        outputs.refresh()
        config.pluginmanager.register(Progress(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    usual = usual_seconds()
    items.sort(key=lambda item: usual.get(item.path.stem, math.inf), reverse=True)


def usual_seconds() -> dict[str, float]:
    """How long each chapter took when it last ran here, or else when it was replicated."""
    return {run.chapter: run.seconds for run in replication.read()} | outputs.seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, pytest.TestReport, None]:
    report = yield
    if call.when == "call" and report.passed and isinstance(item, IPyNbCell):
        take_outputs(item, call.duration)
    return report


def take_outputs(item: IPyNbCell, seconds: float) -> None:
    """Put what a cell wrote and drew into its notebook, and keep the notebook when it was the last one."""
    item.cell.outputs = [nbformat.from_dict(output) for output in item.test_outputs]
    item.cell.execution_count = item.cell_num + 1
    notebook = item.parent.nb
    notebook.metadata.seconds = notebook.metadata.get("seconds", 0) + seconds
    if all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code"):
        answer = item.parent.kernel.kc.kernel_info(reply=True, timeout=30)
        notebook.metadata.language_info = answer["content"]["language_info"]
        outputs.keep(item.path, notebook, notebook.metadata.pop("seconds"))


class Progress:
    """A line for each chapter that is done, in place of a dot for each cell."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.left: dict[str, set[str]] = defaultdict(set)  # cells, by chapter
        self.spent: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()
        self.last_time = usual_seconds()

    def expect(self, nodeids: Iterable[str]) -> None:
        for nodeid in nodeids:
            if ".ipynb::" in nodeid:
                self.left[chapter_of(nodeid)].add(nodeid)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.expect(ids)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> Generator[None, tuple[str, str, str], tuple[str, str, str]]:
        category, letter, word = yield
        return category, "" if ".ipynb::" in report.nodeid else letter, word

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        chapter = chapter_of(report.nodeid)
        if chapter not in self.left:
            return
        self.spent[chapter] += report.duration
        if report.failed:
            self.failed.add(chapter)
        if report.when == "teardown":
            self.left[chapter].discard(report.nodeid)
        if not self.left[chapter]:
            del self.left[chapter]
            self.tell(chapter)

    def tell(self, chapter: str) -> None:
        verb = "FAILED after" if chapter in self.failed else "ran in"
        rest = f"{len(self.left)} to go, about {self.seconds_left():.0f} s" if self.left else "all done"
        writer = self.config.get_terminal_writer()
        writer.line(f"{chapter} {verb} {self.spent[chapter]:.0f} s ({rest})")

    def seconds_left(self) -> float:
        done = [seconds for chapter, seconds in self.spent.items() if chapter not in self.left]
        usual = sum(done) / len(done)
        rest = [max(self.last_time.get(chapter, usual) - self.spent[chapter], 0) for chapter in self.left]
        return max(sum(rest) / (self.config.getoption("numprocesses", None) or 1), *rest)

    def pytest_sessionfinish(self) -> None:
        outputs.note({name: s for name, s in self.spent.items() if name not in self.left and name not in self.failed})


def chapter_of(nodeid: str) -> str:
    return Path(nodeid.split("::")[0]).stem
