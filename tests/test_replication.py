"""What came back with fresh seeds: kept run by run, counted honestly, and said beside each claim."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import replicate  # of the folder book
import replication
from replication import ROOT, Run, badged, by_chapter, code, covering, page, read, returned, write
from reword import WIDTH, reword

from dropout_lessons import claims
from dropout_lessons.claims import Claims, exact, judge, sampled
from dropout_lessons.claims.showing import key_of
from dropout_lessons.runtime import MOST_OFFSETS

DRAWS = [0.1, 0.2, 0.3, 0.2, 0.1]


def kept(statement: str, holds: bool, effect: float = 0.5, *, exact: bool = False) -> dict:
    claim = {"key": statement, "statement": statement, "required": "above 0", "unit": "%", "exact": exact}
    return {**claim, "effect": effect, "interval": [effect, effect], "holds": holds}


RUNS = [
    Run("02_dropping_units", 1, "c", "0" * 40, 60.0, [kept("A.", True, 0.1), kept("B.", True)], []),
    Run("02_dropping_units", 2, "c", "0" * 40, 60.0, [kept("A.", False, -0.2)], ["ValueError: no digits"]),
]


def test_a_claim_that_a_run_did_not_reach_did_not_come_back() -> None:
    found = returned(RUNS)
    assert [(one.times, one.runs, one.enough) for one in found.values()] == [(1, 2, False), (1, 2, False)]
    assert found["A."].effects == [10.0, -20.0]  # percents


@pytest.mark.parametrize(("times", "enough"), [(17, False), (18, True)])
def test_a_claim_must_come_back_18_times_in_20(times: int, enough: bool) -> None:
    runs = [replace(RUNS[0], offset=n, claims=[kept("A.", n <= times, 0.01 * n)]) for n in range(1, 21)]
    assert returned(runs)["A."].enough == enough


def test_a_claim_that_no_seed_moves_rests_on_recorded_results_and_is_not_counted() -> None:
    claims = [kept("Moves.", True, 0.1), kept("Stays.", True, 0.2), kept("Exact.", True, 0.0, exact=True)]
    moved = [kept("Moves.", True, 0.3), *claims[1:]]
    runs = [replace(RUNS[0], claims=claims), replace(RUNS[1], claims=moved)]
    assert list(returned(runs)) == ["Moves.", "Exact."]


def test_an_interval_that_misses_what_other_runs_find_is_counted() -> None:
    def run(offset: int, effect: float, half: float) -> Run:
        claim = {**kept("A.", True, effect), "interval": [effect - half, effect + half]}
        return replace(RUNS[0], offset=offset, claims=[claim])

    assert covering([run(1, 0.1, 0.2), run(2, 0.2, 0.05), run(3, 0.3, 0.2)]) == (3, 3)
    assert covering([run(1, 0.1, 0.05), run(2, 0.2, 0.05), run(3, 0.3, 0.05)]) == (1, 3)
    assert covering([run(1, 0.1, 0.05)]) == (0, 0)


def test_the_intervals_of_the_chapters_go_about_as_far_as_fresh_seeds_do() -> None:
    held, intervals = covering(read())
    assert 0.9 < held / intervals < 0.99


def test_fresh_offsets_are_such_as_no_chapter_was_run_with() -> None:
    drawn = replicate.offsets(3, 5, [replace(RUNS[0], offset=n) for n in range(1, 380)])
    assert drawn[:3] == [1, 2, 3]
    assert len(set(drawn[3:])) == 5
    assert set(drawn[3:]) <= set(range(380, MOST_OFFSETS + 1))


def test_the_page_names_what_came_back_seldom_and_what_failed() -> None:
    text = page(RUNS, replicate.CHAPTERS)
    seldom = text.split("## Claims that came back seldom")[1].split("\n## ")[0]
    assert "| A. | above 0 | −20 to 10% | 1 of 2 |" in seldom
    assert "- Chapter 02, offset 2: `ValueError: no digits`" in seldom
    assert (
        "Of 2 claims with an interval 0 came back in nine of ten runs or more; counting each run of each claim, 2 of 4."
        in text
    )
    assert "Ten minutes" in text.split("Not run so far:")[1].splitlines()[0]


def test_the_page_of_the_book_is_what_the_runs_give() -> None:
    message = "run `make replicate OFFSETS=0`, which writes the page alone"
    assert replication.PAGE.read_text(encoding="utf-8") == page(read(), replicate.CHAPTERS), message


def test_runs_are_kept_once_for_each_chapter_and_offset_and_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    again = replace(RUNS[0], seconds=1.0)
    write([*RUNS[::-1], again], path)
    assert read(path) == [again, RUNS[1]]
    assert len(path.read_text().splitlines()) == 2


def test_every_kept_run_has_fresh_seeds_and_claims_that_are_computed() -> None:
    for run in read():
        assert run.offset >= 1
        assert run.claims or run.errors
        for claim in run.claims:
            assert set(claim) == {"key", "statement", "required", "unit", "exact", "effect", "interval", "holds"}
    assert all(len({run.offset for run in runs}) == len(runs) for runs in by_chapter(read()).values())


def test_in_a_chapter_claims_that_fail_are_kept_and_recorded_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "check", claims.check)  # put back afterwards
    path = tmp_path / "claims.jsonl"
    replicate.keep(str(path))
    assert not claims.check("Below.", sampled(DRAWS), below=0, reason="Any.").holds
    assert claims.check("Same.", exact(1.0, 1.0, atol=0.0)).holds
    claims.check("Recorded.", replace(sampled(DRAWS), recorded=True), above=0)
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["statement"], first["holds"], first["required"], first["exact"]) == (
        "Below.",
        False,
        "below 0",
        False,
    )
    assert (second["statement"], second["holds"], second["exact"]) == ("Same.", True, True)


def test_a_claim_says_how_often_it_came_back_if_its_sentence_and_bound_are_those_that_were_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = judge("Above.", sampled(DRAWS), above=0)
    other = judge("Above.", sampled(DRAWS), above=0.05)
    old = replace(judge("Old.", sampled(DRAWS), above=0), evidence=replace(sampled(DRAWS), recorded=True))
    run = replace(RUNS[0], claims=[{**kept("Above.", True), "key": key_of(now.statement, now.words.required)}])
    monkeypatch.setattr(replication, "read", lambda: [run])
    replication._badges.cache_clear()
    html = badged(Claims([now, other, old])._repr_html_(), run.chapter)
    replication._badges.cache_clear()
    assert html.count("came back 1 of 1") == html.count("came back") == 1
    assert html.index("Above.") < html.index("came back") < html.rindex("Above.")
    assert "<!-- came" not in html


def test_a_digest_changes_with_what_a_chapter_computes_and_not_with_what_it_says(tmp_path: Path) -> None:
    def digest(source: str, **metadata: object) -> str:
        cell = nbformat.v4.new_code_cell(source)
        cell.metadata.update(metadata)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "chapter.ipynb")
        return code(tmp_path / "chapter.ipynb")

    before = digest('if True:\n    %pip install it\ncheck("A.", x, above=0)')
    assert before == digest('if True:  # once\n    %pip install other\ncheck("A.", x, above=0, reason="Any.")')
    assert before != digest('if True:\n    %pip install it\ncheck("A.", x, above=0.1)')
    assert digest("1") == digest("1") != digest("2", dropout_lessons={"exercise": "e"}) == digest("", x=1)


SENTENCE = "It is so, in the median of all of the networks that are trained here."
SOURCE = f"""%matplotlib inline
Claims(
    [
        check(
            "It is so, in the median of all of the networks "
            "that are trained here.",
            sampled(π),
            above=0,
        ),
        check("Another one.", sampled(x), above=0),
    ]
)
print({SENTENCE!r})"""


def chapter_of(folder: Path, *sources: str) -> Path:
    path = folder / "02_dropping_units.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_reworded_claim_keeps_what_its_runs_found_and_all_else_stays(tmp_path: Path) -> None:
    path, record = chapter_of(tmp_path, SOURCE), tmp_path / "runs.jsonl"
    own = {**kept(SENTENCE, True, 0.25), "key": key_of(SENTENCE, "above 0")}
    now = Run(path.stem, 1, code(path), "0" * 40, 60.0, [own, kept("B.", True)], [])
    stale, other = replace(now, offset=2, code="older"), replace(now, chapter="03_training_with_dropout")
    write([now, stale, other], record)

    new = 'The "error" is below 1 – in each of the networks, whichever digits they are trained on.'
    assert reword(SENTENCE, new, [path], record) == path
    (cell,) = nbformat.read(path, as_version=4).cells
    assert ast.unparse(ast.parse(cell.source[19:])) == ast.unparse(ast.parse(SOURCE[19:])).replace(
        repr(SENTENCE), repr(new), 1
    )
    assert max(map(len, cell.source.splitlines()[:-1])) <= WIDTH
    first, *others = read(record)
    assert first == replace(
        now, code=code(path), claims=[{**own, "statement": new, "key": key_of(new, "above 0")}, now.claims[1]]
    )
    assert others == [stale, other]


def test_what_is_not_the_sentence_of_one_claim_is_not_reworded(tmp_path: Path) -> None:
    path, record = chapter_of(tmp_path, SOURCE, 'check("Another one.", exact(1, 1, atol=0))'), tmp_path / "runs.jsonl"
    before = path.read_bytes()
    for old, many in (("Another one.", 2), ("Another", 0)):
        with pytest.raises(ValueError, match=f"whole sentence of one claim, .*got '{old}', which {many} have"):
            reword(old, "New.", [path], record)
    assert path.read_bytes() == before
    assert not record.exists()


def test_the_command_leads_to_the_page() -> None:
    assert "file: book/replication\n" in (ROOT / "_toc.yml").read_text()
