"""What the chapters say in numbers stands beside a claim, and a claim's bound has a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))

#: So many cells away a claim, an outcome or a figure of claims is still beside a sentence.
BESIDE = 2
NUMBER = r"(?<![\w.$\\{-])(?:[-−]?\d[\d,]*(?:\.\d+)?|one|two|three|four|five|six|ten|half a)"
QUANTITY = re.compile(
    NUMBER + r"(?:%| (?:percent|(?:percentage )?points?|nats?|bits|times)\b)"
    r"|\b(?:half|a third|a quarter|a fifth|a tenth|twice|thrice) (?:as|more|less|fewer)\b"
    r"|\b(?:doubles|halves|doubled|halved|tenfold|twofold)\b",
    re.IGNORECASE,
)
#: Quantities that nobody measured here.
SETTINGS = re.compile(
    r"95% interval"  # how sure a claim is
    r"|(?:drops?|keeps?|dropped|kept) \d+% of"  # a setting
    r"|do it ten times|with 60 points\?|right 75% of the time"  # how often, on what data, of which kind
    r"|starts from \(nearly\) 100%"  # claimed at the top of the chapter
    r"|half a point"  # the width of "flat", whose reason the ledger tells
    r'|"no worse than 0\.2 points"',  # a statement of the ledger
    re.IGNORECASE,
)


def sentences(text: str) -> Iterator[str]:
    """The sentences of a cell: not its boxes, formulas, code, headings and what cites its source."""
    text = re.sub(r"^(:{3,}|`{3,}).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|^#.*$", "", text, flags=re.MULTILINE | re.DOTALL)
    for paragraph in re.split(r"\n\s*\n|\n(?=[|*-])", text):
        if "{cite" not in paragraph:
            yield from re.split(r"(?<=[.?!:])\s+", " ".join(paragraph.split()))


def unsupported(cells: list[NotebookNode]) -> list[str]:
    """Sentences with a quantity and no claim within a few cells."""
    claims = [cell.cell_type == "code" and "check(" in cell.source.replace("exercises.check(", "") for cell in cells]
    claims = [
        claim or (cell.cell_type == "code" and bool(re.search(r"\boutcome\(|Claims\(|_claim\b", cell.source)))
        for claim, cell in zip(claims, cells, strict=True)
    ]
    found = []
    for i, cell in enumerate(cells):
        if cell.cell_type != "markdown" or "dropout_lessons" in cell.metadata:
            continue
        if not any(claims[max(0, i - BESIDE) : i + BESIDE + 1]):
            found += [each for each in sentences(cell.source) if QUANTITY.search(each) and not SETTINGS.search(each)]
    return found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_quantity_in_prose_stands_beside_a_claim(chapter: Path) -> None:
    assert unsupported(nbformat.read(chapter, as_version=4).cells) == [], "claim it, cite its source, or leave it out"


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("Dropout takes 1.5 points off.", 1),
        ("The loss is 0.3 nats lower. That is all.", 1),
        ("It is wrong half as often.", 1),
        ("The error doubles, and 12% are wrong. Then three times more.", 2),
        ("| error | 12% |\n| loss | 0.3 nats |", 2),
        ("It drops 20% of the inputs.", 0),
        ("The paper found 1.25% {cite}`srivastava2014dropout`.", 0),
        (":::{prediction} a name\nHow many?\n- 3 points\n:::", 0),
        ("With $p = 0.5$ and `12%` of it, 256 units.", 0),
    ],
)
def test_the_checker_finds_quantities_and_leaves_settings_and_sources(prose: str, found: int) -> None:
    cells = [nbformat.v4.new_markdown_cell(prose)]
    assert len(unsupported(cells)) == found
    near = [*cells, nbformat.v4.new_code_cell("1"), nbformat.v4.new_code_cell('check("It is so.", x, above=0)')]
    assert unsupported(near) == []
    exercise = [*cells, nbformat.v4.new_code_cell('exercises.check("a-1", x)')]
    assert len(unsupported(exercise)) == found


def without_reason(code: str) -> Iterator[str]:
    """Claims with a bound that is not 0 and no reason for it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "check":
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            bounds = [given[name] for name in ("above", "below", "within") if name in given]
            if "reason" not in given and any(bound not in ("0", "0.0") for bound in bounds):
                yield ast.unparse(node.args[0])


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_bound_that_is_not_zero_has_a_reason(chapter: Path) -> None:
    found: list[str] = []
    for cell in nbformat.read(chapter, as_version=4).cells:
        if cell.cell_type == "code":
            found += without_reason(re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE))
    assert not found, f"say why, with reason=, before the run that decides: {found}"


#: Words that point to what was said before: in a table of claims nothing was.
POINTING = re.compile(r"^(?:It|Its|They|Their|That|Those|These|This|So|Yet|But|And|Then|There|Now)\b")


def test_a_claim_can_be_read_where_nothing_stands_before_it() -> None:
    """The ledger, the page of replications and the checks show the sentence of a claim alone."""
    found = []
    for chapter in CHAPTERS:
        for cell in nbformat.read(chapter, as_version=4).cells:
            if cell.cell_type == "code" and "check(" in cell.source:
                for call in ast.walk(ast.parse(re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE))):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "check":
                        said = ast.unparse(call.args[0]).lstrip("f").strip("'\"")
                        found += [f"{chapter.stem}: {said}"] if POINTING.match(said) else []
    assert not found, "\n".join(found)


SAID = re.compile(
    r"\b(?:over|than|below|above|within|at least|by even|to) "
    r"(?:(?P<number>\d[\d,]*(?:\.\d+)?)(?![\d,.]*\d)(?P<unit>%| in 100| (?:percentage )?points?|)"
    r"|(?P<word>a|one|two|half a) (?:percentage )?points?)"
)
WORDS = {"a": 1.0, "one": 1.0, "two": 2.0, "half a": 0.5}


def said_and_required(code: str) -> Iterator[tuple[str, float, list[float]]]:
    """Of claims that say one bound: the sentence, what it says, and what is required. Logarithms stand for their ratios."""
    for call in ast.walk(ast.parse(re.sub(r"^\s*[%!].*", "pass", code, flags=re.MULTILINE))):
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check"):
            continue
        bounds = [word.value for word in call.keywords if word.arg in ("above", "below", "within")]
        constants = [node.value for bound in bounds for node in ast.walk(bound) if isinstance(node, ast.Constant)]
        said = [*SAID.finditer(ast.literal_eval(call.args[0]))] if isinstance(call.args[0], ast.Constant) else []
        required = [float(value) for value in constants if isinstance(value, int | float)]
        if (
            len(said) == 1
            and any(required)
            and all(isinstance(bound, ast.Constant | ast.UnaryOp | ast.Tuple | ast.Call) for bound in bounds)
        ):
            word, number, unit = said[0].group("word", "number", "unit")
            value = WORDS[word] if word else float(number.replace(",", ""))
            required.append((max(required) - min(required)) / 2)
            yield call.args[0].value, value / 100 if word or unit else value, required


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_claim_requires_what_it_says(chapter: Path) -> None:
    cells = nbformat.read(chapter, as_version=4).cells
    for cell in cells:
        if cell.cell_type == "code" and "check(" in cell.source:
            for sentence, said, required in said_and_required(cell.source):
                assert any(abs(value - said) < 1e-9 for value in required), (
                    f"the sentence {sentence!r} says {said:g}, the bound is {' or '.join(f'{value:g}' for value in required)}"
                )


def test_a_claim_that_requires_another_number_than_it_says_is_found() -> None:
    (found,) = said_and_required('check("It is over 3% of the spread.", sampled(gap), above=0.01, reason="")')
    assert found[1:] == (0.03, [0.01, 0.0])
