"""Networks that do more in a forward pass than compute: the right number comes out, or an error that says what was seen."""

import random
from types import SimpleNamespace
from typing import NamedTuple

import numpy
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropout_lessons.averaging import exact_average, monte_carlo_average, weight_scaling
from dropout_lessons.coadaptation import LayerUnits
from dropout_lessons.layers import Dropout, GaussianDropout
from dropout_lessons.running import MaskedNetwork, Outputs


class Net(nn.Module):
    """Modules by name, and a function of them and the inputs."""

    def __init__(self, function, **modules: nn.Module):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.function = function

    def forward(self, *inputs):
        return self.function(self, *inputs)


def dense(drop: float = 0.5) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(drop), nn.Linear(6, 3))


@torch.no_grad()
def in_training_mode(network: nn.Module, x: torch.Tensor, calls: int = 3_000) -> torch.Tensor:
    """Mean probabilities of calls in training mode, one after the other."""
    network.train()
    torch.manual_seed(1)
    return sum(network(x).double().softmax(dim=1) for _ in range(calls)) / calls


# --- weights and inputs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("average", [exact_average, monte_carlo_average])
def test_a_network_that_begins_with_a_linear_layer_is_averaged_in_inference_mode(average):
    network, x = dense(), torch.randn(5, 4)
    said = {} if average is exact_average else {"samples": 20, "generator": torch.Generator()}
    with torch.inference_mode():
        inside = average(dense(), x * 1, progress=False, **said)
    said = {} if average is exact_average else {"samples": 20, "generator": torch.Generator()}
    torch.testing.assert_close(inside.probs, average(network, x, progress=False, **said).probs)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning", "ignore:.*spectral_norm.*:FutureWarning")
@pytest.mark.parametrize(
    ("norm", "name"), [(nn.utils.weight_norm, "weight_g"), (nn.utils.spectral_norm, "weight_orig")]
)
def test_an_output_layer_that_makes_its_weight_in_a_hook_is_averaged_with_the_weight_of_now(norm, name):
    network, x = dense(), torch.randn(5, 4)
    norm(network[3])
    exact_average(network, x, progress=False)
    with torch.no_grad():
        getattr(network[3], name)[0] *= 3
    average = exact_average(network, x, progress=False).probs
    network.eval()(x)  # refreshes the weight
    torch.testing.assert_close(average, exact_average(network, x, progress=False).probs)
    torch.testing.assert_close(
        average, in_training_mode(nn.Sequential(*network[:3], plain(network[3])), x), rtol=0, atol=0.03
    )


@pytest.mark.parametrize("average", [exact_average, monte_carlo_average])
@pytest.mark.parametrize("how", ["autocast", "a hook of all modules"])
def test_an_output_layer_that_does_more_than_its_weight_and_bias_say_is_run(how, average):
    network, x, hook = dense(), torch.randn(5, 4), None
    if how == "autocast":
        network = Net(lambda self, x: torch.autocast("cpu", torch.bfloat16)(self.body)(x), body=network)
    else:
        hook = nn.modules.module.register_module_forward_hook(
            lambda module, _, output: 3 * output if isinstance(module, nn.Linear) else None
        )
    said = {} if average is exact_average else {"samples": 3_000, "generator": torch.Generator()}
    try:
        found, expected = average(network, x, progress=False, **said), in_training_mode(network, x)
    finally:
        if hook is not None:
            hook.remove()
    torch.testing.assert_close(found.probs, expected, rtol=0, atol=0.05)


def plain(layer: nn.Linear) -> nn.Linear:
    """The layer with its weight as it is in evaluation mode."""
    copy = nn.Linear(layer.in_features, layer.out_features)
    copy.weight.data, copy.bias.data = layer.weight.detach().clone(), layer.bias.detach().clone()
    return copy


# --- random numbers ----------------------------------------------------------------------------------------------


def layers(**others: nn.Module) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {"a": nn.Linear(4, 6), "b": nn.Linear(6, 3), "drop": nn.Dropout(0.5), **others}


def put_into_training_mode(self, x):
    self.drop.train()
    return self.b(self.drop(torch.relu(self.a(x))))


def test_a_dropout_layer_that_forward_puts_into_training_mode_is_masked_and_switched_off_like_any_other():
    network, x, y = Net(put_into_training_mode, **layers()), torch.randn(5, 4), torch.zeros(5, dtype=torch.long)
    usual = nn.Sequential(network.a, nn.ReLU(), network.drop, network.b)
    rng_state = torch.get_rng_state()
    for call in (
        lambda network: weight_scaling(network, x).probs,
        lambda network: exact_average(network, x, progress=False).probs,
        lambda network: MaskedNetwork(network).predict(x),
    ):
        torch.testing.assert_close(call(network), call(usual))
    torch.testing.assert_close(LayerUnits(network, "a", x, y).output, usual.eval()(x))
    assert torch.equal(torch.get_rng_state(), rng_state)


def noisy(self, x):
    return self.b(self.drop(self.a(x) + torch.randn(6)))


def attending(self, x):
    q = self.a(x).view(-1, 1, 3, 2)
    return self.b(self.drop(F.scaled_dot_product_attention(q, q, q, dropout_p=0.5).flatten(1)))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("kind", ["noise", "attention", "a module's noise", "traced in training mode"])
@pytest.mark.parametrize("call", ["weight_scaling", "exact_average", "predict", "LayerUnits"])
def test_a_network_that_draws_in_evaluation_mode_is_refused_by_the_name_of_what_draws(kind, call):
    x, y = torch.randn(5, 4), torch.zeros(5, dtype=torch.long)
    if kind == "traced in training mode":
        network = torch.jit.trace(nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5)), x, check_trace=False)
    elif kind == "a module's noise":
        network = nn.Sequential(nn.Linear(4, 6), Net(lambda self, x: x + torch.randn(6)), nn.Dropout(0.5))
    else:
        network = Net(noisy if kind == "noise" else attending, **layers())
    where = "'1' \\(Net\\)" if kind == "a module's noise" else "its own forward pass"
    rng_state = torch.get_rng_state()
    layer = {"noise": "b", "attention": "a"}.get(kind, "0")
    run = {
        "weight_scaling": lambda: weight_scaling(network, x),
        "exact_average": lambda: exact_average(network, x, progress=False),
        "predict": lambda: MaskedNetwork(network).predict(x),
        "LayerUnits": lambda: LayerUnits(network, layer, x, y),
    }
    with pytest.raises(ValueError, match=f"network draws random numbers in evaluation mode, in .*{where}"):
        run[call]()
    assert torch.equal(torch.get_rng_state(), rng_state)


def test_draws_on_which_no_prediction_depends_are_nobody_s_business():
    def seeded(self, x):
        torch.manual_seed(3)
        return self.b(self.drop(self.a(x) + torch.randn(6)))

    network, x = Net(seeded, **layers()), torch.randn(5, 4)
    rng_state = torch.get_rng_state()
    torch.testing.assert_close(MaskedNetwork(network).predict(x), network.eval()(x))
    torch.set_rng_state(rng_state)
    assert MaskedNetwork(network).predict(x).shape == exact_average(network, x, progress=False).probs.shape


@pytest.mark.parametrize("draw", [random.random, numpy.random.rand])
def test_dropout_that_python_or_numpy_decides_is_refused_and_their_generators_stay_where_they_were(draw):
    def forward(self, x):
        h = torch.relu(self.a(x))
        return self.b(self.drop(h * 2 * (draw() < 0.5) if self.training else h))

    network = Net(forward, **layers())

    def state():
        return random.getstate(), numpy.random.get_state()[1].tolist()  # noqa: NPY002

    before = state()
    with pytest.raises(ValueError, match=r"network draws from Python's random or from numpy.random in training mode"):
        exact_average(network, torch.randn(5, 4), progress=False)
    assert state() == before


def test_random_numbers_that_change_nothing_as_those_of_a_type_checker_are_no_dropout():
    def forward(self, x):
        random.random()
        return self.b(self.drop(torch.relu(self.a(x))))

    average = exact_average(Net(forward, **layers()), torch.randn(5, 4), progress=False)
    assert average.probs.shape == (5, 3)


def test_a_dropout_layer_whose_forward_method_is_called_by_name_drops():
    network = Net(lambda self, x: self.b(self.late(self.drop.forward(torch.relu(self.a(x))) ** 2)), **layers())
    network.late, x = nn.Dropout(0.1), torch.randn(5, 4)
    assert [(site.name, site.keep_prob) for site in MaskedNetwork(network).sites(x)] == [
        ("drop", 0.5),
        ("late", 0.9),
    ]
    average = exact_average(network, x, progress=False)
    assert average.members == 2**12
    torch.testing.assert_close(average.probs, in_training_mode(network, x), rtol=0, atol=0.03)


def test_a_layer_that_is_called_and_whose_forward_method_is_called_by_name_computes_both():
    network = Net(lambda self, x: self.b(torch.relu(self.drop(self.a(3 * self.a.forward(x).tanh())))), **layers())
    network.a, network.b, x = nn.Linear(4, 4), nn.Linear(4, 3), torch.randn(5, 4)
    expected = in_training_mode(network, x)
    torch.testing.assert_close(exact_average(network, x, progress=False).probs, expected, rtol=0, atol=0.03)


@pytest.mark.parametrize("layer", [nn.Dropout, Dropout, GaussianDropout])
def test_a_layer_whose_forward_method_is_called_by_name_drops_as_in_training_mode(layer):
    network = Net(lambda self, x: self.b(self.inner.forward(self.a(x))), inner=layer(0.5), **layers())
    network.a, network.b, x = nn.Linear(4, 6), nn.Linear(6, 3), torch.randn(5, 4)
    assert [site.name for site in MaskedNetwork(network).sites(x)] == ["inner"]
    average = monte_carlo_average(network, x, samples=1_000, generator=torch.Generator(), progress=False)
    torch.testing.assert_close(average.probs, in_training_mode(network, x, 1_000), rtol=0, atol=0.07)


# --- which calls a pass makes ------------------------------------------------------------------------------------


def test_what_draws_in_blocks_that_training_skips_at_random_is_found():
    def stochastic_depth(self, x):
        for block in self.blocks:
            if not (self.training and torch.rand(()) < 0.5):
                x = x + block(x)[0]
        return x

    blocks = nn.ModuleList(nn.LSTM(4, 4, 2, dropout=0.5) for _ in range(4))
    sites = MaskedNetwork(Net(stochastic_depth, blocks=blocks)).sites(torch.randn(5, 4))
    assert {site.name for site in sites} == {"network", *(f"blocks.{i}" for i in range(4))}


def attend(self, x, drop):
    return F.scaled_dot_product_attention(x, x, x, dropout_p=0.5 if drop else 0.0)


@pytest.mark.parametrize(
    ("inner", "tell"),
    [
        (Net(attend), lambda self, h: self.inner(h, self.training)),
        (Net(lambda self, x, drop: F.dropout(x, 0.5) if drop else x), lambda self, h: self.inner(h, self.training)),
    ],
    ids=["drawing", "calling"],
)
def test_dropout_that_another_module_s_mode_switches_on_is_refused(inner, tell):
    network = Net(lambda self, x: self.out(tell(self, self.late(self.a(x))).mean(1)), inner=inner, **layers())
    network.late, network.out, x = nn.Dropout(0.1), nn.Linear(6, 3), torch.randn(5, 2, 4)
    with pytest.raises(ValueError, match="drops when another module is in training mode"):
        MaskedNetwork(network).sites(x)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_mask_that_the_network_gives_to_a_layer_is_the_one_that_is_used(by_name):
    def locked(self, x):  # one mask for all steps of a sequence, as in recurrent networks
        h = self.below(x)
        mask = self.drop.sample_mask(h[:, :1]) if self.training else None
        return self.out((self.drop(x=h, mask=mask) if by_name else self.drop(h, mask)).sum(dim=1))

    torch.manual_seed(0)
    network = Net(locked, below=nn.Linear(4, 8), drop=Dropout(0.5), out=nn.Linear(8, 3))
    x = torch.randn(3, 1, 4).expand(-1, 9, -1)
    average = monte_carlo_average(network, x, samples=1_000, generator=torch.Generator(), progress=False)
    torch.testing.assert_close(average.probs, in_training_mode(network, x, 1_000), rtol=0, atol=0.07)

    half = torch.arange(8) % 2 == 0
    fixed = Net(lambda self, x: self.out(self.drop(self.below(x), half).sum(dim=1)), **dict(network.named_children()))
    with torch.no_grad():
        expected = fixed.eval()(x).double().log_softmax(dim=1)
    torch.testing.assert_close(weight_scaling(fixed, x).log_probs, expected)
    with pytest.raises(ValueError, match="no dropout"):
        monte_carlo_average(fixed, x, samples=1)


@pytest.mark.parametrize("functional", [False, True])
def test_masks_of_layers_that_are_skipped_go_to_no_other_layer(functional):
    def block(p):
        if functional:
            return Net(lambda self, x: F.dropout(torch.tanh(self.linear(x)), p, self.training), linear=nn.Linear(6, 6))
        return nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(p))

    def forward(self, x):
        h = self.first(x)
        for block in self.blocks:
            if not (self.training and torch.rand(()) < 0.5):
                h = h + 2 * block(h)
        return self.last(h)

    torch.manual_seed(0)
    blocks = nn.ModuleList([block(p) for p in (0.05, 0.5, 0.9)])
    network, x = Net(forward, first=nn.Linear(4, 6), last=nn.Linear(6, 3), blocks=blocks), torch.randn(5, 4)
    average = monte_carlo_average(network, x, samples=5_000, generator=torch.Generator(), progress=False)
    torch.testing.assert_close(average.probs.double(), in_training_mode(network, x, 5_000), rtol=0, atol=0.025)


@pytest.mark.parametrize("average", [exact_average, monte_carlo_average])
def test_dropout_that_depends_on_the_numbers_in_x_is_refused(average):
    def forward(self, x):
        h = torch.relu(self.a(x))
        return self.b(self.drop(h) ** 2 if x.abs().max() < 5 else self.other(h))

    network, x = Net(forward, **layers(other=nn.Dropout(0.7))), torch.rand(20, 4)
    exact_average(network, x, progress=False)
    x[10] = 7
    said = {} if average is exact_average else {"samples": 30}
    with pytest.raises(
        ValueError, match=r"otherwise than in a first look at a few examples: Dropout 'other' with keep"
    ):
        average(network, x, progress=False, **said)


@pytest.mark.parametrize("average", [exact_average, monte_carlo_average])
def test_a_loop_that_goes_on_for_some_inputs_is_refused_below_a_linear_output_layer_too(average):
    def loop(self, x):
        for _ in range(1 + bool((x > 2).any())):
            x = self.drop(torch.tanh(self.a(x)))
        return self.b(x)

    network = Net(loop, a=nn.Linear(4, 4), drop=nn.Dropout(0.5), b=nn.Linear(4, 3))
    x = torch.rand(4, 4)
    said = {"samples": 5} if average is monte_carlo_average else {}
    assert average(network, x, progress=False, **said).members
    x[3] = 3.0
    with pytest.raises(ValueError, match="otherwise than in a first look"):
        average(network, x, progress=False, **said)


def test_a_call_that_some_examples_leave_out_takes_its_mask_along():
    def forward(self, x):
        h = torch.relu(self.a(x))
        return self.b(self.drop(self.other(h) if x.abs().max() < 5 else h) ** 2)

    network, x = Net(forward, **layers(other=nn.Dropout(0.1))), torch.rand(10, 4)
    x[5] = 7
    torch.testing.assert_close(
        exact_average(network, x, progress=False).probs, in_training_mode(network, x), rtol=0, atol=0.03
    )


@pytest.mark.parametrize("keep", ["dictionary", "nested dictionary", "namespace"])
def test_a_probability_kept_in_a_dictionary_or_a_namespace_is_that_of_now(keep):
    def forward(self, x):
        p = {
            "dictionary": lambda kept: kept["p"],
            "nested dictionary": lambda kept: kept["drop"]["p"],
            "namespace": lambda kept: kept.p,
        }[keep](self.kept)
        return self.b(F.dropout(torch.relu(self.a(x)), p, self.training))

    def kept(p):
        return {"dictionary": {"p": p}, "nested dictionary": {"drop": {"p": p}}, "namespace": SimpleNamespace(p=p)}[
            keep
        ]

    network, x = Net(forward, a=nn.Linear(4, 6), b=nn.Linear(6, 3)), torch.randn(5, 4)
    network.kept = kept(0.5)
    exact_average(network, x, progress=False)
    if keep == "namespace":
        network.kept.p = 0.1
    elif keep == "dictionary":
        network.kept["p"] = 0.1
    else:
        network.kept["drop"]["p"] = 0.1
    assert [site.keep_prob for site in MaskedNetwork(network).sites(x)] == [0.9]


def test_a_probability_that_changed_outside_the_network_is_refused_once_and_then_found():
    p = 0.5
    network, x = (
        Net(lambda self, x: self.b(F.dropout(torch.relu(self.a(x)), p, self.training)), **layers()),
        torch.randn(5, 4),
    )
    exact_average(network, x, progress=False)
    p = 0.25
    with pytest.raises(ValueError, match=r"a function with keep probability 0\.75"):
        exact_average(network, x, progress=False)
    torch.testing.assert_close(
        exact_average(network, x, progress=False).probs, in_training_mode(network, x), rtol=0, atol=0.03
    )


def test_dropout_in_a_hook_that_is_registered_later_is_found():
    network, x = dense(), torch.randn(5, 4)
    assert len(MaskedNetwork(network).sites(x)) == 1
    network[0].register_forward_pre_hook(lambda module, args: (F.dropout(args[0], 0.2, module.training),))
    assert len(MaskedNetwork(network).sites(x)) == 2


# --- what a pass leaves behind -----------------------------------------------------------------------------------


class Keeping(nn.Module):
    """Returns its features times a half, and keeps them."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 6)

    def forward(self, x):
        self.kept = torch.relu(self.linear(x))
        return self.kept / 2


def skipping(how: str) -> nn.Module:
    """Features that go past the middle, by an attribute, a hook or a list."""
    torch.manual_seed(0)
    parts = {"middle": nn.Sequential(nn.Linear(6, 5), nn.ReLU()), "drop": nn.Dropout(0.5), "last": nn.Linear(11, 3)}
    if how == "attribute":
        return Net(
            lambda self, x: self.last(torch.cat([self.drop(self.middle(self.first(x))), self.first.kept], 1) ** 2),
            first=Keeping(),
            **parts,
        )
    caught = []
    first = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
    first[0].register_forward_hook(lambda module, args, output: caught.append(output))
    return Net(
        lambda self, x: self.last(torch.cat([self.drop(self.middle(self.first(x))), caught[-1]], 1) ** 2),
        first=first,
        **parts,
    )


@pytest.mark.parametrize("how", ["attribute", "hook"])
def test_features_that_go_past_what_is_recorded_are_those_of_the_examples_at_hand(how):
    network, x, y = skipping(how), torch.randn(256, 4), torch.zeros(256, dtype=torch.long)
    expected = network.eval()(x).log_softmax(dim=1)[:, 0].double()
    units = LayerUnits(network, "middle", x, y)
    torch.testing.assert_close(units.intact_values().flatten().double(), expected, rtol=1e-4, atol=1e-4)
    first = units.first(20).intact_values().flatten()
    torch.testing.assert_close(first.double(), expected[:20], rtol=1e-4, atol=1e-4)

    def average(memory):
        said = {"samples": 20, "generator": torch.Generator(), "progress": False}
        return monte_carlo_average(MaskedNetwork(network, memory=memory), x, **said).probs

    torch.testing.assert_close(average(20_000), average(2**28))


def test_what_modules_keep_of_a_pass_stays_what_it_was():
    def forward(self, x):
        self.seen = self.drop(torch.relu(self.a(x)))
        return self.b(self.seen**2)

    network, x = Net(forward, **layers()), torch.randn(5, 4)
    network.eval()(x)
    seen = network.seen.clone()
    monte_carlo_average(network, x, samples=9, progress=False)
    assert network.seen.shape == seen.shape
    assert network.seen.sum().isfinite()
    LayerUnits(network, "a", x, torch.zeros(5, dtype=torch.long)).values(torch.rand(9, 6) < 0.5)
    assert network.seen.sum().isfinite()


# --- what goes in and comes out ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("part", [False, True])
def test_a_network_compiled_by_torchscript_is_refused_in_words(part):
    network, x = torch.jit.script(dense()), torch.randn(5, 4)
    if part:
        network = nn.Sequential(network, nn.Dropout(0.5))
    with pytest.raises(ValueError, match=r"got one compiled by torch.jit.script, '0?', whose calls of dropout"):
        exact_average(network, x, progress=False)
    with pytest.raises(ValueError, match=r"compiled by torch.jit.script"):
        LayerUnits(network, "0", x, torch.zeros(5, dtype=torch.long))


class Pair(NamedTuple):
    hidden: torch.Tensor
    scale: torch.Tensor


def test_a_layer_may_return_a_named_tuple():
    def forward(self, x):
        pair = self.first(x)
        return self.b(pair.hidden * pair.scale)

    first = Net(lambda self, x: Pair(torch.relu(self.linear(x)), torch.tensor(2.0)), linear=nn.Linear(4, 6))
    network, x, y = Net(forward, first=first, b=nn.Linear(6, 3)), torch.randn(5, 4), torch.zeros(5, dtype=torch.long)
    units = LayerUnits(network, "first", x, y)
    expected = network(x).log_softmax(dim=1)[:, 0].double()
    torch.testing.assert_close(units.values(torch.ones(2, 6, dtype=torch.bool))[0].double(), expected)


@pytest.mark.parametrize("key", ["values", "items", "logits"])
def test_a_mapping_is_read_by_its_keys_before_its_methods(key):
    network, x = Net(lambda self, x: {key: self.b(self.drop(self.a(x)) ** 2)}, **layers()), torch.randn(5, 4)
    outputs = Outputs("values") if key == "values" else Outputs(at=key)
    torch.testing.assert_close(MaskedNetwork(network, outputs=outputs).predict(x), network.eval()(x)[key])


def test_batches_of_a_loader_must_agree_in_what_is_for_all_examples():
    def loader(scales):
        torch.manual_seed(0)
        batches = [{"x": torch.randn(4, 4), "scale": scale} for scale in scales]
        return torch.utils.data.DataLoader(batches, batch_size=None)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = dense()

        def forward(self, x, scale):
            return self.body(x) * scale

    y = torch.zeros(8, dtype=torch.long)
    for same in ([2.0, 2.0], [torch.tensor(2.0), torch.tensor(2.0)]):
        assert LayerUnits(Scaled(), "body.1", loader(same), y).output.shape == (8, 3)
    for other in ([1.0, 2.0], [torch.tensor(1.0), torch.tensor(2.0)]):
        with pytest.raises(
            ValueError, match=r"x must be a DataLoader whose batches agree in what has no axis of examples"
        ):
            LayerUnits(Scaled(), "body.1", loader(other), y)
