"""Networks of any kind in one vmap: without draws each ends as fit would leave it."""

import pytest
import torch
from torch import nn

from dropout_lessons import datasets
from dropout_lessons.datasets import Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import ConvNet, SmallTransformer
from dropout_lessons.running import Outputs
from dropout_lessons.training import Recipe, fit

DIGITS = datasets.load("digits", train=70)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def tokens(n: int = 24) -> Split:
    text = torch.randint(8, (n, 16), generator=seeded(0))
    return Split(text, text.roll(-1, 1).masked_fill(torch.arange(16) == 15, -100))


def conv(seed: int, **keep) -> nn.Module:
    return ConvNet((8, 8), channels=(4,), hidden=(8,), generator=seeded(seed), **keep).double()


def transformer(seed: int, **keep) -> nn.Module:
    return SmallTransformer(symbols=8, context=16, generator=seeded(seed), **keep).double()


def doubled(split: Split) -> Split:
    return Split(split.x.double(), split.y)


NEXT = {"outputs": Outputs(call=lambda network, x: network(x)[:, :16], class_axis=-1)}
KINDS = {"conv": (conv, doubled(DIGITS.train), {}), "transformer": (transformer, tokens(), NEXT)}
OPTIONS = {
    "momentum": {},
    "adam": {"optimizer": "adam", "learning_rate": 1e-3, "weight_decay": 0.01},
    "penalties": {"weight_decay": 0.01, "l1": 1e-3, "max_norm": 0.5, "decay": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_without_draws_networks_end_as_fit_would_leave_them(kind, options):
    make, data, said = KINDS[kind]
    recipes = [
        Recipe(**{"epochs": 2, "batch_size": 20, "learning_rate": 0.05, "seed": k, **OPTIONS[options]}) for k in (3, 5)
    ]
    networks, alone = [make(k) for k in range(2)], [make(k) for k in range(2)]
    histories = fit_ensemble(networks, data, recipes, method="vmap", **said)
    for network, other, history, recipe in zip(networks, alone, histories, recipes, strict=True):
        expected = fit(other, data, recipe, **said)
        torch.testing.assert_close(parameters(network), parameters(other), rtol=1e-7, atol=1e-9)
        assert history.epoch == expected.epoch == [2]
        assert history.train_loss == pytest.approx(expected.train_loss, rel=1e-7)
        assert history.train_error == expected.train_error
        assert network.training


class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.linear, self.scale = nn.Linear(64, 10).double(), scale

    def forward(self, x):
        return self.linear(x) * self.scale


@pytest.mark.parametrize("how", ["number", "tensor", "hook"])
def test_networks_that_differ_in_what_is_no_parameter_are_not_taken_for_each_other(how):
    def make():
        torch.manual_seed(0)
        scales = (1.0, 1.0) if how == "hook" else (1.0, 5.0)
        networks = [Scaled(torch.tensor(scale) if how == "tensor" else scale) for scale in scales]
        if how == "hook":
            networks[1].linear.register_forward_hook(lambda module, args, output: output * 5)
        return networks

    networks, data = make(), doubled(DIGITS.train)
    recipe = Recipe(epochs=2, batch_size=20)
    fit_ensemble(networks, data, recipe, method="vmap")
    for network, alone in zip(networks, make(), strict=True):
        fit(alone, data, recipe)
        torch.testing.assert_close(parameters(network), parameters(alone), rtol=1e-7, atol=1e-9)


def test_masks_are_a_function_of_the_seed_and_differ_between_networks():
    data, recipe = doubled(DIGITS.train), Recipe(epochs=2, batch_size=20)
    trained = []
    for _ in range(2):
        torch.rand(3)
        state = torch.get_rng_state()
        networks = [conv(0, keep_prob=0.5) for _ in range(2)]
        fit_ensemble(networks, data, recipe, method="vmap")
        assert torch.equal(torch.get_rng_state(), state)
        trained.append([parameters(network) for network in networks])
    assert torch.equal(trained[0][0], trained[1][0])
    assert not torch.equal(trained[0][0], trained[0][1])  # the same weights, order and seed: only masks differ


def test_networks_that_learn_other_kinds_of_things_are_trained_apart():
    networks = [conv(0), transformer(1)]
    with pytest.raises(ValueError, match=r"networks\[1\]"):  # images are no text
        fit_ensemble(networks, doubled(DIGITS.train), Recipe(epochs=1), method="vmap")
    networks = [conv(0), nn.Linear(64, 10).double(), conv(1)]
    histories = fit_ensemble(networks, doubled(DIGITS.train), Recipe(epochs=1, batch_size=35), method="vmap")
    assert all(len(history.train_loss) == 1 for history in histories)


def with_forward(layer: nn.Linear) -> nn.Linear:
    layer.forward = lambda x: x @ layer.weight.T
    return layer


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            lambda: nn.Sequential(nn.Linear(64, 10), nn.BatchNorm1d(10)),
            "it has running statistics, which a step changes",
        ),
        (
            lambda: nn.Sequential(Dropout(0.5, generator=seeded(0)), nn.Linear(64, 10)),
            "a layer has a generator of its own",
        ),
        (lambda: nn.Sequential(nn.Linear(64, 10).requires_grad_(False), nn.Linear(10, 10)), "parameters are frozen"),
        (lambda: with_forward(nn.Linear(64, 10)), "a forward method was replaced, .*"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(network, message):
    networks = [nn.Linear(64, 10), network()]
    before = parameters(networks[0])
    with pytest.raises(
        ValueError, match=rf'networks\[1\] cannot be trained with method="vmap": .*{message}; use method="a'
    ):
        fit_ensemble(networks, DIGITS, Recipe(epochs=1, batch_size=35), method="vmap")
    assert torch.equal(parameters(networks[0]), before)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_network_whose_steps_change_a_buffer_is_refused(in_place):
    class Centered(nn.Linear):
        def __init__(self):
            super().__init__(64, 10)
            self.register_buffer("running", torch.zeros(64))

        def forward(self, x):
            if self.training and in_place:
                self.running.mul_(0.9).add_(x.mean(0), alpha=0.1)
            elif self.training:
                self.running = 0.9 * self.running + 0.1 * x.detach().mean(0)
            return super().forward(x - self.running)

    networks = [Centered(), Centered()]
    before = parameters(networks[0])
    with pytest.raises(ValueError, match=r"vmap\": a step changes its buffer 'running', .*; use method=\"auto\""):
        fit_ensemble(networks, DIGITS, Recipe(epochs=1, batch_size=35), method="vmap")
    assert torch.equal(parameters(networks[0]), before)
    fit_ensemble(networks, DIGITS, Recipe(epochs=1, batch_size=35), method="auto")
    assert all(network.running.any() for network in networks)


def test_a_network_that_looks_at_its_values_is_refused():
    class Looking(nn.Linear):
        def forward(self, x):
            return super().forward(x) if x.sum().item() > 0 else super().forward(-x)

    with pytest.raises(
        ValueError, match=r'networks\[0\] cannot be trained with method="vmap": vmap: .*use method="auto"'
    ):
        fit_ensemble([Looking(64, 10), Looking(64, 10)], DIGITS, Recipe(epochs=1, batch_size=35), method="vmap")


def test_a_diverging_network_is_named():
    recipes = [Recipe(epochs=2, batch_size=35, seed=k, learning_rate=1e30) for k in range(2)]
    with pytest.raises(FloatingPointError, match=r"networks\[0\]: the training loss is \w+ in epoch 1"):
        fit_ensemble([conv(0), conv(1)], doubled(DIGITS.train), recipes, method="vmap")
