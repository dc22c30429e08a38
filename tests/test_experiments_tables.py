"""Evidence from an experiment's table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dropout_lessons.claims import paired
from dropout_lessons.experiments import Finding, names, reached, recorded
from dropout_lessons.experiments.entries import entries
from dropout_lessons.experiments.records import is_recorded
from dropout_lessons.experiments.tables import difference, noting_ends, over_seeds, values


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    rows = [
        {"arm": arm, "data": data, "seed": seed, "test_error": rng.random()}
        for arm in ("plain", "dropout")
        for data in ("digits", "clothes")
        for seed in range(6)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=1)


def test_values_come_in_the_order_of_their_seeds_however_the_rows_are_ordered(table):
    in_order = table.sort_values("seed")
    expected = in_order[(in_order.arm == "plain") & (in_order.data == "clothes")].test_error
    assert values(table, "test_error", arm="plain", data="clothes").tolist() == expected.tolist()


def test_a_difference_pairs_the_same_seeds(table):
    digits = {"data": "digits"}
    found = difference(table, "test_error", {"arm": "dropout", **digits}, {"arm": "plain", **digits}, unit="points")
    arms = table[table.data == "digits"].pivot(index="seed", columns="arm", values="test_error")
    assert found == paired(arms.dropout.to_numpy(), arms.plain.to_numpy(), unit="points")


def test_a_seed_that_is_there_twice_or_not_at_all_is_refused(table):
    with pytest.raises(ValueError, match="must choose one row for each seed, got 12 rows for 6 seeds"):
        values(table, "test_error", arm="plain")
    with pytest.raises(ValueError, match="got 0 rows"):
        values(table, "test_error", arm="maxout")


def test_arms_with_different_seeds_are_not_paired(table):
    digits = table[table.data == "digits"]
    fewer = digits[(digits.arm == "plain") | (digits.seed > 0)]
    with pytest.raises(ValueError, match="must have the same seeds"):
        difference(fewer, "test_error", {"arm": "dropout"}, {"arm": "plain"})


def test_evidence_of_another_kind_than_a_difference_notes_what_was_best_at_an_end(table):
    table["edge"] = np.where(table.arm == "plain", "learning_rate", "")
    digits = table[table.data == "digits"]
    ratio = digits.pivot(index="seed", columns="arm", values="test_error").pipe(
        lambda errors: errors.dropout / errors.plain
    )
    found = noting_ends(digits, over_seeds(digits, ratio, unit="times"))
    assert found.note == "best at an end of what was tried: learning rate of plain"
    assert found.recorded


@pytest.mark.parametrize("name", names())
def test_a_statement_on_an_arm_that_chose_an_end_says_so_whatever_its_evidence_is(name):
    result = recorded(name) if is_recorded(name) else None
    if result is None or "stage" not in result.rows or result.rows["stage"].isna().any():
        pytest.skip("not recorded, or not all of it is tuned")
    at_an_end = result.table.assign(edge="learning_rate")
    for finding in result.experiment.judge(at_an_end):
        if finding.evidence.atol is None:
            assert "best at an end" in finding.evidence.note, finding.statement


def test_all_statements_of_a_result_rest_on_what_was_stored():
    for name in ("fig4_architectures", "fig7_features", "keep_prob_grid", "fig10_data_size"):
        assert all(finding.evidence.recorded for finding in recorded(name).findings)


def test_a_remark_says_of_boosting_and_of_high_rates_what_was_recorded():
    boosting = recorded("warde_farley_averages")
    assert "came out worse than no dropout" in boosting.experiment.remark
    rows = boosting.table[boosting.table.part == "boosting"]
    assert difference(rows, "test_error", "dropout boosting", "plain").interval[0] > 0
    sizes = reached("fig10_data_size", "paper")
    assert "got 7% or more of their training examples wrong" in sizes.experiment.remark_at_scale
    tried = sizes.tuning[sizes.tuning.arm.str.startswith("dropout")]
    highest = tried[tried.learning_rate == tried.learning_rate.max()]
    assert highest.train.nunique() == 6
    assert highest.train_error.min() > 0.07


@pytest.mark.parametrize(
    ("effect", "shown"), [(-0.4, "-40%"), (-0.004, "-0.4%"), (0.0002, "less than 0.1%"), (0.0, "less than 0.1%")]
)
def test_a_relative_effect_is_not_shown_as_plus_or_minus_nothing(effect, shown):
    evidence = paired([1 + effect] * 5, [1.0] * 5)
    result = recorded("table10_gaussian")
    finding = Finding("It is lower.", "lower", evidence, below=0)
    judged = replace(result.experiment, judge=lambda table: [finding])
    assert [entry.relative for entry in entries(replace(result, experiment=judged))] == [shown]
