"""The pages of the API: every public module stands on one of them, and each begins with an example that runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from test_architecture import FLOOR_OF

ROOT = Path(__file__).resolve().parents[1]
INDEX = ROOT / "book/api/index.md"
PAGES = sorted(path for path in INDEX.parent.glob("*.md") if path != INDEX)
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in PAGES}
WITHOUT_A_PAGE = {"arguments", "cli"}  # checks, whose errors say what they ask; and commands, whose help does

every_page = pytest.mark.parametrize("page", TEXTS)


def beginning(page: str) -> tuple[str, str]:
    """What a page says before its example, and the example."""
    said, code = re.match(r"# .+?\n\n(.+?)\n\n```pycon\n(.+?)```", TEXTS[page], re.DOTALL).groups()
    return " ".join(said.split()), code


@every_page
def test_the_example_of_a_page_prints_what_stands_there(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # it may write
    example = doctest.DocTestParser().get_doctest(beginning(page)[1], {}, page, f"book/api/{page}.md", 0)
    said: list[str] = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert tried
    assert not failed, "".join(said)


@every_page
def test_a_page_says_in_two_sentences_what_one_does_with_it_and_shows_it_in_about_ten_lines(page: str) -> None:
    said, code = beginning(page)
    assert len(re.findall(r"\.(?= |$)", said)) in (2, 3)
    written = re.findall(r"^(?:>>>|\.\.\.)", code, re.MULTILINE)
    assert 8 <= len(written) <= 13
    assert max(map(len, code.splitlines())) <= 79  # what a page shows uncut


def test_every_public_module_is_on_one_page() -> None:
    shown = [name for text in TEXTS.values() for name in re.findall(r"automodule:: dropout_lessons\.(\w+)", text)]
    assert sorted(shown) == sorted(set(FLOOR_OF) - WITHOUT_A_PAGE)


def parameters(member: object) -> Iterable[inspect.Parameter]:
    try:
        return inspect.signature(member).parameters.values()
    except (TypeError, ValueError):  # a value, or an exception
        return ()


@pytest.mark.parametrize("module", sorted(FLOOR_OF))
def test_the_types_that_a_public_name_takes_are_on_the_pages_too(module: str) -> None:
    modules = {name: importlib.import_module(f"dropout_lessons.{name}") for name in FLOOR_OF}
    public = {name for each in modules.values() for name in each.__all__}
    for name in modules[module].__all__:
        member = getattr(modules[module], name)
        for parameter in parameters(member):
            known = vars(sys.modules[member.__module__])
            types = [known.get(word) for word in re.findall(r"\w+", str(parameter.annotation))]
            own = {each.__name__ for each in types if inspect.isclass(each) and "dropout_lessons" in each.__module__}
            assert parameter.name.startswith("_") or own <= public, f"{name} takes {parameter}"


def test_the_first_page_leads_to_every_other() -> None:
    assert sorted(re.findall(r"\| \[[^]]+\]\((\w+)\.md\) \|", INDEX.read_text(encoding="utf-8"))) == sorted(TEXTS)
