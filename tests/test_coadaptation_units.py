"""A layer's units present or absent: in networks of all kinds, as a hook and a forward pass would have it."""

import copy

import pytest
import torch
import torch.nn.functional as F
from layer_units import asked, units_of
from torch import nn

from dropout_lessons import coadaptation
from dropout_lessons.coadaptation import Estimate, LayerUnits, toggling
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import MLP
from dropout_lessons.running import MaskedNetwork, Outputs

interaction = asked(coadaptation.interaction)


class Residual(nn.Module):
    """A block whose output is added to what it starts from."""

    def __init__(self):
        super().__init__()
        self.first, self.inner, self.outer, self.head = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.relu(x + self.outer(torch.relu(self.inner(x))))
        return self.head(x)


class Preactivated(nn.Module):
    """Below what is measured, branches write into what they start from, as with nn.ReLU(inplace=True)."""

    def __init__(self):
        super().__init__()
        self.first, self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.branch = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4))

    def forward(self, x):
        x = self.first(x)
        branch = self.branch(x)
        return self.head(x + torch.relu(self.inner(x + branch)))


class Encoder(nn.Module):
    """A transformer layer, whose fast path in evaluation mode does not call its modules."""

    def __init__(self):
        super().__init__()
        self.embed, self.layer = nn.Linear(4, 6), nn.TransformerEncoderLayer(6, 2, 5, dropout=0.3, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.layer(self.embed(x)).mean(1))


class Functional(nn.Module):
    """Functional dropout that is always on, and the layer's operations in place."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 5), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        h = F.dropout(self.first(x).add_(0.3).relu_(), p=0.6)
        h = self.second(h)
        h += 0.1
        return self.head(h.relu_())


class Distracted(nn.Module):
    """Computes much after the layer that does not depend on it."""

    def __init__(self):
        super().__init__()
        self.inner, self.second, self.head = nn.Linear(4, 5), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        h = self.second(torch.relu(self.inner(x)))
        for _ in range(12):
            x = x / 2
        return self.head(h.tanh())


class Stubborn(nn.Module):
    """What torch.func.vmap cannot do: a result written into a plain tensor."""

    def __init__(self):
        super().__init__()
        self.inner, self.second, self.head = nn.Linear(4, 5), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        h = torch.zeros(len(x), 4, dtype=x.dtype)
        h += self.second(torch.relu(self.inner(x))).tanh()
        return self.head(h)


class Squeezed(nn.Module):
    """A regression with one output and no axis for it."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 1)

    def forward(self, x):
        return self.head(torch.relu(self.inner(x))).squeeze(1)


class Scores(nn.Module):
    """Classes' log-probabilities or probabilities in place of logits."""

    def __init__(self, kind):
        super().__init__()
        self.inner, self.head, self.kind = nn.Linear(4, 6), nn.Linear(6, 3), kind

    def forward(self, x):
        return getattr(self.head(torch.relu(self.inner(x))), self.kind)(1)


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 5, 3),
        nn.BatchNorm2d(5),
        nn.ReLU(inplace=True),
        nn.Conv2d(5, 4, 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


# A network, its input, the layer, other arguments, and what is to be found above the layer: the outputs are additive, or
# the result of some call is, or nothing.
CASES = {
    "MLP, first layer": (lambda: MLP([4, 6, 5, 3]), (4,), "hidden1", {}, "cut"),
    "MLP, last layer": (lambda: MLP([4, 6, 5, 3]), (4,), "hidden2", {}, "additive"),
    "dropout": (lambda: MLP([4, 6, 5, 3], keep_prob=0.5, input_keep_prob=0.8), (4,), "hidden1", {}, "cut"),
    "standard scaling": (
        lambda: MLP([4, 6, 5, 3], keep_prob=0.5, dropout=lambda keep: Dropout(keep, scaling="standard")),
        (4,),
        "hidden2",
        {},
        "additive",
    ),
    "Sequential": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.ReLU(True), nn.Linear(5, 3)),
        (4,),
        "2",
        {},
        "additive",
    ),
    "before the nonlinearity": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)),
        (4,),
        "0",
        {},
        "additive",
    ),
    "channels": (convolutional, (1, 6, 6), "2", {}, "cut"),
    "last channels": (convolutional, (1, 6, 6), "4", {}, "additive"),
    "residual": (Residual, (4,), "inner", {}, "cut"),
    "residual sum": (Residual, (4,), "outer", {}, "additive"),
    "shared by two branches": (Residual, (4,), "first", {}, "cut"),
    "tokens": (Encoder, (3, 4), "layer.linear1", {"unit_axis": -1}, "cut"),
    "embedding": (Encoder, (3, 4), "embed", {"unit_axis": 2}, "nothing"),
    "functional": (Functional, (4,), "first", {}, "cut"),
    "functional, second": (Functional, (4,), "second", {}, "additive"),
    "distracted": (Distracted, (4,), "inner", {}, "cut"),
    "stubborn": (Stubborn, (4,), "inner", {}, "cut"),
    "regression": (Squeezed, (4,), "inner", {"outputs": "values"}, "additive"),
    "values": (lambda: MLP([4, 6, 5, 3]), (4,), "hidden1", {"outputs": "values"}, "cut"),
    "log_probs": (lambda: Scores("log_softmax"), (4,), "inner", {"outputs": "log_probs"}, None),
    "probs": (lambda: Scores("softmax"), (4,), "inner", {"outputs": "probs"}, None),
    "temperature": (lambda: MLP([4, 6, 5, 3]), (4,), "hidden1", {"temperature": 2.5}, "cut"),
    "written into below": (Preactivated, (4,), "inner", {}, "additive"),
}


def built(name: str, dtype: torch.dtype = torch.float64, examples: int = 7):
    make, shape, layer, arguments, found = CASES[name]
    with torch.random.fork_rng():
        torch.manual_seed(list(CASES).index(name))
        network = make().to(dtype)
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.normal_(module.running_mean)
                nn.init.normal_(module.weight)
        return network, layer, torch.randn(examples, *shape, dtype=dtype), arguments, found


def by_hook(network: nn.Module, layer: str, x, presence, unit_axis: int = 1, clamp: str = "zero"):
    """One forward pass of each example with the units of its row of ``presence``."""

    def hook(module, args, output):
        z = presence.to(output.dtype).reshape(*presence.shape, *[1] * (output.dim() - 2))
        h = output.movedim(unit_axis, 1)
        c = torch.zeros_like(h) if clamp == "zero" else h.mean([0, *range(2, h.dim())], keepdim=True)
        return (z * h + (1 - z) * c).movedim(1, unit_axis)

    network = copy.deepcopy(network).eval()
    handle = network.get_submodule(layer).register_forward_hook(hook)
    original, F.dropout = F.dropout, lambda x, *args, **kwargs: x
    try:
        with torch.no_grad():
            return network(x)
    finally:
        F.dropout = original
        handle.remove()


def value(output, y, arguments):
    """What the definition says: log-probability of the label, or minus the squared error."""
    if y.is_floating_point():
        return -(y - output).square().reshape(len(y), -1).sum(1)
    kind, temperature = arguments.get("outputs", "logits"), arguments.get("temperature", 1.0)
    logits = output.log() if kind == "probs" else output
    return F.log_softmax(logits / temperature, dim=1).gather(1, y[:, None])[:, 0]


def targets(output):
    return output + 1 if output.dim() == 1 else torch.arange(len(output)) % output.shape[1]


def masks_for(units: LayerUnits, members: int = 6):
    return torch.rand(members, units.n_examples, units.n_units, generator=torch.Generator().manual_seed(0)) < 0.5


@pytest.mark.parametrize("clamp", ["zero", "mean"])
@pytest.mark.parametrize("name", CASES)
def test_outputs_values_and_scores_are_those_of_forward_passes_with_a_hook(name, clamp):
    network, layer, x, arguments, _ = built(name)
    axis = arguments.get("unit_axis", 1)
    intact = by_hook(network, layer, x, torch.ones(len(x), 1), axis)
    y = intact + 1 if arguments.get("outputs") == "values" else targets(intact)
    units = units_of(network, layer, x, y, clamp=clamp, **arguments)
    masks = masks_for(units)
    for presence in (masks, masks[:, 0]):
        expected = [by_hook(network, layer, x, own.expand(len(x), -1), axis, clamp) for own in presence]
        shaped = torch.stack(expected).reshape(len(masks), len(x), -1)
        torch.testing.assert_close(units.predictions(presence), shaped)
        v = torch.stack([value(output, y, arguments) for output in expected])
        torch.testing.assert_close(units.values(presence), v)
        right = -v if y.is_floating_point() else (shaped.argmax(2) == y).double()
        torch.testing.assert_close(units.scores(presence), right)


@pytest.mark.parametrize("clamp", ["zero", "mean"])
@pytest.mark.parametrize("name", CASES)
def test_toggling_is_what_the_definition_says_whatever_lies_above(name, clamp):
    network, layer, x, arguments, found = built(name)
    axis = arguments.get("unit_axis", 1)
    units = units_of(network, layer, x, clamp=clamp, **arguments)
    (part,) = units.parts
    kind = "additive" if part.above.additive else "cut" if part.above.cut else "nothing"
    assert found is None or kind == found
    present = masks_for(units, 1)[0]
    toggled = part.toggle(present.unsqueeze(0), pairs=True)

    def v(*changes):
        own = present.clone()
        for unit, state in changes:
            own[:, unit] = state
        return value(
            by_hook(network, layer, x, own, axis, clamp), units.y.view_as(intact) if regression else units.y, arguments
        )

    intact = by_hook(network, layer, x, torch.ones(len(x), 1), axis)
    regression = units.is_regression
    n = units.n_units
    effects = torch.stack([v((i, True)) - v((i, False)) for i in range(n)], dim=1)
    torch.testing.assert_close(toggled.effects[0], effects)
    torch.testing.assert_close(toggled.interactions, toggled.strength.sum().unsqueeze(0) / 2)
    for i in range(n):
        for j in range(n):
            pair = torch.zeros(len(x), dtype=torch.float64)
            if i != j:
                pair = v((i, True), (j, True)) - v((i, True), (j, False)) - v((i, False), (j, True))
                pair += v((i, False), (j, False))
            torch.testing.assert_close(toggled.total[i, j], pair.sum(), atol=1e-10, rtol=1e-7)
            torch.testing.assert_close(toggled.strength[i, j], pair.abs().sum(), atol=1e-10, rtol=1e-7)


@pytest.mark.parametrize("alive", [1.0, 0.4])
@pytest.mark.parametrize("n", [1, 16, 21])
@pytest.mark.parametrize("working_set", [1, 2**13, 2**20])
def test_pairs_of_units_that_add_to_logits_are_what_the_definition_says_however_they_are_cut(
    n, alive, working_set, monkeypatch
):
    monkeypatch.setattr(toggling, "_WORKING_SET", working_set)
    monkeypatch.setattr(toggling, "_SMALLEST", 4)  # so that a few units are cut as many are
    contexts, examples, classes = 3, 5, 3
    base, y = torch.randn(examples, classes, dtype=torch.float64), torch.arange(examples) % classes
    c = torch.randn(examples, n, classes, dtype=torch.float64) * (torch.rand(examples, n, 1) < alive)
    c[0] = 0  # nothing that its units could change
    present = torch.rand(contexts, examples, n) < 0.5

    def v(z):
        logits = base + torch.einsum("...en,enk->...ek", z, c)
        return logits.log_softmax(-1).gather(-1, y.expand(logits.shape[:-1]).unsqueeze(-1))[..., 0]

    def with_(i, j):  # unit i of row i, unit j of column j
        z = present.double().expand(n, n, *present.shape).clone()
        for k in range(n):
            z[k, ..., k] = i
            z[:, k, ..., k] = z[:, k, ..., k] if j is None else j
        return v(z)

    effects = (with_(1, None) - with_(0, None))[:, 0].movedim(0, -1)
    pairs = with_(1, 1) - with_(1, 0) - with_(0, 1) + with_(0, 0)
    pairs[torch.arange(n), torch.arange(n)] = 0
    logits = base + torch.einsum("sen,enk->sek", present.double(), c)
    found = toggling.toggled_softmax(logits, toggling.factors_of(c, y), present, pairs=True)
    torch.testing.assert_close(found.effects, effects)
    torch.testing.assert_close(found.total, pairs.sum((2, 3)))
    torch.testing.assert_close(found.strength, pairs.abs().sum((2, 3)))
    torch.testing.assert_close(found.interactions, pairs.abs().sum((0, 1, 3)) / 2)


def test_contributions_of_the_last_hidden_layer_are_its_weights_times_its_activations():
    network, layer, x, _, _ = built("MLP, last layer")
    (part,) = units_of(network, layer, x).parts
    _, additive = part.contributions
    h, weight = network.hidden2(network.hidden1(x)).detach(), network.output.weight.detach()
    expected = h[:, :, None] * (weight - weight.mean(0)).T
    torch.testing.assert_close(additive, expected)
    assert not units_of(network, "hidden1", x).is_additive


def test_logits_of_the_last_hidden_layer_have_no_interactions_at_all():
    network, layer, x, _, _ = built("MLP, last layer")
    units = units_of(network, layer, x)
    a, b = masks_for(units, 2).unbind()
    none, one, other, both = units.predictions(torch.stack([a & ~b, a, (a & ~b) | (b & ~a), a | b]))
    torch.testing.assert_close(both - one - other + none, torch.zeros_like(none), atol=1e-12, rtol=0)


def test_additive_for_the_first_examples_is_not_taken_for_additive():
    # With positive weights the upper ReLUs are active for positive examples, whichever units are present.
    network = nn.Sequential(nn.Identity(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    for parameter in network[1].parameters():
        parameter.data.abs_()
    x = torch.randn(280, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:140].abs_()  # more than run together
    assert units_of(network, "0", x[:140]).is_additive
    units = units_of(network, "0", x)
    assert not units.is_additive
    masks = masks_for(units)
    expected = torch.stack([by_hook(network, "0", x, own) for own in masks])
    torch.testing.assert_close(units.predictions(masks), expected)
    torch.testing.assert_close(units.values(masks), torch.stack([value(own, units.y, {}) for own in expected]))


def test_a_layer_that_nothing_depends_on_is_additive_without_effect():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 20)

        def forward(self, x):
            self.unused(x)
            return self.used(x)

    found = interaction(Idle(), "unused", torch.randn(5, 4), contexts=3)
    assert found.relative.value == 0
    assert found.total.value == pytest.approx(0, abs=1e-12)
    assert found.effect_strength.max() < 1e-12


def test_a_dtype_too_coarse_to_tell_additive_from_not_is_run_plainly():
    network, layer, x, _, _ = built("MLP, last layer", torch.bfloat16)
    units = units_of(network, layer, x)
    assert not units.is_additive
    assert units.parts[0].above.cut is None
    masks = masks_for(units)
    expected = torch.stack([by_hook(network, layer, x, own) for own in masks])
    torch.testing.assert_close(units.predictions(masks), expected)


@pytest.mark.parametrize("log_weight", [-50.0, -100.0, -700.0])
def test_a_class_that_a_mask_puts_far_below_all_others_does_not_make_rounding_coarse(log_weight):
    network, x, y = MLP([4, 6, 4]), torch.randn(9, 4), torch.arange(9) % 3
    mask = torch.tensor([0.0, 0.0, 0.0, log_weight])
    masked = Outputs(call=lambda network, x: network(x) + mask)
    left_out = Outputs(call=lambda network, x: network(x)[:, :3])
    one, other = (LayerUnits(MaskedNetwork(network, outputs=own), "hidden1", x, y) for own in (masked, left_out))
    assert one.rounding == other.rounding
    assert one.rounding < 1e-4


def test_single_precision_changes_interactions_by_its_rounding_alone():
    for layer in ("hidden1", "hidden2"):
        network = MLP([20, 32, 24, 10], generator=torch.Generator().manual_seed(0))
        x = torch.randn(30, 20, generator=torch.Generator().manual_seed(1))
        results = []
        for dtype in (torch.float32, torch.float64):
            source = torch.Generator().manual_seed(2)
            results.append(interaction(network.to(dtype), layer, x.to(dtype), contexts=2, generator=source))
        single, double = results
        # Four values, each of logits of about 5 and with some places of rounding.
        assert (single.pairwise - double.pairwise).abs().max() < 4 * 5 * 4 * torch.finfo(torch.float32).eps
        assert single.relative.value == pytest.approx(double.relative.value, rel=1e-4)


def test_soft_presence_mixes_a_unit_with_its_clamp():
    network, layer, x, _, _ = built("MLP, first layer")
    units = units_of(network, layer, x, clamp="mean")
    z = torch.rand(3, units.n_examples, units.n_units, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.stack([by_hook(network, layer, x, own, clamp="mean") for own in z])
    torch.testing.assert_close(units.predictions(z), expected)


@pytest.mark.parametrize("name", CASES)
def test_parts_and_memory_do_not_change_what_is_found(name):
    network, layer, x, arguments, _ = built(name, examples=140)
    whole = units_of(network, layer, x, **arguments)
    assert len(whole.parts) == 2
    small = units_of(network, layer, x, memory=2**16, **arguments)
    masks = masks_for(whole)
    torch.testing.assert_close(whole.values(masks), small.values(masks))
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    a = interaction(network, layer, x, contexts=1, generator=generators[0], **arguments)
    b = interaction(network, layer, x, contexts=1, generator=generators[1], memory=2**16, **arguments)
    torch.testing.assert_close(a.strength, b.strength)


def test_large_contributions_neither_overflow_nor_lose_the_interaction():
    # One unit decides between the first two classes, the other adds to all but the third.
    network = nn.Sequential(nn.Identity(), nn.Linear(2, 3, bias=False)).double()
    network[1].weight.data = torch.tensor([[400.0, 900.0], [-400.0, 900.0], [0.0, -900.0]], dtype=torch.float64)
    x, y = torch.ones(2, 2, dtype=torch.float64), torch.tensor([1, 2])
    found = interaction(network, "0", x, y)
    logits = torch.tensor([[0, 0, 0], [400, -400, 0], [900, 900, -900], [1300, 500, -900]], dtype=torch.float64)
    v = logits.log_softmax(1)[:, y]
    expected = v[3] - v[1] - v[2] + v[0]
    torch.testing.assert_close(found.pairwise[0, 1], expected.mean())
    torch.testing.assert_close(found.strength[0, 1], expected.abs().mean())
    for contexts in (4, 5):
        torch.testing.assert_close(interaction(network, "0", x, y, contexts=contexts).pairwise, found.pairwise)


@pytest.mark.parametrize("name", CASES)
def test_the_network_and_the_random_state_are_left_as_they_were(name):
    network, layer, x, arguments, _ = built(name, torch.float32)
    network.train()
    network.get_submodule(layer).eval()
    modes = [module.training for module in network.modules()]
    state = copy.deepcopy(network.state_dict())
    before, source = torch.get_rng_state(), x.clone()
    interaction(network, layer, x, contexts=1, clamp="mean", **arguments)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(x, source)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), state.values(), strict=True))
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in module.__dict__


@pytest.mark.parametrize("name", ["MLP, first layer", "MLP, last layer", "stubborn", "written into below"])
def test_inference_mode_changes_nothing(name):
    network, layer, x, arguments, _ = built(name)
    expected = interaction(network, layer, x, contexts=2, generator=torch.Generator().manual_seed(0), **arguments)
    with torch.inference_mode():
        x = x.clone()
        found = interaction(network, layer, x, contexts=2, generator=torch.Generator().manual_seed(0), **arguments)
    assert found.total == expected.total
    assert torch.equal(found.pairwise, expected.pairwise)
    # Outside of it too, on what was made inside.
    found = interaction(network, layer, x, contexts=2, generator=torch.Generator().manual_seed(0), **arguments)
    assert torch.equal(found.pairwise, expected.pairwise)


def test_a_network_that_fails_is_left_as_it_was():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            h = self.inner(x).relu()
            if not h.any():
                raise ArithmeticError("nothing left")
            return self.head(h)

    network = Fails()
    with pytest.raises(ArithmeticError, match="nothing left"):
        units_of(network, "inner", torch.randn(5, 4)).predictions(torch.zeros(1, 5))
    assert not any(module._forward_hooks or "forward" in module.__dict__ for module in network.modules())


class Counting(nn.Linear):
    """Counts the examples that it is given, with its own weights and as they are."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.own = [parameter.clone() for parameter in self.parameters()]
        self.seen = []  # not a number, which is as before after a pass

    def forward(self, x):
        unchanged = all(torch.equal(mine, own) for mine, own in zip(self.parameters(), self.own, strict=True))
        self.seen.append(len(x) if unchanged else 0)
        return super().forward(x)


@pytest.mark.parametrize("layer", ["1", "3"])
@pytest.mark.parametrize("examples", [9, 300])
def test_what_lies_below_the_layer_runs_once_for_all_questions(layer, examples):
    below = Counting(4, 20)
    network = nn.Sequential(below, nn.ReLU(), nn.Linear(20, 14), nn.ReLU(), nn.Linear(14, 3))
    units = units_of(network, layer, torch.randn(examples, 4))
    for own in (units, units.clamped("mean"), units.judged_by_predictions(), units.first(5)):
        coadaptation.interaction(own, contexts=1, progress=False)
        coadaptation.interaction_share(own, samples=80, progress=False)
        coadaptation.reliance(own, contexts=3, progress=False)
        coadaptation.compensation(own, [2], progress=False)
        coadaptation.ablation_curve(own, orders=2, points=3, progress=False)
        coadaptation.mean_damage(own, samples=5)
        coadaptation.robustness_curve(own, "activation noise", draws=2, progress=False)
        assert own.activations.shape[1] == own.n_units
    assert sum(below.seen) == examples


def test_own_predictions_are_the_targets_where_none_are_given():
    network, layer, x, _, _ = built("MLP, first layer")
    assert torch.equal(units_of(network, layer, x).y, network(x).argmax(1))
    regression = units_of(network, layer, x, outputs="values")
    torch.testing.assert_close(regression.y, network(x).detach())
    assert not regression.values(torch.ones(1, 6)).any()


def test_a_layers_own_hook_still_applies():
    network, layer, x, _, _ = built("MLP, first layer")
    plain = units_of(network, layer, x).activations
    network.hidden1.register_forward_hook(lambda module, args, output: 2 * output)
    units = units_of(network, layer, x)
    torch.testing.assert_close(units.activations, 2 * plain)
    torch.testing.assert_close(units.predictions(torch.ones(1, 6))[0], network(x).detach())


class Odd(nn.Module):
    """Layers that cannot be measured."""

    def __init__(self):
        super().__init__()
        self.twice, self.never, self.recurrent = nn.Linear(4, 4), nn.Linear(4, 4), nn.LSTM(4, 4, batch_first=True)
        self.flat, self.head = nn.Flatten(0), nn.Linear(4, 3)

    def forward(self, x):
        x = self.twice(self.twice(x))
        x, _ = self.recurrent(x[:, None])
        self.flat(x)
        return self.head(x[:, 0])


X, Y = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("third", r"got 'third', which the network does not have; there are \['recurrent', 'flat', 'head'\]"),
        ("", r"got '', which no forward pass calls"),
        ("twice", r"got 'twice', which a forward pass calls 2 times; there are \['recurrent', 'flat', 'head'\]"),
        ("never", r"got 'never', which no forward pass calls; there are \['recurrent', 'flat', 'head'\]"),
        (
            "recurrent",
            r"'recurrent' has three axes, \(examples, 1, 4\), .* say which: Layer\('recurrent', unit_axis=-1\)",
        ),
        ("flat", r"\(examples, units\) .* for 6 examples 'flat' has shape \(24,\)"),
    ],
)
def test_a_layer_that_is_not_one_is_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        units_of(Odd(), layer, X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:0]}, r"x must have at least one example, got none: shape \(0, 4\)"),
        ({"x": X.tolist()}, "x must be a tensor, .* got list without a tensor"),
        ({"x": X.where(X > 0, torch.nan)}, r"x must be finite, got \d+ NaN or infinite of 24 values"),
        ({"y": Y - 1}, "y must hold classes from 0 to 2, as many as the network has outputs, got -1 to 1"),
        ({"y": Y + 1}, "got 1 to 3"),
        ({"y": Y[:5]}, r"one class for each prediction, shape \(6,\), got shape \(5,\)"),
        ({"y": Y > 0}, "y must be a tensor of classes, int64, got torch.bool"),
        ({"y": Y.tolist()}, "y must be a tensor of classes, int64, got list"),
        ({"y": Y, "outputs": "values"}, 'outputs="values" says that .* floating-point tensor, got torch.int64'),
        ({"y": Y.double(), "outputs": "probs"}, r'y has dtype torch.float64, .* but outputs="probs"'),
        ({"y": torch.ones(6, 3)}, r"classes, int64, got torch.float32 of shape \(6, 3\); of one-hot .* y.argmax"),
        ({"y": torch.ones(6, 2) / 3}, r"shape of the network's output, \(6, 3\), got \(6, 2\)"),
        ({"y": torch.full((6, 3), torch.inf)}, "y must be finite, got 18 NaN"),
        ({"clamp": "median"}, r"clamp must be one of \['zero', 'mean'\], got 'median'"),
        ({"outputs": "scores"}, r"outputs must be one of \['logits', .*\], or an Outputs, got 'scores'"),
        ({"outputs": "probs"}, "its rows do not sum to 1"),
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        ({"temperature": 2.0, "outputs": "values"}, "temperature divides logits, and a regression has none, got 2.0"),
        ({"unit_axis": 2}, r"unit_axis must be an axis .* got 2 for shape \(examples, 5\)"),
        ({"unit_axis": 0}, r"other than that of the examples, got 0"),
        ({"unit_axis": -2}, r"got -2 for shape"),
        ({"x": X[:1], "clamp": "mean"}, 'clamp="mean" needs the mean over two or more examples, got 1'),
        ({"network": "net"}, "network must be a torch.nn.Module, got str"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"network": MLP([4, 5, 3]), "layer": "hidden1", "x": X} | change
    with pytest.raises(ValueError, match=message):
        units_of(**arguments)


def test_networks_that_cannot_be_measured_are_refused():
    network = MLP([4, 5, 3])
    network.output.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"network's parameter 'output.weight' must be finite, got 1 NaN"):
        units_of(network, "hidden1", X)
    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 3))
    with pytest.raises(ValueError, match=r"without running statistics, '1'"):
        units_of(network, "0", X)
    with pytest.raises(ValueError, match=r"presence must be \(members, 5\) or \(members, 6, 5\), got \(2, 4\)"):
        units_of(MLP([4, 5, 3]), "hidden1", X).values(torch.ones(2, 4))


class Normed(nn.Module):
    """Shares of what is present: 0 / 0 where nothing is."""

    def forward(self, h):
        return h / h.sum(1, keepdim=True) * torch.arange(1.0, 5.0)


def test_values_that_are_not_finite_for_some_units_are_refused():
    with pytest.raises(ValueError, match=r"network returned logits that are NaN or infinite, .* for some set of units"):
        interaction(nn.Sequential(nn.Softplus(), Normed()), "0", X)


@pytest.mark.parametrize(
    ("estimate", "shown"),
    [
        (Estimate(0.1537, 0.0042, 8), "0.154 ± 0.004"),
        (Estimate(0.1537, 0.0012, 8), "0.1537 ± 0.0012"),
        (Estimate(0.1537), "0.154 (exact)"),
        (Estimate(0.0), "0.000 (exact)"),
        (Estimate(3.3, float("nan"), 1), "3.30 ± ?"),
        (Estimate(1234.5, 12.3, 3), "1234 ± 12"),
        (Estimate(-0.00002, 0.001, 3), "0.0000 ± 0.0010"),
        (Estimate(2e-9), "2.00e-09 (exact)"),
        (Estimate(float("inf")), "inf (exact)"),
    ],
)
def test_an_estimate_shows_as_many_digits_as_its_error_allows(estimate, shown):
    assert str(estimate) == shown
    assert estimate.exact == (estimate.draws is None)
