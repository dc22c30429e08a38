"""Claims: intervals that cover, false claims that raise, and words that say what the numbers say."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from dropout_lessons.claims import (
    ClaimError,
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

# Multiples of 1/1024 below 1024: their sums and differences are exact, so that properties hold to the last bit.
EXACT_FLOATS = st.integers(-(2**20), 2**20).map(lambda i: i / 1024)
ARMS = st.lists(st.tuples(EXACT_FLOATS, EXACT_FLOATS), min_size=5, max_size=12)
NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?"


def supports(evidence: Evidence, **bound: Any) -> bool:
    try:
        check("as required", evidence, **bound)
    except ClaimError:
        return False
    return True


def arms(rows: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [a for a, _ in rows], [b for _, b in rows]


def dropout_and_baseline(effect: float = -0.0155) -> tuple[list[float], list[float]]:
    """Test errors (fractions) of five seeds; the arms share most of their noise."""
    rng = np.random.default_rng(0)
    baseline = 0.075 + 0.004 * rng.standard_normal(5)
    treatment = baseline + effect + 0.002 * rng.standard_normal(5)
    return treatment.tolist(), baseline.tolist()


# The interval


def test_95_percent_of_the_intervals_from_five_seeds_cover_the_effect() -> None:
    repeats, seeds, effect = 4000, 5, 0.3
    rng = np.random.default_rng(1)
    shared = rng.standard_normal((repeats, seeds))
    treatment = shared + effect + 0.5 * rng.standard_normal((repeats, seeds))
    control = shared + 0.5 * rng.standard_normal((repeats, seeds))
    found = [paired(a, b) for a, b in zip(treatment, control, strict=True)]
    tolerance = 4 * math.sqrt(0.95 * 0.05 / repeats)
    covered = np.mean([e.interval[0] <= effect <= e.interval[1] for e in found])
    assert covered == pytest.approx(0.95, abs=tolerance)
    # The test has power: with 1.96 standard errors instead of Student's 2.78, coverage would be far off.
    narrow = 1.96 / stats.t.ppf(0.975, seeds - 1)
    normal = np.mean([abs(e.effect - effect) <= narrow * (e.interval[1] - e.effect) for e in found])
    assert normal < 0.95 - 3 * tolerance


def coverage(draws: np.ndarray, truth: float, evidence: Any) -> float:
    found = [evidence(row) for row in draws]
    return float(np.mean([e.interval[0] <= truth <= e.interval[1] for e in found]))


@pytest.mark.parametrize("n", [6, 10])
def test_the_interval_by_ranks_covers_the_median_of_values_with_a_long_tail(n: int) -> None:
    sigma, repeats = 1.5, 300
    draws = np.random.default_rng(2).lognormal(0.0, sigma, size=(repeats, n))
    # At least 95%, less four standard errors; the mean's interval misses the mean far more often.
    assert coverage(draws, 1.0, ranked) >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / repeats)
    assert coverage(draws, math.exp(sigma**2 / 2), sampled) < 0.9


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_the_interval_of_a_share_covers_it_however_rare(share: float) -> None:
    draws = np.random.default_rng(3).random((300, 40)) < share
    assert coverage(draws, share, counted) >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / 300)
    if share == 0.01:  # two in three samples have no case at all, and a mean with an interval of no width
        assert coverage(draws, share, sampled) < 0.5


@given(st.lists(st.floats(0.01, 100), min_size=6, max_size=30))
def test_ranks_do_not_mind_how_values_are_stretched(values: list[float]) -> None:
    low, high = ranked(values).interval
    assert ranked(np.log(values)).interval == pytest.approx((math.log(low), math.log(high)), abs=1e-12)
    k = sorted(values).index(low)
    assert 2 * stats.binom.cdf(sum(value < low for value in values), len(values), 0.5) <= 0.05 or k == 0


@pytest.mark.parametrize("n", [5, 20, 1000])
def test_where_nothing_was_so_the_share_may_still_be_up_to_four_in_n(n: int) -> None:
    none, all_of_them = counted([False] * n), counted(torch.ones(n, dtype=torch.bool))
    assert (none.effect, *none.interval) == (0, 0, pytest.approx(1 - 0.025 ** (1 / n)))
    assert (all_of_them.effect, *all_of_them.interval) == (1, pytest.approx(0.025 ** (1 / n)), 1)
    assert none.interval[1] < 4 / n
    assert not supports(none, above=0)
    assert supports(none, below=0.9)


def test_a_median_of_five_and_outcomes_that_are_no_outcomes_are_refused() -> None:
    with pytest.raises(
        ValueError, match="values must hold at least 6 networks for a 95% interval of their median, got 5"
    ):
        ranked([1.0, 2.0, 3.0, 4.0, 5.0], over="networks")
    with pytest.raises(ValueError, match=r"outcomes must be true or false, got 0\.5"):
        counted([0.5, 1, 0, 1, 0, 1])


def test_a_claim_about_no_effect_at_all_passes_in_one_of_forty_checks() -> None:
    repeats = 4000
    draws = np.random.default_rng(2).standard_normal((repeats, 5))
    passed = np.mean([supports(sampled(values), below=0.0) for values in draws])
    assert passed == pytest.approx(0.025, abs=4 * math.sqrt(0.025 * 0.975 / repeats))


@pytest.mark.parametrize("n", [5, 6, 10, 100])
def test_the_interval_is_that_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((2, n))
    oracle = stats.ttest_rel(a, b).confidence_interval()
    assert paired(a, b).interval == pytest.approx((oracle.low, oracle.high), rel=1e-12)
    assert paired(a, b).effect == pytest.approx(np.mean(a - b), rel=1e-12)
    oracle = stats.ttest_1samp(a, 0).confidence_interval()
    assert sampled(a).interval == pytest.approx((oracle.low, oracle.high), rel=1e-12)


@pytest.mark.parametrize("values", [[0.1] * 6, [0.0] * 5, [-1e-300] * 7])
def test_equal_values_have_an_interval_of_no_width(values: list[float]) -> None:
    evidence = sampled(values)
    assert evidence.interval == (values[0], values[0])
    assert evidence.effect == values[0]


def test_an_effect_of_exactly_zero_is_neither_above_nor_below_zero() -> None:
    nothing = paired([0.3] * 5, [0.3] * 5)
    with pytest.raises(ClaimError, match="touches the bound"):
        check("better", nothing, above=0.0)
    with pytest.raises(ClaimError, match="touches the bound"):
        check("worse", nothing, below=0.0)
    assert check("the same", nothing, within=(-0.001, 0.001)).effect == 0


@settings(deadline=None)
@given(ARMS, EXACT_FLOATS)
def test_above_for_the_differences_is_below_for_their_negatives(rows: list[tuple[float, float]], bound: float) -> None:
    treatment, control = arms(rows)
    forward, backward = paired(treatment, control), paired(control, treatment)
    assert backward.effect == -forward.effect
    assert backward.interval == (-forward.interval[1], -forward.interval[0])
    assert supports(forward, above=bound) == supports(backward, below=-bound)


@settings(deadline=None)
@given(ARMS, EXACT_FLOATS)
def test_a_shift_of_both_arms_changes_nothing_and_of_one_arm_shifts_the_effect(
    rows: list[tuple[float, float]], shift: float
) -> None:
    treatment, control = (np.array(arm) for arm in arms(rows))
    evidence = paired(treatment, control)
    assert paired(treatment + shift, control + shift) == evidence
    moved = paired(treatment + shift, control)
    expected = [value + shift for value in (evidence.effect, *evidence.interval)]
    assert [moved.effect, *moved.interval] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(ARMS.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_the_seeds_does_not_matter(rows: tuple[list[tuple[float, float]], ...]) -> None:
    original, shuffled = rows
    assert paired(*arms(shuffled)) == paired(*arms(original))


def test_pairing_matters() -> None:
    treatment, control = dropout_and_baseline()
    matched, mismatched = paired(treatment, control), paired(treatment, control[1:] + control[:1])
    assert mismatched.effect == pytest.approx(matched.effect)
    widths = [high - low for low, high in (matched.interval, mismatched.interval)]
    assert widths[1] > 1.5 * widths[0]


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
def test_values_may_come_as_any_sequence(kind: Any) -> None:
    treatment, control = [0.5, 0.25, 0.75, 1.0, 0.125], [0.0, 0.5, 0.25, 0.5, 0.0]
    assert paired(kind(treatment), kind(control)) == paired(treatment, control)
    assert sampled(kind(treatment)) == sampled(treatment)


# The verdict


def test_a_true_claim_holds_its_evidence() -> None:
    evidence = paired(*dropout_and_baseline(), unit="percentage points")
    claim = check("Dropout lowers the test error", evidence, below=0.0)
    assert isinstance(claim, Judgement)
    assert claim.statement == "Dropout lowers the test error"
    held = (claim.effect, claim.interval, claim.n, claim.unit)
    assert held == (evidence.effect, evidence.interval, 5, "percentage points")


def test_swapped_arms_raise() -> None:
    treatment, control = dropout_and_baseline()
    check("Dropout lowers the test error", paired(treatment, control), below=0.0)
    with pytest.raises(ClaimError, match="not supported: Dropout lowers the test error"):
        check("Dropout lowers the test error", paired(control, treatment), below=0.0)


@pytest.mark.parametrize(
    ("bound", "shortfall"),
    [
        ({"above": 0.01}, lambda low, high: 0.01 - low),
        ({"below": 0.001}, lambda low, high: high - 0.001),
        ({"within": (-0.01, 0.001)}, lambda low, high: max(-0.01 - low, high - 0.001)),
        ({"within": (-0.001, 0.1)}, lambda low, high: max(-0.001 - low, high - 0.1)),
    ],
)
@pytest.mark.parametrize(("unit", "scale"), [("percentage points", 100), ("%", 100), ("nats", 1), ("", 1)])
def test_a_false_claim_raises_and_says_by_how_much(bound: Any, shortfall: Any, unit: str, scale: float) -> None:
    treatment, control = dropout_and_baseline(effect=0.001)
    with pytest.raises(ClaimError) as error:
        check("There is an effect", paired(treatment, control, unit=unit), **bound)
    message = str(error.value)
    oracle = stats.ttest_rel(treatment, control).confidence_interval()
    words = re.search(rf"falls short by ({NUMBER})(.*)$", message)
    assert words, message
    last_digit = 10.0 ** -len(words[1].partition(".")[2])
    assert float(words[1]) > 0
    assert float(words[1]) == pytest.approx(scale * shortfall(oracle.low, oracle.high), abs=last_digit / 2)
    assert words[2] == (unit if unit in ("", "%") else f" {unit}")
    interval = re.search(rf"95% interval \[({NUMBER}), ({NUMBER})\], 5 seeds", message)
    assert interval, message
    low, high = interval.groups()
    assert float(low) == pytest.approx(scale * oracle.low, abs=last_digit / 2)
    assert float(high) == pytest.approx(scale * oracle.high, abs=last_digit / 2)
    assert "not supported: There is an effect" in message


def test_an_interval_that_covers_the_bound_raises_even_if_the_effect_is_beyond_it() -> None:
    values = [0.1, -0.1, 0.3, 0.2, 0.05]
    assert sampled(values).effect > 0
    with pytest.raises(ClaimError):
        check("The mean is positive", sampled(values), above=0.0)


def test_equivalence_needs_the_whole_interval_inside() -> None:
    evidence = sampled([0.1, -0.1, 0.05, -0.05, 0.0])
    low, high = evidence.interval
    assert supports(evidence, within=(low - 0.01, high + 0.01))
    assert not supports(evidence, within=(low + 0.01, high + 0.01))
    assert not supports(evidence, within=(low - 0.01, high - 0.01))


# The words


def test_the_summary_reads_as_in_the_book() -> None:
    margin = 0.0025
    spread = margin * math.sqrt(5) / stats.t.ppf(0.975, 4)
    values = -0.0155 + spread * np.array([-1, -1, 0, 1, 1])  # with standard deviation `spread`
    claim = check("Dropout lowers the error", paired(values, np.zeros(5), unit="points"), below=0.0)
    words = "effect -1.55 points, 95% interval [-1.80, -1.30], 5 seeds; required: below 0"
    assert claim.summary == words
    assert repr(claim) == f"Checked claim: Dropout lowers the error ({words})"


def test_the_number_of_digits_follows_the_width_of_the_interval() -> None:
    noise = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    margin = stats.t.ppf(0.975, 4) * noise.std(ddof=1) / math.sqrt(5)
    for power in range(-3, 3):
        values = 1000 + 10.0**power / margin * noise * 1.2  # the margin is 1.2 * 10^power
        summary = check("positive", sampled(values), above=0.0).summary
        decimals = max(0, 1 - power)
        low, high = 1000 - 1.2 * 10.0**power, 1000 + 1.2 * 10.0**power
        assert f"effect {1000:.{decimals}f}, 95% interval [{low:.{decimals}f}, {high:.{decimals}f}]" in summary


@pytest.mark.parametrize(
    ("power", "words"),
    [
        (-9, "2.00e-09, 95% interval [1.12e-09, 2.88e-09]"),
        (0, "2.00, 95% interval [1.12, 2.88]"),
        (12, "2.00e+12, 95% interval [1.12e+12, 2.88e+12]"),
    ],
)
def test_only_very_small_and_very_large_effects_are_written_in_scientific_notation(power: int, words: str) -> None:
    values = [draw * 10.0**power for draw in (1, 2, 3, 2, 2)]
    assert check("positive", sampled(values), above=0.0).summary.startswith(f"effect {words}, 5 draws")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.25] * 5, "effect 25.0%, 95% interval [25.0, 25.0]"),
        ([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3], "effect 30.0%, 95% interval [30.0, 30.0]"),  # spread of rounding only
    ],
)
def test_an_interval_of_no_width_is_written_with_three_digits(values: list[float], words: str) -> None:
    assert check("positive", sampled(values, unit="%"), above=0.0).summary.startswith(words)


@settings(deadline=None)
@given(
    st.lists(st.integers(-9999, 9999).map(lambda i: i / 1000), min_size=5, max_size=8),
    st.integers(-9999, 9999).map(lambda i: i / 1000),
    st.sampled_from(["above", "below"]),
    st.sampled_from([1.0, 1e-6]),
)
def test_the_printed_interval_never_contradicts_the_verdict(
    values: list[float], bound: float, side: str, scale: float
) -> None:
    evidence = sampled([scale * value for value in values])
    bound *= scale
    gap = min(abs(end - bound) for end in evidence.interval)
    assume(gap == 0 or gap > 1e-9 * scale)  # beyond that, more digits are not worth printing
    one_bound: dict[str, Any] = {side: bound}
    try:
        words, supported = check("as required", evidence, **one_bound).summary, True
    except ClaimError as error:
        words, supported = str(error), False
    parsed = re.search(rf"\[({NUMBER}), ({NUMBER})\], \d draws; required: {side} ({NUMBER})", words)
    assert parsed, words
    low, high, required = map(float, parsed.groups())
    assert (required < low if side == "above" else high < required) == supported
    assert "-0," not in words
    assert not re.search(r"-0\.0+\b(?!\d)", words)


def test_an_end_close_to_the_bound_is_written_with_the_digits_that_tell_them_apart() -> None:
    evidence = sampled([-1.0, -2.0, -3.0, -2.0, -2.0])
    end = evidence.interval[1]
    just_above, just_below = math.ceil(end * 1e6) / 1e6, math.floor(end * 1e6) / 1e6
    words = check("close", evidence, below=just_above).summary
    shown = re.search(rf", ({NUMBER})\], 5 draws; required: below ({NUMBER})$", words)
    assert shown, words
    assert float(shown[1]) < float(shown[2]) == just_above
    with pytest.raises(ClaimError) as error:
        check("close", evidence, below=just_below)
    shown = re.search(rf", ({NUMBER})\], .* below ({NUMBER}); falls short by ({NUMBER})$", str(error.value))
    assert shown, str(error.value)
    assert float(shown[1]) > float(shown[2]) == just_below
    assert float(shown[3]) > 0


def test_values_are_called_by_what_they_come_from() -> None:
    values = [1.0, 2.0, 3.0, 2.0, 1.0]
    assert "5 draws" in check("positive", sampled(values), above=0.0).summary
    assert "5 seeds" in check("positive", sampled(values, over="seeds"), above=0.0).summary
    with pytest.raises(ValueError, match="at least 5 digits, got 4"):
        sampled(values[:4], over="digits")
    with pytest.raises(ValueError, match="over must name in the plural"):
        sampled(values, over="seed")


# The judgement


@pytest.mark.parametrize(
    ("bounds", "holds", "words"),
    [
        ({"below": 0.0}, True, ""),
        ({"above": 0.0}, False, "falls short by 2.88"),
        ({"within": (-2.0, 2.0)}, None, "falls short by 0.88"),
        ({"above": -2.0}, None, "falls short by 0.88"),
    ],
)
def test_a_judgement_says_what_was_found_whatever_it_is(bounds: Any, holds: bool | None, words: str) -> None:
    evidence = sampled([-1.0, -2.0, -3.0, -2.0, -2.0])  # -2 with a margin of 0.878
    judgement = judge("It is so", evidence, **bounds)
    assert judgement.holds is holds
    assert judgement.words.shortfall == words
    assert judgement.shortfall == pytest.approx(float(words.split()[-1]) if words else 0.0, abs=0.005)
    assert judgement.words[:3] == ("-2.00", "[-2.88, -1.12]", "5 draws")
    assert f"required: {judgement.words.required}" in judgement.summary
    if holds:
        assert check("It is so", evidence, **bounds) == judgement
    else:
        with pytest.raises(ClaimError) as error:
            check("It is so", evidence, **bounds)
        assert str(error.value) == f"not supported: It is so\n{judgement.summary}; {words}"


@settings(deadline=None)
@given(st.lists(EXACT_FLOATS, min_size=5, max_size=9), EXACT_FLOATS, st.sampled_from(["above", "below"]))
def test_a_statement_and_its_opposite_never_both_hold_and_one_is_false_where_the_other_is_true(
    values: list[float], bound: float, side: str
) -> None:
    other = {"above": "below", "below": "above"}[side]
    first: dict[str, Any] = {side: bound}
    second: dict[str, Any] = {other: bound}
    holds, opposite = (judge("So", sampled(values), **given).holds for given in (first, second))
    if holds:
        assert opposite is False
    assert (holds is None) == (opposite is None) or bound in sampled(values).interval


def test_a_judgement_of_an_identity_is_true_or_false() -> None:
    assert judge("They agree", exact(1.0, 1.0, atol=0.0)).holds is True
    off = judge("They agree", exact(1.0, 1.5, atol=0.25))
    assert (off.holds, off.shortfall, off.limits) == (False, 0.25, (-math.inf, 0.25))
    assert judge("They agree", exact(math.nan, 1.0, atol=0.25)).holds is False


def test_boxes_of_what_does_not_hold_or_is_undecided_do_not_look_like_checked_claims() -> None:
    evidence = sampled([-1.0, -2.0, -3.0, -2.0, -2.0])
    for bounds, heading in (({"above": 0.0}, "Does not hold"), ({"above": -2.0}, "Undecided")):
        judgement = judge("It is so", evidence, **bounds)  # type: ignore[arg-type]
        assert heading in judgement._repr_html_()
        assert "checked-claim" not in judgement._repr_html_()
        assert repr(judgement).startswith(f"{heading}: It is so (")


def test_a_paired_difference_keeps_the_means_of_its_arms() -> None:
    evidence = paired([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0])
    assert evidence.arms == (3.0, 6.0)
    assert evidence.relative == -0.5
    assert sampled([1.0] * 5).relative is None
    assert paired([1.0] * 5, [0.0] * 5).relative is None


def test_a_verdict_hangs_by_a_thread_where_the_interval_ends_within_a_tenth_of_its_half_width_of_the_bound() -> None:
    evidence = sampled([-1.0, -2.0, -3.0, -2.0, -2.0])
    (_, end), margin = evidence.interval, 2.0 + evidence.interval[1]
    for beyond, by_a_thread in ((0.09, True), (0.11, False), (-0.09, True), (-0.11, False)):
        assert judge("Below", evidence, below=end + beyond * margin).by_a_thread is by_a_thread


# Percent units


@pytest.mark.parametrize("unit", ["points", "percentage points", "%"])
def test_percents_given_for_fractions_are_refused(unit: str) -> None:
    percents = [1.5, 1.6, 1.4, 1.5, 1.7]
    fractions = [value / 100 for value in percents]
    with pytest.raises(ValueError, match=r"treatment must hold fractions.*got 1\.7; divide percents by 100"):
        paired(percents, fractions, unit=unit)
    with pytest.raises(ValueError, match="control must hold fractions"):
        paired(fractions, percents, unit=unit)
    with pytest.raises(ValueError, match=r"below must be a fraction.*got 2\.5"):
        check("small", sampled(fractions, unit=unit), below=2.5)
    with pytest.raises(ValueError, match=r"actual must hold fractions.*got 1\.7"):
        exact(percents, fractions, atol=0.1, unit=unit)
    assert "effect 1.54" in check("small", sampled(fractions, unit=unit), below=0.025).summary


# Identities


def test_an_identity_passes_up_to_its_tolerance() -> None:
    claim = check("They agree", exact(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]), atol=0.5))
    assert (claim.effect, claim.interval, claim.n) == (0.5, (0.5, 0.5), 2)
    assert claim.summary == "largest deviation 0.5, allowed 0.5, 2 values compared"
    with pytest.raises(ClaimError, match=r"largest deviation 0\.5, allowed 0\.499, .*falls short by 0\.001"):
        check("They agree", exact([1.0, 2.0], [1.0, 2.5], atol=0.499))


def test_the_deviation_is_written_with_two_digits_or_as_many_as_the_verdict_needs() -> None:
    summary = check("They agree", exact(1.00000012, 1.0, atol=1e-6)).summary
    assert summary == "largest deviation 1.2e-07, allowed 1e-06, 1 value compared"
    with pytest.raises(ClaimError, match=r"largest deviation 1\.00004e-06, allowed 1e-06, .*falls short by 4e-11"):
        check("They agree", exact(1.00004e-6, 0.0, atol=1e-6))


@settings(deadline=None)
@given(st.lists(EXACT_FLOATS, min_size=1, max_size=20), st.integers(0, 19), EXACT_FLOATS)
def test_one_deviating_value_is_found_wherever_it_is(values: list[float], where: int, deviation: float) -> None:
    expected = np.array(values)
    actual = expected.copy()
    actual[where % len(values)] += deviation
    assert exact(actual, expected, atol=1.0).effect == abs(deviation)
    assert exact(expected, actual, atol=1.0).effect == abs(deviation)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(math.nan, math.nan), (math.nan, 0.0), ([0.0, math.nan], [0.0, 0.0]), ([1.0, 0.0], [math.nan, 0.0])],
)
def test_nan_never_passes(actual: Any, expected: Any) -> None:
    with pytest.raises(ClaimError, match=r"largest deviation nan.*NaN never agrees"):
        check("They agree", exact(actual, expected, atol=1e300))


def test_infinities_agree_with_themselves_only() -> None:
    logs = torch.tensor([0.0, -math.inf])
    assert check("They agree", exact(logs, logs, atol=0.0)).effect == 0
    for other in (torch.tensor([0.0, math.inf]), torch.tensor([0.0, -1e30])):
        with pytest.raises(ClaimError, match="largest deviation inf"):
            check("They agree", exact(logs, other, atol=1e300))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float32])
def test_tensors_of_any_real_type_are_compared(dtype: torch.dtype) -> None:
    ones, zeros = torch.ones(2, 3, dtype=dtype), torch.zeros(2, 3, dtype=dtype)
    assert exact(ones, ones, atol=0.0).effect == 0
    assert exact(zeros, ones, atol=0.0).effect == 1  # an unsigned 0 - 1 must not wrap around
    assert exact(ones.float().requires_grad_(), ones, atol=0.0).n == 6


@pytest.mark.parametrize(
    ("actual", "expected", "atol", "message"),
    [
        (torch.zeros(3), torch.zeros(3, 1), 0.0, r"same shape, got \(3,\) and \(3, 1\)"),
        (torch.zeros(3), 0.0, 0.0, "same shape"),
        (torch.zeros(0), torch.zeros(0), 0.0, "at least one value"),
        (0.0, 0.0, -1.0, "atol must be finite and at least 0, got -1"),
        (0.0, 0.0, math.nan, "atol"),
        (0.0, 0.0, math.inf, "atol"),
        (np.array(2**60), np.array(2**60 + 1), 0.0, "actual holds integers of 2\\^53 or more"),
        (np.array(1j), np.array(1j), 0.0, "actual must hold real numbers, got complex128"),
    ],
)
def test_what_cannot_be_compared_is_refused(actual: Any, expected: Any, atol: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exact(actual, expected, atol=atol)


# Wrong input

FIVE = [1.0, 2.0, 3.0, 4.0, 6.0]


def test_fewer_than_five_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"treatment must hold at least 5 seeds, got 4.*run more seeds"):
        paired(FIVE[:4], FIVE[:4])
    with pytest.raises(ValueError, match=r"values must hold at least 5 draws, got 4.*run more draws"):
        sampled(FIVE[:4])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_named_by_its_seed(value: float) -> None:
    broken = [*FIVE[:3], value, *FIVE[3:]]
    six = [*FIVE, 7.0]
    with pytest.raises(ValueError, match=rf"treatment must be finite, got {value} for seed 3, counted from 0"):
        paired(broken, six)
    with pytest.raises(ValueError, match=rf"control must be finite, got {value} for seed 3"):
        paired(six, broken)
    with pytest.raises(ValueError, match=rf"values must be finite, got {value} for draw 3"):
        sampled(broken)


def test_arms_of_different_length_or_with_more_than_one_value_for_a_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="one value for each shared seed, got 6 and 5"):
        paired([*FIVE, 7.0], FIVE)
    with pytest.raises(ValueError, match=r"values must be a sequence.*got shape \(5, 2\)"):
        sampled(torch.zeros(5, 2))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "exactly one of above, below and within, got none"),
        ({"above": 0.0, "below": 1.0}, "exactly one .* got above and below"),
        ({"above": math.nan}, "above must be finite"),
        ({"below": math.inf}, "below must be finite"),
        ({"within": (1.0, 0.0)}, "from low to high"),
        ({"within": (0.0, math.inf)}, "within must be finite"),
    ],
)
def test_exactly_one_sound_bound_is_needed(bounds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check("as required", sampled(FIVE), **bounds)


@pytest.mark.parametrize("bound", [{"above": 0.0}, {"below": 0.0}, {"within": (0.0, 1.0)}])
def test_an_identity_takes_no_other_bound(bound: Any) -> None:
    with pytest.raises(ValueError, match="has its own bound, atol"):
        check("They agree", exact(0.0, 0.0, atol=0.0), **bound)


def test_a_claim_says_something() -> None:
    with pytest.raises(ValueError, match="statement must say what is claimed"):
        check(" ", sampled(FIVE), above=0.0)


# What is no evidence, or less than it looks


@settings(deadline=None)
@given(
    st.lists(st.integers(-999, 999).map(lambda i: i / 1000), min_size=5, max_size=8),
    st.sampled_from([0, 1]),
    st.integers(-9, 9).filter(bool).map(lambda i: i / 4e6),
    st.sampled_from(["above", "below"]),
)
def test_what_is_printed_tells_undecided_from_what_does_not_hold(
    values: list[float], end: int, beyond: float, side: str
) -> None:
    evidence = sampled(values)
    low, high = evidence.interval
    assume(high - low > 1e-3)
    bound = evidence.interval[end] + beyond  # a little beyond an end of the interval, or before it
    one_bound: dict[str, Any] = {side: bound}
    judgement = judge("as required", evidence, **one_bound)
    start, stop, required = map(float, re.findall(NUMBER, judgement.words.interval + judgement.words.required))
    inside, outside = (required < start, stop <= required) if side == "above" else (stop < required, required <= start)
    assert judgement.holds == (True if inside else False if outside else None)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.random(n) < 0.05,
        lambda rng, n: rng.random(n) < 0.9,
        lambda rng, n: rng.poisson(0.3, n),
        lambda rng, n: (rng.random(n) < 0.2) * rng.exponential(size=n),
    ],
    ids=["rare", "frequent", "counts", "mostly nothing"],
)
@pytest.mark.parametrize("n", [5, 10, 20, 100])
def test_an_interval_of_values_that_are_mostly_equal_says_that_it_may_miss_the_mean(n: int, draw: Any) -> None:
    rng = np.random.default_rng(n)
    mean = float(np.mean(draw(rng, 10**6)))
    found = [sampled(draw(rng, n).astype(float)) for _ in range(1000)]
    missed_unsaid = [not each.note and not each.interval[0] <= mean <= each.interval[1] for each in found]
    assert np.mean(missed_unsaid) <= 0.05


def test_equal_differences_say_that_their_interval_tells_nothing_of_chance() -> None:
    assert "no width" in paired([0.5] * 5, [0.25] * 5).note
    assert "Most of" in sampled([0.0, 0.0, 0.0, 0.0, 1.0]).note
    assert sampled([0.1, 0.2, 0.3, 0.2, 0.1]).note == ""
    assert sampled([0.0] * 970 + [1.0] * 30).note == ""


def test_an_interval_is_cut_off_where_no_share_can_lie_and_says_so() -> None:
    confidences = [0.99999, 0.99987, 1.0, 0.99978, 1.0]
    found, whole = sampled(confidences, unit="%"), sampled(confidences)
    assert whole.interval[1] > 1
    assert found.interval == (whole.interval[0], 1)
    assert "cut off at 100%" in found.note
    assert "100.0000]" in repr(check("They are sure.", found, above=0.99))
    assert sampled([-each for each in confidences], unit="points").interval == (-1, -whole.interval[0])
    assert sampled(confidences).note == ""
    assert sampled([0.9, 0.8, 0.7, 0.85, 0.75], unit="%").note == ""


def test_series_whose_labels_pair_other_seeds_are_refused() -> None:
    treatment = pd.Series([0.1, 0.2, 0.3, 0.2, 0.4], index=range(5))
    control = pd.Series([0.2, 0.3, 0.3, 0.3, 0.6], index=range(5))
    paired(treatment, control)
    paired(treatment, control.set_axis(range(10, 15)))  # rows of one table: their labels are no seeds
    with pytest.raises(ValueError, match="the same seeds in the same order"):
        paired(treatment, control[::-1])
    with pytest.raises(ValueError, match="the same seeds in the same order"):
        paired(treatment.rename_axis("seed"), control.set_axis(range(1, 6)).rename_axis("seed"))


def test_a_masked_value_is_not_counted_unseen_and_numbers_may_come_as_tensors_that_were_trained() -> None:
    with pytest.raises(ValueError, match="must not be masked"):
        sampled(np.ma.masked_greater([0.1, 0.2, 0.1, 0.2, 9.0], 1))
    losses = [torch.tensor(value, requires_grad=True) for value in (0.5, 0.25, 0.75, 1.0, 0.125)]
    assert sampled(losses) == sampled([0.5, 0.25, 0.75, 1.0, 0.125])
    with pytest.raises(ValueError, match="pass a list of numbers"):
        sampled({0: 0.1, 1: 0.2}.values())  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["percent", "pp", "point", "Percentage point", "pct", None])
def test_a_unit_that_only_looks_like_percent_is_refused(unit: Any) -> None:
    with pytest.raises(ValueError, match='unit must be "%", "points" or "percentage points"'):
        paired(*dropout_and_baseline(), unit=unit)


def test_an_allowed_deviation_in_percents_is_refused_for_fractions() -> None:
    with pytest.raises(ValueError, match="atol must hold fractions"):
        exact(0.5, 0.5, atol=2, unit="%")


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"below": "0"}, "below must be a number, got '0'"),
        ({"above": True}, "above must be a number, got True"),
        ({"within": 0.1}, "within must be two numbers, such as .*, got 0.1"),
        ({"within": (0.1, 0.2, 0.3)}, "within must be two numbers"),
        ({"within": "01"}, "within must be two numbers"),
    ],
)
def test_a_bound_that_is_no_number_is_refused_by_its_name(bounds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge("as required", sampled([0.1, 0.2, 0.3, 0.2, 0.1]), **bounds)


def test_an_interval_alone_is_no_evidence() -> None:
    with pytest.raises(
        ValueError, match="evidence must be made by paired, sampled, ranked, counted or exact, got tuple"
    ):
        judge("as required", (0.1, 0.2), below=0)  # type: ignore[arg-type]


def test_an_effect_is_no_fraction_of_what_is_negative_or_a_logarithm() -> None:
    assert paired([1.0] * 5, [-2.0] * 5).relative is None
    assert paired([1.0] * 5, [2.0] * 5, unit="log ratio").relative is None
