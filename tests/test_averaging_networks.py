"""Averages of networks of all kinds: where dropout is found, what replaces it, and what is left as it was."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropout_lessons.averaging import exact_average, monte_carlo_average, subnetworks, weight_scaling
from dropout_lessons.layers import DropBlock, DropConnect, Dropout, GaussianDropout, SpatialDropout
from dropout_lessons.networks import MLP, evaluating
from dropout_lessons.running import MaskedNetwork
from dropout_lessons.running.members import Members

LAYERS = (nn.modules.dropout._DropoutNd, Dropout, GaussianDropout)


class Residual(nn.Module):
    """One dropout layer called twice, on branches that are added to what they start from."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.drop = nn.Dropout(0.4)

    def forward(self, x):
        x = x + self.drop(torch.relu(self.first(x)))
        x = x + self.drop(torch.relu(self.second(x)))
        return self.head(x)


class Functional(nn.Module):
    """A module's dropout first, then two calls of functional dropout, one of them always on."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        x = F.dropout(torch.tanh(self.first(self.drop(x))), 0.3, self.training)
        return self.head(F.dropout(torch.tanh(self.second(x)), p=0.6))


class Encoder(nn.Module):
    """A transformer layer, whose fast path in evaluation mode has no dropout to find."""

    def __init__(self, batch_first=True):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 3, dropout=0.3, batch_first=batch_first)
        self.layer.self_attn.dropout = 0.0
        self.head = nn.Linear(4, 3)
        self.batch_first = batch_first

    def forward(self, x):
        return self.head(self.layer(x if self.batch_first else x.transpose(0, 1)).mean(1 if self.batch_first else 0))


class Rows(nn.Module):
    """Examples of three rows, dropped when the rows of all examples are in one matrix."""

    def __init__(self):
        super().__init__()
        self.inner, self.head, self.drop = nn.Linear(4, 4), nn.Linear(4, 3), nn.Dropout(0.4)

    def forward(self, x):
        return self.head(self.drop(torch.relu(self.inner(x.reshape(-1, 4))))).reshape(len(x), 3, 3).mean(1)


class Stubborn(nn.Module):
    """What torch.func.vmap cannot do: a branch that looks at the data, and a result written into a plain tensor."""

    def __init__(self):
        super().__init__()
        self.inner, self.head, self.drop = nn.Linear(4, 6), nn.Linear(6, 3), nn.Dropout(0.5)

    def forward(self, x):
        h = self.drop(torch.relu(self.inner(x)))
        if h[:, 0].sum().item() > 1.0:
            h = h * 0.5
        result = torch.zeros(len(x), 3)
        result += self.head(h)
        return result


class Preactivated(nn.Module):
    """Below the dropout, a branch writes into what it starts from, as with nn.ReLU(inplace=True)."""

    def __init__(self):
        super().__init__()
        self.first, self.head, self.drop = nn.Linear(4, 4), nn.Linear(4, 3), nn.Dropout(0.5)
        self.branch = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4))

    def forward(self, x):
        x = self.first(x)
        branch = self.branch(x)
        return self.head(self.drop(torch.tanh(x + branch)))


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    vector, image, rows = torch.randn(5, 4), torch.randn(5, 1, 5, 5), torch.randn(5, 3, 4)
    flat = [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(4, 3)]
    conv = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)]
    return {
        "nn.Dropout": (nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3)), vector),
        "in place": (
            nn.Sequential(
                nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5, inplace=True), nn.ReLU(True), nn.Linear(6, 3)
            ),
            vector,
        ),
        "nn.Dropout2d": (nn.Sequential(*copy.deepcopy(conv), nn.Dropout2d(0.3), *copy.deepcopy(flat)), image),
        "SpatialDropout": (nn.Sequential(*copy.deepcopy(conv), SpatialDropout(0.7), *copy.deepcopy(flat)), image),
        "DropBlock": (nn.Sequential(*copy.deepcopy(conv), DropBlock(0.7, 2), *copy.deepcopy(flat)), image),
        "nn.Dropout1d": (nn.Sequential(nn.Dropout1d(0.4), nn.Flatten(), nn.Linear(12, 3)), rows),
        "nn.Dropout1d, one axis less": (nn.Sequential(nn.Dropout1d(0.4), nn.Linear(4, 3)), vector),
        "nn.Dropout3d": (
            nn.Sequential(nn.Unflatten(2, (2, 2, 1)), nn.Dropout3d(0.4), nn.Flatten(), nn.Linear(12, 3)),
            rows,
        ),
        "nn.Dropout3d, one axis less": (
            nn.Sequential(nn.Unflatten(2, (2, 2)), nn.Dropout3d(0.4), nn.Flatten(), nn.Linear(12, 3)),
            rows,
        ),
        "all dropped": (
            nn.Sequential(nn.Linear(4, 5), nn.Dropout(1.0), nn.Linear(5, 5), nn.Dropout(0.5), nn.Linear(5, 3)),
            vector,
        ),
        "GaussianDropout": (MLP([4, 6, 3], keep_prob=0.5, dropout=GaussianDropout), vector),
        "DropConnect": (nn.Sequential(DropConnect(4, 2, 0.5), nn.ReLU(), nn.Linear(2, 3)), vector),
        "standard scaling": (
            MLP([4, 6, 3], keep_prob=0.5, dropout=lambda keep: Dropout(keep, scaling="standard")),
            vector,
        ),
        "residual": (Residual(), vector),
        "functional": (Functional(), vector),
        "transformer": (Encoder(), rows),
        "transformer, sequence first": (Encoder(batch_first=False), rows),
        "rows": (Rows(), rows),
        "stubborn": (Stubborn(), vector[:1]),
        "written into below": (Preactivated(), vector),
    }


NAMES = list(networks())


def built(name: str):
    with torch.random.fork_rng():
        torch.manual_seed(NAMES.index(name))
        return networks()[name]


@torch.no_grad()
def trained_calls(network: nn.Module, x: torch.Tensor, calls: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of the probabilities of calls with dropout in training mode and all else in evaluation mode."""
    network.eval()
    for module in network.modules():
        module.training = isinstance(module, (*LAYERS, Functional, nn.TransformerEncoderLayer))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        probs = torch.stack([network(x).double().softmax(dim=1) for _ in range(calls)])
    return probs.mean(dim=0), probs.var(dim=0)


@pytest.mark.parametrize("name", NAMES)
def test_monte_carlo_is_what_calls_in_training_mode_average_to(name):
    network, x = built(name)
    k = 1500
    ours = monte_carlo_average(network, x, samples=k, generator=torch.Generator().manual_seed(1), progress=False)
    mean, variance = trained_calls(network, x, k)
    assert variance.max() > 1e-4
    # Two averages of k draws; one-in-a-million deviations, and what single precision adds.
    assert ((ours.probs - mean).abs() < 5 * (2 * variance / k).sqrt() + 1e-5).all()


@pytest.mark.parametrize("below", [0.0, 0.5])
@pytest.mark.parametrize("samples", [1, 50])
def test_monte_carlo_by_the_output_layer_alone_is_that_by_whole_networks(below, samples):
    layers = [
        nn.Linear(4, 7),
        nn.ReLU(),
        nn.Dropout(below),
        nn.Linear(7, 6),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(6, 3),
    ]
    x = torch.randn(5, 4)
    # The second does the same, but does not end with a linear layer.
    ours, whole = (
        monte_carlo_average(network, x, samples=samples, generator=torch.Generator().manual_seed(1), progress=False)
        for network in (nn.Sequential(*layers), nn.Sequential(*layers, nn.Threshold(-1e9, 0.0)))
    )
    torch.testing.assert_close(ours.log_probs, whole.log_probs)
    torch.testing.assert_close(ours.member_entropy, whole.member_entropy)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("DropBlock", "GaussianDropout")])
def test_exact_averages_are_what_calls_in_training_mode_average_to(name):
    network, x = built(name)
    layers = None
    if "transformer" in name:  # 33 units of the whole layer are too many
        layers = ["layer"]
        for other in (network.layer.dropout1, network.layer.dropout2):
            other.p = 0.0
    exact = exact_average(MaskedNetwork(network, layers), x, progress=False)
    k = 1500
    mean, variance = trained_calls(network, x, k)
    assert ((exact.probs - mean).abs() < 5 * (variance / k).sqrt() + 1e-5).all()


def test_a_processor_runs_the_members_that_fit_its_cache_and_a_gpu_all_that_fit_the_memory():
    network, memory = MLP([784, 1024, 1024, 10], keep_prob=0.5), 2**30
    members = Members(MaskedNetwork(network).given(torch.rand(2, 784)), None)
    in_cache = members.members_at_once(256, memory)
    members.device = torch.device("cuda")
    assert members.members_at_once(256, memory) > 32 * in_cache
    assert members.members_at_once(256, memory) * 256 * members.bytes_per_example <= memory


@pytest.mark.parametrize("name", NAMES)
def test_members_one_by_one_are_the_members_at_once(name):
    network, x = built(name)
    given = MaskedNetwork(network).given(x)
    members = Members(given, None)
    generator = torch.Generator().manual_seed(0)
    factors = [torch.stack(list(itertools.islice(site.draws(network, len(x), generator), 7))) for site in members.sites]
    records = members.record(given)
    at_once = members.run(given, factors, records=records)
    assert members.batched == (name != "stubborn")
    members.batched = False
    one_by_one = members.run(given, factors, records=records)
    torch.testing.assert_close(at_once, one_by_one)
    torch.testing.assert_close(members.run(given, factors), one_by_one)  # and nothing recorded changes them


def counted(network: nn.Module) -> dict[str, int]:
    calls = {}
    for name, module in network.named_modules():
        forward = module.forward

        def count(*args, name=name, forward=forward, **kwargs):
            calls[name] = calls.get(name, 0) + 1
            return forward(*args, **kwargs)

        module.forward = count
    return calls


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_lies_below_the_first_mask_runs_once(stubborn):
    above = [nn.Dropout(0.5), nn.Linear(6, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 3)]
    network = nn.Sequential(nn.Sequential(nn.Linear(4, 6), nn.ReLU()), *above)
    if stubborn:
        network[2].register_forward_hook(lambda module, args, out: out + 0 * out.sum().item())
    calls = counted(network)
    monte_carlo_average(MaskedNetwork(network, memory=2**12), torch.randn(5, 4), samples=100, progress=False)
    # Three times to find the dropout, three to see what can be recorded, once for all members.
    assert calls["0"] == calls["0.0"] == 7
    assert calls["2"] > 10


def test_dropout_inside_what_runs_once_does_not_shift_the_masks_above_it():
    class Shared(nn.Module):
        """The same dropout layer, first inside a block that stays in evaluation mode and then twice above it."""

        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.4)
            self.block = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), self.drop)
            self.inner, self.head = nn.Linear(3, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.drop(torch.tanh(self.inner(self.drop(self.block(x))))))

    network, x = Shared(), torch.randn(4, 4)
    names = ["drop (call 2)", "drop (call 3)"]
    average = exact_average(MaskedNetwork(network, names), x, every_member=True, progress=False)
    assert average.members == 2**8
    with evaluating(network), torch.no_grad():
        h = network.block(x)
        total = torch.zeros(4, 3, dtype=torch.float64)
        for bits in range(2**8):
            mask = torch.tensor([bits >> i & 1 for i in range(8)])
            upper = torch.tanh(network.inner(h * mask[:3] / 0.6)) * mask[3:] / 0.6
            total += network.head(upper).double().softmax(dim=1) * 0.6 ** mask.sum() * 0.4 ** (8 - mask.sum())
    torch.testing.assert_close(average.probs, total, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("where", [0, 1, 2, 3])
@pytest.mark.parametrize("in_place", [False, True])
def test_hooks_of_the_user_run_once_and_on_what_is_dropped(where, in_place):
    network, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 3)), torch.randn(5, 4)
    scales = [1.0] * 4
    scales[where] = 0.3
    network[where].register_forward_hook(lambda module, args, output: output.mul_(0.3) if in_place else output * 0.3)
    with torch.no_grad():
        h = scales[2] * scales[1] * torch.tanh(scales[0] * F.linear(x, network[0].weight, network[0].bias))
        total = torch.zeros(5, 3, dtype=torch.float64)
        for bits in range(2**5):
            mask = torch.tensor([bits >> i & 1 for i in range(5)])
            logits = scales[3] * F.linear(h * mask * 2, network[3].weight, network[3].bias)
            total += logits.double().softmax(dim=1) / 2**5
    for every_member in (False, True):
        average = exact_average(network, x, every_member=every_member, progress=False)
        torch.testing.assert_close(average.probs, total, rtol=1e-5, atol=1e-6)


def test_a_forward_method_of_the_output_layer_s_own_is_what_runs():
    network, x = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3)), torch.randn(5, 4)
    forward = network[1].forward
    network[1].forward = lambda h: 3 * torch.tanh(forward(h))
    listed = exact_average(network, x, every_member=True, progress=False)
    torch.testing.assert_close(exact_average(network, x, progress=False).probs, listed.probs)


class AlwaysOn(nn.Dropout):
    """The usual way to Monte Carlo dropout: a subclass that drops in evaluation mode too."""

    def forward(self, x):
        return F.dropout(x, self.p, training=True)


def test_a_layer_that_always_drops_counts_by_its_functional_call():
    network, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), AlwaysOn(0.3), nn.Linear(5, 3)), torch.randn(5, 4)
    usual = nn.Sequential(*network[:2], nn.Dropout(0.3), network[3])
    rng_state = torch.get_rng_state()
    assert torch.equal(weight_scaling(network, x).log_probs, weight_scaling(usual, x).log_probs)
    assert [site.name for site in MaskedNetwork(network).sites(x)] == ["2"]
    torch.testing.assert_close(average(network, x).probs, average(usual, x).probs)
    assert torch.equal(rng_state, torch.get_rng_state())


# --- as it was ----------------------------------------------------------------------------------------------------


def state(network: nn.Module):
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in m.__dict__) for m in network.modules()]
    modes = [module.training for module in network.modules()]
    return hooks, modes, {name: value.clone() for name, value in network.state_dict().items()}


def assert_unchanged(network: nn.Module, before, rng_state) -> None:
    after = state(network)
    assert after[:2] == before[:2]
    assert all(torch.equal(after[2][name], value) for name, value in before[2].items())
    assert torch.equal(rng_state, torch.get_rng_state())


class Failing(nn.Module):
    """Raises at a given call."""

    def __init__(self, at: int):
        super().__init__()
        self.at, self.calls = at, itertools.count(1)  # an object: numbers of a module are as before after each pass

    def forward(self, x):
        if next(self.calls) >= self.at:
            raise ArithmeticError("in the middle")
        return x


def normalized(failing_at: int = 10**9) -> nn.Sequential:
    network = nn.Sequential(
        nn.Linear(4, 5), nn.BatchNorm1d(5), Dropout(0.5, generator=torch.Generator().manual_seed(5)), nn.ReLU()
    )
    network.extend([Failing(failing_at), nn.Dropout(0.5), nn.Linear(5, 3)])
    network[3].eval()  # one layer has a mode of its own
    return network.train()[:3].extend([network[3].eval(), *network[4:]])


CALLS = {
    "weight_scaling": weight_scaling,
    "exact_average": lambda network, x: exact_average(network, x, progress=False),
    "exact_average of every member": lambda network, x: exact_average(network, x, every_member=True, progress=False),
    "monte_carlo_average": lambda network, x: monte_carlo_average(network, x, samples=5, progress=False),
    "subnetworks": lambda network, x: list(subnetworks(network, x)),
}


@pytest.mark.filterwarnings("ignore:network does not run in training mode")  # where that is the pass that fails
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("failing_at", [1, 2, 3, 10**9])
def test_modes_buffers_hooks_and_random_state_are_as_before(call, failing_at):
    network = normalized(failing_at)
    before, rng_state = state(network), torch.get_rng_state()
    own = network[2].generator.get_state()
    assert network[1].training
    assert not network[3].training
    if failing_at < 10**9 and (call, failing_at) not in [("weight_scaling", 2), ("weight_scaling", 3)]:
        with pytest.raises(ArithmeticError, match="in the middle"):
            CALLS[call](network, torch.randn(5, 4, generator=torch.Generator()))
    else:
        CALLS[call](network, torch.randn(5, 4, generator=torch.Generator()))
    assert_unchanged(network, before, rng_state)
    assert torch.equal(own, network[2].generator.get_state())


def test_between_two_chunks_the_network_is_as_it_was():
    network = normalized()
    before, rng_state = state(network), torch.get_rng_state()
    for _ in subnetworks(MaskedNetwork(network, memory=2**14), torch.randn(5, 4, generator=torch.Generator())):
        assert_unchanged(network, before, rng_state)


def test_batch_normalization_is_in_evaluation_mode():
    network, x = normalized(), torch.randn(5, 4)
    alone = exact_average(network, x[:1], progress=False)
    torch.testing.assert_close(alone.log_probs, exact_average(network, x, progress=False).log_probs[:1])


def test_batch_normalization_is_in_evaluation_mode_even_if_the_network_resists():
    class Resisting(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            self[1].train()
            return self

    network, x = Resisting(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3)), torch.randn(5, 4)
    before, rng_state = state(network), torch.get_rng_state()
    alone = average(network, x[:1])
    torch.testing.assert_close(alone.log_probs, average(network, x).log_probs[:1])
    assert_unchanged(network, before, rng_state)


def test_results_carry_no_gradient_and_may_be_used_with_one():
    network, x = normalized(), torch.randn(5, 4, requires_grad=True)
    average = monte_carlo_average(network, x, samples=3, progress=False)
    assert not average.log_probs.requires_grad
    (average.probs * torch.ones(5, 3, requires_grad=True)).sum().backward()


def test_inputs_may_require_gradients_and_inference_mode_changes_nothing():
    network, x = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3)), torch.randn(5, 4)
    expected = average(network, x)
    assert torch.equal(average(network, x.clone().requires_grad_()).log_probs, expected.log_probs)
    for every_member in (False, True):
        with torch.inference_mode():
            inside = average(network, x * 1, every_member=every_member)
        torch.testing.assert_close(inside.log_probs, expected.log_probs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("called_before", [False, True])
def test_a_compiled_network_is_averaged_like_any_other(called_before):
    network, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3)).eval(), torch.randn(5, 4)
    compiled = torch.compile(network, backend="eager")
    if called_before:
        compiled(x)
    for every_member in (False, True):
        expected = average(network, x, every_member=every_member)
        torch.testing.assert_close(average(compiled, x, every_member=every_member).log_probs, expected.log_probs)


def test_a_parametrized_output_layer_is_left_as_it_was():
    network, x = (
        nn.Sequential(nn.Dropout(0.5), nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))),
        torch.randn(5, 4),
    )
    network[1].parametrizations.weight.original.data.normal_()  # far from where the power iteration has come to rest
    before, rng_state = state(network), torch.get_rng_state()
    factorized, listed = average(network, x), average(network, x, every_member=True)
    assert_unchanged(network, before, rng_state)  # its power iteration advances in training mode
    torch.testing.assert_close(factorized.probs, listed.probs, rtol=1e-5, atol=1e-6)


def test_layers_that_are_not_named_stay_in_evaluation_mode():
    network, x = Residual(), torch.randn(5, 4)
    chosen = exact_average(MaskedNetwork(network, ["drop (call 2)"]), x, progress=False)
    assert chosen.members == 2**4
    with evaluating(network), torch.no_grad():
        h = x + torch.relu(network.first(x))
        branch = torch.relu(network.second(h))
        members = []
        for bits in range(16):
            mask = torch.tensor([bits >> i & 1 for i in range(4)])
            members.append(
                network.head(h + branch * mask / 0.6).double().softmax(dim=1)
                * 0.6 ** mask.sum()
                * 0.4 ** (4 - mask.sum())
            )
    torch.testing.assert_close(chosen.probs, torch.stack(members).sum(dim=0), rtol=1e-5, atol=1e-6)


def test_dropout_that_is_always_on_is_off_in_weight_scaling():
    network, x = Functional(), torch.randn(5, 4)
    with torch.no_grad():
        plain = network.head(torch.tanh(network.second(torch.tanh(network.first(x)))))
    torch.testing.assert_close(weight_scaling(network, x).probs, plain.double().softmax(dim=1))


@pytest.mark.parametrize("spoil", ["scaled in place", "added in place", "returned twice", "none"])
def test_a_head_is_only_one_if_nothing_else_happens(spoil):
    class Spoiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.head, self.other = nn.Dropout(0.5), nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            h = self.drop(x)
            if spoil == "scaled in place":
                h *= torch.tensor([1.0, 2.0, 3.0, 4.0])
            logits = self.head(h)
            if spoil == "added in place":
                logits += self.other(h).relu()
            return self.other(h.relu()) if spoil == "returned twice" else logits

    network, x = Spoiled(), torch.randn(5, 4)
    members = Members(MaskedNetwork(network).given(x), None)
    assert (members.head is None) == (spoil != "none")
    listed = exact_average(network, x, every_member=True, progress=False)
    torch.testing.assert_close(exact_average(network, x, progress=False).probs, listed.probs, rtol=1e-5, atol=1e-6)


def test_networks_that_keep_everything_have_one_member():
    network, x = MLP([4, 5, 3]), torch.randn(5, 4)
    for average in (
        exact_average(network, x, progress=False),
        monte_carlo_average(network, x, samples=9, progress=False),
    ):
        torch.testing.assert_close(average.log_probs, weight_scaling(network, x).log_probs)
    assert exact_average(network, x, progress=False).members == 1


# --- errors -------------------------------------------------------------------------------------------------------


def average(network, x=None, *, every_member=False, **said):
    x = torch.randn(5, 4) if x is None else x
    return exact_average(MaskedNetwork(network, **said), x, every_member=every_member, progress=False)


def test_networks_without_dropout_are_refused():
    with pytest.raises(ValueError, match=r"network has no dropout: a forward pass calls no layer of .* training mode"):
        average(nn.Linear(4, 3))
    recurrent = nn.LSTM(4, 3, num_layers=2, dropout=0.5)
    with pytest.raises(
        ValueError, match=r"must return a tensor, or something with 'logits' in it, got tuple of 2; say"
    ):
        average(recurrent, torch.randn(5, 2, 4))


def test_unknown_layers_are_refused_with_the_names_that_there_are():
    network = MLP([4, 5, 3], keep_prob=0.5)
    with pytest.raises(ValueError, match=r"got \['hidden2'\]; there are \['input', 'hidden1'\]"):
        average(network, layers=["hidden2"])
    with pytest.raises(ValueError, match=r"layers must be a sequence of names, got 'hidden1'; write"):
        average(network, layers="hidden1")
    with pytest.raises(ValueError, match="layers must name places where the network drops"):
        average(network, layers=[])


def test_a_place_is_named_by_what_is_dropped_there_or_by_the_layer_that_drops():
    network, x = MLP([4, 5, 3], keep_prob=0.5), torch.randn(5, 4)
    by_place, by_layer = average(network, x, layers=["hidden1"]), average(network, x, layers=["hidden1_dropout"])
    assert torch.equal(by_place.log_probs, by_layer.log_probs)
    assert by_place.members == 2**5
    functional = MaskedNetwork(Functional()).sites(x)
    assert [(site.name, site.path) for site in functional] == [
        ("drop", "drop"),
        ("network", ""),
        ("network (call 2)", ""),
    ]


def test_masks_that_are_no_independent_bits_are_refused_by_exact_averages_only():
    for layer, why in ((DropBlock(0.7, 2), "depend on each other"), (GaussianDropout(0.5), "Gaussian noise")):
        network = nn.Sequential(layer, nn.Flatten(), nn.Linear(16, 3))
        with pytest.raises(ValueError, match=rf"'0' .*{why}.* use monte_carlo_average"):
            average(network, torch.randn(5, 1, 4, 4))
        monte_carlo_average(network, torch.randn(5, 1, 4, 4), samples=2, progress=False)
    alpha = nn.Sequential(nn.AlphaDropout(0.5), nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"alpha dropout, \['0'\]"):
        monte_carlo_average(alpha, torch.randn(5, 4), samples=2, progress=False)
    assert average(alpha, layers=["2"]).members == 16


def test_too_many_subnetworks_are_refused_with_their_number_and_the_alternatives():
    with pytest.raises(
        ValueError,
        match=r"n = 30 units .*'hidden1': 30.* 2\^30 = 1,073,741,824 subnetworks, more than "
        r"max_subnetworks=16,777,216; use monte_carlo_average, or choose fewer layers or a larger number",
    ):
        average(MLP([4, 30, 3], keep_prob=0.5))
    with pytest.raises(ValueError, match=r"2\^1000, about 10\^301, subnetworks"):
        average(MLP([4, 1000, 3], keep_prob=0.5), max_subnetworks=2**62)


@pytest.mark.parametrize("samples", [0, -1, (), (1, 0), 2.5, True])
def test_impossible_numbers_of_samples_are_refused(samples):
    with pytest.raises(ValueError, match="samples must be a positive integer or a sequence of them, got"):
        monte_carlo_average(MLP([4, 5, 3], keep_prob=0.5), torch.randn(5, 4), samples=samples, progress=False)


def test_outputs_that_are_no_classes_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"returns logits of shape \(2, 2, 2\): say which axis holds the classes"):
        average(nn.Sequential(nn.Dropout(0.5), nn.Unflatten(1, (2, 2))))
    with pytest.raises(ValueError, match="x must have at least one example, got none"):
        average(MLP([4, 5, 3], keep_prob=0.5), torch.empty(0, 4))
    with pytest.raises(ValueError, match=r'rule must be "arithmetic" .* or "geometric" .*, got \'mean\''):
        exact_average(MLP([4, 5, 3], keep_prob=0.5), torch.randn(5, 4), rule="mean")


def test_dropout_must_be_called_in_the_same_way_for_every_number_of_examples():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.drop(x) if len(x) % 2 else x)

    with pytest.raises(ValueError, match="network calls dropout in a different way for 2 and for 3 examples"):
        average(Odd())


def test_numbers_beyond_the_networks_precision_are_refused_and_not_averaged():
    network = MLP([4, 8, 3], keep_prob=0.5).half()
    network.hidden1.weight.data.fill_(1.0)
    x = torch.full((2, 4), 6e4, dtype=torch.float16)  # four of them add up to more than half precision holds
    for average in (
        lambda: exact_average(network, x, progress=False),
        lambda: monte_carlo_average(network, x, samples=5, progress=False),
        lambda: weight_scaling(network, x),
    ):
        with pytest.raises(ValueError, match="logits that are NaN or infinite"):
            average()


def test_batch_normalization_over_the_batch_at_hand_is_refused():
    network = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.Dropout(), nn.Linear(8, 3)
    )
    with pytest.raises(ValueError, match=r"without running statistics, '1', .* track_running_stats=True"):
        monte_carlo_average(network, torch.randn(5, 4), samples=2, progress=False)
