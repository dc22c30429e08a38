"""The positive control: what measures say of networks whose co-adaptation is known."""

import itertools

import pytest
import torch

from dropout_lessons.coadaptation import (
    MEASURES,
    PLANTED,
    LayerUnits,
    PlantedNetwork,
    interaction,
    interaction_share,
    planted_data,
    planted_scores,
    planted_study,
    share_at_equal_damage,
)
from dropout_lessons.coadaptation.planted import BASELINES, READ_AS_RELIANCE

X, Y = planted_data(seed=0).test


def units(planting):
    return LayerUnits(PlantedNetwork(planting), "units", X[:50], Y[:50])


@pytest.mark.parametrize("planting", PLANTED)
def test_planted_networks_predict_the_log_odds_of_the_labels(planting):
    logits = PlantedNetwork(planting)(X)
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], 1.5 * X[:, :5].sum(1))


def test_labels_are_as_likely_as_the_evidence_says():
    x, y = (torch.cat(parts) for parts in zip(*(planted_data(seed).test for seed in range(50)), strict=True))
    probability = (1.5 * x[:, :5].sum(1)).sigmoid()
    # A mean of 10,000 with standard deviation at most 1/2 is within 4 standard errors.
    assert abs((y - probability).mean()) < 4 * 0.5 / len(y) ** 0.5


def of_pairs(planting):
    """Mean logit of what both units of a pair say, one of them, and none."""
    network, mask = PlantedNetwork(planting), torch.ones(10, dtype=torch.bool)
    found = {}
    for present in itertools.product((True, False), repeat=2):
        own = mask.clone()
        own[:2] = torch.tensor(present)
        logits = LayerUnits(network, "units", X, Y).predictions(own[None])[0]
        found[present] = ((logits[:, 1] - logits[:, 0]) * X[:, 0]).mean().item()  # for, where it is for
    return found[True, True] - found[True, False] - found[False, True] + found[False, False]


@pytest.mark.parametrize(
    ("planting", "joint"), [("additive", 0), ("turns", 0), ("copies", 0), ("canceling", 0), ("backups", -1.2)]
)
def test_evidence_of_a_pair_adds_up_but_for_backups_and_xor(planting, joint):
    assert of_pairs(planting) == pytest.approx(joint, abs=1e-5)


def test_an_xor_unit_says_nothing_without_the_other():
    assert of_pairs("XOR") == pytest.approx(1.5, abs=1e-5)


def test_units_interact_within_their_pair_more_than_with_others():
    for planting in ("backups", "XOR"):  # errors that no longer cancel reach all units, through the softmax
        strength = interaction(units(planting), progress=False).strength.clone()
        within = strength[torch.arange(0, 10, 2), torch.arange(1, 10, 2)]
        strength[torch.arange(0, 10, 2), torch.arange(1, 10, 2)] = 0
        assert within.min() > strength.triu(1).max(), planting


def test_share_at_equal_damage_is_the_share_where_the_masks_cost_so_much():
    found = share_at_equal_damage(units("XOR"), torch.Generator().manual_seed(0))
    low, high = (interaction_share(units("XOR"), keep, progress=False).value for keep in (0.9, 0.5))
    assert low < found < high


def test_partners_of_the_second_baseline_are_uncorrelated_and_those_of_the_first_are_not():
    x = torch.cat([planted_data(seed).test.x for seed in range(50)])
    for planting, largest in {"additive": -1, "turns": 0}.items():
        u, v = LayerUnits(PlantedNetwork(planting), "units", x).activations[:, :2].T
        # Of 10,000 examples; a correlation of zero has a standard error of 1/100.
        assert torch.corrcoef(torch.stack([u, v]))[0, 1] == pytest.approx(largest, abs=0.04)


def test_correlation_does_not_tell_reliance_from_sharing_whatever_it_is_compared_with():
    found = planted_study({"supporting": MEASURES["supporting"]}, seeds=range(5))
    scores = planted_scores(found)
    assert not {"sees", "false alarm"} & set(
        scores.loc[["correlation", "effective rank per unit", "sparsity"]].to_numpy().flat
    )
    against_uncorrelated = planted_scores(found, "turns").loc["correlation"]
    assert against_uncorrelated[["additive", "copies"]].tolist() == ["false alarm"] * 2
    assert against_uncorrelated["XOR"] == "misses"


@pytest.mark.parametrize("baseline", BASELINES)
def test_reliance_sees_every_planting_in_which_units_rely_on_each_other(baseline):
    scores = planted_scores(planted_study({"reliance": MEASURES["reliance"]}, seeds=range(5)), baseline)
    for planting in set(PLANTED) - {baseline}:
        assert (scores.loc["reliance", planting] == "sees") == PLANTED[planting].relies


def test_an_unknown_baseline_is_named_with_those_that_there_are():
    found = planted_study({"supporting": MEASURES["supporting"]}, seeds=range(5))
    with pytest.raises(ValueError, match=r"baseline must be one of .*additive.*turns.*, got 'XOR'"):
        planted_scores(found, "XOR")


def test_every_number_of_the_measures_has_a_direction_in_which_it_is_read():
    numbers = {name for measure in MEASURES.values() for name in measure.texts}
    assert numbers - set(READ_AS_RELIANCE) == {"mean damage"}  # which is no measure of reliance


def test_an_unknown_planting_is_named_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"planting must be one of \['additive', .*got 'xor'"):
        PlantedNetwork("xor")
