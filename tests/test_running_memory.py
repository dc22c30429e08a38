"""Networks that write into memory which others read: in-place dropout, buffers that are returned, inputs that are changed."""

import itertools
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropout_lessons import Recipe, evaluate, fit, predict
from dropout_lessons.averaging import exact_average, monte_carlo_average, weight_scaling
from dropout_lessons.coadaptation import LayerUnits, reliance
from dropout_lessons.datasets import Split
from dropout_lessons.running import MaskedNetwork
from dropout_lessons.running.discovery import discover


class Net(nn.Module):
    """Two linear layers, a dropout layer, and a function of them and the inputs."""

    def __init__(self, function, units: int = 4, drop: nn.Module | None = None):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.drop = nn.Linear(4, units), nn.Linear(units, 3), drop or nn.Dropout(0.4)
        self.function = function

    def forward(self, *inputs):
        return self.function(self, *inputs)


def by_hand(network: Net, x: torch.Tensor, of) -> torch.Tensor:
    """Mean probabilities over all masks of the hidden units, of a function of them and of a mask that is scaled."""
    total = 0
    h = torch.tanh(network.a(x))
    for kept in itertools.product([0.0, 1.0], repeat=h.shape[1]):
        weight = 0.6 ** sum(kept) * 0.4 ** (len(kept) - sum(kept))
        total = total + weight * of(h, torch.tensor(kept) / 0.6).double().softmax(1).detach()
    return total


@torch.no_grad()
def in_training_mode(network: nn.Module, x: torch.Tensor, calls: int = 4_000) -> torch.Tensor:
    network.train()
    torch.manual_seed(1)
    return sum(network(x).double().softmax(dim=1) for _ in range(calls)) / calls


# --- dropout in place --------------------------------------------------------------------------------------------


def residual(self, x):
    h = torch.tanh(self.a(x))
    return self.b(self.drop(h) + h)


def residual_of_a_function(self, x):
    h = torch.tanh(self.a(x))
    return self.b(F.dropout(h, 0.4, self.training, inplace=True) + h)


def thrown_away(self, x):
    h = torch.tanh(self.a(x))
    self.drop(h)
    return self.b(h)


def written(self, x):
    h = torch.tanh(self.a(x))
    torch.dropout_(h, 0.4, self.training)
    return self.b(h)


@pytest.mark.parametrize("function", [residual, residual_of_a_function, thrown_away, written])
def test_dropout_in_place_drops_for_all_that_read_its_input_later(function):
    network, x = Net(function, drop=nn.Dropout(0.4, inplace=True)), torch.randn(5, 4)
    times = 2 if function in (residual, residual_of_a_function) else 1
    expected = by_hand(network, x, lambda h, mask: network.b(times * h * mask))
    torch.testing.assert_close(exact_average(network, x, progress=False).probs, expected, rtol=0, atol=1e-6)
    average = monte_carlo_average(network, x, samples=4000, generator=torch.Generator(), progress=False)
    torch.testing.assert_close(average.probs, expected, rtol=0, atol=0.03)


def test_dropout_in_place_whose_input_nobody_reads_again_writes_nowhere():
    network, x = nn.Sequential(nn.Dropout(0.3, inplace=True), nn.Linear(4, 3)), torch.randn(5, 4)
    given = MaskedNetwork(network).given(x)
    before = x.clone()
    exact_average(network, x, progress=False)
    assert not discover(given).reads_dropped
    assert torch.equal(x, before)


@pytest.mark.filterwarnings("ignore:dropout3d")
@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 2), (3, 4, 2, 2)])
@pytest.mark.parametrize("functional", [False, True])
def test_dropout3d_reads_all_but_five_axes_as_one_example_whose_channels_come_first(shape, functional):
    def forward(self, x):
        return self.b((F.dropout3d(x, 0.4, self.training) if functional else self.drop(x)).flatten(1))

    x = torch.randn(shape)
    network = Net(forward, units=x[0].numel(), drop=nn.Dropout3d(0.4))
    kept, dropped = (network.b(mask * x.flatten(1)).detach().double().softmax(1) for mask in (1 / 0.6, 0.0))
    average = exact_average(network, x, progress=False)
    assert average.members == 2
    torch.testing.assert_close(average.probs, 0.6 * kept + 0.4 * dropped, rtol=0, atol=1e-6)


# --- buffers -----------------------------------------------------------------------------------------------------


class Returning(nn.Module):
    """Returns a part of its own buffer, as a network with a work space does."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner
        self.register_buffer("out", torch.zeros(20, 3), persistent=False)

    def forward(self, x):
        self.out[: len(x)] = self.inner(x)
        return self.out[: len(x)]


def plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3))


def test_a_network_that_returns_its_own_buffer_is_averaged_by_what_it_said_each_time():
    network, x = plain(), torch.randn(6, 4)
    said = {"samples": 20, "progress": False}
    for average in (
        lambda network: exact_average(network, x, progress=False),
        lambda network: monte_carlo_average(network, x, generator=torch.Generator(), **said),
        lambda network: monte_carlo_average(
            MaskedNetwork(network, memory=2000), x, generator=torch.Generator(), **said
        ),
    ):
        torch.testing.assert_close(average(Returning(network)).probs, average(network).probs)


def test_predictions_do_not_change_when_the_network_writes_over_its_buffer():
    network, x = plain(), torch.randn(6, 4)
    expected = network.eval()(x).detach()
    torch.testing.assert_close(predict(Returning(network), x, batch_size=2), expected)
    masked, mask = MaskedNetwork(Returning(network)), torch.arange(6) < 3
    halves = masked.run(x, {"inner.2": mask}), masked.run(x, {"inner.2": ~mask})
    assert not torch.equal(*halves)
    first = masked.predict(x)
    masked.run(x, {"inner.2": mask})
    torch.testing.assert_close(first, expected)


def test_a_work_space_that_dropout_reads_is_each_members_own():
    class Working(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.4), nn.Linear(4, 4), nn.Tanh())
            self.drop, self.last, self.space = nn.Dropout(0.3), nn.Linear(4, 3), torch.zeros(20, 4)

        def forward(self, x):
            h = self.space[: len(x)].copy_(self.first(x))
            return self.last(self.drop(h))

    torch.manual_seed(0)
    network, x = Working(), torch.randn(5, 4)
    usual = nn.Sequential(*network.first, network.drop, network.last)
    for average in (
        lambda network: exact_average(network, x, progress=False),
        lambda network: monte_carlo_average(network, x, samples=30, generator=torch.Generator(), progress=False),
    ):
        torch.testing.assert_close(average(network).probs, average(usual).probs)


# --- inputs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["predict", "masked", "weight_scaling", "exact_average", "evaluate", "fit"])
def test_a_network_that_writes_into_its_input_is_one_that_does_not_and_the_input_stays(call):
    y = torch.zeros(6, dtype=torch.long)
    calls = {
        "predict": lambda x, **said: predict(network, x, **said),
        "masked": lambda x, **said: MaskedNetwork(network, **said).predict(x),
        "weight_scaling": lambda x, **said: weight_scaling(MaskedNetwork(network, **said), x).probs,
        "exact_average": lambda x, **said: exact_average(MaskedNetwork(network, **said), x, progress=False).probs,
        "evaluate": lambda x, **said: evaluate(network, Split(x, y), **said),
        "fit": lambda x, **said: fit(network, Split(x, y), Recipe(epochs=1), progress=False, **said).train_loss,
    }
    x = torch.randn(6, 4)
    before, found = x.clone(), []
    for inplace in (False, True):
        network = nn.Sequential(nn.LeakyReLU(0.3, inplace=inplace), nn.Dropout(0.0, inplace=inplace), *plain())
        found += [calls[call](x) for _ in range(2 - (call == "fit"))]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])
    assert torch.equal(x, before)


def test_a_cache_that_grows_with_each_call_is_refused():
    def remembering(self, x, cache):
        cache.kept = [*cache.kept, self.a(x)]
        return self.b(sum(cache.kept))

    for run in (predict, weight_scaling, lambda network, x: MaskedNetwork(network).sites(x)):
        cache = SimpleNamespace(kept=[])
        with pytest.raises(ValueError, match="a cache of keys and values"):
            run(Net(remembering), (torch.randn(5, 4), cache))


# --- gradients and inference mode inside -------------------------------------------------------------------------


def test_a_network_that_takes_gradients_of_a_part_with_dropout_is_averaged():
    class Force(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.energy = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.4), nn.Linear(6, 1))
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                (force,) = torch.autograd.grad(self.energy(x).sum(), x)
            return self.head(3 * force)

    network, x = Force(), torch.randn(5, 4)
    expected = in_training_mode(network, x)
    torch.testing.assert_close(exact_average(network, x, progress=False).probs, expected, rtol=0, atol=0.03)


def test_a_network_that_switches_inference_mode_on_is_averaged():
    def forward(self, x):
        with torch.inference_mode():
            return self.b(self.drop(torch.tanh(self.a(x))))

    network, x = Net(forward), torch.randn(5, 4)
    expected = by_hand(network, x, lambda h, mask: network.b(h * mask))
    torch.testing.assert_close(exact_average(network, x, progress=False).probs, expected, rtol=0, atol=1e-6)


# --- which mask goes where ---------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return x + F.dropout(torch.tanh(self.linear(x)), 0.4, self.training)


@pytest.mark.parametrize("first", [1, 3])
def test_the_mask_of_a_skipped_layer_goes_to_no_call_of_another_shape(first):
    """Over one place it would be the same mask at all of the six; over three it would fit nowhere."""

    class Skipping(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.inner, self.one, self.two, self.last = nn.Linear(4, 4), Block(), Block(), nn.Linear(4, 3)

        def forward(self, x):
            h = self.inner(x)[:, None].repeat(1, first, 1)
            if not (self.training and torch.rand(()) < 0.9):
                h = self.one(h)
            h = h.mean(1, keepdim=True) * torch.arange(6)[:, None]
            return self.last(self.two(h).square().mean(1)) / 2

    network, x = Skipping(), torch.randn(5, 4)
    average = monte_carlo_average(network, x, samples=4000, generator=torch.Generator(), progress=False)
    network.train()
    torch.manual_seed(1)
    with torch.no_grad():
        probs = torch.stack([network(x).double().softmax(dim=1) for _ in range(4000)])
    error = (2 * probs.var(0) / 4000).sqrt()
    assert ((average.probs - probs.mean(0)).abs() < 5 * error).all()
    entropy = torch.special.entr(probs).sum(-1)
    error = (2 * entropy.var(0) / 4000).sqrt()
    assert ((average.member_entropy - entropy.mean(0)).abs() < 5 * error).all()


def test_rows_that_are_not_as_many_as_the_first_examples_said_are_refused():
    def packed(self, x, lengths):
        rows = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.b(self.drop(torch.tanh(self.a(rows.data)))[: len(x)])

    x, lengths = torch.randn(4, 5, 4), torch.tensor([4, 4, 4, 2])
    with pytest.raises(ValueError, match=r"Dropout 'drop' with keep probability 0.6 and a mask of shape \(14, 4\)"):
        monte_carlo_average(Net(packed), (x, lengths), samples=5, progress=False)


def twice(self, x):
    return self.b(self.dropout(torch.tanh(self.a(self.dropout(x)))))


def test_each_call_of_a_layer_takes_the_mask_that_is_named_for_it():
    network, x = Net(twice), torch.randn(5, 4)
    network.dropout, outer = nn.Dropout(0.4), nn.ModuleDict({"block": network})
    outer.forward = lambda x: network(x)
    one, two = torch.tensor([1, 0, 1, 0]).bool(), torch.tensor([0, 1, 1, 0]).bool()
    masked = MaskedNetwork(outer)
    assert [site.name for site in masked.sites(x)] == ["block", "block (call 2)"]
    expected = network.b(torch.tanh(network.a(x * one / 0.6)) * two / 0.6).detach()
    for names in (("block", "block (call 2)"), ("block.dropout", "block.dropout (call 2)")):
        torch.testing.assert_close(masked.run(x, dict(zip(names, (one, two), strict=True))), expected)
    expected = network.b(torch.tanh(network.a(x)) * two / 0.6).detach()
    torch.testing.assert_close(masked.run(x, {"block.dropout (call 2)": two}), expected)


@pytest.mark.parametrize(("p", "only"), [(0.0, True), (1.0, False)])
def test_a_mask_where_nothing_is_drawn_is_used_or_refused_and_never_left_out(p, only):
    network, x = nn.Sequential(nn.Linear(4, 6), nn.Dropout(p), nn.Linear(6, 3)), torch.randn(5, 4)
    masked = MaskedNetwork(network)
    expected = network[2](network[0](x) * only).detach()
    torch.testing.assert_close(masked.run(x, {"1": torch.full((6,), only)}), expected)
    with pytest.raises(ValueError, match=rf"masks\['1'\] must be all {only}, since the network"):
        masked.run(x, {"1": torch.arange(6) < 3})


@pytest.mark.parametrize("mask", [[True] * 6, None, torch.ones(6)])
def test_a_mask_that_is_no_tensor_of_bool_is_refused(mask):
    with pytest.raises(ValueError, match=r"masks must be tensors of bool \(True = kept\), got .* for '2'"):
        MaskedNetwork(plain()).run(torch.randn(5, 4), {"2": mask})


# --- what a pass leaves in the network -----------------------------------------------------------------------------------


class Counting(nn.Module):
    """Counts its passes in a buffer, a buffer that is assigned, and a number, and keeps its features in three places."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.drop, self.head = nn.Linear(4, 4), nn.Dropout(0.4), nn.Linear(4, 3)
        self.register_buffer("passes", torch.zeros(()))
        self.register_buffer("assigned", torch.zeros(()))
        self.register_buffer("cache", torch.zeros(4))
        self.number, self.features = 0, torch.zeros(4)

    def forward(self, x):
        self.passes.add_(1)
        self.assigned = self.assigned + 1
        self.number += 1
        h = torch.tanh(self.hidden(x))
        self.features, self.other = h, h
        self.cache.copy_(h[0])
        return self.head(self.drop(h)) * self.number * self.passes * self.assigned


@pytest.mark.parametrize("call", ["exact", "Monte Carlo", "weight scaling", "predict", "units"])
def test_a_network_that_counts_its_passes_or_keeps_what_it_computed_is_as_it_was(call):
    network, x = Counting().eval(), torch.randn(5, 4)
    plain, before = nn.Sequential(network.hidden, nn.Tanh(), network.drop, network.head), dict(vars(network))
    values = {name: value.clone() for name, value in network.named_buffers()}
    measures = {
        "exact": lambda network: exact_average(network, x, every_member=True, progress=False).probs,
        "Monte Carlo": lambda network: (
            monte_carlo_average(network, x, samples=7, generator=torch.Generator().manual_seed(0), progress=False).probs
        ),
        "weight scaling": lambda network: weight_scaling(network, x).probs,
        "predict": lambda network: MaskedNetwork(network).predict(x),
        "units": lambda network: LayerUnits(network, "0" if network is plain else "hidden", x).predictions(
            torch.eye(4)
        ),
    }
    torch.testing.assert_close(measures[call](network), measures[call](plain))
    assert all(vars(network)[name] is value for name, value in before.items())
    assert "other" not in vars(network)
    assert all(torch.equal(value, values[name]) for name, value in network.named_buffers())


class Leaving(nn.Module):
    """Its first part leaves features in an attribute, or in a buffer, and its head reads them there."""

    def __init__(self, in_buffer: bool):
        super().__init__()
        torch.manual_seed(0)
        self.below, self.drop, self.head = Net(self.leave), nn.Dropout(0.4), nn.Linear(4, 3)
        self.below.register_buffer("left", torch.zeros(6, 4))
        self.in_buffer = in_buffer

    def leave(self, net, x):
        h = torch.tanh(net.a(x))
        if self.in_buffer:
            net.left[: len(h)].copy_(h)
        else:
            net.features = h
        return h

    def forward(self, x):
        h = self.below(x)
        left = self.below.left[: len(x)] if self.in_buffer else self.below.features
        return self.head(self.drop(h) + left)


@pytest.mark.parametrize("in_buffer", [False, True])
@pytest.mark.parametrize("examples", [1, 2, 6])
def test_features_that_wait_in_the_network_are_those_of_the_same_pass(examples, in_buffer):
    network = Leaving(in_buffer).eval()
    for x in torch.randn(2, examples, 4):
        with torch.no_grad():
            network(x)  # which leaves the features of these examples
            network(x.flip(0) + 1)
        average = exact_average(network, x, every_member=True, progress=False)
        expected = by_hand(network.below, x, lambda h, mask: network.head(h * mask + h))
        torch.testing.assert_close(average.probs, expected, rtol=1e-5, atol=1e-6)


def test_a_hook_on_all_modules_sees_what_is_dropped_and_may_change_it():
    network, x = Net(lambda self, x: self.b(self.drop(torch.tanh(self.a(x))))), torch.randn(5, 4)

    def halve(module, args, output):
        return output / 2 if isinstance(module, nn.Dropout) else None

    with nn.modules.module.register_module_forward_hook(halve):
        average = exact_average(network, x, every_member=True, progress=False)
        torch.testing.assert_close(average.probs, in_training_mode(network, x), rtol=0, atol=0.03)
    expected = by_hand(network, x, lambda h, mask: network.b(h * mask / 2))
    torch.testing.assert_close(average.probs, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("turns_on", [False, True])
def test_a_network_that_takes_gradients_in_its_forward_pass_turns_them_on_itself(turns_on):
    def forward(self, x):
        with torch.set_grad_enabled(turns_on or torch.is_grad_enabled()):
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(torch.tanh(self.a(x)).sum(), x)
        return self.b(self.drop(slope))

    network, x = Net(forward), torch.randn(5, 4)
    for run in (
        lambda: exact_average(network, x, progress=False),
        lambda: reliance(LayerUnits(network, "drop", x)),
    ):
        if turns_on:
            run()
        else:
            with pytest.raises(ValueError, match=r"takes gradients in its forward pass.*torch.enable_grad\(\)"):
                run()
