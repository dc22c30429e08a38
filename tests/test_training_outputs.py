"""Networks as people have them: several inputs, outputs of many kinds, losses and soft labels. Oracles are torch's."""

from collections import UserDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropout_lessons.datasets import Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.networks import MLP
from dropout_lessons.running import Outputs
from dropout_lessons.training import Recipe, evaluate, fit, predict

# One batch an epoch, no momentum and no decay: what is left is w - rate * gradient.
ONE_STEP = Recipe(epochs=1, batch_size=60, learning_rate=0.5, momentum=0.0, decay="none")
N = 60


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed))


def labels(*shape: int, classes: int = 3) -> torch.Tensor:
    return torch.randint(classes, shape, generator=seeded(1))


def parameters(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def initialized(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            parameter.copy_(0.3 * draw(*parameter.shape, seed=i))
    return network


class Returning(nn.Module):
    """A linear layer whose output is put into something else."""

    def __init__(self, put, outputs: int = 3, inputs: int = 4):
        super().__init__()
        self.linear, self.put = nn.Linear(inputs, outputs), put

    def forward(self, x):
        return self.put(self.linear(x))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, left, right, scale=None):
        total = self.left(left) + self.right(right)
        return total if scale is None else total * scale


X, RIGHT = draw(N, 4), draw(N, 2, seed=5)
SOFT = draw(N, 3, seed=6).softmax(1)
TOKENS = draw(N, 7, 4)
IGNORED = labels(N, 7).masked_fill(torch.rand(N, 7, generator=seeded(2)) < 0.4, -100)
REAL = draw(N, 3, seed=8)


def gaussian(output, y):
    mean, log_variance = output[:, :3], output[:, 3:]
    return -torch.distributions.Normal(mean, log_variance.exp().sqrt()).log_prob(y).mean()


# Network, x, y, how it is said to be, and the loss written out from what the linear layers give.
CASES = {
    "logits": (lambda: nn.Linear(4, 3), X, labels(N), {}, lambda net, x, y: F.cross_entropy(net(x), y)),
    "an attribute named logits": (
        lambda: Returning(lambda z: torch.distributions.OneHotCategorical(logits=z)),
        X,
        labels(N),
        {"outputs": Outputs(at="logits")},
        lambda net, x, y: F.cross_entropy(net.linear(x), y),
    ),
    "a dictionary with logits": (
        lambda: Returning(lambda z: {"logits": z, "hidden": z}),
        X,
        labels(N),
        {},
        lambda net, x, y: F.cross_entropy(net.linear(x), y),
    ),
    "a function that calls": (
        lambda: Returning(lambda z: (z, z)),
        X,
        labels(N),
        {"outputs": lambda net, x: 2 * net(x)[1]},
        lambda net, x, y: F.cross_entropy(2 * net.linear(x), y),
    ),
    "two inputs by position": (
        TwoInputs,
        (X, RIGHT),
        labels(N),
        {},
        lambda net, x, y: F.cross_entropy(net(x[0], x[1]), y),
    ),
    "two inputs by keyword, one shared": (
        TwoInputs,
        UserDict(right=RIGHT, left=X, scale=torch.tensor(0.3)),
        labels(N),
        {},
        lambda net, x, y: F.cross_entropy(0.3 * net(x["left"], x["right"]), y),
    ),
    "one logit": (
        lambda: nn.Linear(4, 1),
        X,
        labels(N, classes=2),
        {},
        lambda net, x, y: F.binary_cross_entropy_with_logits(net(x)[:, 0], y.float()),
    ),
    "one logit without an axis": (
        lambda: Returning(lambda z: z.squeeze(1), 1),
        X,
        labels(N, classes=2),
        {},
        lambda net, x, y: F.binary_cross_entropy_with_logits(net(x), y.float()),
    ),
    "probabilities": (
        lambda: Returning(lambda z: z.softmax(1)),
        X,
        labels(N),
        {"outputs": "probs"},
        lambda net, x, y: F.cross_entropy(net.linear(x), y),
    ),
    "log-probabilities": (
        lambda: Returning(lambda z: z.log_softmax(1)),
        X,
        labels(N),
        {"outputs": "log_probs"},
        lambda net, x, y: F.cross_entropy(net.linear(x), y),
    ),
    "soft labels": (
        lambda: nn.Linear(4, 3),
        X,
        SOFT,
        {},
        lambda net, x, y: -(y * net(x).log_softmax(1)).sum(1).mean(),
    ),
    "soft labels of one logit": (
        lambda: nn.Linear(4, 1),
        X,
        torch.stack([1 - SOFT[:, 0], SOFT[:, 0]], 1),
        {},
        lambda net, x, y: F.binary_cross_entropy_with_logits(net(x)[:, 0], y[:, 1]),
    ),
    "tokens": (
        lambda: nn.Linear(4, 3),
        TOKENS,
        IGNORED,
        {"outputs": Outputs(class_axis=-1)},
        lambda net, x, y: F.cross_entropy(net(x).movedim(2, 1), y, ignore_index=-100),
    ),
    "tokens, the sequence first": (
        lambda: nn.Linear(4, 3),
        TOKENS.movedim(0, 1),
        IGNORED,
        {"outputs": Outputs(class_axis=-1, batch_axis=1)},
        lambda net, x, y: F.cross_entropy(net(x).permute(1, 2, 0), y),
    ),
    "images": (
        lambda: nn.Conv2d(2, 3, 3, padding=1),
        draw(N, 2, 5, 4),
        labels(N, 5, 4),
        {"outputs": Outputs(class_axis=1)},
        lambda net, x, y: F.cross_entropy(net(x), y),
    ),
    "regression": (
        lambda: nn.Linear(4, 3),
        X,
        REAL,
        {"outputs": "values"},
        lambda net, x, y: (net(x) - y).square().mean(),
    ),
    "regression with one output": (
        lambda: nn.Linear(4, 1),
        X,
        REAL[:, 0],
        {"outputs": "values"},
        lambda net, x, y: (net(x)[:, 0] - y).square().mean(),
    ),
    "mean and variance": (
        lambda: Returning(lambda z: (z[:, :3], z[:, 3:].exp()), 6),
        X,
        REAL,
        {"outputs": "mean_and_variance"},
        lambda net, x, y: gaussian(net.linear(x), y),
    ),
    "a loss of one's own": (
        lambda: nn.Linear(4, 3),
        X,
        labels(N),
        {"loss": nn.CrossEntropyLoss(label_smoothing=0.2)},
        lambda net, x, y: F.cross_entropy(net(x), y, label_smoothing=0.2),
    ),
    "a loss of one's own, of images": (
        lambda: nn.Conv2d(2, 3, 3, padding=1),
        draw(N, 2, 5, 4),
        labels(N, 5, 4),
        {"outputs": Outputs(class_axis=1), "loss": lambda output, y: F.cross_entropy(output, y, reduction="sum") / N},
        lambda net, x, y: F.cross_entropy(net(x), y) * 20,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_along_the_gradient_of_the_loss_written_out(case):
    make, x, y, said, loss = CASES[case]
    fitted, expected = initialized(make()), initialized(make())
    history = fit(fitted, Split(x, y), ONE_STEP, **said)
    gradients = torch.autograd.grad(loss(expected, x, y), expected.parameters())
    with torch.no_grad():
        for parameter, gradient in zip(expected.parameters(), gradients, strict=True):
            parameter -= 0.5 * gradient
    torch.testing.assert_close(parameters(fitted), parameters(expected), rtol=1e-5, atol=1e-6)
    assert history.train_loss == [pytest.approx(loss(expected, x, y).item(), rel=1e-5)]


@pytest.mark.parametrize("case", CASES)
def test_scores_do_not_depend_on_how_examples_are_batched(case):
    make, x, y, said, loss = CASES[case]
    network = initialized(make())
    score = evaluate(network, Split(x, y), **said)
    assert score.loss == pytest.approx(loss(network, x, y).item(), rel=1e-5)
    if case != "a loss of one's own, of images":  # which divides by the number of all examples
        assert evaluate(network, Split(x, y), batch_size=7, **said) == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_errors_are_those_of_the_predictions(case):
    make, x, y, said, _ = CASES[case]
    network = initialized(make())
    output = predict(network, x, outputs=said.get("outputs", "logits"))
    if y.is_floating_point() and case.startswith("soft"):
        expected = (output.argmax(1) != y.argmax(1)).double().mean()
    elif y.is_floating_point():
        mean = output[..., 0] if case == "mean and variance" else output
        y = y.view_as(mean)
        expected = (mean - y).square().sum() / (y - y.mean(0)).square().sum()
    else:
        expected = (output.argmax(-1) != y)[y != -100].double().mean()
    assert evaluate(network, Split(x, y), **said).error == pytest.approx(expected.item(), rel=1e-5)


def test_batches_of_several_inputs_are_those_of_one():
    # What belongs together stays together: the network sees in two inputs what another one sees in one.
    class Joined(TwoInputs):
        def forward(self, both):
            return super().forward(both[:, :4], both[:, 4:])

    recipe = Recipe(epochs=3, batch_size=7)
    one, two = initialized(Joined()), initialized(TwoInputs())
    fit(one, Split(torch.cat([X, RIGHT], 1), labels(N)), recipe)
    fit(two, Split({"left": X, "right": RIGHT}, labels(N)), recipe)
    assert torch.equal(parameters(one), parameters(two))


def test_a_batch_without_a_label_changes_nothing():
    network = initialized(nn.Linear(4, 3))
    y = torch.full((N,), -100)
    y[0] = 1
    before = parameters(network)
    fit(network, Split(X, y), Recipe(epochs=1, batch_size=1, learning_rate=0.1, momentum=0.0, decay="none"))
    expected = initialized(nn.Linear(4, 3))
    gradients = torch.autograd.grad(F.cross_entropy(expected(X[:1]), y[:1]), expected.parameters())
    torch.testing.assert_close(
        before - 0.1 * torch.cat([own.flatten() for own in gradients]), parameters(network), rtol=1e-5, atol=1e-6
    )


def test_a_loss_that_compares_something_else_has_no_error():
    score = evaluate(
        nn.Linear(4, 3), Split(X, draw(N, 8)), loss=lambda output, y: (output.mean(1) - y.mean(1)).abs().mean()
    )
    assert score.error != score.error
    assert score.loss > 0


def test_a_loss_that_sums_is_refused():
    # It would be a learning rate that grows with the batch, and a smaller one in the last.
    loss = nn.CrossEntropyLoss(reduction="sum")
    for run in (fit, evaluate):
        with pytest.raises(ValueError, match=r'loss must be the mean over a batch, .*reduction="sum"; make it with'):
            run(nn.Linear(4, 3), Split(X, labels(N)), loss=loss)


def test_an_ensemble_takes_outputs_and_losses():
    make, x, y, said, _ = CASES["mean and variance"]
    recipe = Recipe(epochs=2, batch_size=20, learning_rate=0.01)
    networks, alone = [initialized(make()) for _ in range(2)], initialized(make())
    histories = fit_ensemble(networks, Split(x, y), recipe, **said)
    assert fit(alone, Split(x, y), recipe, **said).train_loss == histories[1].train_loss
    assert torch.equal(parameters(networks[1]), parameters(alone))
    for own, reason in (
        ({"loss": F.cross_entropy}, "it has a loss of its own"),
        ({"outputs": lambda net, x: net(x)}, "not logits as they are"),
        ({}, "its labels are soft, or some are ignored"),
    ):
        soft = Split(X, torch.eye(3)[labels(N)] if not own else labels(N))
        with pytest.raises(ValueError, match=rf"networks\[0\] cannot be stacked: .*{reason}"):
            fit_ensemble([MLP([4, 3])], soft, recipe, method="stacked", **own)


# --- what a network predicts ----------------------------------------------------------------------------------


def test_a_prediction_drops_nothing_and_leaves_no_trace():
    network = MLP([4, 16, 3], keep_prob=0.5, generator=seeded())
    network.hidden1_dropout.eval()
    modes, state = [module.training for module in network.modules()], torch.get_rng_state()
    prediction = predict(network, X, batch_size=7)
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert not prediction.requires_grad
    torch.testing.assert_close(prediction, network.eval()(X).detach())


def test_dropout_that_is_always_on_is_off_in_a_prediction():
    class Always(nn.Linear):
        def forward(self, x):
            return super().forward(F.dropout(x, 0.5))

    network = initialized(Always(4, 3))
    torch.testing.assert_close(predict(network, X), F.linear(X, network.weight, network.bias).detach())


def test_predictions_of_a_loader_are_those_of_its_examples():
    network = initialized(TwoInputs())
    pairs = [{"left": left, "right": right, "labels": 0} for left, right in zip(X, RIGHT, strict=True)]
    loader = torch.utils.data.DataLoader(pairs, batch_size=13)
    torch.testing.assert_close(predict(network, loader), predict(network, (X, RIGHT)))


# --- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "x", "y", "said", "message"),
    [
        (
            lambda: Returning(lambda z: {"scores": z}),
            X,
            labels(N),
            {},
            r"got dict with the keys \['scores'\]; say where",
        ),
        (lambda: nn.Linear(4, 3), TOKENS, labels(N, 7), {}, r"say which axis holds the classes, outputs=Outputs\("),
        (lambda: Returning(lambda z: z.softmax(1)), X, labels(N), {}, 'if they are probabilities, say outputs="probs"'),
        (lambda: nn.Linear(4, 3), X, labels(N), {"outputs": "probs"}, "its rows do not sum to 1"),
        (lambda: nn.Linear(4, 3), X, labels(N), {"outputs": "score"}, r"outputs must be one of \['logits'"),
        (
            lambda: nn.Linear(4, 3),
            X,
            labels(N),
            {"outputs": "values"},
            r"must hold torch.float32 targets of shape \(60, 3\)",
        ),
        (lambda: nn.Linear(4, 1), X, labels(N).float(), {}, r"convert labels with y.long\(\)"),
        (lambda: nn.Linear(4, 3), X, torch.full((N,), -100), {}, "must have a label, got only -100"),
        (lambda: nn.Linear(4, 3), X, labels(N), {"loss": "mse"}, "loss must be a function of what the network returns"),
        (
            lambda: nn.Linear(4, 3),
            X,
            labels(N),
            {"loss": nn.CrossEntropyLoss(reduction="none")},
            r"loss must return one number, the mean over a batch, got shape \(1,\); take its mean\(\)",
        ),
        (
            lambda: nn.LazyLinear(3),
            X,
            labels(N),
            {},
            r"a lazy parameter without a shape, 'weight'; call network\(x\) once",
        ),
        (
            lambda: nn.Linear(4, 3, device="meta"),
            X,
            labels(N),
            {},
            "no numbers in 'weight', which is on the meta device; load its weights, or move it with network.to_",
        ),
        (lambda: F.relu, X, labels(N), {}, "network must be a torch.nn.Module, got"),
        (lambda: nn.Linear(4, 3), [[1.0]], labels(N), {}, "data.train.x must be a tensor, a tuple of tensors"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_the_fix(make, x, y, said, message):
    network = make()
    with pytest.raises(ValueError, match=message):
        fit(network, Split(x, y), ONE_STEP, **said)
    with pytest.raises(ValueError, match=message.replace("data.train", "split")):
        evaluate(network, Split(x, y), **said)
