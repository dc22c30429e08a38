"""What an experiment is, and how a verdict follows from its findings."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropout_lessons import claims, experiments
from dropout_lessons.claims import ClaimError, check, exact, sampled
from dropout_lessons.experiments import Finding, Result, Unit
from dropout_lessons.experiments.tables import difference

LOW = sampled([-2.0, -1.0, -1.5, -1.2, -1.8])  # an interval wholly below zero
WIDE = sampled([-3.0, 2.0, -1.0, 1.5, 0.2])  # one that has zero in it


def test_a_finding_holds_where_its_whole_interval_agrees_and_fails_where_all_of_it_disagrees():
    assert Finding("lower", "", LOW, below=0).holds is True
    assert Finding("higher", "", LOW, above=0).holds is False
    assert Finding("equal", "", LOW, within=(-0.1, 0.1)).holds is False
    assert Finding("near", "", LOW, within=(-5, 5)).holds is True
    for bounds in ({"below": 0}, {"above": 0}, {"within": (-1, 1)}):
        assert Finding("either", "", WIDE, **bounds).holds is None


def test_a_touched_bound_is_not_passed():
    equal = sampled([1.0] * 5)
    assert Finding("above", "", equal, above=1).holds is False
    assert Finding("below", "", equal, below=1).holds is False


@given(
    values=st.lists(st.floats(-1, 1), min_size=5, max_size=9),
    bound=st.floats(-1, 1),
    side=st.sampled_from(["above", "below"]),
)
def test_a_finding_holds_exactly_where_a_claim_would_be_checked(values, bound, side):
    evidence = sampled(values)
    try:
        check("The same.", evidence, **{side: bound})
    except ClaimError:
        supported = False
    else:
        supported = True
    assert (Finding("The same.", "", evidence, **{side: bound}).holds is True) == supported


def test_an_identity_has_its_own_bound():
    assert Finding("equal", "", exact(1.0, 1.0, atol=1e-12)).holds is True
    assert Finding("equal", "", exact(1.0, 1.1, atol=1e-12)).holds is False
    with pytest.raises(ValueError, match="none for an identity"):
        Finding("equal", "", exact(1.0, 1.0, atol=1e-12), below=1)


def test_a_finding_without_a_bound_is_refused():
    with pytest.raises(ValueError, match="exactly one of above, below and within"):
        Finding("lower", "", LOW)
    with pytest.raises(ValueError, match="exactly one of above, below and within"):
        Finding("lower", "", LOW, below=0, above=-3)


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ([{"below": 0}, {"within": (-9, 9)}], "reproduced"),
        ([{"below": 0}, {"above": 0}], "not reproduced"),
        ([{"below": 0}, {"within": (-1.5, 1.5)}], "undecided"),
        ([{"above": 0}, {"within": (-1.5, 1.5)}], "not reproduced"),
        ([{"within": (-1.5, 1.5)}], "undecided"),
        ([], "undecided"),
    ],
)
def test_the_verdict_is_that_of_the_primary_statements_alone(bounds, verdict):
    primary = [Finding("p", "", LOW, **bound, primary="why") for bound in bounds]
    others = [Finding("o", "", LOW, below=0), Finding("o", "", LOW, above=0), Finding("o", "", WIDE, above=0)]
    experiment = dataclasses.replace(experiments.get("fig9a_keep_prob"), judge=lambda table: [*others, *primary])
    assert Result(experiment, "lecture", pd.DataFrame({"seed": [0]}), {}).verdict == verdict


def test_an_experiment_whose_primary_statements_have_too_few_seeds_was_not_run():
    rows = [{"arm": arm, "seed": seed, "test_error": 0.1} for arm in ("plain", "dropout") for seed in range(3)]

    def judge(table: pd.DataFrame) -> list[Finding]:
        evidence = difference(table, "test_error", {"arm": "dropout"}, {"arm": "plain"}, unit="points")
        assert (evidence.n, evidence.arms) == (3, pytest.approx((0.1, 0.1)))
        return [Finding("Lower.", "lower", evidence, below=0, primary="why")]

    experiment = dataclasses.replace(experiments.get("fig9a_keep_prob"), judge=judge)
    result = Result(experiment, "lecture", pd.DataFrame(rows), {"unfinished": 4})
    assert result.verdict == "not run"
    assert result.findings[0].holds is None
    with pytest.raises(ValueError, match="at least 5 seeds"):  # where no more are to come, it is an error
        assert Result(experiment, "lecture", pd.DataFrame(rows), {}).findings


def test_a_unit_has_one_key_and_each_thing_that_decides_its_result_changes_it():
    unit = Unit({"train": 1000, "sizes": [784, 10]}, seed=3)
    same = Unit(json.loads(json.dumps(unit.settings)), seed=3, work=7.0)
    assert unit.key() == same.key()
    others = [
        Unit({**unit.settings, "train": 1001}, 3),
        Unit({**unit.settings, "sizes": [784, 20]}, 3),
        Unit(unit.settings, 4),
    ]
    keys = {unit.key(), unit.key(version=2), *(other.key() for other in others)}
    assert len(keys) == 5
    assert unit.columns == {"train": 1000, "seed": 3}


def test_the_key_of_a_unit_is_a_name_for_a_file_on_every_system():
    key = Unit({"what": 'a/b\\c:d*e?"<>|' + "x" * 300}, 0).key()
    assert len(key) < 120
    assert not set(key) & set('/\\:*?"<>| ')


def test_an_unknown_name_or_scale_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=r"name must be one of .*fig9a_keep_prob.*, got 'fig99'"):
        experiments.get("fig99")
    with pytest.raises(ValueError, match=r"scale must be one of \['lecture', .*\] for 'fig9a_keep_prob', got 'galaxy'"):
        experiments.get("fig9a_keep_prob").config("galaxy")


def test_an_experiment_is_found_by_the_name_of_its_file():
    for name in experiments.names():
        assert experiments.get(name).name == name


def test_the_rows_of_a_table_say_where_they_come_from():
    unit = Unit({"arm": "dropout", "recipe": {"epochs": 2}, "sizes": (1, 2)}, seed=1)
    assert unit.columns == {"arm": "dropout", "seed": 1}
    assert unit["recipe"] == {"epochs": 2}
    assert np.isfinite(unit.work)


def test_no_module_is_hidden_behind_a_name_of_its_package_and_each_says_what_is_public():
    for package in (experiments, claims):
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            assert getattr(package, found.name) is module
            assert hasattr(module, "__all__") or found.ispkg
