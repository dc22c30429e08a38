"""Claims on a page: natural units that never contradict the verdict, and a drawing that shows what the words say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from playwright.sync_api import Page
from scipy import stats

from dropout_lessons.claims import (
    Anatomy,
    Claims,
    Evidence,
    Judgement,
    check,
    counted,
    exact,
    judge,
    paired,
    ranked,
    sampled,
)
from dropout_lessons.claims.natural import in_natural_units
from dropout_lessons.claims.showing import CODE

NUMBER = re.compile(r"−?\d+(?:\.\d+)?")


def with_interval(mean: float, margin: float, n: int = 10) -> NDArray[np.float64]:
    """Values of this mean whose 95% interval has this margin."""
    shape = np.linspace(-1, 1, n)
    return mean + margin * math.sqrt(n) / stats.t.ppf(0.975, n - 1) * shape / shape.std(ddof=1)


def difference(mean: float, margin: float, **unit: str) -> Any:
    return paired(with_interval(mean, margin), np.zeros(10), **unit)


def said(judgement: Judgement) -> tuple[str, str, str]:
    words = in_natural_units(judgement.evidence, judgement.limits, judgement.holds)
    return words.effect, words.interval, words.required


def numbers(text: str) -> list[float]:
    return [float(number.replace("−", "-")) for number in NUMBER.findall(text)]


def parsed(shown: Any) -> ElementTree.Element:
    return ElementTree.fromstring(shown._repr_html_())  # well-formed


def lines(box: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in box.iter() if each.get("class") in ("checked-claim", "judged-claim")]


@pytest.mark.parametrize(
    ("evidence", "bound", "words"),
    [
        (
            difference(-math.log(4.6), 0.12, unit="log ratio"),
            {"below": -math.log(3)},
            ("divided by 4.6", "[4.1, 5.2]", "divided by more than 3"),
        ),
        (
            difference(math.log(1.3), 0.1, unit="log ratio"),
            {"above": math.log(1.1)},
            ("times 1.3", "[1.2, 1.4]", "times more than 1.1"),
        ),
        (
            difference(0.01, 0.03, unit="log ratio"),
            {"within": (-0.05, 0.05)},
            ("times 1.01", "[0.98, 1.04]", "times between 0.951 and 1.05"),
        ),
        (
            difference(-0.017, 0.0022, unit="percentage points"),
            {"below": 0},
            ("−1.7 points", "[−1.9, −1.5]", "below 0"),
        ),
        (
            difference(0.1, 0.01, unit="points"),
            {"above": 0.08},
            ("10.0 points", "[9.0, 11.0]", "above 8 points"),
        ),
        (
            difference(0.0, 0.002, unit="points"),
            {"within": (-0.01, 0.01)},
            ("0.00 points", "[−0.20, 0.20]", "between −1 and 1 point"),
        ),
        (difference(0.8, 0.05, unit="%"), {"above": 0.7}, ("80%", "[75, 85]", "above 70%")),
        (difference(-0.31, 0.04, unit="nats"), {"below": -0.1}, ("−0.31 nats", "[−0.35, −0.27]", "below −0.1 nats")),
        (difference(0.21, 0.02), {"below": 1 / 3}, ("0.21", "[0.19, 0.23]", "below 0.333")),
    ],
)
def test_what_was_found_is_said_in_natural_units_with_two_digits(
    evidence: Any, bound: Any, words: tuple[str, str, str]
) -> None:
    assert said(check("as required", evidence, **bound)) == words


@settings(deadline=None)
@given(
    st.integers(-9999, 9999).map(lambda i: i / 1000),
    st.integers(1, 3000).map(lambda i: i / 1000),
    st.integers(-9999, 9999).map(lambda i: i / 1000),
    st.sampled_from(["above", "below"]),
    st.sampled_from(["nats", "log ratio"]),
)
def test_the_shown_interval_never_contradicts_the_verdict(
    mean: float, margin: float, bound: float, side: str, unit: str
) -> None:
    evidence = difference(mean, margin, unit=unit)
    assume(min(abs(end - bound) for end in evidence.interval) > 1e-7)
    given_bound: dict[str, Any] = {side: bound}
    judgement = judge("as required", evidence, **given_bound)
    effect, interval, _ = said(judgement)
    assume("×" not in interval)
    low, high = numbers(interval)
    limit = bound
    if unit == "log ratio":
        limit = math.exp(-bound if effect.startswith("divided") else bound)
        side = {"above": "below", "below": "above"}[side] if effect.startswith("divided") else side
    assert (limit < low if side == "above" else high < limit) == bool(judgement.holds)


def test_deviations_of_an_identity_are_said_with_their_unit() -> None:
    errors = check("All right", exact([0.001, 0.0], [0.0, 0.0], atol=0.005, unit="points"))
    assert said(errors) == ("off by at most 0.10 points", "", "off by at most 0.5 points")
    assert said(check("Equal", exact(1.0, 1.0, atol=0))) == ("no deviation", "", "no deviation")
    tiny = check("Sums agree", exact(1 + 1.2e-9, 1.0, atol=1e-6))
    assert said(tiny) == ("off by at most 1.2 × 10⁻⁹", "", "off by at most 1 × 10⁻⁶")


def test_a_claim_is_one_line_with_its_sentence_once_and_escaped() -> None:
    statement = '<script>alert("&")</script> & error < 2 % for $p$'
    claim = check(statement, difference(-0.013, 0.0011, unit='<b>"nats"</b>'), below=0.0)
    box = parsed(claim)
    (line,) = lines(box)
    assert line == f'✓ {statement} −0.013 <b>"nats"</b> [−0.014, −0.012], 10 seeds'
    assert "".join(box.itertext()).count(statement) == 1
    assert claim._repr_html_().count(CODE) == 1


def test_several_claims_are_one_figure_on_one_axis_where_the_unit_is_one() -> None:
    near = check("Near", difference(-0.01, 0.0011, unit="points"), below=0)
    far = check("Far", difference(-0.04, 0.0011, unit="points"), below=0)
    box = parsed(Claims([near, far]))
    assert lines(box) == ["✓Near−1.0 points [−1.1, −0.9]", "✓Far−4.0 points [−4.1, −3.9]"]
    ticks = [path.get("d") for path in box.iter("path") if path.get("stroke") != "currentColor"]
    assert len(ticks) == 2
    assert ticks[0] == ticks[1], "the bound is at one place"
    dots = [float(dot.get("cx", "nan")) for dot in box.iter("circle")]
    assert dots[1] < dots[0]
    assert "10 seeds" in "".join(next(box.iter("summary")).itertext())


def test_claims_of_different_units_keep_their_own_axes_and_counts() -> None:
    points = check("Points", difference(-0.01, 0.001, unit="points"), below=0)
    draws = check("Draws", sampled(with_interval(3.0, 0.1, n=20)), above=2)
    first, second = lines(parsed(Claims([points, draws])))
    assert first.endswith("10 seeds")
    assert second.endswith("20 draws")


@pytest.mark.parametrize(("other", "shared"), [(0.2, True), (30.0, False)])
def test_numbers_without_a_unit_share_an_axis_if_they_are_alike_in_size(other: float, shared: bool) -> None:
    first = check("First", difference(0.1, 0.01), above=0)
    second = check("Second", difference(other, 0.01 * other), above=0)
    dots = [dot.get("cx") for dot in parsed(Claims([first, second])).iter("circle")]
    alone = [dot.get("cx") for dot in parsed(first).iter("circle")]
    assert (dots[:1] != alone) == shared


def test_named_judgements_go_by_their_names_alone() -> None:
    claim = check("A whole sentence.", difference(-0.01, 0.001), below=0)
    (line,) = lines(parsed(Claims({"first layer": claim})))
    assert "first layer" in line
    assert "sentence" not in line


@pytest.mark.parametrize(
    ("bound", "verdict"), [({"above": 0}, "✗ Does not hold: "), ({"below": -0.0101}, "? Undecided: ")]
)
def test_what_does_not_hold_is_never_marked_as_a_checked_claim(bound: Any, verdict: str) -> None:
    html = judge("It does.", difference(-0.01, 0.001), **bound)._repr_html_()
    assert "checked-claim" not in html
    assert verdict in "".join(ElementTree.fromstring(html).itertext())


def test_the_fold_says_what_was_compared_what_was_required_and_why() -> None:
    claim = check(
        "Dropout lowers the error.",
        paired(with_interval(0.073, 0.001), with_interval(0.09, 0.0012), unit="percentage points"),
        below=-0.005,
        reason="Half a point is five digits of a thousand.",
    )
    fold = "".join(next(parsed(claim).iter("details")).itertext())
    assert "The difference of two arms at each of 10 seeds; their means are 7.30% and 9.00%." in fold
    assert "Required: the whole 95% interval below −0.5 points. Half a point is five digits of a thousand." in fold


def test_the_fold_says_whether_values_are_recorded() -> None:
    live = check("It falls.", difference(-0.017, 0.002), below=0)
    stored = check("It falls.", replace(live.evidence, recorded=True), below=0)
    for claim, words in ((live, "Computed by this code"), (stored, "From recorded results")):
        assert words in "".join(next(parsed(claim).iter("details")).itertext())
    both = "".join(next(parsed(Claims([live, stored])).iter("details")).itertext())
    assert both.index("Computed by this code") < both.index("From recorded results")


@pytest.mark.parametrize("bound", [{"above": -0.02}, {"below": 0.02}, {"within": (-0.02, 0.02)}])
def test_the_bar_keeps_out_of_the_shaded_side_if_and_only_if_the_claim_holds(bound: Any) -> None:
    for mean in (-0.03, -0.019, 0.0, 0.019, 0.03):
        judgement = judge("as required", difference(mean, 0.004), **bound)
        shaded, bars = [], []
        for box in parsed(judgement).iter("rect"):
            start, width = float(box.get("x", "nan")), float(box.get("width", "nan"))
            (bars if box.get("rx") else shaded).append((start, start + width))
        (bar,) = bars
        overlap = any(start + 0.2 < bar[1] and bar[0] < end - 0.2 for start, end in shaded)
        assert overlap != bool(judgement.holds)


def test_the_drawing_says_in_words_what_it_shows() -> None:
    claim = check("It falls.", difference(-0.017, 0.0024, unit="points"), below=0)
    label = next(parsed(claim).iter("svg")).get("aria-label")
    assert label == "−1.7 points, 95% interval [−1.9, −1.5]; required: below 0"


def test_the_parts_of_a_drawing_are_named_for_a_claim_with_one_bound() -> None:
    claim = check("It rises.", difference(0.1, 0.01, unit="points"), above=0.08)
    named = ["".join(text.itertext()) for text in parsed(Anatomy(claim)).iter("text")]
    assert named == [
        "bar: 95% interval [9.0, 11.0]",
        "dot: mean, 10.0 points",
        "shaded: forbidden",
        "line: above 8 points",
    ]
    with pytest.raises(ValueError, match="judgement must have an interval and one bound"):
        Anatomy(check("Equal", exact(1.0, 1.0, atol=0)))
    with pytest.raises(ValueError, match="judgements must hold at least one"):
        Claims([])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_claims_fit_a_phone_without_a_script_and_their_fold_opens(open_page: Callable[..., Page], dark: bool) -> None:
    claims = [
        check(f"A sentence that says what holds, on which digits, compared with what, number {i}.", evidence, below=0)
        for i, evidence in enumerate([difference(-0.017, 0.0022, unit="percentage points"), difference(-1.2e-5, 1e-6)])
    ]
    page = open_page(claims[0]._repr_html_(), Claims(claims)._repr_html_(), dark=dark, width=360, scripts=False)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("summary").first.click()
    assert page.locator("details").first.get_by_text("Required:").is_visible()


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (sampled([1.0, 2.0, 3.0, 4.0, 5.0, 9.0]), "The mean of 6 draws."),
        (sampled([1.0, 2.0, 3.0, 4.0, 5.0, 9.0], unit="log ratio"), "The geometric mean of 6 draws."),
        (ranked([1.0, 2.0, 3.0, 4.0, 5.0, 9.0]), "The median of 6 draws."),
        (counted([True, False, False, False, False, False]), "The share of 6 draws."),
    ],
)
def test_the_fold_says_what_the_effect_is_of_the_values(evidence: Evidence, said: str) -> None:
    judgement = judge("It is more than none.", evidence, above=0)
    assert in_natural_units(evidence, judgement.limits, judgement.holds).arms == said


@pytest.mark.parametrize("unit", ["nats", "points", "log ratio"])
@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize("beyond", [-3e-5, -4e-6, 4e-6, 3e-5])
def test_the_shown_bound_has_as_many_digits_as_tell_it_from_an_end_of_the_interval(
    unit: str, side: str, beyond: float
) -> None:
    for end in (0, 1):
        evidence = difference(0.0123456, 0.004, unit=unit)
        bound: dict[str, Any] = {side: evidence.interval[end] + beyond}
        judgement = judge("as required", evidence, **bound)
        _, interval, required = said(judgement)
        (low, high), (limit,) = numbers(interval), numbers(f"[{re.sub('[^0-9.−]', '', required)}]")
        inside, outside = (limit < low, high <= limit) if side == "above" else (high < limit, limit <= low)
        assert judgement.holds == (True if inside else False if outside else None), (interval, required)


def test_a_narrow_range_of_factors_is_not_from_one_to_one() -> None:
    evidence = difference(0.0001, 0.0001, unit="log ratio")
    assert said(check("as required", evidence, within=(-0.0004, 0.0004)))[2] == "times between 0.9996 and 1.0004"


def test_the_fold_says_that_a_verdict_hangs_by_a_thread() -> None:
    close, apart = (check("as required", difference(-0.02, 0.01), below=bound) for bound in (-0.0095, 0))
    assert "By a thread" in close._repr_html_()
    assert "By a thread" not in apart._repr_html_()
