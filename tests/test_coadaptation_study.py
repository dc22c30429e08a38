"""The study: what arms share at a seed, what is paired, and that a planted difference is found and no other."""

import dataclasses
import math
import sys

import numpy as np
import pytest
import torch
from layer_units import asked
from torch import nn

from dropout_lessons import coadaptation
from dropout_lessons.calibration import fit_temperature
from dropout_lessons.claims import paired
from dropout_lessons.claims.evidence import LOG_RATIO
from dropout_lessons.coadaptation import MEASURES, Arm, standard_arms, study
from dropout_lessons.datasets import Dataset, Split, load
from dropout_lessons.layers import Dropout, GaussianDropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, evaluate, fit

interaction, compensation = asked(coadaptation.interaction), asked(coadaptation.compensation)

SEEDS = range(5)
SHORT = Recipe(epochs=2, batch_size=50)
QUIET = {"progress": False}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def digits(seed: int) -> Dataset:
    return load("digits", train=150, seed=seed)


def arm(keep_prob: float = 1.0, recipe: Recipe = SHORT, **settings) -> Arm:
    return Arm(lambda generator: MLP([64, 12, 10], keep_prob=keep_prob, generator=generator), recipe, **settings)


def nothing(units, generator):
    return 0.0


class Recorder:
    """A measure that notes what it is given."""

    def __init__(self):
        self.calls = []

    def __call__(self, units, generator):
        draw = torch.rand(1, generator=generator).item()
        split = Split(units.x, units.y)
        self.calls.append((units.network, units.layer.name, split, draw, units.readout.temperature))
        return float(len(self.calls))


def test_each_network_is_what_fit_makes_of_its_seed():
    arms = {"plain": arm(), "dropout": arm(0.5), "L2": arm(recipe=dataclasses.replace(SHORT, weight_decay=0.01))}
    result = study(arms, digits, ["hidden1"], seeds=[3, 8], measures={"none": nothing}, **QUIET)
    for name, own in arms.items():
        for seed, network in zip((3, 8), result.networks[name], strict=True):
            alone = own.make(seeded(seed))
            history = fit(alone, digits(seed), dataclasses.replace(own.recipe, seed=seed), progress=False)
            for trained, expected in zip(network.parameters(), alone.parameters(), strict=True):
                torch.testing.assert_close(trained, expected, atol=1e-5, rtol=1e-4)
            place = [3, 8].index(seed)
            assert result.values("train loss", name)[place] == pytest.approx(history.train_loss[-1], rel=1e-4)
            assert result.values("test error", name)[place] == evaluate(network, digits(seed).test).error


def test_arms_share_examples_draws_and_initial_weights_at_a_seed_and_not_between_seeds():
    record, starts = Recorder(), []

    def make(generator):
        network = MLP([64, 12, 12, 10], generator=generator)
        starts.append(network.hidden1.weight.detach().clone())
        return network

    arms = {"a": Arm(make, SHORT), "b": Arm(make, dataclasses.replace(SHORT, l1=0.01))}
    study(arms, digits, ["hidden1", "hidden2"], seeds=[0, 1], measures={"record": record}, examples=20, **QUIET)
    a0, a1, b0, b1 = (record.calls[i : i + 2] for i in (0, 2, 4, 6))
    assert [call[1] for call in a0] == ["hidden1", "hidden2"]
    for first, second in ((a0, b0), (a1, b1)):
        for left, right in zip(first, second, strict=True):
            assert torch.equal(left[2].x, right[2].x)
            assert torch.equal(left[2].y, right[2].y)
            assert left[3] == right[3]
            assert len(left[2].y) == 20
    assert a0[0][3] == a0[1][3]  # whatever other measures and layers drew before
    assert a0[0][3] != a1[0][3]
    assert not torch.equal(a0[0][2].x, a1[0][2].x)
    assert torch.equal(starts[0], starts[2])
    assert not torch.equal(starts[0], starts[1])


def test_measured_examples_are_test_examples_with_their_labels():
    record = Recorder()
    study({"plain": arm()}, digits, ["hidden1"], seeds=[0], measures={"record": record}, examples=30, **QUIET)
    (_, _, split, _, _) = record.calls[0]
    test = digits(0).test
    rows = (split.x[:, None] == test.x).all(2)
    assert bool((rows.sum(1) >= 1).all())
    assert torch.equal(split.y, test.y[rows.int().argmax(1)])


def test_logits_are_calibrated_on_the_validation_examples():
    record = Recorder()
    arms = {"plain": arm(), "shuffled labels": arm(shuffle_labels=True)}
    result = study(arms, digits, ["hidden1"], seeds=[0], measures={"record": record}, examples=10, **QUIET)
    x, y = digits(0).validation
    with torch.no_grad():
        expected = fit_temperature(result.networks["plain"][0](x), y)
    assert [call[4] for call in record.calls] == [expected, 1.0]
    assert result.values("temperature", "plain").tolist() == [expected]
    study(arms, digits, ["hidden1"], seeds=[0], measures={"record": record}, calibrate=False, **QUIET)
    assert [call[4] for call in record.calls[2:]] == [1.0, 1.0]


def test_shuffled_labels_are_a_permutation_and_are_what_the_network_is_judged_by_on_training_examples():
    record = Recorder()
    arms = {"plain": arm(), "shuffled labels": arm(shuffle_labels=True)}
    study(arms, digits, ["hidden1"], seeds=[0], measures={"record": record}, on="train", examples=150, **QUIET)
    (_, _, plain, _, _), (_, _, shuffled, _, _) = record.calls
    assert torch.equal(plain.x, shuffled.x)
    assert torch.equal(plain.y.sort().values, shuffled.y.sort().values)
    # A random permutation leaves about a tenth of the labels as they are.
    assert 0.02 < (plain.y == shuffled.y).double().mean().item() < 0.25


def test_the_target_may_be_the_networks_own_predictions():
    record = Recorder()
    result = study(
        {"plain": arm()}, digits, ["hidden1"], seeds=[0], measures={"r": record}, target="predictions", **QUIET
    )
    split = record.calls[0][2]
    assert torch.equal(split.y, result.networks["plain"][0](split.x).argmax(1))


@pytest.mark.parametrize("target", ["labels", "predictions"])
def test_regressions_are_studied_without_a_temperature(target):
    def autoencoded(seed: int) -> Dataset:
        data = digits(seed)
        parts = {name: Split(getattr(data, name).x, getattr(data, name).x) for name in ("train", "validation", "test")}
        return dataclasses.replace(data, **parts)

    record = Recorder()
    arms = {"plain": Arm(lambda generator: MLP([64, 6, 64], generator=generator), SHORT)}
    measures = {"record": record, "compensation": MEASURES["compensation"], "noise": MEASURES["weight noise, area"]}
    result = study(arms, autoencoded, ["hidden1"], seeds=[0], measures=measures, target=target, **QUIET)
    network, split = result.networks["plain"][0], record.calls[0][2]
    expected = split.x if target == "labels" else network(split.x).detach()
    torch.testing.assert_close(split.y, expected.double())
    assert result.values("temperature", "plain").tolist() == [1.0]
    ratio = compensation(network, "hidden1", split.x, sizes=[3], outputs="values", **QUIET).ratio.item()
    assert result.values("compensation", "plain").tolist() == [ratio]


def test_paired_effects_are_those_of_claims():
    def norm(units, generator):
        return units.network.hidden1.weight.norm().item()

    arms = {"plain": arm(), "L2": arm(recipe=dataclasses.replace(SHORT, weight_decay=0.1))}
    result = study(arms, digits, ["hidden1"], seeds=SEEDS, measures={"norm": norm}, **QUIET)
    plain, decayed = (
        np.array([net.hidden1.weight.norm().item() for net in result.networks[name]]) for name in ("plain", "L2")
    )
    assert result.values("norm", "L2").tolist() == decayed.tolist()
    assert result.paired("norm", "L2") == paired(decayed, plain)
    assert result.paired("norm", "L2", "hidden1", ratio=True) == paired(np.log(decayed), np.log(plain), unit=LOG_RATIO)
    row = result.table().iloc[0]
    assert (row.measure, row.arm, row["mean"], row.control) == ("norm", "L2", decayed.mean(), plain.mean())
    assert (row.effect, (row.low, row.high)) == (
        result.paired("norm", "L2").effect,
        result.paired("norm", "L2").interval,
    )
    assert row.separates
    ratio = result.table("hidden1", ratio=True).iloc[0]
    assert ratio.effect == pytest.approx(np.exp(np.log(decayed / plain).mean()))
    assert ratio.high < 1
    assert ratio.separates


def test_the_table_leaves_out_ratios_of_numbers_that_are_not_positive_and_intervals_of_nan():
    def odd(units, generator):
        return {"negative": -1.0 - units.network.hidden1.bias.norm().item(), "missing": math.nan}

    arms = {"plain": arm(), "L2": arm(recipe=dataclasses.replace(SHORT, weight_decay=0.1))}
    result = study(arms, digits, ["hidden1"], seeds=SEEDS, measures={"odd": odd}, **QUIET)
    table = result.table(ratio=True).set_index("measure")
    assert table.effect.isna().all()
    assert not table.separates.any()
    assert result.table().set_index("measure").effect.notna().tolist() == [True, False]
    with pytest.raises(ValueError, match=r"needs positive values, but 'negative' has -1"):
        result.paired("negative", "L2", ratio=True)


def cooperating(seed: int, threshold: float) -> nn.Module:
    """Sums of two units each, less a threshold: far below 0 it leaves them sums, above 0 it takes both to exceed it.

    Logits are small, so that log-probabilities are nearly linear in them.
    """
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    generator = seeded(seed)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    nn.init.normal_(network[0].weight, std=0.3, generator=generator)
    nn.init.ones_(network[0].bias)
    nn.init.normal_(network[4].weight, std=0.1, generator=generator)
    for k in range(4):
        network[2].weight.data[k, 2 * k : 2 * k + 2] = 1.0
        network[2].bias.data[k] = -threshold
    return network


def test_a_planted_difference_in_reliance_is_found_and_its_absence_too():
    x = torch.randn(300, 6, dtype=torch.float64, generator=seeded(5))
    data = Dataset(
        "random",
        *(Split(x[i : i + 100], torch.arange(100) % 3) for i in (0, 100, 200)),
        n_classes=3,
        image_shape=(2, 3),
        noisy=torch.zeros(100, dtype=torch.bool),
    )
    arms = {
        "plain": [cooperating(seed, -9.0) for seed in range(8)],
        "same": [cooperating(seed + 100, -9.0) for seed in range(8)],
        "pairs": [cooperating(seed, 1.0) for seed in range(8)],
    }
    result = study(arms, data, ["1"], seeds=range(8), target="predictions", calibrate=False, **QUIET)
    table = result.table(ratio=True).set_index(["measure", "arm"])
    for measure in ("interaction, relative", "interaction share", "reliance"):
        assert table.loc[(measure, "pairs"), "low"] > 1.2, measure
        assert not table.loc[(measure, "same"), "separates"], measure
    for blind in ("correlation", "effective rank per unit", "sparsity"):  # of the units' outputs, which are the same
        assert table.loc[(blind, "pairs"), "effect"] == pytest.approx(1.0)
    # The study's quick estimate of one network is the exact value, up to its error; eight units can be enumerated.
    quick = result.values("interaction, relative", "pairs").mean()
    exact = np.mean(
        [
            interaction(net, "1", data.test.x, temperature=1.0, **QUIET).relative.value
            for net in result.networks["pairs"]
        ]
    )
    assert quick == pytest.approx(exact, rel=0.15)


def test_default_measures_are_all_there_and_finite():
    arms = standard_arms([64, 12, 8, 10], dataclasses.replace(SHORT, weight_decay=1e-3, l1=1e-4, max_norm=1.0))
    result = study(arms, digits, ["hidden1", "hidden2"], seeds=[0, 1], examples=20, **QUIET)
    assert np.isfinite(result.frame.value).all()
    of_layer = {name for measure in MEASURES.values() if not measure.of_network for name in measure.texts}
    found = result.frame[result.frame.layer != "network"].groupby(["arm", "seed", "layer"]).measure.agg(set)
    assert len(found) == len(arms) * 2 * 2
    assert (found == of_layer).all(), (
        "a layer must have the numbers in the table of measures (coadaptation/measures.py)"
    )
    assert {"weight noise, area", "input corruption, area", "test error"} <= set(result.measures("network"))
    assert len(result.frame) == result.frame[["arm", "seed", "layer", "measure"]].drop_duplicates().shape[0]
    again = study(result.networks, digits, ["hidden1", "hidden2"], seeds=[0, 1], examples=20, **QUIET)
    own = [name for name in arms if name != "shuffled labels"]  # given networks are judged by the true labels
    for name in own:
        left, right = (found.frame[found.frame.arm == name].value for found in (result, again))
        assert left.tolist() == right.tolist()


def test_standard_arms_are_those_of_the_paper():
    arms = standard_arms(
        [64, 12, 10], Recipe(weight_decay=0.1, l1=0.2, max_norm=0.3), keep_prob=0.6, input_keep_prob=0.9
    )
    networks = {name: own.make(seeded()) for name, own in arms.items()}
    assert arms["L2"].recipe == Recipe(weight_decay=0.1)
    assert arms["L1"].recipe == Recipe(l1=0.2)
    assert arms["max-norm"].recipe == Recipe(max_norm=0.3)
    for name in ("plain", "dropout", "Gaussian dropout", "shuffled labels"):
        assert arms[name].recipe == Recipe()
    assert [name for name, own in arms.items() if own.shuffle_labels] == ["shuffled labels"]
    for name, network in networks.items():
        kind = GaussianDropout if name == "Gaussian dropout" else Dropout
        expected = (0.9, 0.6) if "dropout" in name else (1.0, 1.0)
        assert type(network.hidden1_dropout) is kind
        assert (network.input_dropout.keep_prob, network.hidden1_dropout.keep_prob) == expected
        assert torch.equal(network.hidden1.weight, networks["plain"].hidden1.weight)


def test_arms_have_the_penalties_whose_strength_is_given():
    rest = ["dropout", "Gaussian dropout", "shuffled labels"]
    assert list(standard_arms([64, 12, 10])) == ["plain", *rest]
    assert list(standard_arms([64, 12, 10], Recipe(l1=0.1))) == ["plain", "L1", *rest]
    assert list(standard_arms([64, 12, 10], Recipe(max_norm=1.0, weight_decay=0.1))) == [
        "plain",
        "L2",
        "max-norm",
        *rest,
    ]


def test_a_measure_of_the_whole_network_is_taken_once():
    record = Recorder()
    record.of_network = True
    study({"plain": arm()}, digits, ["hidden1"], seeds=[0, 1], measures={"whole": record}, **QUIET)
    assert [call[1] for call in record.calls] == ["hidden1", "hidden1"]


BAD = [
    ({"arms": {}}, "arms must name at least one arm"),
    (
        {"arms": {"a": [nn.Linear(64, 10)] * 2}},
        r"arms\['a'\] must be an Arm, or one trained network for each of the 5 seeds",
    ),
    ({"seeds": []}, "seeds must be different whole numbers"),
    ({"seeds": [1, 1]}, "seeds must be different whole numbers"),
    ({"seeds": [-1]}, "seeds must be different whole numbers"),
    ({"layers": "hidden1"}, "layers must be a sequence of names"),
    ({"layers": []}, "layers must be a sequence of names"),
    ({"layers": ["hidden9"]}, "got 'hidden9', which the network does not have"),
    ({"on": "validation"}, r"on must be one of \['test', 'train'\], got 'validation'"),
    ({"target": "truth"}, "target must be one of"),
    ({"examples": 1}, "examples must be from 2 to 597, those of the test set, got 1"),
    ({"examples": 200, "on": "train"}, "examples must be from 2 to 150, those of the train set, got 200"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD, ids=[message for _, message in BAD])
def test_wrong_arguments_are_named_before_anything_is_trained(wrong, message, monkeypatch):
    module = sys.modules["dropout_lessons.coadaptation.studies"]
    monkeypatch.setattr(module, "fit_ensemble", lambda *args, **kwargs: pytest.fail("trained"))
    arguments = {"arms": {"plain": arm()}, "data": digits, "layers": ["hidden1"], "seeds": SEEDS, **wrong}
    with pytest.raises(ValueError, match=message):
        study(**arguments)


def test_wrong_names_of_results_are_named():
    arms = {"plain": arm(), "b": arm()}
    result = study(arms, digits, ["hidden1"], seeds=SEEDS, measures={"none": nothing}, **QUIET)
    for call, message in (
        (lambda: result.values("none", "c"), r"arm must be one of \['plain', 'b'\], got 'c'"),
        (lambda: result.values("some", "b"), "measure must be one of"),
        (lambda: result.values("none", "b", "hidden2"), r"layer must be one of \['hidden1'\], got 'hidden2'"),
        (lambda: result.table("hidden2"), r"layer must be one of \['hidden1', 'network'\]"),
        (lambda: result.table(control="c"), "control must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    wide = {"plain": Arm(lambda generator: MLP([64, 8, 8, 10], generator=generator), SHORT)}
    result = study(wide, digits, ["hidden1", "hidden2"], seeds=SEEDS, measures={"none": nothing}, **QUIET)
    with pytest.raises(ValueError, match=r"layer must be given, since 'none' was measured at \['hidden1', 'hidden2'\]"):
        result.values("none", "plain")
    with pytest.raises(ValueError, match="layer must be one of"):
        result.table()


def test_fewer_than_five_seeds_have_no_interval():
    result = study({"plain": arm(), "b": arm()}, digits, ["hidden1"], seeds=[0, 1], measures={"n": nothing}, **QUIET)
    with pytest.raises(ValueError, match="fewer do not tell an effect from luck"):
        result.paired("n", "b")


def test_the_default_measures_can_be_extended():
    arms = {"plain": arm()}
    result = study(arms, digits, ["hidden1"], seeds=[0], measures={**MEASURES, "mine": nothing}, examples=20, **QUIET)
    assert "mine" in result.measures("hidden1")
    assert "correlation" in result.measures("hidden1")
    assert repr(result).startswith("Study(1 arms x 1 seeds, layers ['hidden1'], measures [")
