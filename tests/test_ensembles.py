"""A stack of networks is K separate fits: the oracle of almost every test here is fit itself."""

import copy
import functools
import itertools
import math
import time
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dropout_lessons import datasets
from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.ensembles import Arm, fit_ensemble, fitting, train_arms
from dropout_lessons.ensembles.stack import Stack
from dropout_lessons.layers import Dropout, GaussianDropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import History, Recipe, evaluate, fit

pytestmark = pytest.mark.rounding

DIGITS = datasets.load("digits", train=130)
NOISY = [datasets.load("digits", train=130, seed=seed, label_noise=0.5) for seed in (1, 2)]
KEEP = [(1.0, 1.0), (0.5, 0.8), (0.8, 1.0), ([0.3, 1.0], 0.9)]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ensemble(number: int = 4, *, scaling="inverted", own: bool = False, dtype=torch.float32) -> list[MLP]:
    """Networks with different weights and keep probabilities, each with generators of its own or without."""

    def network(k: int) -> MLP:
        source = seeded(100 + k) if own else None
        return MLP(
            [64, 24, 16, 10],
            keep_prob=KEEP[k % 4][0],
            input_keep_prob=KEEP[k % 4][1],
            dropout=lambda keep_prob: Dropout(
                keep_prob, scaling="standard" if scaling == "mixed" and k % 2 else "inverted", generator=source
            ),
            generator=seeded(k),
        ).to(dtype)

    return [network(k) for k in range(number)]


def recipes(number: int = 4, *, differ=(), **options) -> list[Recipe]:
    defaults = {"epochs": 3, "batch_size": 50, "learning_rate": 0.05}
    each = [{name: values[k % len(values)] for name, values in differ} for k in range(number)]
    return [Recipe(**{**defaults, "seed": 7 * k, **options, **each[k]}) for k in range(number)]


def parameters(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def assert_equal_to_separate_fits(networks, data, each, *, method="stacked", evaluate_every=1) -> list[History]:
    alone = copy.deepcopy(networks)  # copies a network's own generators with their state
    per_network = data if isinstance(data, list) else [data] * len(networks)
    expected = [
        fit(network, part, recipe, evaluate_every=evaluate_every)
        for network, part, recipe in zip(alone, per_network, each, strict=True)
    ]
    histories = fit_ensemble(networks, data, each, method=method, evaluate_every=evaluate_every)
    for network, other, history, target in zip(networks, alone, histories, expected, strict=True):
        torch.testing.assert_close(parameters(network), parameters(other), rtol=2e-4, atol=2e-5)
        assert history.epoch == target.epoch
        for name in ("train_loss", "validation_loss"):
            assert getattr(history, name) == pytest.approx(getattr(target, name), rel=1e-4), name
        for name in ("train_error", "validation_error"):
            assert getattr(history, name) == getattr(target, name), name
    return histories


OPTIONS = {
    "momentum": {},
    "no momentum": {"momentum": 0.0},
    "adam": {"optimizer": "adam", "learning_rate": 0.003},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.1},
    "adam with penalties": {"optimizer": "adam", "learning_rate": 0.003, "weight_decay": 0.01, "l1": 1e-4},
    "penalties": {"weight_decay": 0.01, "l1": 1e-3, "max_norm": 1.0},
    "a tight ball for weights, none for biases": {"max_norm": 0.02, "learning_rate": 0.5},
    "constant rate": {"decay": "none", "learning_rate": 0.02},
    "decay by epoch": {"decay": 0.8},
    "everything different": {
        "differ": (
            ("learning_rate", (0.05, 0.02, 0.1, 0.03)),
            ("momentum", (0.9, 0.0, 0.5, 0.95)),
            ("weight_decay", (0.0, 0.01)),
            ("l1", (1e-3, 0.0, 0.0)),
            ("max_norm", (None, 1.0, 0.5)),
        )
    },
    "adamw, everything different": {
        "optimizer": "adamw",
        "differ": (("learning_rate", (0.003, 0.001)), ("weight_decay", (0.0, 0.3)), ("l1", (0.0, 1e-3, 0.0))),
    },
    "adam, everything different": {
        "optimizer": "adam",
        "differ": (("learning_rate", (0.003, 0.001)), ("weight_decay", (0.0, 0.01)), ("max_norm", (None, 1.0))),
    },
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_stack_ends_with_the_weights_and_histories_of_separate_fits(options):
    # 130 examples in batches of 50: the last batch is smaller.
    assert_equal_to_separate_fits(ensemble(), DIGITS, recipes(**options))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("scaling", ["inverted", "mixed"])
def test_scalings_and_generators_of_the_layers_are_theirs(scaling, own):
    assert_equal_to_separate_fits(ensemble(scaling=scaling, own=own), DIGITS, recipes())


def test_own_generators_are_left_where_separate_fits_leave_them():
    stacked, alone = ensemble(own=True), ensemble(own=True)
    fit_ensemble(stacked, DIGITS, recipes(), method="stacked")
    for one, other, recipe in zip(stacked, alone, recipes(), strict=True):
        fit(other, DIGITS, recipe)
        assert torch.equal(one.input_dropout.generator.get_state(), other.input_dropout.generator.get_state())


@pytest.mark.parametrize("own", [False, True])
def test_networks_with_gaussian_noise_are_stacked_too_and_apart_from_those_with_masks(own, chosen):
    networks = ensemble()
    for k, (keep_prob, input_keep_prob) in enumerate(KEEP):
        source = seeded(100 + k) if own else None
        noise = functools.partial(GaussianDropout, generator=source)
        options = {"keep_prob": keep_prob, "input_keep_prob": input_keep_prob, "generator": seeded(k)}
        networks.append(MLP([64, 24, 16, 10], dropout=noise, **options))
    assert_equal_to_separate_fits(networks, DIGITS, recipes(8, max_norm=1.0))
    assert chosen == {"stacks": [4, 4], "alone": []}


def test_a_stack_in_double_precision_is_separate_fits_to_double_precision():
    def double(split: Split) -> Split:
        return Split(split.x.double(), split.y)

    stacked, alone = ensemble(dtype=torch.float64), ensemble(dtype=torch.float64)
    fit_ensemble(stacked, double(DIGITS.train), recipes(), method="stacked")
    for one, other, recipe in zip(stacked, alone, recipes(), strict=True):
        fit(other, double(DIGITS.train), recipe)
        torch.testing.assert_close(parameters(one), parameters(other), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("evaluate_every", [1, 2])
def test_each_network_may_have_data_of_its_own(evaluate_every):
    data: list[Dataset] = [DIGITS, NOISY[0], NOISY[1], DIGITS]
    assert_equal_to_separate_fits(ensemble(), data, recipes(), evaluate_every=evaluate_every)


def test_a_training_set_alone_is_enough():
    histories = assert_equal_to_separate_fits(ensemble(), DIGITS.train, recipes())
    assert all(history.validation_loss == [] for history in histories)


def test_one_recipe_for_all_is_one_seed_for_all():
    networks, recipe = ensemble(3), Recipe(epochs=2, batch_size=50, seed=3)
    alone = ensemble(3)
    fit_ensemble(networks, DIGITS, recipe)
    for network, other in zip(networks, alone, strict=True):
        fit(other, DIGITS, recipe)
        torch.testing.assert_close(parameters(network), parameters(other), rtol=2e-4, atol=2e-5)


@settings(max_examples=15)
@given(
    sizes=st.lists(st.integers(1, 20), max_size=3),
    keeps=st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4),
    batch_size=st.integers(1, 40),
    optimizer=st.sampled_from(["sgd", "adam"]),
)
def test_stacks_of_any_shape_are_separate_fits(sizes, keeps, batch_size, optimizer):
    data = Split(DIGITS.train.x[:33].double(), DIGITS.train.y[:33])
    each = [Recipe(epochs=2, batch_size=batch_size, learning_rate=1e-3, optimizer=optimizer, seed=k) for k in range(4)]

    def networks() -> list[MLP]:
        return [
            MLP([64, *sizes, 10], keep_prob=keep, input_keep_prob=keep, generator=seeded(k)).double()
            for k, keep in enumerate(keeps)
        ]

    stacked, alone = networks(), networks()
    fit_ensemble(stacked, data, each[: len(keeps)], method="stacked")
    for one, other, recipe in zip(stacked, alone, each, strict=False):
        fit(other, data, recipe)
        torch.testing.assert_close(parameters(one), parameters(other), rtol=1e-8, atol=1e-9)


def test_the_history_is_what_evaluate_says_of_the_finished_networks():
    networks = ensemble(scaling="mixed")
    for network, history in zip(networks, fit_ensemble(networks, DIGITS, recipes()), strict=True):
        score = evaluate(network, DIGITS.validation)
        assert history.validation_loss[-1] == pytest.approx(score.loss, rel=1e-5)
        assert history.validation_error[-1] == score.error


def test_evaluation_in_chunks_is_evaluation_at_once(monkeypatch):
    whole = fit_ensemble(ensemble(), [DIGITS, *NOISY, DIGITS], recipes())
    monkeypatch.setattr("dropout_lessons.ensembles.stack.EVALUATION_VALUES", 1)  # chunks of 100 examples
    chunked = fit_ensemble(ensemble(), [DIGITS, *NOISY, DIGITS], recipes())
    for a, b in zip(whole, chunked, strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, rel=1e-5)
        assert a.train_error == b.train_error


def test_a_network_is_trained_alike_whatever_it_is_stacked_with(monkeypatch):
    together, apart = ensemble(4), ensemble(4)
    fit_ensemble(together, DIGITS, recipes())
    monkeypatch.setitem(fitting.STACK_VALUES, "cpu", 1)  # one network a stack
    fit_ensemble(apart, DIGITS, recipes())
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(parameters(one), parameters(other), rtol=2e-4, atol=2e-5)


# --- what is stacked ------------------------------------------------------------------------------------------


@pytest.fixture
def chosen(monkeypatch) -> dict[str, list[int]]:
    """The sizes of the stacks that were trained, and how many networks were trained by fit."""
    chosen: dict[str, list[int]] = {"stacks": [], "alone": []}

    class Counted(Stack):
        def __init__(self, members, **options):
            chosen["stacks"].append(len(members))
            super().__init__(members, **options)

    def counted_fit(network, *arguments, **options):
        chosen["alone"].append(network)
        return fit(network, *arguments, **options)

    monkeypatch.setattr(fitting, "Stack", Counted)
    monkeypatch.setattr(fitting, "fit", counted_fit)
    return chosen


class Deeper(MLP):
    pass


def with_hook() -> nn.Module:
    network = ensemble(1)[0]
    network.hidden1.register_forward_hook(lambda module, inputs, output: output * 0.5)
    return network


def frozen() -> nn.Module:
    network = ensemble(1)[0]
    network.hidden1.weight.requires_grad_(False)
    return network


def without_bias() -> nn.Module:
    network = ensemble(1)[0]
    network.output = nn.Linear(16, 10, bias=False)
    return network


def parametrized() -> nn.Module:
    network = ensemble(1)[0]
    nn.utils.parametrizations.weight_norm(network.hidden1)
    return network


def with_replaced_forward() -> nn.Module:
    network = ensemble(1)[0]
    network.hidden1.forward = lambda x: x[:, :24]
    return network


def either_noise(keep_prob: float) -> nn.Module:
    return GaussianDropout(keep_prob) if keep_prob < 1 else Dropout(keep_prob)


OTHERS = {
    "it is a Sequential, not an MLP": lambda: nn.Sequential(nn.Linear(64, 10), nn.BatchNorm1d(10)),
    "it is a Deeper, not an MLP": lambda: Deeper([64, 8, 10], keep_prob=0.5),
    "its hidden1_dropout is a GaussianDropout": lambda: MLP([64, 8, 10], keep_prob=0.5, dropout=either_noise),
    "its hidden1 is a ParametrizedHiddenLayer": parametrized,
    "its layers were changed, and are no longer those of an MLP of sizes \\[64, 24, 16, 10\\]": without_bias,
    "some of its parameters are frozen": frozen,
    "it has hooks": with_hook,
    "a forward method was replaced": with_replaced_forward,
}


@pytest.mark.parametrize("reason", OTHERS)
def test_what_cannot_be_stacked_goes_through_fit_or_is_refused_by_name(reason, chosen):
    torch.manual_seed(0)
    networks = [*ensemble(2), OTHERS[reason](), *ensemble(1)]
    networks = [copy.deepcopy(network) for network in networks]
    with pytest.raises(ValueError, match=rf'networks\[2\] cannot be stacked: {reason}; use method="auto"'):
        fit_ensemble(networks, DIGITS, recipes(), method="stacked")
    assert chosen == {"stacks": [], "alone": []}
    assert_equal_to_separate_fits(networks, DIGITS, recipes(), method="auto")
    assert chosen["stacks"] == [3]
    assert len(chosen["alone"]) == 1


def test_hooks_of_the_parameters_are_obeyed(chosen):
    networks = ensemble(2)
    networks[0].hidden1.weight.register_hook(torch.zeros_like)  # copies do not have it
    before = [network.hidden1.weight.detach().clone() for network in networks]
    with pytest.raises(ValueError, match=r"networks\[0\] cannot be stacked: its parameters have hooks"):
        fit_ensemble(networks, DIGITS, recipes(2), method="stacked")
    fit_ensemble(networks, DIGITS, recipes(2))
    assert torch.equal(networks[0].hidden1.weight, before[0])
    assert not torch.equal(networks[1].hidden1.weight, before[1])
    assert (chosen["stacks"], len(chosen["alone"])) == ([1], 1)


def test_networks_that_are_trained_in_bfloat16_are_trained_alone(chosen):
    networks = [MLP([64, 8, 10], generator=seeded(k)) for k in range(2)]
    recipe = Recipe(epochs=1, batch_size=50, precision="bfloat16")
    fit_ensemble(networks, DIGITS, recipe)
    assert (chosen["stacks"], len(chosen["alone"])) == ([], 2)
    with pytest.raises(ValueError, match="cannot be stacked: its recipe has precision='bfloat16'"):
        fit_ensemble(networks, DIGITS, recipe, method="stacked")


def test_networks_that_share_a_generator_draw_from_it_in_turn(chosen):
    def networks() -> list[MLP]:
        shared = seeded(5)
        apart = [MLP([64, 24, 16, 10], keep_prob=0.5, generator=seeded(9))]
        return apart + [
            MLP([64, 8, 10], dropout=lambda keep: Dropout(0.5, generator=shared), generator=seeded(k)) for k in range(2)
        ]

    stacked, alone = networks(), networks()
    with pytest.raises(ValueError, match=r"networks\[1\] cannot be stacked: it shares a generator with networks \[2\]"):
        fit_ensemble(stacked, DIGITS, recipes(3), method="stacked")
    fit_ensemble(stacked, DIGITS, recipes(3))
    for one, other, recipe in zip(stacked, alone, recipes(3), strict=True):
        fit(other, DIGITS, recipe)
        torch.testing.assert_close(parameters(one), parameters(other), rtol=2e-4, atol=2e-5)
    assert (chosen["stacks"], len(chosen["alone"])) == ([1], 2)


def test_layers_given_the_global_generator_draw_as_layers_without_one():
    networks = ensemble(2)
    for network in networks:
        network.hidden1_dropout.generator = torch.default_generator
    alone = ensemble(2)
    fit_ensemble(networks, DIGITS, recipes(2), method="stacked")
    for one, other, recipe in zip(networks, alone, recipes(2), strict=True):
        fit(other, DIGITS, recipe)
        torch.testing.assert_close(parameters(one), parameters(other), rtol=2e-4, atol=2e-5)


def test_the_loop_is_fit(chosen):
    stacked, alone = ensemble(), ensemble()
    histories = fit_ensemble(stacked, DIGITS, recipes(), method="loop")
    assert (chosen["stacks"], len(chosen["alone"])) == ([], 4)
    for one, other, recipe, history in zip(stacked, alone, recipes(), histories, strict=True):
        assert fit(other, DIGITS, recipe).train_loss == history.train_loss
        assert torch.equal(parameters(one), parameters(other))


def test_networks_that_differ_in_shape_or_schedule_are_in_different_stacks(chosen):
    networks = [*ensemble(2), MLP([64, 8, 10], generator=seeded(0)), *ensemble(5)]
    each = recipes(8)
    each[3] = Recipe(epochs=2, batch_size=50, seed=3)
    each[4] = Recipe(epochs=3, batch_size=20, seed=4)
    each[5] = Recipe(epochs=3, batch_size=50, seed=4, optimizer="adam")
    each[6] = Recipe(epochs=3, batch_size=50, seed=4, decay="none")
    data = [*[DIGITS] * 7, datasets.load("digits", train=60)]
    assert_equal_to_separate_fits(networks, data, each)
    assert sorted(chosen["stacks"]) == [1, 1, 1, 1, 1, 1, 2]


def test_stacks_are_small_enough_for_the_cache(chosen, monkeypatch):
    monkeypatch.setitem(fitting.STACK_VALUES, "cpu", 3 * parameters(ensemble(1)[0]).numel())
    fit_ensemble(ensemble(7), DIGITS, recipes(7))
    assert chosen["stacks"] == [2, 2, 3]


# --- what is left as it was, also after an error --------------------------------------------------------------


def test_random_state_and_modes_are_as_they_were():
    networks = [*ensemble(2), nn.Sequential(nn.Linear(64, 10), nn.Dropout(0.5))]
    networks[0].hidden1_dropout.eval()
    modes = [[module.training for module in network.modules()] for network in networks]
    state = torch.get_rng_state()
    fit_ensemble(networks, DIGITS, recipes(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert [[module.training for module in network.modules()] for network in networks] == modes


@pytest.mark.parametrize("method", ["stacked", "loop"])
def test_no_gradients_are_left_behind(method):
    networks = ensemble(2)
    networks[0](DIGITS.train.x).sum().backward()
    fit_ensemble(networks, DIGITS, recipes(2), method=method)
    assert all(parameter.grad is None for network in networks for parameter in network.parameters())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in networks[0].parameters())
    networks[0](DIGITS.train.x).sum().backward()  # an ordinary network again


def test_an_interrupted_stack_leaves_the_weights_of_its_last_epoch(monkeypatch):
    # With a rate that does not depend on the number of epochs, two epochs are the first two of three.
    each, shorter = (recipes(epochs=epochs, decay="none") for epochs in (3, 2))
    networks, expected = ensemble(), ensemble()
    fit_ensemble(expected, DIGITS, shorter)
    train_one_epoch = Stack.train_one_epoch

    def interrupted(self):
        if self.epoch == 2:
            raise KeyboardInterrupt
        train_one_epoch(self)

    monkeypatch.setattr(Stack, "train_one_epoch", interrupted)
    state = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        fit_ensemble(networks, DIGITS, each)
    assert torch.equal(torch.get_rng_state(), state)
    for one, other in zip(networks, expected, strict=True):
        assert torch.equal(parameters(one), parameters(other))


def test_an_interruption_outside_of_a_step_leaves_trained_weights_too(monkeypatch):
    def bar(items, *arguments, **options):
        yield from itertools.islice(items, 6)
        raise KeyboardInterrupt

    networks, before = ensemble(), ensemble()
    monkeypatch.setattr(fitting, "progress_bar", bar)
    with pytest.raises(KeyboardInterrupt) as interrupt:  # which keeps what was running from being collected
        fit_ensemble(networks, DIGITS, recipes())
    assert interrupt.tb is not None
    for one, other in zip(networks, before, strict=True):
        assert not torch.equal(parameters(one), parameters(other))


@pytest.mark.parametrize("method", ["stacked", "loop"])
def test_a_diverging_network_is_named(method):
    each = recipes(differ=(("learning_rate", (0.05, 0.05, 1e30, 0.05)),))
    networks = ensemble()
    message = r"networks\[2\]: the training loss is \w+ in epoch 1: .* below 1e\+30"
    with pytest.raises(FloatingPointError, match=message):
        fit_ensemble(networks, DIGITS, each, method=method)
    assert all(module.training for network in networks for module in network.modules())
    assert bool(parameters(networks[0]).isfinite().all())


@pytest.mark.parametrize("method", ["stacked", "loop"])
def test_a_network_that_diverges_in_its_last_step_is_named(method):
    each = recipes(2, epochs=1, batch_size=130, differ=(("learning_rate", (0.05, 1e30)),))
    with pytest.raises(FloatingPointError, match=r"networks\[1\]: the train loss is \w+ in epoch 1"):
        fit_ensemble(ensemble(2), DIGITS, each, method=method)


@pytest.mark.parametrize("method", ["stacked", "loop", "vmap"])
def test_the_others_are_trained_to_their_end_beside_one_that_diverges_if_asked_to(method):
    each = recipes(differ=(("learning_rate", (0.05, 0.05, 1e30, 0.05)),))
    networks, alone = ensemble(), ensemble()
    histories = fit_ensemble(networks, DIGITS, each, method=method, stop_on_divergence=False)
    assert [math.isfinite(history.train_loss[-1]) for history in histories] == [True, True, False, True]
    assert [math.isfinite(history.validation_loss[-1]) for history in histories] == [True, True, False, True]
    for k in (0, 1, 3) if method != "vmap" else ():  # which draws what fit does not
        fit(alone[k], DIGITS, each[k], progress=False)
        torch.testing.assert_close(parameters(networks[k]), parameters(alone[k]), rtol=1e-4, atol=1e-5)
    assert {history.epoch[-1] for history in histories} == {each[0].epochs}


# --- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"data": [DIGITS] * 2}, ValueError, "data must be one for all or one for each of 3 networks, got 2"),
        ({"recipes": recipes(2)}, ValueError, "recipes must be one for all or one for each of 3 networks, got 2"),
        ({"data": DIGITS.train.x}, TypeError, "data must be a Dataset or a Split, or a sequence .*, got Tensor"),
        ({"data": [DIGITS, None, DIGITS]}, TypeError, r"data\[1\] must be a Dataset or a Split, got NoneType"),
        ({"recipes": [1, 2, 3]}, TypeError, r"recipes\[0\] must be a Recipe, got int"),
        ({"method": "stack"}, ValueError, 'method must be "auto", "stacked", "loop" or "vmap", got \'stack\''),
        ({"evaluate_every": 0}, ValueError, "evaluate_every must be a whole number of at least 1, or None, got 0"),
        (
            {"data": [DIGITS, DIGITS, Split(DIGITS.train.x[:, :5], DIGITS.train.y)]},
            ValueError,
            r"networks\[2\]: x must be \(batch, 64\), got shape \(1, 5\)",
        ),
        (
            {"data": Split(DIGITS.train.x, DIGITS.train.y + 1)},
            ValueError,
            r"networks\[0\]: data.train.y must be in 0..9",
        ),
    ],
)
def test_bad_input_is_refused_before_training(change, error, message):
    networks = ensemble(3)
    before = [parameters(network) for network in networks]
    arguments = {"networks": networks, "data": DIGITS, "recipes": recipes(3), **change}
    with pytest.raises(error, match=message):
        fit_ensemble(**arguments)
    for network, values in zip(networks, before, strict=True):
        assert torch.equal(parameters(network), values)


def test_a_network_given_twice_is_refused():
    a, b = ensemble(2)
    with pytest.raises(ValueError, match="networks must share no parameters, but 0 and 2 do; make one for each seed"):
        fit_ensemble([a, b, a], DIGITS)
    b.output.weight = a.output.weight
    with pytest.raises(ValueError, match="but 0 and 1 do"):
        fit_ensemble([a, b], DIGITS)


def test_no_networks_have_no_histories():
    assert fit_ensemble([], DIGITS) == []


def test_the_histories_share_the_time_of_the_call():
    started = time.perf_counter()
    histories = fit_ensemble([*ensemble(3), nn.Linear(64, 10)], DIGITS, recipes(4))
    elapsed = time.perf_counter() - started
    assert all(history.seconds > 0 for history in histories)
    assert 0 < math.fsum(history.seconds for history in histories) <= elapsed


# --- arms -----------------------------------------------------------------------------------------------------


def digits(seed: int) -> Dataset:
    return datasets.load("digits", train=130, seed=seed)


def test_arms_are_separate_fits_with_everything_shared_at_a_seed():
    def make(keep_prob: float):
        return lambda generator: MLP([64, 24, 10], keep_prob=keep_prob, generator=generator)

    recipe = Recipe(epochs=2, batch_size=50, learning_rate=0.05, seed=77)
    arms = {"plain": Arm(make(1.0), recipe), "dropout": Arm(make(0.5), Recipe(epochs=3, batch_size=50))}
    networks, histories = train_arms(arms, digits, seeds=(3, 1))
    assert list(networks) == list(histories) == ["plain", "dropout"]
    for name, keep_prob in (("plain", 1.0), ("dropout", 0.5)):
        for place, seed in enumerate((3, 1)):
            alone = make(keep_prob)(seeded(seed))
            history = fit(alone, digits(seed), replace(arms[name].recipe, seed=seed))
            torch.testing.assert_close(parameters(networks[name][place]), parameters(alone), rtol=2e-4, atol=2e-5)
            assert histories[name][place].epoch == history.epoch
            assert histories[name][place].validation_error == history.validation_error


def test_the_labels_of_a_shuffled_arm_are_the_same_labels_in_another_order():
    arm = Arm(lambda generator: MLP([64, 10], generator=generator), shuffle_labels=True)
    network, data, recipe = arm.at(2, DIGITS)
    assert torch.equal(data.train.y.sort().values, DIGITS.train.y.sort().values)
    assert not torch.equal(data.train.y, DIGITS.train.y)
    assert data.validation is DIGITS.validation
    assert recipe.seed == 2
    assert torch.equal(arm.at(2, DIGITS)[1].train.y, data.train.y)
    assert torch.equal(parameters(network), parameters(MLP([64, 10], generator=seeded(2))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": {}}, "arms must name at least one arm, got none"),
        ({"arms": {"plain": MLP([64, 10])}}, r"arms\['plain'\] must be an Arm, got MLP; Arm\(make, recipe\) makes one"),
        ({"seeds": []}, r"seeds must be different whole numbers from 0, at least one, got \[\]"),
        ({"seeds": [1, 1]}, r"got \[1, 1\]"),
    ],
)
def test_arms_without_a_comparison_are_refused(change, message):
    arguments = {"arms": {"plain": Arm(lambda generator: MLP([64, 10], generator=generator))}, "seeds": [0], **change}
    with pytest.raises(ValueError, match=message):
        train_arms(data=DIGITS, **arguments)
