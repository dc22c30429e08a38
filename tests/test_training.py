import copy
import math
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import nn

from dropout_lessons import datasets
from dropout_lessons.claims import ClaimError, check, paired
from dropout_lessons.datasets import Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, evaluate, fit
from dropout_lessons.training.objective import Objective
from dropout_lessons.training.run import Run

pytestmark = pytest.mark.rounding

DIGITS = datasets.load("digits", train=200)
QUICK = Recipe(epochs=6, batch_size=50)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_network(**options) -> MLP:
    return MLP([64, 32, 16, 10], generator=seeded(), **options)


def parameters(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def plain_loop(network: nn.Module, split: Split, recipe: Recipe) -> None:
    """What fit should do for SGD with momentum, a linear decay and penalties, written from the formulas."""
    order, velocity = seeded(recipe.seed), [torch.zeros_like(p) for p in network.parameters()]
    steps, step = recipe.epochs * math.ceil(len(split.y) / recipe.batch_size), 0
    for _ in range(recipe.epochs):
        permutation = torch.randperm(len(split.y), generator=order)
        for start in range(0, len(split.y), recipe.batch_size):
            batch = permutation[start : start + recipe.batch_size]
            gradients = torch.autograd.grad(
                F.cross_entropy(network(split.x[batch]), split.y[batch]), network.parameters()
            )
            rate = recipe.learning_rate * (1 - step / steps)
            with torch.no_grad():
                for v, w, g in zip(velocity, network.parameters(), gradients, strict=True):
                    penalty = recipe.weight_decay * w + recipe.l1 * w.sign() if w.dim() > 1 else 0
                    v.mul_(recipe.momentum).add_(g + penalty)
                    w.sub_(rate * v)
                    if recipe.max_norm is not None and w.dim() > 1:
                        w.mul_((recipe.max_norm / w.norm(dim=1, keepdim=True)).clamp(max=1))
            step += 1


@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.01}, {"l1": 0.001}, {"max_norm": 0.8}, {"batch_size": 64, "seed": 5}]
)
def test_fit_takes_the_steps_of_the_formulas(options):
    recipe = Recipe(**{"epochs": 3, "batch_size": 50, "learning_rate": 0.05, **options})
    fitted, expected = small_network(), small_network()
    fit(fitted, DIGITS, recipe)
    plain_loop(expected, DIGITS.train, recipe)
    torch.testing.assert_close(parameters(fitted), parameters(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "torchs"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adam_and_adamw_take_the_steps_of_torchs(name, torchs):
    recipe = Recipe(epochs=1, batch_size=200, optimizer=name, learning_rate=0.01, weight_decay=0.3, decay="none")
    fitted, expected = small_network(), small_network()
    fit(fitted, DIGITS, recipe)
    decayed = [{"params": [p], "weight_decay": 0.3 * (p.dim() > 1)} for p in expected.parameters()]
    optimizer = torchs(decayed, lr=0.01)
    order = torch.randperm(200, generator=seeded(recipe.seed))
    F.cross_entropy(expected(DIGITS.train.x[order]), DIGITS.train.y[order]).backward()
    optimizer.step()
    torch.testing.assert_close(parameters(fitted), parameters(expected))


def test_a_numeric_decay_multiplies_the_learning_rate_after_each_epoch():
    # Without momentum and with a batch of everything, one step an epoch: the ratio of steps shows the rate.
    data = Split(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64))

    class Slope(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(()))

        def forward(self, x):  # small slopes, so that the gradient hardly changes from step to step
            return torch.stack([1e-4 * self.w.expand(len(x)), torch.zeros(len(x))], dim=1)

    positions = []
    for epochs in (1, 2, 3):
        network = Slope()
        fit(network, data, Recipe(epochs=epochs, batch_size=4, momentum=0, decay=0.5))
        positions.append(network.w.item())
    steps = [positions[0], positions[1] - positions[0], positions[2] - positions[1]]
    assert steps[1] / steps[0] == pytest.approx(0.5, rel=1e-3)
    assert steps[2] / steps[1] == pytest.approx(0.5, rel=1e-3)


def test_fits_are_a_function_of_the_seed_whatever_was_drawn_before():
    results = []
    for noise in (0, 3):
        torch.rand(noise)
        network = small_network(keep_prob=0.5, input_keep_prob=0.8)
        history = fit(network, DIGITS, QUICK)
        results.append((parameters(network), history.train_loss))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    other = small_network(keep_prob=0.5, input_keep_prob=0.8)
    fit(other, DIGITS, Recipe(epochs=6, batch_size=50, seed=1))
    assert not torch.equal(parameters(other), results[0][0])


def test_fit_leaves_global_random_state_and_modes_as_they_were():
    network = small_network(keep_prob=0.5)
    network.hidden1_dropout.eval()
    state, modes = torch.get_rng_state(), [module.training for module in network.modules()]
    fit(network, DIGITS, QUICK)
    assert torch.equal(state, torch.get_rng_state())
    assert [module.training for module in network.modules()] == modes


def test_how_often_a_fit_is_evaluated_does_not_change_it():
    often, rarely = small_network(keep_prob=0.5), small_network(keep_prob=0.5)
    every = fit(often, DIGITS, QUICK, evaluate_every=1)
    some = fit(rarely, DIGITS, QUICK, evaluate_every=4)
    once = small_network(keep_prob=0.5)
    assert fit(once, DIGITS, QUICK).epoch == [6]
    assert torch.equal(parameters(often), parameters(rarely))
    assert torch.equal(parameters(often), parameters(once))
    assert every.epoch == [1, 2, 3, 4, 5, 6]
    assert some.epoch == [4, 6]
    assert some.validation_loss == [every.validation_loss[3], every.validation_loss[5]]


def test_history_is_what_evaluate_says_of_the_finished_network():
    network = small_network(keep_prob=0.5)
    history = fit(network, DIGITS, QUICK, evaluate_every=2)
    assert (history.train_loss[-1], history.train_error[-1]) == evaluate(network, DIGITS.train)
    assert (history.validation_loss[-1], history.validation_error[-1]) == evaluate(network, DIGITS.validation)
    assert history.train_loss[-1] < history.train_loss[0]
    assert history.seconds > 0


def test_evaluation_is_the_mean_cross_entropy_and_error_with_nothing_dropped():
    network = small_network(keep_prob=0.5)
    loss, error = evaluate(network, DIGITS.test, batch_size=100)
    assert network.training
    logits = network.eval()(DIGITS.test.x).double()
    assert loss == pytest.approx(F.cross_entropy(logits, DIGITS.test.y).item(), rel=1e-5)
    assert error == pytest.approx((logits.argmax(1) != DIGITS.test.y).double().mean().item())


def test_a_training_set_alone_is_enough():
    history = fit(small_network(), DIGITS.train, QUICK)
    assert len(history.train_loss) == 1
    assert history.validation_loss == []


def test_a_network_in_evaluation_mode_is_trained_in_training_mode():
    trained, evaluated = small_network(keep_prob=0.5), small_network(keep_prob=0.5).eval()
    fit(trained, DIGITS, QUICK)
    fit(evaluated, DIGITS, QUICK)
    assert torch.equal(parameters(trained), parameters(evaluated))
    assert not evaluated.training


def test_a_fit_leaves_no_gradients_behind_and_tells_its_time():
    network = small_network()
    started = time.perf_counter()
    history = fit(network, DIGITS, QUICK)
    assert 0 < history.seconds <= time.perf_counter() - started
    assert all(parameter.grad is None for parameter in network.parameters())


def test_losses_are_summed_in_single_precision_also_for_half_precision_networks():
    network = small_network()
    split = Split(DIGITS.test.x.repeat(20, 1), DIGITS.test.y.repeat(20))
    expected = evaluate(network, split).loss
    low = evaluate(copy.deepcopy(network).bfloat16(), Split(split.x.bfloat16(), split.y)).loss
    assert low == pytest.approx(expected, rel=0.02)  # bfloat16 has 8 bits; its own sum would stall at 256


def test_any_module_can_be_trained():
    network = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10))
    assert fit(network, DIGITS, Recipe(epochs=10, batch_size=50)).train_error[-1] < 0.2


# --- interruption ---------------------------------------------------------------------------------------------


class Interrupting(nn.Module):
    """Passes its input on, and stops the fit at the given training step."""

    def __init__(self, at: int):
        super().__init__()
        self.left = at

    def forward(self, x):
        if self.training:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return x


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("own_generator", [True, False])
def test_a_resumed_fit_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, optimizer, own_generator):
    recipe = Recipe(epochs=6, batch_size=50, learning_rate=0.01, optimizer=optimizer, max_norm=2.0)

    def network(stop: int) -> nn.Module:
        return nn.Sequential(
            small_network(keep_prob=0.7),
            nn.BatchNorm1d(10),
            Interrupting(stop),
            Dropout(0.9, generator=seeded(4) if own_generator else None),
        )

    whole, stopped, resumed = network(10**6), network(14), network(10**6)
    expected = fit(whole, DIGITS, recipe)
    file = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):  # in the fourth epoch of four steps each
        fit(stopped, DIGITS, recipe, checkpoint=file)
    history = fit(resumed, DIGITS, recipe, checkpoint=file)
    for name, value in whole.state_dict().items():  # BatchNorm's buffers included
        assert torch.equal(resumed.state_dict()[name], value), name
    assert history.validation_loss == expected.validation_loss
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
    again = network(10**6)
    assert fit(again, DIGITS, recipe, checkpoint=file).epoch == expected.epoch  # finished: nothing left to do
    assert torch.equal(parameters(again), parameters(whole))


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    file = tmp_path / "run.pt"
    fit(small_network(), DIGITS, QUICK, checkpoint=file)
    with pytest.raises(ValueError, match=r"written with learning_rate=0.1, this recipe has 0.2; use another file"):
        fit(small_network(), DIGITS, Recipe(epochs=6, batch_size=50, learning_rate=0.2), checkpoint=file)
    other_digits = datasets.load("digits", train=200, seed=7)
    for network, data in (
        (MLP([64, 8, 10]), DIGITS),
        (small_network(keep_prob=0.5), DIGITS),
        (small_network().double(), changed(x=DIGITS.train.x.double())),
        (small_network(), other_digits),
        (small_network(), DIGITS.train),
    ):
        before = parameters(network)
        with pytest.raises(ValueError, match=r"belongs to another network or other data; use another file"):
            fit(network, data, QUICK, checkpoint=file)
        assert torch.equal(parameters(network), before)
    for content in (b"", b"no checkpoint"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read; use another file, or delete it"):
            fit(small_network(), DIGITS, QUICK, checkpoint=file)
    torch.save({"epoch": 3}, file)
    with pytest.raises(ValueError, match="cannot be read"):
        fit(small_network(), DIGITS, QUICK, checkpoint=file)


def test_recipes_may_hold_numpy_numbers(tmp_path):
    recipe = Recipe(epochs=np.int64(2), learning_rate=np.geomspace(0.01, 0.1, 3)[1])
    first = fit(small_network(), DIGITS, recipe, checkpoint=tmp_path / "run.pt")
    assert fit(small_network(), DIGITS, recipe, checkpoint=tmp_path / "run.pt").train_loss == first.train_loss


def test_bfloat16_rounds_the_products_of_training_and_keeps_weights_loss_and_evaluation_in_float32():
    networks, seen = [small_network(keep_prob=0.8) for _ in range(2)], []
    networks[1].output.register_forward_hook(
        lambda module, inputs, output: seen.append((module.training, output.dtype))
    )
    exact, rounded = (
        fit(network, DIGITS, Recipe(epochs=6, batch_size=50, precision=precision))
        for network, precision in zip(networks, ("float32", "bfloat16"), strict=True)
    )
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert {parameter.dtype for parameter in networks[1].parameters()} == {torch.float32}
    assert exact.train_loss != rounded.train_loss
    assert rounded.train_loss[-1] == pytest.approx(exact.train_loss[-1], rel=0.1)


def test_bfloat16_changes_no_verdict():
    """Two statements on what dropout does, one that holds and one that does not, judged in both precisions."""

    def training_errors(precision: str, keep_prob: float) -> list[float]:
        recipe = Recipe(epochs=8, batch_size=50, precision=precision)
        return [
            fit(MLP([64, 32, 10], keep_prob=keep_prob, generator=seeded(k)), DIGITS, recipe).train_error[-1]
            for k in range(5)
        ]

    for precision in ("float32", "bfloat16"):
        raised = paired(training_errors(precision, 0.2), training_errors(precision, 1.0), unit="points")
        check("Dropout raises the training error by more than a point.", raised, above=0.01)
        with pytest.raises(ClaimError):
            check("It raises it by less than a point.", raised, within=(-0.01, 0.01))


def test_a_checkpoint_from_before_there_was_a_precision_is_read(tmp_path):
    path = tmp_path / "fit.pt"
    fit(small_network(), DIGITS, QUICK, checkpoint=path)
    state = torch.load(path, weights_only=True)
    del state["recipe"]["precision"]
    torch.save(state, path)
    fit(small_network(), DIGITS, QUICK, checkpoint=path)


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    fit(small_network(), DIGITS, QUICK, checkpoint=file)
    before = file.read_bytes()

    def broken(state, path):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", broken)
    run = Run(small_network(), Objective.of("logits", None), QUICK, steps_in_epoch=4)
    with pytest.raises(OSError, match="no space"):
        run.save(file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


# --- real-valued targets --------------------------------------------------------------------------------------


VALUES = {"outputs": "values"}


def linear_data() -> Split:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 5, generator=generator)
    return Split(x, x @ torch.randn(5, 3, generator=generator) + 0.5 * torch.randn(100, 3, generator=generator))


def test_a_linear_network_learns_the_least_squares_solution():
    split = linear_data()
    network = nn.Linear(5, 3)
    history = fit(network, split, Recipe(epochs=300, batch_size=100, learning_rate=0.3, decay="none"), **VALUES)
    design = torch.cat([split.x, torch.ones(100, 1)], dim=1)
    residual = split.y - design @ torch.linalg.lstsq(design, split.y).solution
    assert history.train_loss[-1] == pytest.approx(residual.square().mean().item(), rel=1e-4)
    unexplained = residual.square().sum() / (split.y - split.y.mean(0)).square().sum()
    assert (
        history.train_error[-1]
        == evaluate(network, split, **VALUES).error
        == pytest.approx(unexplained.item(), rel=1e-4)
    )


def test_the_error_of_a_prediction_does_not_depend_on_how_it_is_batched():
    split = linear_data()
    network = nn.Linear(5, 3)
    whole = evaluate(network, split, **VALUES)
    assert evaluate(network, split, batch_size=7, **VALUES) == pytest.approx(whole, rel=1e-6)


def test_targets_without_variance_are_explained_or_not_at_all():
    x, network = torch.ones(4, 2), nn.Linear(2, 1)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    assert evaluate(network, Split(x, torch.zeros(4, 1)), **VALUES).error == 0
    assert evaluate(network, Split(x, torch.ones(4, 1)), **VALUES).error == math.inf


def test_an_autoencoder_is_a_network_that_predicts_its_input():
    x = DIGITS.train.x
    network = MLP([64, 32, 64], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.output.weight *= 0.1
    recipe = Recipe(epochs=60, batch_size=50, optimizer="adam", learning_rate=0.01)
    history = fit(network, Split(x, x), recipe, evaluate_every=1, **VALUES)
    assert history.train_error[-1] < 0.4 < history.train_error[0]
    # No linear code of as many units does better than the principal components.
    assert history.train_error[-1] > 1 - PCA(32).fit(x.numpy()).explained_variance_ratio_.sum()


def test_an_ensemble_of_regressions_is_trained_one_by_one():
    split, recipe = linear_data(), Recipe(epochs=5)
    networks = [MLP([5, 8, 3], generator=torch.Generator().manual_seed(k)) for k in range(2)]
    alone = MLP([5, 8, 3], generator=torch.Generator().manual_seed(1))
    fit_ensemble(networks, split, recipe, **VALUES)
    fit(alone, split, recipe, **VALUES)
    assert torch.equal(parameters(networks[1]), parameters(alone))
    with pytest.raises(ValueError, match=r"it returns Outputs\(kind='values'"):
        fit_ensemble(networks, split, recipe, method="stacked", **VALUES)


# --- bad input ------------------------------------------------------------------------------------------------


def changed(x=None, y=None) -> Split:
    return Split(DIGITS.train.x if x is None else x, DIGITS.train.y if y is None else y)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (changed(DIGITS.train.x[:0], DIGITS.train.y[:0]), "data.train.x must have at least one example, got none"),
        (changed(y=DIGITS.train.y[:5]), r"data.train.y must have a row for each of the 200 examples, got shape \(5,\)"),
        (
            changed(y=DIGITS.train.y.float()),
            r'shape \(200,\); convert labels with y.long\(\), or.* say outputs="values"',
        ),
        (changed(y=DIGITS.train.y.int()), r"int64 class indices, got torch.int32.*; convert with y.long\(\)"),
        (changed(y=DIGITS.train.x[:, :9]), r"rows of probabilities, of shape \(200, 10\), got torch.float32 of shape"),
        (changed(y=DIGITS.train.x[:, :10]), r'probabilities that sum to 1, got sums from .* say outputs="values"'),
        (changed(y=DIGITS.train.x[:, :10] / 0), "data.train.y must be finite, got 2000 of 2000 that are not"),
        (changed(y=DIGITS.train.y.numpy()), r"data.train.y must be a tensor, got ndarray; torch.as_tensor\(y\)"),
        (changed(x=DIGITS.train.x.numpy()), r"data.train.x must be a tensor.*got ndarray; torch.from_numpy\(x\)"),
        (changed(y=DIGITS.train.y + 1), r"data.train.y must be in 0..9.*labels from 1 to 10"),
        (changed(y=DIGITS.train.y - 1), r"data.train.y must be in 0..9.*labels from -1 to 8"),
        (
            changed(x=DIGITS.train.x.clone().index_fill_(0, torch.tensor([3]), math.nan)),
            "data.train.x must be finite, got 64 NaN or infinite of 12800 values",
        ),
        (changed(x=DIGITS.train.x[:, :5]), r"x must be \(batch, 64\), got shape \(1, 5\)"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_training(split, message):
    network = small_network()
    before = parameters(network).clone()
    with pytest.raises(ValueError, match=message):
        fit(network, split, QUICK)
    assert torch.equal(parameters(network), before)


def test_networks_without_logits_for_each_example_are_refused():
    with pytest.raises(ValueError, match="must return logits for each of the 1 examples, got shape"):
        fit(nn.Sequential(nn.Linear(64, 640), nn.Flatten(0)), DIGITS, QUICK)


def test_what_cannot_work_is_refused_before_training(tmp_path):
    with pytest.raises(TypeError, match=r"data must be a Dataset or a Split, got tuple; Split\(x, y\) makes one"):
        fit(small_network(), tuple(DIGITS.train), QUICK)
    with pytest.raises(ValueError, match="must be in a folder where you may write"):
        fit(small_network(), DIGITS, QUICK, checkpoint=tmp_path / "nowhere" / "run.pt")
    network = nn.Sequential(nn.Linear(64, 10), nn.BatchNorm1d(10))
    with pytest.raises(ValueError, match="batch_size=199 leaves a last batch of one of the 200 examples"):
        fit(network, DIGITS, Recipe(epochs=1, batch_size=199))


def test_a_fit_that_diverges_in_its_last_step_says_so(tmp_path):
    with pytest.raises(FloatingPointError, match="training diverged"):
        fit(small_network(), DIGITS, Recipe(epochs=1, batch_size=200, learning_rate=1e30), checkpoint=tmp_path / "a.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_fit_on_the_cpu_seeds_no_other_device(monkeypatch):
    seeded_devices = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded_devices.append)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeded_devices.append)
    fit(small_network(), DIGITS, QUICK)
    assert seeded_devices == []


def test_a_diverging_fit_says_so():
    with pytest.raises(FloatingPointError, match=r"in epoch \d+: training diverged; try a learning_rate below 1e\+30"):
        fit(small_network(), DIGITS, Recipe(epochs=6, batch_size=50, learning_rate=1e30))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number"),
        ({"learning_rate": math.nan}, "learning_rate must be a positive number"),
        ({"optimizer": "adagrad"}, r"optimizer must be one of \['sgd', 'adam', 'adamw'\], got 'adagrad'"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"decay": "cosine"}, "decay must be"),
        ({"decay": 1.5}, "decay must be"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or positive"),
        ({"max_norm": 0.0}, "max_norm must be positive or None"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"precision": "float16"}, r"precision must be one of \['float32', 'bfloat16'\], got 'float16'"),
    ],
)
def test_impossible_recipes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_evaluate_every_must_be_positive():
    with pytest.raises(ValueError, match="evaluate_every must be a whole number of at least 1, or None, got 0"):
        fit(small_network(), DIGITS, QUICK, evaluate_every=0)


def test_deep_copies_train_alike():
    network = small_network(keep_prob=0.5)
    twin = copy.deepcopy(network)
    fit(network, DIGITS, QUICK)
    fit(twin, DIGITS, QUICK)
    assert torch.equal(parameters(network), parameters(twin))
