"""Arms: what is tuned, what is chosen, what is reported, and what stands at the end of its range."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropout_lessons.experiments import Arm, Result, Unit, get
from dropout_lessons.experiments.arms import planned

RATES = [{"learning_rate": rate} for rate in (0.01, 0.1, 1.0)]


def tried(arm: Arm, errors: list[list[float]]) -> pd.DataFrame:
    """The table that tuning leaves: an error for each candidate at each of its seeds."""
    rows = []
    for unit in arm.tuning():
        for candidate in unit.settings.get("candidates", [{}]):
            rate = candidate.get("learning_rate", unit.settings.get("learning_rate"))
            number = [each["learning_rate"] for each in arm.candidates].index(rate)
            row = {**unit.columns, **candidate, "validation_error": errors[number][unit.seed - 1000]}
            rows.append({**row, "candidate": number} if arm.together else row)
    return pd.DataFrame(rows)


@given(
    errors=st.lists(st.lists(st.integers(0, 9).map(float), min_size=2, max_size=2), min_size=3, max_size=3),
    together=st.booleans(),
)
def test_the_candidate_with_the_lowest_mean_validation_error_is_reported_and_the_first_of_equals(errors, together):
    arm = Arm({"arm": "plain"}, range(5), RATES, together=together)
    other = Arm({"arm": "dropout"}, range(5), RATES, together=together)
    table = pd.concat([tried(arm, errors), tried(other, [[9.0 - e for e in pair] for pair in errors])])
    chosen = arm.chosen(table)
    assert chosen == RATES[min(range(3), key=lambda i: sum(errors[i]))]
    reports = arm.reporting(chosen, table)
    assert [unit.seed for unit in reports] == list(range(5))
    assert {unit["stage"] for unit in reports} == {"report"}
    for unit in reports:
        assert (unit["candidates"] == [chosen]) if together else (unit["learning_rate"] == chosen["learning_rate"])
    assert not {unit.seed for unit in arm.tuning()} & set(arm.seeds)


def test_one_candidate_is_not_tuned_and_without_candidates_there_is_no_stage():
    one = Arm({"arm": "plain"}, range(5), RATES[:1])
    assert one.tuning() == []
    assert one.chosen(pd.DataFrame()) == RATES[0]
    assert one.reporting(RATES[0])[0].settings == {"arm": "plain", "stage": "report", "candidates": RATES[:1]}
    none = Arm({"arm": "plain"}, range(5))
    assert none.chosen(pd.DataFrame()) is None
    assert none.reporting()[0].settings == {"arm": "plain"}


def test_the_plan_of_a_scale_is_the_sum_of_its_arms():
    arms = [
        Arm({"arm": "plain"}, range(5), RATES, work=2.0, report_work=10.0),
        Arm({"arm": "dropout"}, range(6), RATES, together=False, tuning_seeds=1, work=lambda chosen: 3.0),
        Arm({"arm": "other"}, range(7)),
    ]
    units = planned(arms)
    assert len(units) == (2 + 5) + (3 + 6) + 7
    assert sum(unit.work for unit in units) == 2 * 3 * 2.0 + 5 * 20.0 + (3 + 6) * 3.0 + 7


@pytest.mark.parametrize(
    ("chosen", "edges"),
    [
        ({"learning_rate": 0.1, "weight_decay": 0.0, "keep_prob": 0.5}, []),  # nothing lies beyond no decay
        ({"learning_rate": 0.2, "weight_decay": 0.1, "keep_prob": 0.5}, ["learning_rate", "weight_decay"]),
        ({"learning_rate": 0.05, "weight_decay": 0.0, "keep_prob": 1.0}, ["learning_rate"]),
        ({"learning_rate": 0.1, "weight_decay": 0.01, "keep_prob": 0.2}, ["keep_prob"]),
    ],
)
def test_what_is_chosen_at_an_end_of_its_range_is_named_unless_nothing_lies_beyond(chosen, edges):
    candidates = [
        {"learning_rate": rate, "weight_decay": decay, "keep_prob": keep_prob}
        for rate in (0.05, 0.1, 0.2)
        for decay in (0.0, 0.01, 0.1)
        for keep_prob in (0.2, 0.5, 1.0)
    ]
    assert Arm({}, range(5), candidates).edges(chosen) == edges


def test_a_result_shows_readers_the_reported_rows_with_their_edges_and_keeps_what_tuned_apart():
    arm = Arm({"arm": "plain"}, range(5), RATES)
    tuning = tried(arm, [[0.3, 0.3], [0.2, 0.2], [0.1, 0.1]])
    reported = [{**unit.columns, "learning_rate": 1.0, "test_error": 0.1} for unit in arm.reporting(RATES[2])]
    experiment = replace(get("table2_mnist"), arms=lambda config: [arm])
    result = Result(experiment, "lecture", pd.concat([tuning, pd.DataFrame(reported)], ignore_index=True))
    assert result.table.seed.tolist() == list(range(5))
    assert set(result.table.edge) == {"learning_rate"}
    assert "stage" not in result.table
    assert set(result.tuning.seed) == {1000, 1001}
    assert len(result.rows) == len(result.table) + len(result.tuning)


def test_a_unit_of_a_tuned_arm_says_that_it_tunes():
    assert Unit({"stage": "tuning"}, 1000).tunes
    assert not Unit({"stage": "report"}, 0).tunes
    assert not Unit({}, 0).tunes


@pytest.mark.parametrize("together", [True, False])
def test_a_candidate_that_diverged_at_one_seed_is_not_judged_by_the_others(together):
    arm = Arm({"arm": "plain"}, range(5), RATES, together=together)
    nan = float("nan")
    assert arm.chosen(tried(arm, [[nan, nan], [0.3, 0.4], [0.1, nan]])) == RATES[1]
