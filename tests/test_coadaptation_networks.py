"""Units of the networks that people have: transformers, several inputs, loaders, outputs of all kinds, quantized ones."""

import itertools
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dropout_lessons.coadaptation import (
    Layer,
    LayerUnits,
    compensation,
    interaction,
    interaction_share,
    measure,
    reliance,
    report,
    robustness_curve,
)
from dropout_lessons.masks import enumerate_masks
from dropout_lessons.networks import MLP, SmallTransformer
from dropout_lessons.running import MaskedNetwork, Outputs

QUIET = {"progress": False}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def without(network, layer, predict, removed):
    """What ``predict`` returns while some units of the layer send zero, by a hook: the plain way."""

    def removing(h):
        entries = h.shape[layer.unit_axis]
        each = entries // (layer.groups or entries)
        gone = torch.cat([torch.arange(unit * each, (unit + 1) * each) for unit in removed]) if removed else []
        h = h.clone()
        h.movedim(layer.unit_axis, 0)[gone] = 0.0
        return h

    def at_output(module, args, output):
        return (removing(output[0]), *output[1:]) if isinstance(output, tuple) else removing(output)

    module = network.get_submodule(layer.name)
    if layer.at == "input":
        handle = module.register_forward_pre_hook(lambda module, args: (removing(args[0]), *args[1:]))
    else:
        handle = module.register_forward_hook(at_output)
    with handle, torch.no_grad():
        return predict()


def check_by_hook(masked, layer, x, predict, y):
    """Interactions, damages and values of ``v``, mean log-probability over positions, against forward passes with a hook.

    Args:
        predict: Returns logits, classes last.
    """
    network = masked.network.eval()
    units = LayerUnits(masked, layer, x, y)
    n = units.n_units

    def v(removed):
        log_probs = without(network, layer, predict, removed).double().log_softmax(-1)
        return log_probs.gather(-1, y.unsqueeze(-1)).flatten(1).mean(1)

    everything = v([])
    torch.testing.assert_close(units.intact_values()[0], everything, atol=1e-6, rtol=1e-5)
    pairs = interaction(units, keep_prob=1.0, **QUIET)
    sets = compensation(units, [1, 2], sets=n * n, **QUIET)
    single = torch.stack([everything - v([i]) for i in range(min(n, 4))])
    # Differences of a few values in single precision.
    close = {"atol": 1e-5, "rtol": 1e-4}
    torch.testing.assert_close(sets.single_damage[: len(single)], single.mean(1), **close)
    for i, j in itertools.combinations(range(len(single)), 2):
        both = v([i, j]) - v([i]) - v([j]) + everything
        torch.testing.assert_close(pairs.pairwise[i, j], both.mean(), **close)
        torch.testing.assert_close(pairs.strength[i, j], both.abs().mean(), **close)
    return units


def transformer():
    network = SmallTransformer(symbols=7, context=8, width=16, heads=4, generator=seeded()).double()
    text = torch.randint(7, (6, 8), generator=seeded(1))
    return MaskedNetwork(network, outputs=Outputs(class_axis=-1)), text


HEADS = Layer("block1.attention.output", at="input", unit_axis=-1, groups=4)
HIDDEN = Layer("block2.hidden", unit_axis=-1)


@pytest.mark.parametrize("layer", [HEADS, HIDDEN], ids=["heads", "hidden units"])
def test_heads_and_hidden_units_of_our_transformer_are_measured_as_forward_passes_with_a_hook_say(layer):
    masked, text = transformer()
    units = check_by_hook(masked, layer, text, lambda: masked.network(text), text.roll(-1, 1))
    assert units.n_units == (4 if layer is HEADS else 64)
    assert 0 <= interaction_share(units, samples=80, **QUIET).value < 1


def test_every_measure_is_taken_of_heads_but_those_of_single_numbers():
    masked, text = transformer()
    found = report(LayerUnits(masked, HEADS, text, text.roll(-1, 1)), **QUIET)
    assert found.n_units == 4
    assert list(found.left_out) == ["supporting"]
    assert "supporting: left out, a unit is several numbers" in repr(found)
    assert "left out" in found._repr_html_()
    assert found.interaction.pairwise.shape == (4, 4)
    assert found.curves["zero clamp"].score[0, 0] == pytest.approx(
        (masked.network(text).argmax(-1) == text.roll(-1, 1)).double().mean().item()
    )


def test_an_output_of_three_axes_is_not_measured_before_it_is_said_which_holds_the_units():
    masked, text = transformer()
    with pytest.raises(
        ValueError, match=r"'block1.hidden' has three axes, \(examples, 8, 64\), .*unit_axis=-1\) for the last"
    ):
        LayerUnits(masked, "block1.hidden", text)
    assert LayerUnits(masked, Layer("block1.hidden", unit_axis=1), text).n_units == 8
    with pytest.raises(ValueError, match=r"groups must divide the 64 entries .* got 5"):
        LayerUnits(masked, Layer("block1.hidden", unit_axis=-1, groups=5), text)
    for wrong in ({"at": "middle"}, {"groups": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
            Layer("block1.hidden", **wrong)


def test_a_layer_that_returns_several_tensors_counts_by_its_first():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x):
            h, (last, _) = self.recurrent(x)
            return self.head(h.mean(1) + last[0])

    network, x = Recurrent(), torch.randn(9, 6, 4, generator=seeded())
    y = torch.arange(9) % 3
    check_by_hook(MaskedNetwork(network), Layer("recurrent", unit_axis=-1), x, lambda: network(x), y)


def test_a_recurrent_layer_of_which_only_the_last_states_are_read_is_warned_of():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.recurrent(x)[1][0][0])

    units = LayerUnits(Last(), Layer("recurrent", unit_axis=-1), torch.randn(9, 6, 4, generator=seeded()))
    with pytest.warns(UserWarning, match="layer 'recurrent' returns several tensors, .* change no prediction"):
        assert units.parts


@pytest.mark.parametrize("examples", [5, 6, 7])
def test_steps_are_not_taken_for_examples_where_they_are_as_many(examples):
    class TimeFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.head = nn.LSTM(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.recurrent(x.transpose(0, 1))[0][-1])

    x = torch.randn(examples, 6, 4, generator=seeded())
    with pytest.raises(
        ValueError, match=r"with the examples on axis 0, but for \d examples 'recurrent' has shape \(6, "
    ):
        LayerUnits(TimeFirst(), Layer("recurrent", unit_axis=-1), x)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 6), nn.Linear(3, 6), nn.Linear(6, 3)

    def forward(self, a, b):
        return {"logits": self.head((self.left(a) + self.right(b)).relu())}


def test_inputs_may_be_a_tuple_a_mapping_or_a_loader():
    network, a, b = TwoInputs(), torch.randn(20, 4, generator=seeded()), torch.randn(20, 3, generator=seeded(1))
    y = torch.arange(20) % 3
    expected = interaction(LayerUnits(network, "left", (a, b), y), **QUIET).pairwise
    assert expected.abs().max() > 1e-3

    class Batches(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            return {"a": a[i], "b": b[i], "labels": y[i]}

    for x, labels in (({"b": b, "a": a}, y), (DataLoader(Batches(), batch_size=6), None)):
        torch.testing.assert_close(interaction(LayerUnits(network, "left", x, labels), **QUIET).pairwise, expected)
    network, x = MLP([4, 6, 3], generator=seeded()), a
    loader = DataLoader(TensorDataset(x, y), batch_size=7)
    torch.testing.assert_close(
        LayerUnits(network, "hidden1", loader).intact_values()[0],
        network(x).log_softmax(1).gather(1, y[:, None])[:, 0].detach().double(),
    )


def test_examples_may_stand_on_the_second_axis():
    class SequenceFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.outer(self.inner(x).tanh())

    network, x = SequenceFirst().double(), torch.randn(5, 9, 4, dtype=torch.float64, generator=seeded())
    y = torch.randint(3, (9, 5), generator=seeded(1))
    layer = Layer("inner", unit_axis=-1)
    first = LayerUnits(MaskedNetwork(network, outputs=Outputs(class_axis=-1)), layer, x.transpose(0, 1), y)
    second = LayerUnits(MaskedNetwork(network, outputs=Outputs(class_axis=-1, batch_axis=1)), layer, x, y)
    for clamp in ("zero", "mean"):
        a, b = (interaction(units.clamped(clamp), **QUIET).strength for units in (first, second))
        torch.testing.assert_close(a, b)
    for perturbation in ("activation noise", "input corruption"):
        curves = [
            robustness_curve(units, perturbation, draws=2, generator=seeded(), **QUIET) for units in (first, second)
        ]
        torch.testing.assert_close(curves[0].score, curves[1].score)
    with pytest.raises(
        ValueError, match=r"unit_axis must be an axis of 'inner' other than that of the examples, got 1"
    ):
        LayerUnits(MaskedNetwork(network, outputs=Outputs(class_axis=-1, batch_axis=1)), Layer("inner", unit_axis=1), x)


def test_one_logit_is_a_classifier_of_two():
    network = MLP([4, 6, 1], generator=seeded()).double()
    x, y = torch.randn(12, 4, dtype=torch.float64, generator=seeded(1)), torch.arange(12) % 2
    units = LayerUnits(network, "hidden1", x, y)
    z = network(x)[:, 0].detach()
    torch.testing.assert_close(units.intact_values()[0], torch.where(y == 1, z, -z).sigmoid().log())
    assert units.is_additive
    two = MLP([4, 6, 2], generator=seeded()).double()
    two.hidden1 = network.hidden1
    two.output.weight.data = torch.cat([torch.zeros(1, 6, dtype=torch.float64), network.output.weight.data])
    two.output.bias.data.zero_()
    torch.testing.assert_close(
        interaction(units, **QUIET).strength, interaction(LayerUnits(two, "hidden1", x, y), **QUIET).strength
    )
    assert torch.equal(LayerUnits(network, "hidden1", x, y.double()).intact_values(), units.intact_values())
    with pytest.raises(ValueError, match=r"one class for each prediction, shape \(12,\), got shape \(12, 2\)"):
        LayerUnits(two, "hidden1", x, nn.functional.one_hot(y).double())


def test_an_image_of_classes_is_worth_the_mean_over_its_positions():
    network = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 3, 1)).double()
    x = torch.randn(7, 1, 6, 6, dtype=torch.float64, generator=seeded())
    y = torch.randint(3, (7, 4, 4), generator=seeded(1))
    masked = MaskedNetwork(network, outputs=Outputs(class_axis=1))
    layer = Layer("1", unit_axis=1)
    units = check_by_hook(masked, layer, x, lambda: network(x).movedim(1, -1), y)
    assert units.is_additive
    right = (network(x).argmax(1) == y).double().mean()
    assert units.score(torch.ones(1, 5)).item() == pytest.approx(right.item())
    with pytest.raises(ValueError, match=r"one class for each prediction, shape \(7, 4, 4\), got shape \(7,\)"):
        LayerUnits(masked, layer, x, y[:, 0, 0])


def test_positions_without_a_label_do_not_count():
    masked, text = transformer()
    y = text.roll(-1, 1)
    y[:, 5:] = -100
    units = LayerUnits(masked, HEADS, text, y)
    log_probs = masked.network(text).log_softmax(-1).gather(-1, text.roll(-1, 1)[..., None])[..., 0].detach()
    torch.testing.assert_close(units.intact_values()[0], log_probs[:, :5].mean(1))
    right = (masked.network(text).argmax(-1) == y)[:, :5].double().mean().item()
    assert units.score(torch.ones(1, 4)).item() == pytest.approx(right)
    y[2] = -100
    with pytest.raises(ValueError, match="y must have a label for each example, got none for 1 of 6"):
        LayerUnits(masked, HEADS, text, y)


def test_a_mean_and_its_variance_are_judged_by_the_mean():
    class Gaussian(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.mean, self.spread = nn.Linear(4, 6), nn.Linear(6, 2), nn.Linear(6, 2)

        def forward(self, x):
            h = self.hidden(x).relu()
            return self.mean(h), self.spread(h).exp()

    network, x = Gaussian().double(), torch.randn(8, 4, dtype=torch.float64, generator=seeded())
    y = torch.randn(8, 2, dtype=torch.float64, generator=seeded(1))
    units = LayerUnits(MaskedNetwork(network, outputs="mean_and_variance"), "hidden", x, y)
    torch.testing.assert_close(units.intact_values()[0], -(y - network(x)[0]).square().sum(1).detach())
    assert interaction(units, **QUIET).relative.value > 0


# What is shared


@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
def test_units_with_another_clamp_or_judge_or_fewer_examples_are_those_made_anew(layer):
    network = MLP([4, 6, 5, 3], generator=seeded()).double()
    x, y = torch.randn(150, 4, dtype=torch.float64, generator=seeded(1)), torch.arange(150) % 3
    units = LayerUnits(network, layer, x, y)
    interaction(units, **QUIET)  # so that there is something to be shared
    predicted = network(x).argmax(1)
    for shared, anew in (
        (units.clamped("mean"), LayerUnits(network, layer, x, y, clamp="mean")),
        (units.clamped("mean").clamped("zero"), units),
        (units.judged_by_predictions(), LayerUnits(network, layer, x, predicted)),
        (units.judged_by_predictions().clamped("mean"), LayerUnits(network, layer, x, clamp="mean")),
        (units.first(140), LayerUnits(network, layer, x[:140], y[:140])),
        (units.first(3), LayerUnits(network, layer, x[:3], y[:3])),
    ):
        torch.testing.assert_close(interaction(shared, **QUIET).pairwise, interaction(anew, **QUIET).pairwise)
        torch.testing.assert_close(shared.activations, anew.activations)
        assert torch.equal(shared.y, anew.y)
    assert units.clamp == "zero"
    assert torch.equal(units.y, y)


def test_first_examples_are_told_from_axes_of_the_same_length():
    """Below the layer a tensor has as many positions as there are examples, and they come first."""

    class Swapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.swap, self.inner, self.head = nn.Identity(), nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            h = self.swap(x.transpose(0, 1))  # (positions, examples, features), as many positions as examples
            return self.head(self.inner(h.cumsum(0)[-1]).relu()) + h.sum(0)[:, :3]

    network, x = Swapped().double(), torch.randn(5, 5, 4, dtype=torch.float64, generator=seeded())
    units = LayerUnits(network, "inner", x)
    a, b = units.first(2), LayerUnits(network, "inner", x[:2])
    torch.testing.assert_close(interaction(a, **QUIET).pairwise, interaction(b, **QUIET).pairwise)


class Counting(nn.Linear):
    """Counts the examples of its own input that it is given."""

    x = None
    seen = 0

    def forward(self, x):
        with torch.no_grad():
            if self.x is not None and x.shape == self.x.shape and torch.equal(x, self.x):
                Counting.seen += 1
        return super().forward(x)


@pytest.mark.parametrize("n_units", [10, 20, 300])
def test_what_lies_below_the_layer_runs_once_in_a_report(n_units):
    """But for the networks whose weights or inputs are themselves perturbed: ten draws of noise at five levels."""
    below = Counting(4, n_units)
    network = nn.Sequential(below, nn.ReLU(), nn.Linear(n_units, 5), nn.ReLU(), nn.Linear(5, 3))
    below.x = torch.randn(30, 4, generator=seeded())
    Counting.seen = 0
    found = measure(network, "1", below.x, torch.arange(30) % 3, **QUIET)
    assert found.n_units == n_units
    assert Counting.seen == 1 + 10 * 5


# Networks that cannot be trained


def test_a_frozen_network_has_every_row():
    network = MLP([4, 6, 5, 3], keep_prob=0.5, generator=seeded())
    x, y = torch.randn(40, 4, generator=seeded(1)), torch.arange(40) % 3
    trained = measure(network, "hidden1", x, y, generator=seeded(), **QUIET)
    found = measure(network.requires_grad_(False), "hidden1", x, y, generator=seeded(), **QUIET)
    assert found.values == trained.values
    assert not found.left_out


def test_a_quantized_network_has_every_row_but_that_of_noise_on_its_weights():
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    x, y = torch.randn(40, 4, generator=seeded(1)), torch.arange(40) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this kind of quantization will move to another package
        quantized = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
        found = measure(quantized, "1", x, y, **QUIET)
    assert list(found.left_out) == ["weight noise, area"]
    assert "left out, the network has no floating-point weights" in repr(found)
    assert set(found.values) == set(measure(network, "1", x, y, **QUIET).values) - {"weight noise, area"}
    assert set(found.curves) == {"zero clamp", "mean clamp", "activation noise", "input corruption"}
    with pytest.raises(ValueError, match="network must have floating-point weights"):
        robustness_curve(LayerUnits(quantized, "1", x, y), "weight noise")


# Other libraries


@pytest.mark.optional
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_heads_and_hidden_units_of_a_bert_classifier_are_measured(attention):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32, num_labels=3,
        attn_implementation=attention,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = transformers.BertForSequenceClassification(config)
    ids, mask = torch.randint(50, (8, 10), generator=seeded()), torch.ones(8, 10, dtype=torch.int64)
    mask[::2, 7:] = 0
    x, y = {"input_ids": ids, "attention_mask": mask}, torch.arange(8) % 3
    for layer, n_units in (
        (Layer("bert.encoder.layer.0.attention.output.dense", at="input", unit_axis=-1, groups=4), 4),
        (Layer("bert.encoder.layer.0.intermediate", unit_axis=-1), 32),
    ):
        units = check_by_hook(MaskedNetwork(network), layer, x, lambda: network(**x).logits, y)
        assert units.n_units == n_units
        assert report(units, **QUIET).trained_with == ("zero clamp",)


@pytest.mark.optional
def test_heads_and_hidden_units_of_a_vision_transformer_are_measured():
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.models.VisionTransformer(
            img_size=16, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=4, drop_path_rate=0.2
        )
        nn.init.normal_(network.head.weight)
    x, y = torch.randn(6, 3, 16, 16, generator=seeded()), torch.arange(6) % 4
    for layer, n_units in (
        (Layer("blocks.0.attn.proj", at="input", unit_axis=-1, groups=3), 3),
        (Layer("blocks.1.mlp.act", unit_axis=-1), 96),
    ):
        units = check_by_hook(MaskedNetwork(network), layer, x, lambda: network(x), y)
        assert units.n_units == n_units


@pytest.mark.optional
def test_interactions_in_all_contexts_alike_are_the_banzhaf_interaction_index():
    shapiq = pytest.importorskip("shapiq")
    network = MLP([5, 12, 6, 3], generator=seeded()).double()
    x, y = torch.randn(4, 5, dtype=torch.float64, generator=seeded(1)), torch.arange(4) % 3
    units = LayerUnits(network, "hidden1", x, y)

    def game(coalitions):
        return units.values(torch.as_tensor(coalitions)).mean(1).numpy()

    computer = shapiq.ExactComputer(game=game, n_players=12)
    index = computer(index="BII", order=2)
    found = interaction(units, keep_prob=0.5, **QUIET)
    for i, j in itertools.combinations(range(12), 2):
        assert found.pairwise[i, j].item() == pytest.approx(index[(i, j)], abs=1e-7)


class TokensFirst(nn.Module):
    """A sum over units whose result has the tokens before the examples, as layers of attention and of time have it."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 6)
        self.mixed = nn.Linear(6, 6)
        self.output = nn.Linear(6, 3)

    def forward(self, x):
        by_token = self.hidden(x).transpose(0, 1)
        return self.output(torch.tanh(2 * self.mixed(by_token))).mean(0)


@pytest.mark.parametrize("tokens", [3, 5], ids=["fewer than the examples", "as many as the examples"])
def test_units_that_add_where_tokens_come_before_examples_are_toggled_for_each_example(tokens):
    torch.manual_seed(0)
    units = LayerUnits(TokensFirst().double(), Layer("hidden", unit_axis=-1), torch.randn(5, tokens, 4).double())
    exact, drawn = reliance(units, **QUIET).overall, reliance(units, contexts=300, generator=seeded(), **QUIET).overall
    assert drawn.value == pytest.approx(exact.value, abs=5 * drawn.stderr)
    n = units.n_units
    pairs = interaction(units, 1.0, **QUIET).pairwise
    whole = torch.ones(4, n)
    whole[[1, 3], 0] = whole[[2, 3], 1] = 0
    v, without_0, without_1, without_both = units.values(whole).mean(1)
    assert pairs[0, 1].item() == pytest.approx((v - without_0 - without_1 + without_both).item(), abs=1e-12)


class Coupled(nn.Module):
    """A network that predicts otherwise for an example where others are around it, or has run before."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.hidden = nn.Linear(4, 6)
        self.output = nn.Linear(6, 3)
        self.passes = []

    def forward(self, x):
        h = self.hidden(x)
        if self.how == "functional batch normalization":
            h = nn.functional.batch_norm(h, None, None, training=True)
        elif self.how == "centred on the batch":
            h = h - h.mean(0)
        else:
            self.passes.append(1)
            h = h * len(self.passes)
        return self.output(torch.tanh(h))


@pytest.mark.parametrize("how", ["functional batch normalization", "centred on the batch", "counted passes"])
def test_a_network_that_predicts_for_an_example_by_others_or_by_earlier_passes_is_refused(how):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=r"by that example alone.*the first 2 of 20"):
        LayerUnits(Coupled(how), "hidden", torch.randn(20, 4))


def test_a_network_that_maps_over_examples_by_itself_is_measured():
    class Mapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(4, 6)
            self.output = nn.Linear(6, 3)

        def forward(self, x):
            return torch.func.vmap(lambda h: self.output(torch.tanh(h)))(self.hidden(x))

    torch.manual_seed(0)
    network, x = Mapped().double(), torch.randn(9, 4).double()
    plain = nn.Sequential(network.hidden, nn.Tanh(), network.output)
    found, same = (interaction(LayerUnits(own, name, x)) for own, name in ((network, "hidden"), (plain, "0")))
    torch.testing.assert_close(found.pairwise, same.pairwise)


def test_a_module_that_has_two_names_is_measured_by_either():
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    network.other = nn.ModuleDict({"tanh": network[1]})
    network.forward = lambda x: network[2](network.other["tanh"](network[0](x)))
    x = torch.randn(9, 4)
    first, second = (interaction(LayerUnits(network, name, x)).pairwise for name in ("1", "other.tanh"))
    assert torch.equal(first, second)
    network.forward = lambda x: network[2](network[1](network[1](network[0](x))))
    with pytest.raises(ValueError, match="which a forward pass calls 2 times"):
        LayerUnits(network, "other.tanh", x)


@pytest.mark.parametrize("seed", [3, 10, 24, 36])
def test_a_limit_that_few_sets_of_units_reach_does_not_pass_for_additive(seed):
    class Limited(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
            self.output = nn.Linear(8, 3)
            self.limit = torch.inf

        def forward(self, x):
            return self.output(self.hidden(x)).clamp(-self.limit, self.limit)

    torch.manual_seed(seed)
    network, x = Limited().double(), torch.randn(8, 6).double()
    masks = enumerate_masks(8).double()
    logits = torch.stack([network.output(z * network.hidden(x)) for z in masks]).detach()
    network.limit = logits.abs().flatten().quantile(0.99).item()  # one logit in a hundred
    y = torch.zeros(8, dtype=torch.long)
    expected = logits.clamp(-network.limit, network.limit).log_softmax(-1)[..., 0]
    torch.testing.assert_close(LayerUnits(network, "hidden", x, y).values(masks), expected)
