"""The explorer of verdicts: its numbers against ``claims.paired`` to the last bit, its verdict against ``Finding.holds``."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import traitlets
from interactives import LIVE_HOST, Open, compared_arms, move_slider, output, press, text, verdict_explorer
from playwright.sync_api import Page, expect
from scipy.special import stdtrit

from dropout_lessons.claims import paired
from dropout_lessons.experiments import Finding
from dropout_lessons.widgets import VerdictExplorer

VERDICTS = {True: "Agrees", False: "Disagrees", None: "Undecided"}
# Before 3.11 Python rounded the standard deviation twice, which can move the interval by its last bit.
ULPS = 0 if sys.version_info >= (3, 11) else 2


def one(differences: Sequence[float] | np.ndarray, **changes: Any) -> VerdictExplorer:
    """An explorer of one statement, in nats; a bound goes to the statement, and anything else to the explorer."""
    bound = {kind: changes.pop(kind) for kind in ("above", "below", "within") if kind in changes}
    effect = {"statement": "It is so.", "differences": differences, **(bound or {"above": 0})}
    return VerdictExplorer({"one": effect}, **{"unit": "nats", "scale": 1, **changes})


def shown_numbers(page: Page) -> tuple[float, float, float]:
    """Mean and interval, with all their digits."""
    mean = page.locator("[data-mean]").get_attribute("data-mean")
    low, high = (page.locator("[data-low]").get_attribute(f"data-{end}") for end in ("low", "high"))
    return float(mean or "nan"), float(low or "nan"), float(high or "nan")


def order_of(page: Page) -> list[int]:
    return [int(dot.get_attribute("data-seed") or -1) for dot in page.locator("circle[data-seed]").all()]


def student(values: Sequence[float]) -> tuple[float, float, float]:
    """What ``claims.paired`` computes, for fewer than five seeds too."""
    mean, k = statistics.mean(values), len(values)
    margin = float(stdtrit(k - 1, 0.975)) * statistics.stdev(values) / math.sqrt(k)
    return mean, mean - margin, mean + margin


def assert_same(shown: tuple[float, float, float], expected: tuple[float, float, float]) -> None:
    for mine, yours in zip(shown, expected, strict=True):
        assert abs(mine - yours) <= ULPS * max(map(np.spacing, map(abs, expected)))


# Many of one size, some that cancel, some of very different sizes, equal ones that a plain sum would tell apart.
SAMPLES = {
    "errors": np.random.default_rng(1).integers(-60, 20, size=12) / 5000,
    "normal": np.random.default_rng(2).normal(0.3, 1, size=20),
    "cancelling": np.array([0.1, 0.2, -0.3, 1e-17, 0.1, -0.1, 3e-17]),
    "wide": np.array([1e-90, 1e8, -1.0, 1e-3, 1e8 + 0.25, 1 / 3]),
    "equal": np.full(9, 0.1),
    "zero": np.zeros(6),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_mean_and_interval_of_the_first_seeds_are_those_of_paired_to_the_last_bit(open_page: Open, name: str) -> None:
    differences = SAMPLES[name]
    page = open_page(output(one(differences)))
    for k in range(2, len(differences) + 1):
        move_slider(page, k, "Seeds used")
        assert text(page, "seeds") == f"{k} of {len(differences)}"
        first = differences[:k].tolist()
        if k >= 5:
            evidence = paired(first, np.zeros(k))
            assert student(first) == (evidence.effect, *evidence.interval)
        assert_same(shown_numbers(page), student(first))
        assert float(text(page, "quantile")) == pytest.approx(stdtrit(k - 1, 0.975), abs=0.0005 + 1e-9)


def test_what_the_browser_is_given_is_judged_as_a_finding_is() -> None:
    effects = {
        f"{side} {bound}": {"statement": "It is so.", "differences": SAMPLES["errors"], side: bound}
        for side, bound in (("above", 0.0), ("below", 0.0), ("below", -0.004), ("within", (-0.02, 0.01)))
    }
    for each in VerdictExplorer(effects).data["effects"]:
        effect = dict(effects[each["name"]])
        finding = Finding(effect.pop("statement"), "", paired(effect.pop("differences"), np.zeros(12)), **effect)
        assert each["holds"] is finding.holds
        assert each["limits"] == [limit for limit in finding.judgement.limits if math.isfinite(limit)]


@pytest.mark.parametrize("kind", ["above", "below", "within"])
@pytest.mark.parametrize("k", [5, 6, 9, 12])
def test_the_verdict_is_that_of_a_finding_wherever_the_bound_is(open_page: Open, kind: str, k: int) -> None:
    differences = SAMPLES["normal"][:12] / 20
    center = 0.03
    page = open_page(output(one(differences, **{kind: (-0.02, 0.08) if kind == "within" else 0.01}, seeds=k)))
    evidence = paired(differences[:k], np.zeros(k))
    slider = page.get_by_role("slider", name="Bound")
    least, most = (float(slider.get_attribute(end) or "nan") for end in ("min", "max"))
    seen = set()
    for bound in np.linspace(least, most, 25):
        slider.fill(str(bound))
        bound = float(slider.input_value())  # at the nearest step
        limits = (center - bound, center + bound) if kind == "within" else bound
        finding = Finding("It is so.", "", evidence, **{kind: limits})  # type: ignore[arg-type]
        assert text(page, "verdict") == VERDICTS[finding.holds]
        assert ("Already decided" in text(page, "plan")) == (finding.holds is not None)
        seen.add(finding.holds)
    # A narrow range around something else than the mean can be left on one side, or not at all.
    assert seen >= ({True, None} if kind == "within" else {True, False, None})


def test_a_touched_bound_is_not_passed_and_one_bit_decides(open_page: Open) -> None:
    differences = np.arange(1, 6) / 8  # a variance of 2.5 / 64: the same bits in every Python
    low, high = paired(differences, np.zeros(5)).interval
    down, up = -math.inf, math.inf
    bounds: list[dict[str, Any]] = [
        {"above": low}, {"above": np.nextafter(low, down)}, {"above": np.nextafter(low, up)},
        {"above": high}, {"above": np.nextafter(high, down)}, {"above": np.nextafter(high, up)},
        {"below": high}, {"below": np.nextafter(high, up)}, {"below": low}, {"below": np.nextafter(low, up)},
        {"within": (low, high)}, {"within": (np.nextafter(low, down), np.nextafter(high, up))},
        {"within": (np.nextafter(low, down), high)}, {"within": (low - 1, low)}, {"within": (high, high + 1)},
    ]  # fmt: skip
    expected = [Finding("It is so.", "", paired(differences, np.zeros(5)), **bound).holds for bound in bounds]
    page = open_page(*(output(one(differences, **bound)) for bound in bounds))
    shown = page.locator('[data-value="verdict"]').all_inner_texts()
    assert shown == [VERDICTS[holds] for holds in expected]
    above, below, within = expected[:6], expected[6:10], expected[10:]
    assert above == [None, True, None, False, None, False]
    assert below == [None, True, False, None]
    assert within == [None, True, None, False, False]


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ({"above": 0.1}, "Disagrees"),
        ({"below": 0.1}, "Disagrees"),
        ({"within": (0.0, 0.1)}, "Disagrees"),
        ({"above": np.nextafter(0.1, 0)}, "Agrees"),
        ({"below": np.nextafter(0.1, 1)}, "Agrees"),
    ],
)
def test_equal_differences_have_no_spread_and_on_the_bound_they_disagree(
    open_page: Open, bound: dict[str, Any], verdict: str
) -> None:
    assert sum([0.1] * 6) / 6 != 0.1  # so it takes an exact sum
    page = open_page(output(one([0.1] * 6, **bound)))
    assert shown_numbers(page) == (0.1, 0.1, 0.1)
    assert text(page, "sd") == text(page, "margin") == "0.000"
    for k in (6, 2, 3):
        move_slider(page, k, "Seeds used")
        assert text(page, "verdict") == verdict
        assert f"Already decided with these {k} seeds." in text(page, "plan")


def test_a_range_about_another_center_is_the_statements_own_and_moves_about_its_center(open_page: Open) -> None:
    low, high = 0.1, 0.5
    assert (low + high) / 2 - (high - low) / 2 < low
    page = open_page(output(one([low] * 5, within=(low, high))))
    assert text(page, "verdict") == "Disagrees"  # touched exactly: no rounding has moved the ends
    assert text(page, "bound") == "0.2 nats"
    expect(page.get_by_role("slider", name="Bound: within 0.3 ±")).to_have_count(1)
    page.get_by_role("slider", name="Bound").press("ArrowRight")
    assert text(page, "verdict") == "Agrees"
    assert "between 0.095 and 0.505 nats" in text(page, "summary")
    assert "between 0.1 and 0.5 nats" in text(page, "required")


# How many seeds would decide


def planned(values: Sequence[float], bottom: float, top: float) -> int | None:
    mean, sd = statistics.mean(values), statistics.stdev(values)
    for k in range(len(values), 1001):
        margin = stdtrit(k - 1, 0.975) * sd / math.sqrt(k)
        low, high = mean - margin, mean + margin
        if (bottom < low and high < top) or high <= bottom or low >= top:
            return k
    return None


def test_as_many_seeds_are_planned_as_would_decide(open_page: Open) -> None:
    differences = np.random.default_rng(8).normal(0, 1, size=6)
    differences -= differences.mean()  # a mean within rounding of 0
    differences /= differences.std(ddof=1)
    bounds = (-3.0, -1.0, -0.5, -0.1, -0.0625, -0.0618, 0.3)
    plans = [planned(differences.tolist(), bound, math.inf) for bound in bounds]
    assert plans[:2] == [6, 7]
    assert plans[5] is None
    assert 900 < max(plan for plan in plans if plan) <= 1000
    plans.append(planned(differences.tolist(), -0.3, 0.5))
    page = open_page(
        *(output(one(differences, above=bound)) for bound in bounds), output(one(differences, within=(-0.3, 0.5)))
    )
    assert page.locator('[data-value="plan"]').all_inner_texts() == [
        "Already decided with these 6 seeds."
        if plan == 6
        else f"If mean and spread stayed as they are, it would take {plan or 'more than 1,000'} seeds to decide."
        for plan in plans
    ]


def test_fewer_seeds_than_a_claim_takes_are_said_to_be_too_few(open_page: Open) -> None:
    page = open_page(output(one(SAMPLES["normal"])))
    for k, said in ((20, False), (5, False), (4, True), (2, True)):
        move_slider(page, k, "Seeds used")
        assert ("With fewer than 5 seeds, no claim is made" in text(page, "plan")) == said
    with pytest.raises(ValueError, match="at least 5"):
        paired(SAMPLES["normal"][:4], np.zeros(4))


# The order of the seeds


def test_another_order_is_a_permutation_that_changes_nothing_over_all_seeds(open_page: Open) -> None:
    differences = SAMPLES["normal"]
    page = open_page(output(one(differences)))
    assert order_of(page) == list(range(20))
    everything = shown_numbers(page)
    orders = []
    for _ in range(3):
        press(page, "Shuffle the seeds")
        orders.append(order_of(page))
        assert sorted(orders[-1]) == list(range(20))
        assert shown_numbers(page) == everything
        move_slider(page, 6, "Seeds used")
        assert_same(shown_numbers(page), student(differences[orders[-1][:6]].tolist()))
        move_slider(page, 20, "Seeds used")
    assert len(set(map(tuple, orders))) == 3
    again = open_page(output(one(differences, order=2)))
    assert order_of(again) == orders[1]
    press(again, "Reset")
    assert order_of(again) == list(range(20))


def test_every_seed_is_as_often_the_first_and_as_often_the_last(open_page: Open) -> None:
    page = open_page(output(one(np.arange(5.0))))
    draws = 600
    order = """(button, draws) => Array.from({length: draws}, () => {
        button.click();
        return [...document.querySelectorAll("circle[data-seed]")].map((dot) => +dot.dataset.seed);
    })"""
    orders = np.array(page.get_by_role("button", name="Shuffle the seeds").evaluate(order, draws))
    counts = np.array([np.bincount(orders[:, place], minlength=5) for place in range(5)])
    sigma = (draws * 0.2 * 0.8) ** 0.5
    assert abs(counts - draws / 5).max() <= 4.5 * sigma


# What is drawn


def test_dots_interval_and_shade_stand_where_they_belong(open_page: Open) -> None:
    differences = np.array([0.4, 0.1, 0.9, 0.5, 0.6, 0.3, 0.8])
    page = open_page(output(one(differences, above=0.25, seeds=5)))
    ticks = page.locator(".dl-picture svg[role=img] text").evaluate_all(
        "texts => texts.map((text) => [text.textContent, +text.getAttribute('x')])"
    )
    numbers = np.array([(float(t.replace("−", "-")), x) for t, x in ticks if "." in t])
    slope, intercept = np.polyfit(*numbers.T, deg=1)

    def place(value: float) -> Any:
        return pytest.approx(intercept + slope * value, abs=1e-6)

    dots = page.locator("circle[data-seed]")
    assert [float(dot.get_attribute("cx") or "nan") for dot in dots.all()] == [place(value) for value in differences]
    heights = [float(dot.get_attribute("cy") or "nan") for dot in dots.all()]
    assert heights == sorted(set(heights))
    used = dots.evaluate_all("dots => dots.map((dot) => getComputedStyle(dot).fill !== 'none')")
    assert used == [True] * 5 + [False] * 2
    _, low, high = student(differences[:5].tolist())
    path = page.locator("[data-low]").get_attribute("d") or ""
    assert float(path.removeprefix("M").split(" ")[0]) == place(low)
    assert float(path.split("H")[1].split("M")[0]) == place(high)
    shade = page.locator("rect.dl-agreeing").first
    x, width = (float(shade.get_attribute(name) or "nan") for name in ("x", "width"))
    assert x == place(0.25)
    assert x + width == place(page_axis(differences, 0.25)[1])
    expect(page.locator("[data-limit]")).to_have_count(1)


def page_axis(differences: np.ndarray, bound: float) -> tuple[float, float]:
    ends = [0, bound, *differences, *paired(differences, np.zeros(len(differences))).interval]
    return min(ends) - 0.08 * np.ptp(ends), max(ends) + 0.08 * np.ptp(ends)


def test_an_interval_that_leaves_the_axis_ends_in_arrows(open_page: Open) -> None:
    page = open_page(output(one([0.0, 1.0, 0.4, 0.5, 0.6, 0.5, 0.5, 0.4])))
    path = page.locator("[data-low]")
    assert (path.get_attribute("d") or "").count("v10") == 2
    move_slider(page, 2, "Seeds used")
    _, low, high = shown_numbers(page)
    assert (round(low, 2), round(high, 2)) == (-5.85, 6.85)
    assert (path.get_attribute("d") or "").count("v10") == 0
    box = page.locator(".dl-picture svg[role=img]").bounding_box()
    drawn = path.bounding_box()
    assert box is not None
    assert drawn is not None
    assert box["x"] <= drawn["x"]
    assert drawn["x"] + drawn["width"] <= box["x"] + box["width"]


def test_numbers_have_the_unit_and_rounding_never_contradicts_the_verdict(open_page: Open) -> None:
    differences = [0.0231, 0.0071, 0.0122, 0.0041, 0.0132]
    low, high = paired(differences, [0.0] * 5).interval
    page = open_page(output(VerdictExplorer({"one": {"statement": "So.", "differences": differences, "above": 0}})))
    assert text(page, "interval") == f"{100 * low:.2f} to {100 * high:.2f}"
    assert text(page, "mean") == "1.19"
    assert "above 0 points" in text(page, "summary")
    close = round(low - 1e-7, 7)  # the interval lies above it, by less than two decimals show
    page = open_page(output(VerdictExplorer({"one": {"statement": "So.", "differences": differences, "above": close}})))
    assert text(page, "verdict") == "Agrees"
    assert float(text(page, "interval").split(" to ")[0]) > 100 * close
    assert f"above {100 * close:.12g} points" in text(page, "summary")


def test_a_hundred_seeds_fit(open_page: Open) -> None:
    page = open_page(output(one(np.random.default_rng(9).normal(size=100))))
    expect(page.locator("circle[data-seed]")).to_have_count(100)
    box = page.locator(".dl-picture svg[role=img]").bounding_box()
    assert box is not None
    assert box["height"] < 600
    assert len(output(one(np.random.default_rng(9).normal(size=100)))) < 60_000


# The handles


def test_choosing_a_statement_starts_with_all_its_seeds_and_its_own_bound(open_page: Open) -> None:
    page = open_page(output(verdict_explorer(seeds=4, bound=0.4)))
    chosen = page.get_by_role("combobox", name="Statement")
    assert text(page, "statement") == compared_arms()["noise"]["statement"]
    chosen.focus()
    page.keyboard.press("ArrowDown")
    expect(chosen).to_have_value("two recipes")
    assert text(page, "statement") == compared_arms()["two recipes"]["statement"]
    assert text(page, "seeds") == "7 of 7"
    assert text(page, "bound") == "0.1 nats"
    move_slider(page, 3, "Seeds used")
    chosen.select_option("noise")
    assert text(page, "seeds") == "10 of 10"
    assert text(page, "bound") == "0.2 nats"
    move_slider(page, 3, "Seeds used")
    press(page, "Shuffle the seeds")
    page.get_by_role("slider", name="Bound: above").press("ArrowRight")
    assert text(page, "bound") == "0.21 nats"
    press(page, "Reset")
    assert (text(page, "seeds"), text(page, "bound"), order_of(page)) == ("10 of 10", "0.2 nats", list(range(10)))


def test_the_kernel_does_the_same_and_the_view_follows(open_page: Open) -> None:
    explorer = verdict_explorer(seeds=4, bound=0.4)
    assert (explorer.seeds, explorer.bound) == (4, 0.4)
    sent: list[tuple[str, Any]] = []
    explorer.observe(lambda change: sent.append((change["name"], change["new"])), ["effect", "seeds", "bound"])
    page = open_page()
    page.evaluate(LIVE_HOST, [explorer._esm, explorer._state(), "effect"])
    explorer.effect = "two recipes"
    assert (explorer.seeds, explorer.bound) == (7, 0.1)
    for name, value in sorted(sent, reverse=True):  # in whatever order the messages come
        page.evaluate("([name, value]) => model.set(name, value)", [name, value])
    assert (text(page, "seeds"), text(page, "bound")) == ("7 of 7", "0.1 nats")
    explorer.set_state({"effect": "noise", "seeds": 10, "bound": 0.2})  # what a message from the browser calls
    assert (explorer.effect, explorer.seeds, explorer.bound) == ("noise", 10, 0.2)


@pytest.mark.parametrize(
    "bound", [{"above": 0.003}, {"below": -0.0017}, {"within": (-0.005, 0.005)}, {"within": (0.0, 0.007)}, {"above": 0}]
)
def test_the_slider_comes_back_to_the_statements_own_bound_exactly(open_page: Open, bound: dict[str, Any]) -> None:
    page = open_page(output(one(SAMPLES["errors"], **bound, scale=100, unit="points")))
    slider = page.get_by_role("slider", name="Bound")
    own, shown = slider.input_value(), text(page, "bound")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        slider.press(key)
        assert text(page, "bound") != shown
    slider.press("ArrowLeft")
    assert (slider.input_value(), text(page, "bound")) == (own, shown)
    ((kind, limits),) = bound.items()
    assert float(own) == ((limits[1] - limits[0]) / 2 if kind == "within" else limits)
    for key in ("Home", "End"):
        slider.press(key)
        assert text(page, "bound") != shown


def test_one_statement_needs_no_list(open_page: Open) -> None:
    page = open_page(output(one([0.1, 0.2, 0.3, 0.4, 0.5])))
    expect(page.get_by_role("combobox")).to_have_count(0)
    assert text(page, "statement") == "It is so."


def test_names_and_statements_that_look_like_html_stay_text(open_page: Open) -> None:
    hostile = "</script><b id='x'>&"
    effect = {"statement": hostile, "differences": [0.1, 0.2, 0.3, 0.4, 0.5], "below": 0.5}
    names = [hostile, "2", "1", "__proto__"]  # an object in a script would sort the numbers, and lose the last
    page = open_page(output(VerdictExplorer(dict.fromkeys(names, effect))))
    assert text(page, "statement") == hostile
    assert page.locator("option").all_inner_texts() == names
    expect(page.locator("#x")).to_have_count(0)


def test_the_sentence_says_what_all_seeds_show() -> None:
    differences = [-0.013, -0.013, -0.017, -0.012, -0.017]
    evidence = paired(differences, [0.0] * 5)
    effect = {"statement": "Dropout lowers the test error.", "differences": differences, "below": 0, "above": None}
    sentence = VerdictExplorer({"one": effect}, seeds=3)._repr_mimebundle_()[0]["text/plain"]
    assert "for 1 statement. Now: Dropout lowers the test error; over all 5 seeds" in sentence
    low, high = (100 * end for end in evidence.interval)
    assert (
        f"mean difference is {100 * evidence.effect:.3g} points, with a 95% interval from {low:.3g} to {high:.3g}"
        in sentence
    )
    assert sentence.endswith("Shown with seeds = 3 and bound = 0 (below).")


GOOD = {"statement": "So.", "differences": [0.1, 0.2, 0.3, 0.4, 0.5], "above": 0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"statement": " "}, r"effects\['one'\]\['statement'\] must be a sentence, got ' '"),
        ({"above": None}, r"effects\['one'\] must have statement, differences and exactly one of .*'within'\)"),
        ({"below": 0.1}, "exactly one of"),
        ({"under": 0.1}, "exactly one of .* got .*'under'"),
        ({"differences": [0.1] * 4}, r"\['differences'\] must be 5 to 100, one for each seed, got 4"),
        ({"differences": [0.1] * 101}, "one for each seed, got 101"),
        ({"differences": [[0.1] * 5]}, r"\['differences'\] must have shape \('any',\), got \(1, 5\)"),
        ({"differences": [0.1, 0.2, 0.3, 0.4, math.nan]}, r"\['differences'\] must be finite, got nan"),
        (
            {"differences": [1.0, 2.0, 3.0, 4.0, -7.5]},
            r"must be fractions in \[-1, 1\], got -7.5; divide percents by 100",
        ),
        ({"differences": [0.1, 0.2, 0.3, 0.4, 1e-120]}, "must be 0 or from 1e-100 to 1e9 in size, got 1e-120 to 0.4"),
        ({"above": 5}, r"effects\['one'\]\['above'\] must be fractions in \[-1, 1\], got 5"),
        ({"above": math.inf}, r"\['above'\] must be finite, got inf"),
        ({"above": None, "within": (0.1, 0.1)}, r"\['within'\] must go from low to high, got \(0.1, 0.1\)"),
        ({"above": None, "within": 0.1}, r"\['within'\] must have shape \(2,\), got \(1,\)"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    VerdictExplorer({"one": GOOD})
    with pytest.raises(ValueError, match=message):
        VerdictExplorer({"one": {**GOOD, **changes}})


def test_missing_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="effects must have at least one statement, got none"):
        VerdictExplorer({})
    for key in ("statement", "differences", "above"):
        with pytest.raises(ValueError, match=r"effects\['one'\] must have statement, differences and exactly one of"):
            VerdictExplorer({"one": {name: value for name, value in GOOD.items() if name != key}})
    for scale in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match="scale must be finite and above 0, got"):
            VerdictExplorer({"one": GOOD}, scale=scale)


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("effect", "three", r"effect must be one of \['noise', 'two recipes'\], got 'three'"),
        ("seeds", 1, "seeds must be from 2 to 10, got 1"),
        ("seeds", 11, "seeds must be from 2 to 10, got 11"),
        ("bound", 1e3, "bound must be from -.* to .*, got 1000.0"),
        ("bound", math.nan, "bound must be from .* got nan"),
        ("order", -1, "order"),
    ],
)
def test_handles_out_of_bounds_are_refused_and_change_nothing(trait: str, value: Any, message: str) -> None:
    with pytest.raises(traitlets.TraitError, match=message):
        verdict_explorer(**{trait: value})
    explorer = verdict_explorer()
    before = explorer._state()
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(explorer, trait, value)
    assert explorer._state() == before
