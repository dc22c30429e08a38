"""The report on one layer: its numbers are those of the single measures, for any module, and it says what they mean."""

import math

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from layer_units import asked, units_of
from torch import nn

from dropout_lessons import coadaptation
from dropout_lessons.coadaptation.measures import TEXTS
from dropout_lessons.coadaptation.pairs import sampled_pairs
from dropout_lessons.layers import DropConnect, Dropout, GaussianDropout
from dropout_lessons.networks import MLP

interaction, interaction_share = asked(coadaptation.interaction), asked(coadaptation.interaction_share)
reliance, compensation = asked(coadaptation.reliance), asked(coadaptation.compensation)
ablation_curve, robustness_curve = asked(coadaptation.ablation_curve), asked(coadaptation.robustness_curve)
mean_damage, report_of = asked(coadaptation.mean_damage), asked(coadaptation.report)

QUIET = {"progress": False}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_and_data(*sizes: int, examples: int = 30) -> tuple[MLP, torch.Tensor, torch.Tensor]:
    network = MLP(sizes or [4, 6, 5, 3], generator=seeded()).double()
    x = torch.randn(examples, network.sizes[0], dtype=torch.float64, generator=seeded(1))
    return network, x, network(x).argmax(1).roll(1)


def test_exact_values_are_those_of_the_single_measures():
    network, x, y = network_and_data()
    settings = {"temperature": 2.0, "clamp": "mean", **QUIET}
    report = report_of(network, "hidden1", x, y, keep_prob=0.7, generator=seeded(), **settings)
    pairs = interaction(network, "hidden1", x, y, keep_prob=0.7, **settings)
    assert report.values["interaction, relative"] == pairs.relative
    assert report.values["interaction, total"] == pairs.total
    assert torch.equal(report.interaction.pairwise, pairs.pairwise)
    assert report.values["interaction share"] == interaction_share(network, "hidden1", x, y, keep_prob=0.7, **settings)
    assert report.values["reliance"] == reliance(network, "hidden1", x, y, keep_prob=0.7, **settings).overall
    # Judged by its own predictions; half of six units.
    assert (
        report.values["compensation"].value == compensation(network, "hidden1", x, sizes=[3], **settings).ratio.item()
    )
    for clamp in ("zero", "mean"):
        area = ablation_curve(network, "hidden1", x, y, clamp=clamp, **QUIET).area
        assert report.values[f"{clamp} clamp, area"] == area
    for name in ("interaction, relative", "interaction share", "reliance", "compensation", "zero clamp, area"):
        assert report.values[name].exact, name
    damage = mean_damage(network, "hidden1", x, y, keep_prob=0.7, temperature=2.0, clamp="mean", samples=20_000)
    found = report.values["mean damage"]
    assert abs(found.value - damage.value) < 5 * math.hypot(found.stderr, damage.stderr)


def test_drawn_values_agree_with_the_exact_ones():
    """Thirteen units are too many for the report to enumerate, and few enough for us."""
    network, x, y = network_and_data(4, 13, 5, 3, examples=20)
    report = report_of(network, "hidden1", x, y, generator=seeded(), **QUIET)
    exact = interaction(network, "hidden1", x, y, contexts=400, generator=seeded(5), **QUIET)
    for name, value in (("interaction, relative", exact.relative), ("interaction, total", exact.total)):
        assert abs(report.values[name].value - value.value) < 5 * math.hypot(report.values[name].stderr, value.stderr)
    for perturbation in ("activation noise", "weight noise", "input corruption"):
        curve = robustness_curve(
            network, "hidden1", x, y, perturbation=perturbation, draws=300, generator=seeded(5), **QUIET
        )
        found = report.values[f"{perturbation}, area"]
        assert abs(found.value - curve.area.value) < 5 * math.hypot(found.stderr, curve.area.stderr) + 1e-12


@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
def test_sampled_pairs_agree_with_all_pairs(layer):
    network, x, y = network_and_data(4, 9, 10, 3)
    exact = interaction(network, layer, x, y, keep_prob=0.6, **QUIET)
    units = units_of(network, layer, x, y)
    drawn = sampled_pairs(units, keep_prob=0.6, contexts=200, sample=4, generator=seeded())
    for found, truth in zip(drawn, (exact.total, exact.relative), strict=True):
        assert abs(found.value - truth.value) < 5 * found.stderr
        assert found.stderr < 0.05 * truth.value
    # The stated error is the spread of repetitions: their standard deviation is known to 1/sqrt(2 * 59), 9%.
    again = [sampled_pairs(units, keep_prob=0.6, contexts=2, sample=4, generator=seeded(seed)) for seed in range(60)]
    for part in (0, 1):
        values = torch.tensor([found[part].value for found in again])
        stated = torch.tensor([found[part].stderr for found in again]).square().mean().sqrt()
        assert values.std().item() == pytest.approx(stated.item(), rel=0.35)


def test_all_units_sampled_and_all_present_give_the_exact_sums():
    network, x, y = network_and_data()
    exact = interaction(network, "hidden1", x, y, keep_prob=1.0, **QUIET)
    total, relative = sampled_pairs(
        units_of(network, "hidden1", x, y), keep_prob=1.0, contexts=2, sample=6, generator=seeded()
    )
    assert total.value == pytest.approx(exact.total.value)
    assert relative.value == pytest.approx(exact.relative.value)


def test_sampled_pairs_of_units_without_effect_are_zero():
    network, x, y = network_and_data()
    network.output.weight.data.zero_()
    found = sampled_pairs(units_of(network, "hidden1", x, y), keep_prob=0.5, contexts=2, sample=3, generator=seeded())
    assert [estimate.value for estimate in found] == [0.0, 0.0]
    single, x, y = network_and_data(4, 1, 3)
    found = sampled_pairs(units_of(single, "hidden1", x, y), keep_prob=0.5, contexts=2, sample=3, generator=seeded())
    assert [estimate.value for estimate in found] == [0.0, 0.0]


def test_the_frame_has_a_row_for_each_measure_with_what_it_shows_and_does_not():
    network, x, y = network_and_data()
    frame = report_of(network, "hidden1", x, y, trained_with=["zero clamp"], **QUIET).to_frame()
    assert frame.columns.tolist() == ["measure", "value", "stderr", "kind", "trained_with", "shows", "does_not_show"]
    assert frame.measure.tolist() == list(TEXTS)
    assert frame.value.notna().all()
    assert (frame.shows.str.len() > 20).all()
    assert (frame.does_not_show.str.len() > 20).all()
    assert frame.shows.is_unique
    met = frame.set_index("measure").trained_with
    assert met["zero clamp, area"] is True
    assert met["weight noise, area"] is False
    assert met.isna().sum() == len(TEXTS) - 5
    assert isinstance(frame, pd.DataFrame)


def test_the_report_can_be_read_in_a_notebook_and_in_a_terminal():
    network, x, y = network_and_data()
    report = report_of(network, "hidden1", x, y, trained_with=["weight noise"], **QUIET)
    html, text = report._repr_html_(), repr(report)
    assert text.splitlines()[0] == "hidden1: 6 units, 30 examples; trained with weight noise"
    for name, estimate in report.values.items():
        assert name in html
        assert str(estimate) in html
        assert any(line.startswith(name) and line.endswith(str(estimate)) for line in text.splitlines())
    assert html.count("(met in training)") == 1


def hidden_dropout(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), layer, nn.Linear(8, 3))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.second(F.dropout(self.first(x).relu(), 0.5, self.training))


@pytest.mark.parametrize(
    ("network", "met"),
    [
        (hidden_dropout(nn.Dropout(0.5)), ("zero clamp",)),
        (hidden_dropout(Dropout(0.5)), ("zero clamp",)),
        (hidden_dropout(nn.Dropout(0.0)), ()),
        (hidden_dropout(GaussianDropout(0.5)), ("activation noise",)),
        (hidden_dropout(nn.AlphaDropout(0.5)), ()),
        (nn.Sequential(nn.Dropout(0.2), hidden_dropout(nn.Identity())), ()),  # of the inputs only
        (nn.Sequential(GaussianDropout(0.8), hidden_dropout(Dropout(0.5))), ("zero clamp",)),
        (nn.Sequential(hidden_dropout(GaussianDropout(0.5)), Dropout(0.9)), ("zero clamp", "activation noise")),
        (nn.Sequential(DropConnect(4, 8), nn.ReLU(), nn.Linear(8, 3)), ()),
        (Functional(), ("zero clamp",)),
    ],
)
def test_what_a_network_met_in_training_is_found_from_its_dropout(network, met):
    layer = (
        "first"
        if isinstance(network, Functional)
        else next(name for name, module in network.named_modules() if isinstance(module, nn.ReLU))
    )
    x = torch.randn(20, 4)
    assert report_of(network, layer, x, **QUIET).trained_with == met
    assert report_of(network, layer, x, trained_with=["mean clamp"], **QUIET).trained_with == ("mean clamp",)


def test_a_wide_layer_has_pairs_of_some_examples_only(monkeypatch):
    network, x, y = network_and_data(4, 20, 6, 3)
    monkeypatch.setattr("dropout_lessons.coadaptation.measures._AFFORDABLE", 2 * 10 * 20**2)
    report = report_of(network, "hidden1", x, y, generator=seeded(), **QUIET)
    assert report.n_examples_of_pairs == 20  # a budget of twenty times the pairs
    expected = interaction(network, "hidden1", x[:20], y[:20], contexts=2, generator=seeded(), **QUIET)
    torch.testing.assert_close(report.interaction.pairwise, expected.pairwise)
    assert report.n_examples == 30
    monkeypatch.setattr("dropout_lessons.coadaptation.measures._WIDEST", 19)
    report = report_of(network, "hidden1", x, y, **QUIET)
    assert report.interaction is None
    assert report.values["interaction, relative"].value > 0
    # The last layer's units add up: all pairs, whatever their number.
    monkeypatch.setattr("dropout_lessons.coadaptation.measures._WIDEST", 3)
    wide, x, y = network_and_data(4, 20, 3)
    assert report_of(wide, "hidden1", x, y, **QUIET).n_examples_of_pairs == 30


def test_targets_say_that_a_network_is_a_regression_for_all_measures():
    for outputs in (1, 3):
        network, x, _ = network_and_data(4, 6, 5, outputs)
        y = torch.randn(30, outputs, dtype=torch.float64, generator=seeded(2))
        found = report_of(network, "hidden1", x, y, generator=seeded(), **QUIET)
        assert found.values == report_of(network, "hidden1", x, y, outputs="values", generator=seeded(), **QUIET).values
        own = compensation(network, "hidden1", x, outputs="values", sizes=[3], **QUIET)
        assert found.values["compensation"].value == own.ratio.item()


def test_regressions_and_channels_are_measured():
    network, x, _ = network_and_data()
    report = report_of(network, "hidden1", x, torch.randn(30, 3), **QUIET)
    assert report.curves["weight noise"].metric == "R²"
    assert all(math.isfinite(estimate.value) for estimate in report.values.values())
    conv = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    report = report_of(conv, "1", torch.randn(20, 1, 4, 4), torch.randint(3, (20,)), **QUIET)
    assert report.n_units == 4


def test_an_untrained_dead_layer_has_finite_values():
    network, x, y = network_and_data()
    network.hidden1.weight.data.zero_()
    report = report_of(network, "hidden1", x, y, **QUIET)
    assert all(math.isfinite(estimate.value) for estimate in report.values.values())
    assert report.values["interaction, relative"].value == 0
    assert report.values["compensation"].value == 1
    assert report.values["sparsity"].value == 1


def test_the_generator_decides_and_nothing_is_changed():
    network, x, y = network_and_data(4, 14, 5, 3)
    network.train()
    state = torch.get_rng_state()
    one, two, three = (
        report_of(network, "hidden1", x, y, generator=seeded(seed), **QUIET).values for seed in (0, 0, 1)
    )
    assert one == two != three
    report_of(network, "hidden1", x, y, **QUIET)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("trained_with", ["zero clamp", ["heat"]])
def test_unknown_perturbations_are_refused(trained_with):
    network, x, y = network_and_data()
    with pytest.raises(ValueError, match="trained_with must hold some of"):
        report_of(network, "hidden1", x, y, trained_with=trained_with)
