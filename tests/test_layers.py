import copy
import itertools
import math
import pickle
import shutil
import sysconfig
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.fx
import torch.utils.checkpoint
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from dropout_lessons.layers import (
    DropBlock,
    DropConnect,
    Dropout,
    GaussianDropout,
    ScheduledDropout,
    SpatialDropout,
)
from dropout_lessons.masks import sample_mask, sampling

SCALINGS = ["inverted", "standard"]
IMAGES = (8, 6, 5, 7)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def every_layer(keep_prob: float, generator: torch.Generator | None = None, dtype=torch.float32):
    """Each layer of the family, as a function on images (8, 6, 5, 7)."""
    layers = [GaussianDropout(keep_prob, generator=generator)]
    for scaling in SCALINGS:
        layers += [
            Dropout(keep_prob, scaling=scaling, generator=generator),
            SpatialDropout(keep_prob, scaling=scaling, generator=generator),
            DropBlock(keep_prob, block_size=3, scaling=scaling, generator=generator),
            DropConnect(7, 4, keep_prob, scaling=scaling, generator=generator, dtype=dtype),
        ]
    return layers


def name(layer: nn.Module) -> str:
    return repr(layer).replace("\n", "")


LAYERS = [pytest.param(layer, id=name(layer)) for layer in every_layer(0.6)]


# --- distribution ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_prob", [0.05, 0.3, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_mean_and_variance_are_those_of_a_scaled_bernoulli_variable(keep_prob, scaling):
    n = 1_000_000
    out = Dropout(keep_prob, scaling=scaling, generator=seeded())(torch.ones(n, dtype=torch.float64))
    scale = 1 / keep_prob if scaling == "inverted" else 1.0
    mean, variance = scale * keep_prob, scale**2 * keep_prob * (1 - keep_prob)
    assert out.unique().tolist() == [0.0, pytest.approx(scale)]
    assert abs(out.mean().item() - mean) < 5 * math.sqrt(variance / n)
    # The variance of a two-valued sample of known scale is fixed by its mean; its error follows by the delta method.
    slack = 5 * scale**2 * abs(1 - 2 * keep_prob) * math.sqrt(keep_prob * (1 - keep_prob) / n) + 50 * scale**2 / n
    assert abs(out.var().item() - variance) < slack


@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 0.8])
def test_inverted_dropout_has_the_distribution_of_nn_dropout(keep_prob):
    # Counts of kept units in rows of 8 against those of nn.Dropout: a two-sample chi-square with 8 degrees of freedom.
    rows = torch.ones(100_000, 8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = nn.Dropout(1 - keep_prob)(rows)
    ours = Dropout(keep_prob, generator=seeded(1))(rows)
    assert torch.allclose(ours.unique(), theirs.unique())
    a, b = (torch.bincount((out > 0).sum(1), minlength=9).double() for out in (ours, theirs))
    seen = (a + b) > 0
    chi_square = ((a - b)[seen] ** 2 / (a + b)[seen]).sum().item()
    assert chi_square < 60  # P < 1e-9


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_dropped_as_nn_dropout_drops_them(layout):
    x = torch.nested.nested_tensor([torch.ones(2, 3_000), torch.ones(4, 3_000)], layout=layout)
    for row in Dropout(0.25)(x).unbind():
        assert set(row.unique().tolist()) == {0.0, 4.0}
        assert abs((row > 0).double().mean() - 0.25) < 5 * (0.25 * 0.75 / row.numel()) ** 0.5


@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 0.8])
def test_gaussian_dropout_matches_the_two_moments_of_inverted_dropout(keep_prob):
    n = 1_000_000
    noise = GaussianDropout(keep_prob, generator=seeded())(torch.ones(n, dtype=torch.float64))
    variance = (1 - keep_prob) / keep_prob
    assert abs(noise.mean().item() - 1) < 5 * math.sqrt(variance / n)
    assert abs(noise.var().item() - variance) < 5 * variance * math.sqrt(2 / n)


def test_spatial_dropout_drops_whole_channels_independently():
    kept = SpatialDropout(0.7, generator=seeded())(torch.ones(500, 40, 3, 2)) > 0
    per_channel = kept.flatten(2)
    assert torch.equal(per_channel.all(-1), per_channel.any(-1))
    n = 500 * 40
    assert abs(per_channel[..., 0].double().mean().item() - 0.7) < 5 * math.sqrt(0.7 * 0.3 / n)
    assert not (per_channel[0] == per_channel[1]).all()


@pytest.mark.parametrize(("keep_prob", "block_size"), [(0.9, 3), (0.5, 3), (0.7, 5), (0.2, 2)])
def test_drop_block_keeps_every_position_with_probability_keep_prob(keep_prob, block_size):
    n = 40_000
    kept = DropBlock(keep_prob, block_size, generator=seeded())(torch.ones(n, 1, 6, 5)) > 0
    share = kept.double().mean(dim=(0, 1))  # corners, edges and the inside alike
    assert ((share - keep_prob).abs() < 5 * math.sqrt(keep_prob * (1 - keep_prob) / n)).all()


def test_drop_block_drops_blocks():
    dropped = DropBlock(0.9, 3, generator=seeded())(torch.ones(2000, 1, 12, 12)) == 0
    inside = dropped[:, 0, 2:-2, 2:-2]
    neighbor = dropped[:, 0, 2:-2, 3:-1]
    # Given one dropped position, its neighbor is dropped too in at least the 2/3 of cases where one block covers both.
    assert (inside & neighbor).sum() / inside.sum() > 2 / 3


def test_drop_block_of_size_one_is_dropout():
    x = torch.randn(IMAGES)
    assert torch.equal(DropBlock(0.6, 1, generator=seeded())(x), Dropout(0.6, generator=seeded())(x))


def test_drop_connect_drops_weights_with_probability_keep_prob_and_never_the_bias():
    layer = DropConnect(50, 40, keep_prob=0.3, generator=seeded())
    nn.init.ones_(layer.weight)
    nn.init.constant_(layer.bias, 5.0)
    with torch.no_grad():
        weights = torch.stack([layer(torch.eye(50)) - 5 for _ in range(200)])
    values = weights.unique()
    assert values.min() == 0
    assert torch.allclose(values[values > 1e-3], torch.tensor(1 / 0.3), atol=1e-5)
    n = weights.numel()
    assert abs((weights > 1e-3).double().mean().item() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / n)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_mean_over_masks_is_the_test_time_output(layer):
    layer = copy.deepcopy(layer)
    x = torch.randn(1, 6, 5, 7, generator=seeded(1))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        draws = torch.stack([layer(x) for _ in range(20_000)]).double()
    expected = layer.eval()(x).double()
    sigma = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - expected).abs() <= 5.5 * sigma + 1e-6).all()


# --- modes, states, data types --------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
def test_evaluation_is_deterministic_and_draws_nothing(layer):
    layer = copy.deepcopy(layer).eval()
    x = torch.randn(IMAGES)
    state = torch.get_rng_state()
    first = layer(x)
    assert torch.equal(first, layer(x))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(layer.train()(x), first)


def test_inverted_scaling_is_the_identity_at_test_time_and_standard_multiplies_by_keep_prob():
    x = torch.randn(10)
    assert torch.equal(Dropout(0.3).eval()(x), x)
    assert torch.equal(Dropout(0.3, scaling="standard").eval()(x), x * 0.3)
    layer = DropConnect(10, 2, 0.3, scaling="standard", bias=False).eval()
    assert torch.allclose(layer(x), 0.3 * x @ layer.weight.T)


@pytest.mark.parametrize("layer", every_layer(1.0), ids=name)
def test_keep_prob_one_is_the_identity(layer):
    x = torch.randn(IMAGES)
    expected = nn.functional.linear(x, layer.weight, layer.bias) if isinstance(layer, DropConnect) else x
    assert torch.equal(layer(x), expected)
    assert torch.equal(layer.eval()(x), expected)


@pytest.mark.parametrize("keep_prob", [5e-324, 1e-300, 1e-40, 1e-10, 1e-3])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_no_keep_prob_makes_a_nan(keep_prob, dtype):
    x = torch.rand(IMAGES, dtype=dtype).add_(0.1)
    for layer in every_layer(keep_prob, seeded(), dtype):
        inputs = x.clone().requires_grad_()
        out = layer(inputs)
        out.backward(torch.ones_like(out))
        assert out.isfinite().all() or isinstance(layer, DropConnect)
        assert not out.isnan().any()
        assert not inputs.grad.isnan().any()


def test_drop_block_with_everything_dropped_is_zero():
    layer = DropBlock(1e-12, 3, generator=seeded())
    assert (layer(torch.ones(IMAGES)) == 0).all()


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_data_type_is_kept(layer, dtype):
    layer = copy.deepcopy(layer).to(dtype)
    x = torch.randn(IMAGES, dtype=dtype)
    assert layer(x).dtype == dtype
    assert layer.eval()(x).dtype == dtype


@pytest.mark.parametrize("keep_prob", [0.5, 1.0])
def test_integer_inputs_are_refused(keep_prob):
    for layer in (Dropout(keep_prob), GaussianDropout(keep_prob)):
        with pytest.raises(TypeError, match=r"floating-point tensor, got torch.int64; convert with x.float\(\)"):
            layer(torch.ones(3, dtype=torch.int64))
        with pytest.raises(TypeError, match=r"got torch\.complex64"):
            layer(torch.ones(3, dtype=torch.complex64))


@pytest.mark.parametrize("layer", LAYERS)
def test_autocast_changes_no_more_than_it_does_for_torchs_layers(layer):
    layer = copy.deepcopy(layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(torch.randn(IMAGES))
    assert out.dtype == (torch.bfloat16 if isinstance(layer, DropConnect) else torch.float32)
    assert out.isfinite().all()


@pytest.mark.parametrize("layer", LAYERS)
def test_no_grad_and_gradient_mode_draw_the_same(layer):
    layer = copy.deepcopy(layer)
    x = torch.randn(IMAGES, requires_grad=True)
    outs = []
    for context in (torch.no_grad(), torch.enable_grad(), torch.inference_mode()):
        with torch.random.fork_rng(), context:
            torch.manual_seed(3)
            outs.append(layer(x).detach().clone())
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(outs[0], outs[2])


@pytest.mark.parametrize("layer", LAYERS)
def test_the_input_is_never_changed(layer):
    layer = copy.deepcopy(layer)
    x = torch.randn(IMAGES)
    before = x.clone()
    layer(x)
    layer.eval()(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_given_generator_makes_layers_reproducible_and_leaves_the_global_one_alone(layer):
    x = torch.randn(IMAGES)
    state = torch.get_rng_state()
    layer = copy.deepcopy(layer)
    target = layer.weight_dropout if isinstance(layer, DropConnect) else layer
    outs = []
    for _ in range(2):
        target.generator = seeded(9)
        outs.append(torch.stack([layer(x), layer(x)]))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0][0], outs[0][1])
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_and_pickles_continue_the_same_stream_apart(clone):
    layer = Dropout(0.5, generator=seeded(4))
    x = torch.ones(100)
    layer(x)
    twin = clone(layer)
    assert torch.equal(layer(x), twin(x))
    assert twin.generator is not layer.generator


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_can_be_copied_and_pickled(layer):
    x = torch.randn(IMAGES)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(twin) == repr(layer)
        assert torch.equal(twin.eval()(x), copy.deepcopy(layer).eval()(x))


def test_functional_call_replaces_the_weights():
    net = nn.Sequential(nn.Linear(4, 3), Dropout(0.5, generator=seeded(1)), DropConnect(3, 2, 0.5))
    zeros = {key: torch.zeros_like(value) for key, value in net.state_dict().items()}
    assert (functional_call(net, zeros, torch.randn(5, 4)) == 0).all()
    layer = DropConnect(3, 2, 0.5, bias=False)
    assert (functional_call(layer, {"weight": torch.zeros(2, 3)}, torch.ones(4, 3)) == 0).all()
    assert set(zeros) == {
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    }  # dropout adds no parameter and no buffer


def test_a_given_mask_names_the_subnetwork_in_either_mode():
    x, mask = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True])
    for mode in (True, False):
        assert Dropout(0.5).train(mode)(x, mask).tolist() == [2.0, 0.0, 6.0]
        assert Dropout(0.5, scaling="standard").train(mode)(x, mask).tolist() == [1.0, 0.0, 3.0]
        assert Dropout(1.0).train(mode)(x, mask).tolist() == [1.0, 0.0, 3.0]


# --- gradients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", every_layer(0.6, seeded(), torch.float64), ids=name)
def test_gradients_and_second_gradients_are_exact(layer):
    target = layer.weight_dropout if isinstance(layer, DropConnect) else layer
    x = torch.randn(2, 3, 4, 7, dtype=torch.float64, requires_grad=True)

    def redraw(x):
        target.generator = seeded(6)  # the same mask at every evaluation
        return layer(x) * x.sum()  # a product, so that second derivatives are not zero

    assert torch.autograd.gradcheck(redraw, (x,))
    assert torch.autograd.gradgradcheck(redraw, (x,))


@given(keep_prob=st.floats(0.05, 0.95), scaling=st.sampled_from(SCALINGS))
def test_the_backward_pass_uses_the_mask_of_the_forward_pass(keep_prob, scaling):
    x = torch.rand(200).add_(0.5).requires_grad_()
    out = Dropout(keep_prob, scaling=scaling)(x)
    gradient = torch.rand(200)
    out.backward(gradient)
    assert torch.allclose(x.grad, gradient * out.detach() / x.detach())


def test_backward_keeps_no_more_than_torch():
    def saved_bytes(layer):
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
            layer(torch.randn(1000, requires_grad=True))
        return sum(t.numel() * t.element_size() for t in saved)

    for layer in (Dropout(0.5), Dropout(0.5, scaling="standard"), GaussianDropout(0.5)):
        assert saved_bytes(layer) <= saved_bytes(nn.Dropout(0.5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("keep_prob", [0.5, 0.8, 1 / 512, 0.999])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_mask_of_a_layer_is_the_one_that_sample_mask_draws(dtype, keep_prob, scaling):
    source = seeded(3)
    layer = Dropout(keep_prob, scaling=scaling, generator=seeded(3))
    for shape in ((), (0,), (1,), (7, 300), (130, 600)):  # odd and even numbers of bytes
        x = torch.full(shape, 1.5, dtype=dtype)
        mask = sample_mask(shape, keep_prob, generator=source)
        torch.testing.assert_close(layer(x), layer(x, mask), rtol=0, atol=0)
        assert torch.equal(source.get_state(), layer.generator.get_state())
        assert torch.equal(layer.sample_mask(x), sample_mask(shape, keep_prob, generator=source))


def test_what_is_dropped_is_multiplied_by_zero_as_torch_does():
    # So a diverged unit shows also where it is dropped.
    x = torch.full((100,), math.inf)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert Dropout(0.5)(x).isnan().any()
        assert nn.Dropout(0.5)(x).isnan().any()


def test_on_a_gpu_plain_dropout_is_torchs_own_kernel(monkeypatch):
    # There may be no GPU here: pretend that the input is on one, and see which layers hand it over.
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda _: True))
    calls = []
    monkeypatch.setattr(nn.functional, "dropout", lambda x, p: calls.append(p) or x)
    x = torch.ones(IMAGES)
    Dropout(0.75)(x)
    assert calls == [0.25]
    for layer in (
        Dropout(0.75, generator=seeded()),
        Dropout(0.75, scaling="standard"),
        SpatialDropout(0.75),
        DropBlock(0.75, 3),
        Dropout(0.75).eval(),
    ):
        layer(x)
    Dropout(0.75)(x, torch.ones(IMAGES, dtype=torch.bool))
    assert calls == [0.25]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_the_share_of_kept_units_is_keep_prob():
    for scaling in SCALINGS:
        out = Dropout(0.7, scaling=scaling)(torch.ones(1_000_000, device="cuda"))
        assert abs((out > 0).double().mean().item() - 0.7) < 5 * math.sqrt(0.7 * 0.3 / 1_000_000)


# --- schedules ------------------------------------------------------------------------------------------------

SCHEDULES = [(0, 2, [0, 1]), (2, None, [2, 3, 4, 5]), (1, 4, [1, 2, 3]), (0, None, [0, 1, 2, 3, 4, 5]), (3, 3, [])]


@pytest.mark.parametrize("layer", [*LAYERS, pytest.param(nn.Dropout(0.4), id="torch's")])
@pytest.mark.parametrize(("start", "stop", "active"), SCHEDULES)
def test_a_scheduled_layer_drops_in_its_steps_and_in_the_others_does_what_it_does_at_test_time(
    layer, start, stop, active
):
    scheduled = ScheduledDropout(copy.deepcopy(layer), start=start, stop=stop)
    x = torch.randn(IMAGES)
    test_time = copy.deepcopy(layer).eval()(x)
    dropped = []
    for step in range(6):
        out = scheduled(x)
        if not torch.equal(out, test_time):
            dropped.append(step)
        assert torch.equal(scheduled.eval()(x), test_time)  # in evaluation mode always; not counted
        scheduled.train()
    assert dropped == active


def test_steps_without_dropout_draw_nothing():
    scheduled = ScheduledDropout(Dropout(0.5), start=5)
    state = torch.get_rng_state()
    scheduled(torch.ones(100))
    assert torch.equal(state, torch.get_rng_state())


def test_a_schedule_goes_on_from_a_checkpoint_and_in_copies():
    x = torch.ones(100)
    scheduled = ScheduledDropout(Dropout(0.5), stop=3)
    scheduled(x)
    scheduled(x)
    resumed = ScheduledDropout(Dropout(0.5), stop=3)
    resumed.load_state_dict(scheduled.state_dict())
    for twin in (resumed, copy.deepcopy(scheduled), pickle.loads(pickle.dumps(scheduled))):
        assert [bool((twin(x) == 0).any()) for _ in range(2)] == [True, False]
        assert repr(twin) == repr(scheduled)


def test_a_schedule_leaves_the_modes_of_its_layer_as_they_are():
    x = torch.ones(3, 7)
    for inner in (True, False):
        scheduled = ScheduledDropout(DropConnect(7, 4, 0.5), start=100)
        scheduled.layer.train(inner)
        modes = [module.training for module in scheduled.modules()]
        scheduled(x)
        with pytest.raises(RuntimeError, match="shapes"):
            scheduled(torch.ones(3, 5))
        assert [module.training for module in scheduled.modules()] == modes
    # Sampling at test time switches the dropout layer alone to training mode; no schedule is in its way.
    scheduled = ScheduledDropout(Dropout(0.5), stop=0).eval()
    scheduled.layer.train()
    assert (scheduled(torch.ones(100)) == 0).any()
    assert scheduled.step == 0


def scheduled_network():
    network = nn.Sequential(nn.Linear(3, 2), ScheduledDropout(Dropout(0.5), stop=2))
    return network, {key: value.detach() for key, value in network.named_parameters()}, dict(network.named_buffers())


def test_torch_func_counts_the_steps_of_the_buffers_that_it_is_given():
    network, params, _ = scheduled_network()
    buffers = {"1.step": torch.tensor(1)}

    def total(params, buffers, x):
        return functional_call(network, (params, buffers), (x,)).sum()

    x = torch.ones(1000, 3)
    kept = []
    for _ in range(2):
        gradient = torch.func.grad(total)(params, buffers, x)
        kept.append(bool((gradient["0.bias"] == 1000).all()))
    assert kept == [False, True]  # step 1 has dropout, step 2 has none
    assert (buffers["1.step"], network[1].step) == (3, 0)
    # The gradient of each example is of one step.
    torch.func.vmap(torch.func.grad(total), in_dims=(None, None, 0), randomness="different")(params, buffers, x[:7])
    assert buffers["1.step"] == 4


def test_networks_side_by_side_have_steps_of_their_own():
    networks = [scheduled_network()[0] for _ in range(3)]
    for step, network in enumerate(networks):
        network[1].step.fill_(step)
    params, buffers = torch.func.stack_module_state(networks)

    def run(params, buffers, x):
        return functional_call(networks[0], (params, buffers), (x,))

    x = torch.randn(200, 3)
    outs = torch.func.vmap(run, in_dims=(0, 0, None), randomness="different")(params, buffers, x)
    assert [bool((out == 0).any()) for out in outs] == [True, True, False]
    assert buffers["1.step"].tolist() == [1, 2, 3]


def test_a_gradient_that_cannot_count_the_step_says_how_it_can():
    network, _, _ = scheduled_network()
    with pytest.raises(
        ValueError, match=r"counts its step.*pass the buffers, .*functional_call\(network, \(params, buffers\)"
    ):
        torch.func.grad(lambda x: network(x).sum())(torch.ones(4, 3))
    assert network[1].step == 0
    network.eval()
    assert torch.func.grad(lambda x: network(x).sum())(torch.ones(4, 3)).shape == (4, 3)


def test_schedules_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="start must be a step from 0, got -1"):
        ScheduledDropout(Dropout(0.5), start=-1)
    with pytest.raises(ValueError, match="stop must be None, for no end, or a step of at least start=5, got 4"):
        ScheduledDropout(Dropout(0.5), start=5, stop=4)
    with pytest.raises(ValueError, match=r"stop must be None, .*got 1\.5"):
        ScheduledDropout(Dropout(0.5), stop=1.5)


# --- torch.compile --------------------------------------------------------------------------------------------

# It needs a compiler, and Python's headers, which some systems have in a package of their own.
COMPILES = (
    any(map(shutil.which, ("g++", "clang++")))
    and Path(sysconfig.get_paths()["include"], "Python.h").exists()
    and torch.backends.cpu.get_cpu_capability() != "DEFAULT"
)
# All in one worker: to compile for the first time takes as long as the ten times after it.
inductor = pytest.param("inductor", marks=pytest.mark.xdist_group("inductor"))
backends = ["eager", "aot_eager"] + [inductor] * COMPILES


@pytest.mark.filterwarnings("ignore")  # torch.compile's own
@pytest.mark.parametrize("backend", backends)
@pytest.mark.parametrize("generator", [None, 3])
def test_compiled_dropout_draws_fresh_masks_with_the_right_rate_and_gradient(backend, generator):
    torch.compiler.reset()
    layer = Dropout(0.7, generator=None if generator is None else seeded(generator))
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    n = 100_000
    x = torch.ones(n, requires_grad=True)
    first = compiled(x)
    first.sum().backward()
    kept = (first > 0).double().mean().item()
    assert abs(kept - 0.7) < 5 * math.sqrt(0.7 * 0.3 / n)
    assert torch.allclose(first.unique().detach(), torch.tensor([0.0, 1 / 0.7]))
    assert torch.equal(x.grad, first.detach())
    assert not torch.equal(first, compiled(x))
    compiled.eval()
    assert torch.equal(compiled(x), x)
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore")  # torch.compile's own
@pytest.mark.parametrize("make", [Dropout, GaussianDropout])
def test_compiled_layers_with_a_generator_draw_what_they_draw_uncompiled(make):
    torch.compiler.reset()
    # Two layers alike, whose draws a compiler might take for one where it prepares a backward pass; and a generator
    # that is exchanged afterwards.
    network = nn.Sequential(make(0.7), make(0.7))
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    state = torch.get_rng_state()
    for seed in (1, 2):
        for shape in ((100,), (4, 30), (5, 30)):
            x = torch.ones(shape, requires_grad=True)
            outs = []
            for run in (network, compiled):
                network[0].generator = network[1].generator = seeded(seed)
                for _ in range(2):
                    out = run(x)
                    outs.append(torch.stack([out, *torch.autograd.grad(out.sum(), x)]))
            torch.testing.assert_close(outs[2:], outs[:2])
    assert torch.equal(state, torch.get_rng_state())
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore")  # torch.compile's own
def test_a_compiled_layer_whose_generator_is_gone_says_so():
    layer = Dropout(0.5, generator=seeded())
    exported = torch.export.export(layer, (torch.ones(5),)).module()
    assert exported(torch.ones(5)).shape == (5,)
    layer.generator = None
    with pytest.raises(ValueError, match=r"generator of a compiled or exported layer is gone.*with generator=None"):
        exported(torch.ones(5))


@pytest.mark.filterwarnings("ignore")  # torch.compile's own
def test_a_compiled_or_exported_schedule_counts_its_steps():
    torch.compiler.reset()
    x = torch.ones(100)
    compiled = ScheduledDropout(Dropout(0.5), start=1, stop=3)
    exported = copy.deepcopy(compiled)
    for run in (
        torch.compile(compiled, backend="aot_eager", fullgraph=True),
        torch.export.export(exported, (x,)).module(),
    ):
        assert [bool((run(x) == 0).any()) for _ in range(5)] == [False, True, True, False, False]
    torch.compiler.reset()


# --- programs that are read before they run: torch.fx, TorchScript ---------------------------------------------

ONES = torch.ones(IMAGES)
READABLE = [*every_layer(0.6), nn.Dropout(0.4), nn.Dropout2d(0.4)]
deprecated = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


def assert_it_is_the_layer(run, layer):
    """It draws anew in each run, has the layer's mean, and does at test time what the layer does."""
    layer = copy.deepcopy(layer)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        draws = torch.stack([run(ONES) for _ in range(400)]).double()
    assert not torch.equal(draws[0], draws[1])
    expected = layer.eval()(ONES).double()
    sigma = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - expected).abs() <= 6 * sigma + 1e-6).all()


@pytest.mark.parametrize("generator", [None, 3])
@pytest.mark.parametrize("make", range(len(every_layer(0.6))))
def test_fx_records_a_layer_as_a_whole(make, generator):
    layer = every_layer(0.6, None if generator is None else seeded(generator))[make]
    twin = copy.deepcopy(layer)
    traced = torch.fx.symbolic_trace(nn.Sequential(nn.Identity(), layer))
    assert [node.op for node in traced.graph.nodes] == ["placeholder", "call_module", "call_module", "output"]
    for mode in (True, True, False):  # and it keeps its stream and follows the mode
        with torch.random.fork_rng():
            torch.manual_seed(4)
            expected = twin.train(mode)(ONES)
            torch.manual_seed(4)
            assert torch.equal(traced.train(mode)(ONES), expected)


def test_fx_records_a_schedule_and_a_given_mask():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.early, self.last = ScheduledDropout(Dropout(0.5), stop=2), Dropout(0.5)

        def forward(self, x, mask):
            return self.last(self.early(x), mask)

    traced = torch.fx.symbolic_trace(Network())
    mask = torch.rand(IMAGES) < 0.5
    assert [torch.equal(traced(ONES, mask) > 0, mask) for _ in range(4)] == [False, False, True, True]
    assert torch.equal(torch.fx.symbolic_trace(Network()).eval()(ONES, mask), 2 * mask)


def test_fx_is_given_the_network_and_not_the_layer_alone():
    for layer in (Dropout(0.5), ScheduledDropout(Dropout(0.5))):
        with pytest.raises(
            ValueError, match=r"got it as the root; trace a network.*symbolic_trace\(torch.nn.Sequential\("
        ):
            torch.fx.symbolic_trace(layer)


@deprecated
@pytest.mark.parametrize("layer", READABLE, ids=name)
def test_scripted_layers_are_the_layers(layer):
    network = nn.Sequential(copy.deepcopy(layer))
    scripted = torch.jit.script(network)
    assert_it_is_the_layer(scripted, layer)
    assert torch.equal(scripted.eval()(ONES), copy.deepcopy(layer).eval()(ONES))
    # TorchScript puts what it compiles into the network; it is the layer all the same, and can be scripted again.
    assert isinstance(network[0], type(layer))
    assert_it_is_the_layer(network.train(), layer)
    assert_it_is_the_layer(torch.jit.script(network), layer)


@deprecated
@pytest.mark.parametrize("layer", [layer for layer in READABLE if isinstance(layer, Dropout)], ids=name)
def test_scripted_layers_take_a_mask(layer):
    mask = layer.sample_mask(ONES)
    torch.testing.assert_close(torch.jit.script(copy.deepcopy(layer))(ONES, mask), layer(ONES, mask))


@deprecated
def test_what_cannot_be_scripted_is_refused_with_what_can():
    class Own(Dropout):
        pass

    for layer in (ScheduledDropout(Dropout(0.5)), Own(0.5)):
        with pytest.raises(
            ValueError, match=r"torch.jit.script can read Dropout, .*, got (Scheduled|Own).*torch.compile"
        ):
            torch.jit.script(nn.Sequential(layer))
    for layer in every_layer(0.5, seeded()):
        with pytest.raises(ValueError, match=r"generator must be None under torch.jit.script.*generator to None"):
            torch.jit.script(layer)


@deprecated
@pytest.mark.parametrize("layer", READABLE, ids=name)
def test_layers_traced_in_training_are_the_layers(layer):
    traced = torch.jit.trace(copy.deepcopy(layer), ONES, check_trace=False)
    assert_it_is_the_layer(traced, layer)


@deprecated
def test_a_traced_layer_draws_from_its_generator():
    for layer in (Dropout(0.5, generator=seeded()), GaussianDropout(0.5, generator=seeded())):
        traced = torch.jit.trace(layer, ONES, check_trace=False)
        outs = []
        for _ in range(2):
            layer.generator.manual_seed(5)
            outs.append(traced(ONES))
        assert torch.equal(*outs)


@deprecated
def test_a_schedule_is_traced_in_evaluation_mode_only():
    scheduled = ScheduledDropout(Dropout(0.5))
    with pytest.raises(ValueError, match=r"records one step.*trace the network in evaluation mode"):
        torch.jit.trace(scheduled, ONES, check_trace=False)
    assert scheduled.step == 0
    assert torch.equal(torch.jit.trace(scheduled.eval(), ONES)(ONES), ONES)


# --- devices that are not there --------------------------------------------------------------------------------


@pytest.mark.parametrize(("device", "source"), [*itertools.product(["meta", "cpu"], [None, seeded()])])
def test_layers_run_where_tensors_have_no_entries(device, source):
    # Lazy initialization and shape inference run networks on the meta device or on fake tensors.
    with FakeTensorMode() if device != "meta" else nullcontext(), torch.device(device):
        layers = every_layer(0.6, source)
        for layer in [*layers, ScheduledDropout(layers[1], stop=5)]:
            for mode in (True, False):
                out = layer.train(mode)(torch.ones(IMAGES))
                assert (out.device.type, out.shape[:3]) == (device, IMAGES[:3])


def test_lazy_layers_around_a_schedule_are_initialized_by_the_first_batch():
    network = nn.Sequential(nn.LazyLinear(4), ScheduledDropout(Dropout(0.5)), nn.LazyLinear(3))
    assert network(torch.ones(2, 5)).shape == (2, 3)


def test_a_schedule_made_on_the_meta_device_counts_from_its_reset():
    with torch.device("meta"):
        scheduled = ScheduledDropout(Dropout(0.5), stop=1)
    scheduled.to_empty(device="cpu").reset_parameters()
    assert [bool((scheduled(torch.ones(100)) == 0).any()) for _ in range(2)] == [True, False]


# --- torch's own cases, test/nn/test_dropout.py, restated for keep_prob ---------------------------------------


@pytest.mark.parametrize(
    ("cls", "shape"),
    [
        (Dropout, (1000,)),
        (SpatialDropout, (1000, 4, 6)),
        (SpatialDropout, (1000, 4, 3, 2)),
        (SpatialDropout, (1000, 3, 2, 2, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_torch_case_means_of_output_and_gradient(cls, shape, dtype):
    x = torch.full(shape, 0.8, dtype=dtype)
    inputs = x.clone().requires_grad_()
    module = cls(0.8, generator=seeded())
    out = module(inputs)
    out.backward(x)
    for tensor in (out, inputs.grad):
        assert tensor.is_contiguous()
        assert abs(tensor.float().mean().item() - 0.8) < 0.05
    assert torch.equal(module.eval()(x), x)


@pytest.mark.parametrize("cls", [Dropout, SpatialDropout])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("keep_prob", [1.0, 1 - 1e-10])
def test_torch_case_discontiguous_inputs_keep_layout_and_values(cls, memory_format, keep_prob):
    x = torch.ones(2, 3, 3, 3)
    strided = torch.empty(2, 3, 3, 6, memory_format=memory_format)[..., ::2].copy_(x)
    out = cls(keep_prob, generator=seeded())(strided)
    if keep_prob < 1:
        assert out.is_contiguous(memory_format=memory_format)
    assert torch.equal(out, strided)


@pytest.mark.parametrize("cls", [Dropout, SpatialDropout])
def test_torch_case_every_permutation_of_strides_is_preserved(cls):
    x = torch.ones(2, 3, 4, 5)
    for order, shift in itertools.product(itertools.permutations(range(4)), itertools.product((0, 1), repeat=2)):
        inverse = tuple(torch.tensor(order).argsort().tolist())
        permuted = x.permute(order).contiguous().permute(inverse)[shift[0] :, shift[1] :]
        for keep_prob in (1 - 1e-10, 0.5):
            out = cls(keep_prob, generator=seeded(11))(permuted)
            assert out.permute(order).is_contiguous()
            assert torch.equal(out, permuted) == (keep_prob > 0.9)


def test_torch_case_channels_are_dropped_whole_or_not_at_all():
    for shape in [(10, 4, 2), (10, 4, 2, 2), (10, 4, 2, 2, 2)]:
        counts = SpatialDropout(0.5, generator=seeded())(torch.ones(shape)).flatten(2).count_nonzero(dim=-1)
        assert set(counts.unique().tolist()) == {0, math.prod(shape[2:])}


@pytest.mark.filterwarnings("ignore")  # torch.compile's own
@pytest.mark.parametrize("backend", backends)
def test_compiled_layers_take_batches_of_any_size(backend):
    torch.compiler.reset()
    layers = nn.ModuleList(every_layer(0.6))  # in one program: most of a compiler's time goes by program
    compiled = torch.compile(lambda x: [layer(x) for layer in layers], backend=backend)
    for size in (8, 8, 5, 3):
        assert [len(out) for out in compiled(torch.ones(size, 6, 5, 7))] == [size] * len(layers)
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch.func.jvp's own
@pytest.mark.parametrize("layer", LAYERS)
def test_function_transforms_see_the_layers(layer):
    for kept in (sampling._bits, sampling._table):
        kept.cache_clear()  # as in a process where no layer was called before, outside of a transform
    x = torch.rand(IMAGES)
    gradient = torch.func.grad(lambda inputs: layer(inputs).sum())(x)
    assert gradient.shape == x.shape
    _, tangent = torch.func.jvp(layer, (x,), (x,))
    assert tangent.isfinite().all()
    (per_example,) = torch.func.vmap(lambda inputs: (layer(inputs.unsqueeze(0)),), randomness="different")(x)
    assert len(per_example) == len(x)


def test_checkpointed_activations_use_one_mask():
    # Recomputation in the backward pass replays the global generator; the gradient must belong to the output.
    x = torch.rand(10_000).add_(0.5).requires_grad_()
    out = torch.utils.checkpoint.checkpoint(Dropout(0.5), x, use_reentrant=False)
    out.sum().backward()
    assert torch.equal(x.grad > 0, out.detach() > 0)


def test_layers_do_not_mind_the_default_device():
    with torch.device("meta"):
        x = torch.ones(8, device="cpu")
        assert Dropout(0.3)(x).device.type == "cpu"


def test_masks_that_are_not_bool_are_refused():
    for mask in (torch.tensor([[1.0], [0.0]]), torch.ones(2, 4, dtype=torch.int64)):
        with pytest.raises(TypeError, match=r"mask must be bool \(True = kept\), got .*; convert with mask.bool\(\)"):
            Dropout(0.5)(torch.ones(2, 4), mask)


def test_torch_case_empty_inputs():
    for layer in (Dropout(0.5), GaussianDropout(0.5)):
        assert layer(torch.tensor([])).shape == (0,)
    assert SpatialDropout(0.5)(torch.empty(0, 3, 4, 4)).shape == (0, 3, 4, 4)
    assert DropBlock(0.5, 3)(torch.empty(0, 3, 4, 4)).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("make", [Dropout, GaussianDropout, SpatialDropout, DropBlock, lambda k: DropConnect(2, 2, k)])
def test_torch_case_invalid_probabilities(make):
    for keep_prob in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="keep_prob must be in"):
            make(keep_prob)
    with pytest.raises(TypeError, match="keep_prob must be a number"):
        make("0.5")


# --- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Dropout, GaussianDropout, SpatialDropout, DropBlock])
def test_what_is_no_generator_is_refused_when_the_layer_is_made_or_used(make):
    message = r"generator must be a torch.Generator, or None.*got 0; write torch.Generator\(\).manual_seed\(0\)"
    with pytest.raises(ValueError, match=message):
        make(0.5, generator=0)
    with pytest.raises(ValueError, match=message):
        DropConnect(2, 2, generator=0)
    layer = make(0.5)
    layer.generator = 0
    with pytest.raises(ValueError, match=message):
        layer(torch.ones(IMAGES))


def test_masks_that_would_enlarge_the_input_are_refused():
    class Own(Dropout):
        def sample_mask(self, x):
            return torch.ones(5, *x.shape, dtype=torch.bool)

    x = torch.ones(1, 3)
    message = r"mask must broadcast to the shape of x, \(1, 3\), and not enlarge it, got \({}\).*x.expand"
    for shape in ((5, 3), (2, 1, 3), (4,)):
        with pytest.raises(ValueError, match=message.format(", ?".join(map(str, shape)) + ",?")):
            Dropout(0.5)(x, torch.ones(shape, dtype=torch.bool))
    with pytest.raises(ValueError, match=message.format("5, 1, 3")):
        Own(0.5)(x)
    with pytest.raises(ValueError, match=r"\(2, 3\), and not enlarge it, got \(4, 2, 3\)"):
        DropConnect(3, 2)(x, torch.ones(4, 2, 3, dtype=torch.bool))
    for shape in ((), (3,), (1, 1), (1, 3)):
        assert Dropout(0.5)(x, torch.ones(shape, dtype=torch.bool)).shape == x.shape


def test_what_is_no_tensor_is_refused():
    for layer in (Dropout(0.5), GaussianDropout(0.5)):
        with pytest.raises(TypeError, match=r"x must be .*got list; convert with torch.as_tensor\(x\)"):
            layer([1.0, 2.0])
    with pytest.raises(TypeError, match=r"mask must be bool.*got .*list.*torch.tensor\(mask\)"):
        Dropout(0.5)(torch.ones(2), [True, False])


def test_unknown_scaling_is_refused_with_what_is_allowed():
    with pytest.raises(ValueError, match=r'"inverted".*"standard".*got \'upside down\''):
        Dropout(0.5, scaling="upside down")


def test_inputs_without_the_needed_axes_are_refused():
    with pytest.raises(ValueError, match=r"at least one spatial axis, got shape \(4, 3\)"):
        SpatialDropout(0.5)(torch.ones(4, 3))
    with pytest.raises(ValueError, match=r"\(batch, channels, height, width\), got shape \(4, 3\)"):
        DropBlock(0.5)(torch.ones(4, 3))
    for block_size in (0, 2.5, True):
        with pytest.raises(ValueError, match="block_size must be a whole number of at least 1"):
            DropBlock(0.5, block_size)
