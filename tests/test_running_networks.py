"""Networks as people have them, run under masks: against naive loops, enumeration, or passes in training mode."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dropout_lessons.averaging import (
    compare_averaging,
    ensemble_average,
    exact_average,
    monte_carlo_average,
    subnetworks,
    weight_scaling,
)
from dropout_lessons.networks import MLP
from dropout_lessons.running import MaskedNetwork, Outputs


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def initialized(network: nn.Module, seed: int = 0, size: float = 0.7) -> nn.Module:
    """Weights large enough for masks to matter."""
    for i, parameter in enumerate(network.parameters()):
        parameter.data.normal_(std=size, generator=seeded(seed + i))
    return network


@torch.no_grad()
def in_training_mode(network: nn.Module, x, calls: int, read=lambda output: output) -> torch.Tensor:
    """Probabilities of calls with everything but normalization in training mode, calls first."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return torch.stack([read(network(x)).double().softmax(dim=-1) for _ in range(calls)])


def information(probs: torch.Tensor) -> tuple[float, float]:
    """Mutual information of prediction and member, mean over examples, of probabilities with the members first; its error."""
    mean = probs.mean(0)
    divergence = (torch.special.xlogy(probs, probs) - torch.special.xlogy(probs, mean)).sum(-1).mean(1)
    return divergence.mean().item(), (divergence.std() / math.sqrt(len(probs))).item()


# --- 1: an identity in front changes nothing ----------------------------------------------------------------------


class Guarded(nn.Module):
    """Dropout as many write it: p = 0 in evaluation mode, and the function's own default of training=True."""

    def __init__(self, before: bool, after: float = 0.5):
        super().__init__()
        self.inner, self.head, self.drop = nn.Linear(4, 6), nn.Linear(6, 3), nn.Dropout(after)
        self.before, self.p = before, 0.0

    def forward(self, x):
        if self.before:
            x = F.dropout(x, p=self.p if self.training else 0.0)
        return self.head(self.drop(torch.relu(self.inner(x))))


def test_an_identity_in_front_moves_no_mask():
    with_call, without = (initialized(Guarded(before)) for before in (True, False))
    x = torch.randn(5, 4, generator=seeded())
    for rule in ("arithmetic", "geometric"):
        averages = [exact_average(network, x, rule=rule, progress=False).probs for network in (with_call, without)]
        torch.testing.assert_close(*averages)
    drawn = [monte_carlo_average(n, x, samples=20, generator=seeded(), progress=False) for n in (with_call, without)]
    torch.testing.assert_close(drawn[0].probs, drawn[1].probs)


def test_dropout_that_shows_only_in_training_mode_is_masked():
    class Hidden(Guarded):
        def forward(self, x):
            h = torch.relu(self.inner(x))
            if self.training:
                h = F.dropout(h, 0.4)
            return self.head(h)

    guarded, x = initialized(Guarded(True, after=0.0)), torch.randn(3, 4, generator=seeded())
    guarded.p = 0.4
    for network in (guarded, initialized(Hidden(False))):
        exact = exact_average(network, x, progress=False)
        assert exact.members == 2 ** (4 if network.p else 6)
        k = 2000
        probs = in_training_mode(network, x, k)
        assert ((exact.probs - probs.mean(0)).abs() < 5 * (probs.var(0) / k).sqrt() + 1e-5).all()


# --- 2: Monte Carlo draws all that training mode draws ------------------------------------------------------------


class Pooled(nn.Module):
    """A body over (batch, tokens, units), and a head on the mean of the tokens."""

    def __init__(self, body: nn.Module, read=lambda output: output):
        super().__init__()
        self.body, self.read = body, read
        self.norm, self.drop, self.head = nn.BatchNorm1d(8), nn.Dropout(0.05), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.drop(self.norm(self.read(self.body(x)).mean(1))))


class Attention(nn.Module):
    p = 0.4

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return x + F.scaled_dot_product_attention(q, k, v, dropout_p=self.p if self.training else 0.0)


class DropPath(nn.Module):
    """Stochastic depth as timm and torchvision write it."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        return x * x.new_empty(len(x), 1, 1).bernoulli_(1 - self.p).div_(1 - self.p)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.path = nn.Linear(8, 8), DropPath(0.5)

    def forward(self, x):
        return x + self.path(torch.relu(self.inner(x)))


def encoder(attention: float = 0.5) -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.05, batch_first=True)
    layer.self_attn.dropout = attention
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


BODIES = {
    "nn.TransformerEncoder": lambda: Pooled(encoder(), lambda output: output[:, :1]),
    "nn.LSTM": lambda: Pooled(nn.LSTM(8, 8, 2, dropout=0.5, batch_first=True), lambda output: output[0][:, -1:]),
    "F.scaled_dot_product_attention": lambda: Pooled(Attention()),
    "DropPath": lambda: Pooled(nn.Sequential(Residual(), Residual())),
    "nn.MultiheadAttention": lambda: Pooled(SelfAttention()),
}


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


def without_draws(network: nn.Module) -> nn.Module:
    """The same with the dropout off that no mask can reach."""
    for module in network.modules():
        match module:
            case nn.MultiheadAttention() | nn.LSTM():
                module.dropout = 0.0
            case DropPath():
                module.p = 0.0
            case Attention():
                module.p = 0.0
    return network


@pytest.mark.parametrize("name", BODIES)
def test_monte_carlo_tells_as_much_as_training_mode(name):
    seed, size = {"nn.TransformerEncoder": (50, 1.0), "nn.LSTM": (0, 1.2)}.get(name, (0, 0.7))  # where the draws matter
    network, x = initialized(BODIES[name](), seed, size), torch.randn(3, 5, 8, generator=seeded())
    k = 1200
    average = monte_carlo_average(network, x, samples=k, generator=seeded(), progress=False)
    probs = in_training_mode(network, x, k)
    expected, error = information(probs)
    # Two means of k draws: three standard errors of their difference, which is less than what a part that is left out takes.
    assert abs(average.mutual_information.mean().item() - expected) < 3 * math.sqrt(2) * error
    without_one, _ = information(in_training_mode(without_draws(network), x, k))
    assert abs(without_one - expected) > 6 * error
    assert ((average.probs - probs.mean(0)).abs() < 5 * (2 * probs.var(0) / k).sqrt() + 1e-5).all()


@pytest.mark.parametrize("name", BODIES)
def test_modules_that_draw_leave_everything_as_it_was_and_follow_the_generator(name):
    network, x = initialized(BODIES[name]()).train(), torch.randn(3, 5, 8, generator=seeded())
    network.head.eval()
    modes, buffers = [m.training for m in network.modules()], [b.clone() for b in network.buffers()]
    state = torch.get_rng_state()
    source = seeded(3)
    first, second = (
        monte_carlo_average(MaskedNetwork(network, memory=memory), x, samples=7, generator=generator, progress=False)
        for memory, generator in ((2**28, source), (2**10, seeded(3)))
    )
    torch.testing.assert_close(first.probs, second.probs)
    assert not torch.equal(source.get_state(), seeded(3).get_state())
    assert [m.training for m in network.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(buffers, network.buffers(), strict=True))
    assert torch.equal(state, torch.get_rng_state())


def test_modules_that_draw_are_sites_by_name_and_cannot_be_enumerated():
    network, x = initialized(BODIES["nn.TransformerEncoder"]()), torch.randn(3, 5, 8, generator=seeded())
    drawn = [site.name for site in MaskedNetwork(network).sites(x) if site.kind == "drawn"]
    assert drawn == ["body.layers.0.self_attn", "body.layers.1.self_attn"]
    with pytest.raises(ValueError, match=r"'body.layers.0.self_attn' draws by itself.*use monte_carlo_average"):
        exact_average(MaskedNetwork(network, ["drop", *drawn]), x)
    alone = monte_carlo_average(MaskedNetwork(network, drawn[:1]), x, samples=5, progress=False)
    assert alone.mutual_information.min() > 0
    assert exact_average(MaskedNetwork(network, ["drop"]), x, progress=False).members == 2**8


def test_a_network_that_fails_in_training_mode_is_averaged_with_a_warning():
    class WithTargets(Guarded):
        def forward(self, x, targets=None):
            if self.training and targets is None:
                raise ValueError("training needs targets")
            return super().forward(x)

    network, x = initialized(WithTargets(False)), torch.randn(3, 4, generator=seeded())
    with pytest.warns(UserWarning, match=r"does not run in training mode .*training needs targets.*is left out"):
        average = exact_average(network, x, progress=False)
    torch.testing.assert_close(average.probs, exact_average(initialized(Guarded(False)), x, progress=False).probs)


# --- any network, at random ---------------------------------------------------------------------------------------


class Step(nn.Module):
    """One of the ways to drop, between dense layers, on a stream of six units."""

    def __init__(self, kind: str, keep: float, shared: nn.Module):
        super().__init__()
        self.kind, self.drop_prob, self.inner = kind, 1 - keep, nn.Linear(6, 6)
        self.drop = shared if kind == "shared" else nn.Dropout(1 - keep)
        self.conv = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x):
        h = torch.tanh(self.inner(x))
        match self.kind:
            case "layer" | "shared":
                return self.drop(h)
            case "branch":
                return x + self.drop(h)
            case "functional":
                return F.dropout(h, self.drop_prob, self.training)
            case "guarded":
                return F.dropout(h, p=self.drop_prob if self.training else 0.0)
            case "training only":
                return F.dropout(h, self.drop_prob) if self.training else h
            case "conv":
                return self.drop(torch.tanh(self.conv(h.unsqueeze(1))).squeeze(1))
            case "path":
                if not self.training:
                    return h
                return h * torch.empty(len(h), 1).bernoulli_(1 - self.drop_prob) / (1 - self.drop_prob)
            case "attention":
                q = h.view(-1, 3, 2)
                p = self.drop_prob if self.training else 0.0
                return F.scaled_dot_product_attention(q, q, q, dropout_p=p).flatten(1)
            case _:
                return h


STEPS = ["layer", "shared", "branch", "functional", "guarded", "training only", "conv", "path", "attention", "none"]


def random_network(kinds: list[str], keep: float, seed: int) -> nn.Module:
    shared = nn.Dropout(0.5)
    steps = nn.Sequential(*[Step(kind, keep, shared) for kind in kinds])
    return initialized(nn.Sequential(nn.Linear(4, 6), steps, nn.Linear(6, 3)), seed)


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(STEPS), min_size=1, max_size=3).filter(lambda kinds: set(kinds) != {"none"}),
    keep=st.sampled_from([0.3, 0.6, 0.8]),
    seed=st.integers(0, 100),
)
def test_any_network_averages_to_its_passes_in_training_mode(kinds, keep, seed):
    network, x = random_network(kinds, keep, seed), torch.randn(2, 4, generator=seeded(seed))
    k, passes = 400, 1_600  # enough to know the spread also where all three branches are dropped in one pass of 125
    average = monte_carlo_average(network, x, samples=k, generator=seeded(seed), progress=False)
    probs = in_training_mode(network, x, passes)
    # Six numbers in each of 25 networks: one false alarm in ten thousand runs.
    assert ((average.probs - probs.mean(0)).abs() < 5.5 * (probs.var(0) * (1 / k + 1 / passes)).sqrt() + 1e-3).all()


@settings(max_examples=15, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(STEPS[:6]), min_size=1, max_size=2),
    keep=st.sampled_from([0.3, 0.6, 0.8]),
    seed=st.integers(0, 100),
)
def test_any_network_s_exact_average_is_that_of_its_subnetworks_one_by_one(kinds, keep, seed):
    network, x = random_network(kinds, keep, seed), torch.randn(2, 4, generator=seeded(seed))
    masked = MaskedNetwork(network)
    sites = masked.sites(x)
    total = torch.zeros(2, 3, dtype=torch.float64)
    for bits in itertools.product([False, True], repeat=6 * len(sites)):
        own = torch.tensor(bits).view(len(sites), 6)
        weight = math.prod(
            site.keep_prob ** int(mask.sum()) * (1 - site.keep_prob) ** int((~mask).sum())
            for site, mask in zip(sites, own, strict=True)
        )
        masks = {site.name: mask for site, mask in zip(sites, own, strict=True)}
        total += weight * masked.run(x, masks).double().softmax(-1)
        if len(sites) > 1:
            break  # one by one would take minutes: the first is compared below
    average = exact_average(network, x, every_member=True, progress=False)
    if len(sites) == 1:
        torch.testing.assert_close(average.probs, total, rtol=1e-4, atol=1e-6)
    else:
        chunk = next(subnetworks(masked, x))
        nothing = {site.name: torch.zeros(6, dtype=torch.bool) for site in sites}
        torch.testing.assert_close(
            chunk.log_probs[0], masked.run(x, nothing).double().log_softmax(-1), rtol=1e-5, atol=1e-6
        )


# --- what users have ----------------------------------------------------------------------------------------------


def labeled(examples: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(examples, 4, generator=seeded(2)), torch.arange(examples) % 3


class Keywords(nn.Module):
    """Takes two inputs by name, and returns an object with logits, as HuggingFace's models do."""

    def __init__(self, hidden: bool = False):
        super().__init__()
        self.mlp, self.hidden = MLP([4, 6, 3], keep_prob=0.5, generator=seeded()), hidden

    def forward(self, values, attention_mask):
        logits = self.mlp(values * attention_mask)
        return {"loss": None, "scores" if self.hidden else "logits": logits}


def test_inputs_by_name_by_position_and_from_a_loader_are_the_same_inputs():
    (x, y), ones = labeled(), torch.ones(12, 1)
    network = Keywords()
    plain = exact_average(network.mlp, x, progress=False).probs
    named = {"values": x, "attention_mask": ones}
    loader = DataLoader(TensorDataset(x, y), batch_size=5)
    by_name = DataLoader(
        [{"values": a, "attention_mask": b, "labels": c} for a, b, c in zip(x, ones, y, strict=True)], 5
    )
    torch.testing.assert_close(exact_average(network, named, progress=False).probs, plain)
    torch.testing.assert_close(exact_average(network, (x, ones), progress=False).probs, plain)
    torch.testing.assert_close(exact_average(network, by_name, progress=False).probs, plain)
    torch.testing.assert_close(exact_average(network.mlp, loader, progress=False).probs, plain)
    assert weight_scaling(network, by_name).probs.shape == (12, 3)
    tables = [
        compare_averaging(network, named, y, samples=(3,), generator=seeded(), progress=False),
        compare_averaging(network, by_name, samples=(3,), generator=seeded(), progress=False),
        compare_averaging(network.mlp, loader, samples=(3,), generator=seeded(), progress=False),
    ]
    for table in tables[1:]:
        assert table["nll"].tolist()[:3] == pytest.approx(tables[0]["nll"].tolist()[:3])  # other blocks, other draws


def test_where_the_logits_are_is_said_by_name_or_by_a_function():
    x, _ = labeled()
    network, named = Keywords(hidden=True), {"values": x, "attention_mask": torch.ones(12, 1)}
    with pytest.raises(ValueError, match=r"something with 'logits' in it, got dict with the keys \['loss', 'scores'\]"):
        weight_scaling(network, named)
    with pytest.raises(ValueError, match=r"at must be found in what the network returns, got 'score' for dict"):
        weight_scaling(MaskedNetwork(network, outputs=Outputs(at="score")), named)
    plain = exact_average(network.mlp, x, progress=False).probs
    for outputs in (Outputs(at="scores"), lambda network, x: network(**x)["scores"]):
        average = exact_average(MaskedNetwork(network, outputs=outputs), named, progress=False)
        torch.testing.assert_close(average.probs, plain)


def test_a_binary_head_of_one_logit_has_two_classes():
    x, y = labeled()[0], torch.arange(12) % 2
    network = MLP([4, 6, 1], keep_prob=0.5, generator=seeded())
    two = MLP([4, 6, 2], keep_prob=0.5)
    two.hidden1.load_state_dict(network.hidden1.state_dict())
    two.output.weight.data = torch.cat([torch.zeros(1, 6), network.output.weight.data])
    two.output.bias.data = torch.cat([torch.zeros(1), network.output.bias.data])
    flat = MaskedNetwork(network, outputs=lambda network, x: network(x).squeeze(1))
    sigmoid = MaskedNetwork(nn.Sequential(network, nn.Sigmoid()), outputs="probs")
    expected = exact_average(two, x, every_member=True, progress=False)
    for one in (network, flat, sigmoid):
        torch.testing.assert_close(exact_average(one, x, progress=False).probs, expected.probs)
    columns = ["error", "nll", "brier", "ece"]
    for labels in (y, y.float(), y.unsqueeze(1)):
        table = compare_averaging(network, x, labels, samples=(), progress=False)[columns]
        torch.testing.assert_close(
            torch.tensor(table.values), torch.tensor(compare_averaging(two, x, y, samples=())[columns].values)
        )


class Dense(nn.Module):
    """Scores for each pixel: (batch, classes, height, width), or with the classes last."""

    def __init__(self, last: bool = False):
        super().__init__()
        self.first, self.drop, self.head = nn.Conv2d(1, 3, 3, padding=1), nn.Dropout2d(0.5), nn.Conv2d(3, 4, 1)
        self.last = last

    def forward(self, x):
        scores = self.head(self.drop(torch.relu(self.first(x))))
        return scores.movedim(1, -1) if self.last else scores


@pytest.mark.parametrize("last", [False, True])
def test_dense_outputs_are_averaged_and_scored_at_every_position(last):
    network, x = initialized(Dense(last)), torch.randn(3, 1, 5, 6, generator=seeded())
    masked = MaskedNetwork(network, outputs=Outputs(class_axis=-1 if last else 1))
    average = exact_average(masked, x, progress=False)
    assert average.probs.shape == (3, 5, 6, 4)
    with torch.no_grad():
        h = torch.relu(network.first(x))
        total = 0
        for bits in itertools.product([0.0, 1.0], repeat=3):
            scores = network.head(h * torch.tensor(bits).view(1, 3, 1, 1) * 2)
            total = total + scores.double().softmax(1).movedim(1, -1) / 8
    torch.testing.assert_close(average.probs, total, rtol=1e-4, atol=1e-6)
    y = torch.randint(4, (3, 5, 6), generator=seeded())
    y[0] = -100
    row = compare_averaging(masked, x, y, samples=(), progress=False).iloc[2]
    assert row["nll"] == pytest.approx(F.nll_loss(total.log().flatten(0, -2), y.flatten()).item(), rel=1e-4)
    with pytest.raises(ValueError, match=r"say which axis holds the classes, outputs=Outputs\(class_axis=1\)"):
        exact_average(network, x)
    with pytest.raises(ValueError, match=r"y must hold one class for each prediction, shape \(3, 5, 6\), got"):
        compare_averaging(masked, x, y[:, 0])


def test_a_network_with_its_sequence_first_is_one_with_its_examples_first():
    body = initialized(BODIES["nn.TransformerEncoder"]())
    first = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3)
    body.body.layers = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)])
    first.load_state_dict(body.body.layers[0].state_dict())
    batch_first, x = body.body.layers[0], torch.randn(3, 5, 8, generator=seeded())
    sequence_first = MaskedNetwork(first, ["dropout"], Outputs(class_axis=-1, batch_axis=1))
    expected = MaskedNetwork(batch_first, ["dropout"], Outputs(class_axis=-1))
    torch.testing.assert_close(
        weight_scaling(sequence_first, x.transpose(0, 1)).probs, weight_scaling(expected, x).probs
    )
    average = monte_carlo_average(sequence_first, x.transpose(0, 1), samples=300, progress=False)
    reference = monte_carlo_average(expected, x, samples=300, progress=False)
    assert average.probs.shape == (3, 5, 8)
    # Different masks, so only their means agree: 120 numbers of deviation sqrt(p (1 - p) / 300) at most.
    assert (average.probs - reference.probs).abs().max() < 5 * math.sqrt(2 * 0.25 / 300)


class MeanAndVariance(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = MLP([4, 5, 2], keep_prob=0.5, generator=seeded())

    def forward(self, x):
        mean, raw = self.body(x).unbind(1)
        return mean, F.softplus(raw)


def test_the_variance_of_a_regression_is_that_within_members_and_that_between_them():
    network, (x, _) = MeanAndVariance(), labeled()
    masked = MaskedNetwork(network, outputs="mean_and_variance")
    average = exact_average(masked, x, progress=False)
    bits = torch.tensor(list(itertools.product([False, True], repeat=5)))
    members = [network.body.eval()(x, masks={"hidden1": mask}).detach().double() for mask in bits]
    means, raw = torch.stack(members).unbind(2)
    torch.testing.assert_close(average.mean.squeeze(1), means.mean(0))
    torch.testing.assert_close(average.between.squeeze(1), means.var(0, correction=0))
    torch.testing.assert_close(average.within.squeeze(1), F.softplus(raw).mean(0))
    torch.testing.assert_close(average.variance, average.within + average.between)
    values = MaskedNetwork(network, outputs=lambda network, x: network(x)[0])
    values = MaskedNetwork(network, outputs=Outputs("values", at=0))
    drawn = monte_carlo_average(values, x, samples=(2, 4000), generator=seeded(), progress=False)
    error = (average.between / 4000).sqrt()
    assert ((drawn[4000].mean - average.mean).abs() < 5 * error).all()
    assert ((drawn[4000].between / average.between - 1).abs() < 5 * math.sqrt(2 / 4000) * 2).all()
    assert drawn[4000].within is None
    y = torch.randn(12, generator=seeded())
    table = compare_averaging(masked, x, y, samples=(100,), ensembles={"two": [masked, masked]}, progress=False)
    assert table["rule"].tolist() == ["weight scaling", "arithmetic mean, exact", "Monte Carlo", "two"]
    assert table["rmse"][1] == pytest.approx((average.mean.squeeze(1) - y).square().mean().sqrt().item())
    normal = torch.distributions.Normal(average.mean.squeeze(1), average.variance.squeeze(1).sqrt())
    assert table["nll"][1] == pytest.approx(-normal.log_prob(y).mean().item())
    with pytest.raises(
        ValueError, match=r'rule="geometric" averages log-probabilities, and mean_and_variance have none'
    ):
        exact_average(masked, x, rule="geometric")


def test_a_residual_network_with_batch_normalization_and_dropout_in_five_lines():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.drop = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Dropout2d(0.5)

        def forward(self, x):
            return x + self.drop(torch.relu(self.norm(self.conv(x))))

    network = initialized(nn.Sequential(nn.Conv2d(1, 3, 3), Block(), Block(), nn.Flatten(), nn.Linear(3 * 16, 4)))
    x, y = torch.randn(6, 1, 6, 6, generator=seeded()), torch.arange(6) % 4
    loader = DataLoader(TensorDataset(x, y), batch_size=4)
    table = compare_averaging(network, loader, samples=(10,), progress=False)
    assert table["members"].tolist() == [1, 64, 64, 10]


# --- inputs that failed -------------------------------------------------------------------------------------------


def test_empty_batches_are_refused_by_every_average():
    network, x = MLP([4, 5, 3], keep_prob=0.5), torch.empty(0, 4)
    for call in (
        lambda: weight_scaling(network, x),
        lambda: ensemble_average([network], x),
        lambda: exact_average(network, x),
        lambda: monte_carlo_average(network, x, samples=3),
        lambda: compare_averaging(network, x, torch.empty(0, dtype=torch.long)),
        lambda: weight_scaling(network, {"x": x}),
    ):
        with pytest.raises(ValueError, match="x must have at least one example, got none"):
            call()
    with pytest.raises(ValueError, match="a DataLoader that yields no batch"):
        weight_scaling(network, DataLoader(TensorDataset(x, x)))


def test_numbers_of_samples_come_in_any_integer_form():
    import numpy as np

    network, x = MLP([4, 5, 3], keep_prob=0.5), torch.randn(5, 4)
    expected = [1, 10, 100]
    for samples in (
        np.array(expected),
        torch.tensor(expected),
        expected,
        range(1, 4),
        np.geomspace(1, 100, 3).astype(int),
    ):
        averages = monte_carlo_average(network, x, samples=samples, progress=False)
        assert list(averages) == (expected if len(samples) == 3 and samples[1] == 10 else [1, 2, 3])
    for samples in (np.int64(7), torch.tensor(7), 7):
        assert monte_carlo_average(network, x, samples=samples, progress=False).members == 7


def test_one_network_is_no_ensemble():
    network, x = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Linear(5, 3)), torch.randn(5, 4)
    for one in (network, MLP([4, 5, 3]), MaskedNetwork(network)):
        with pytest.raises(
            ValueError, match=r"networks must be a sequence of networks, got one, .*; write \[network\]"
        ):
            ensemble_average(one, x)
    assert ensemble_average(nn.ModuleList([network, network]), x).members == 2


def test_what_cannot_run_is_refused_by_name():
    x = torch.randn(5, 4)
    lazy = nn.Sequential(nn.LazyLinear(5), nn.Dropout(0.5), nn.Linear(5, 3))
    with pytest.raises(ValueError, match=r"lazy parameter without a shape, '0.weight'; call network\(x\) once"):
        weight_scaling(lazy, x)
    with torch.device("meta"):
        meta = MLP([4, 5, 3], keep_prob=0.5)
    with pytest.raises(
        ValueError, match=r"no numbers in 'hidden1.weight', which is on the meta device; load its weights"
    ):
        exact_average(meta, x)
    network = MLP([4, 5, 3], keep_prob=0.5)
    for generator in (0, "seed"):
        with pytest.raises(ValueError, match=r"generator must be a torch.Generator, or None .*, got .*manual_seed"):
            monte_carlo_average(network, x, samples=3, generator=generator)
    with pytest.raises(ValueError, match=r"x must be a tensor, a tuple .*got ndarray; torch.from_numpy\(x\)"):
        weight_scaling(network, x.numpy())
    with pytest.raises(ValueError, match=r"network must be a torch\.nn\.Module, got function"):
        weight_scaling(lambda x: x, x)
    for y in (torch.eye(3)[torch.arange(5) % 3], torch.rand(5)):
        with pytest.raises(ValueError, match=r"y must be a tensor of classes, int64, got torch.float32"):
            compare_averaging(network, x, y)


def test_a_network_is_found_once_while_nothing_of_it_changes(monkeypatch):
    from dropout_lessons.running import discovery

    searched = []
    result = discovery._Search.result
    monkeypatch.setattr(discovery._Search, "result", lambda self: searched.append(1) or result(self))
    network, x = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Linear(5, 3)), torch.randn(5, 4)

    def keep_probs(x):
        return [site.keep_prob for site in MaskedNetwork(network).sites(x)]

    assert keep_probs(x) == keep_probs(torch.randn(7, 4)) == [0.5]
    network[0].weight.data.normal_()
    network.train(not network.training)
    assert keep_probs(x) == [0.5]
    assert len(searched) == 1
    network[1].p = 0.25
    assert keep_probs(x) == [0.75]
    network[1] = nn.Dropout(0.1)
    assert keep_probs(x) == [0.9]
    assert len(searched) == 3


def test_examples_go_to_the_device_of_the_network():
    moves = []

    class Elsewhere(torch.Tensor):
        """Says that it lives elsewhere, and notes where it is sent."""

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func is torch.Tensor.to:
                moves.append(args[1])
            plain = [arg.as_subclass(torch.Tensor) if isinstance(arg, Elsewhere) else arg for arg in args]
            return func(*plain, **(kwargs or {}))

    network, x = MLP([4, 5, 3], keep_prob=0.5), torch.randn(5, 4)
    for call in (
        lambda x: weight_scaling(network, x),
        lambda x: ensemble_average([network], x),
        lambda x: exact_average(network, x, progress=False),
        lambda x: monte_carlo_average(network, x, samples=2, progress=False),
        lambda x: list(subnetworks(network, x)),
    ):
        moves.clear()
        call(x.as_subclass(Elsewhere))
        assert moves[0] == torch.device("cpu")
