"""Evidence from an experiment's table."""

import numpy as np
import pandas as pd
import pytest

from dropout_lessons.claims import paired
from dropout_lessons.experiments.tables import difference, values


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
