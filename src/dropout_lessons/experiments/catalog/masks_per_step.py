"""Wei et al. 2020: how much of dropout is a penalty, and how much the noise of its gradient; k masks a step tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from dropout_lessons import datasets, figures, runtime
from dropout_lessons.claims import Evidence, paired, sampled
from dropout_lessons.datasets import Split
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.arms import Candidate
from dropout_lessons.experiments.conv_nets import shrunk
from dropout_lessons.experiments.tables import difference, noting_ends, values
from dropout_lessons.experiments.tuning import candidates_of, recipe_of, tuned
from dropout_lessons.networks import MLP
from dropout_lessons.training import evaluate, fit


class Masked(nn.Module):
    """An MLP that in training runs several masks of its hidden units on each example, one copy of the batch after the other.

    With ``masks=0`` it drops nothing, and ``penalty`` holds for each example of the last batch what dropout would add to the
    expected loss, to second order; else it is None.

    Example:
        >>> network = Masked(MLP([4, 8, 3], keep_prob=0.5), masks=2)
        >>> network(torch.rand(5, 4)).shape, network.eval()(torch.rand(5, 4)).shape
        (torch.Size([10, 3]), torch.Size([5, 3]))

    Source: Wei, Kakade and Ma 2020, Section 3.
    """

    def __init__(self, network: MLP, masks: int, keep_prob: float = 1.0) -> None:
        super().__init__()
        self.network, self.masks, self.keep_prob = network, masks, keep_prob
        self.penalty: Tensor | None = None

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "copies classes"]:
        """Logits of each copy of the batch."""
        self.penalty = None
        if not self.training:
            whole: Tensor = self.network(x)
            return whole
        if not self.masks:
            whole, self.penalty = second_order(self.network, x, self.keep_prob)
            return whole
        first, *others = self.network.hidden_names  # whose inputs have no masks: computed once
        h = self.network.get_submodule(first)(x).repeat(self.masks, 1)
        h = self.network.get_submodule(f"{first}_dropout")(h)
        for name in others:
            h = self.network.get_submodule(f"{name}_dropout")(self.network.get_submodule(name)(h))
        logits: Tensor = self.network.output(h)
        return logits


def second_order(
    network: MLP, x: Float[Tensor, "batch inputs"], keep_prob: float
) -> tuple[Float[Tensor, "batch classes"], Float[Tensor, " batch"]]:
    r"""Logits, and what dropout of hidden units adds to the expected cross-entropy, nearly.

    .. math:: \frac{1}{2} \frac{1-p}{p} \sum_l \sum_j h_{lj}^2 \, \big[J_l^\top (\mathrm{diag}(q) - q q^\top) J_l\big]_{jj}

    with :math:`J_l` the derivative of the logits by the units of layer :math:`l`, and :math:`q` the predicted probabilities:
    second order in the noise, without the term of a ReLU's bend, which is small where the examples are fitted.

    Source: Wei, Kakade and Ma 2020, Section 3.1.
    """
    units, layers = x, []
    for name in network.hidden_names:
        layer = network.get_submodule(name)
        units = layer(units)
        layers.append((units, layer.weight))
    logits: Tensor = network.output(units)
    q = logits.softmax(1)
    derivative = network.output.weight.expand(
        len(x), -1, -1
    )  # of the logits, by the units of a layer, from the top down
    penalty = torch.zeros_like(logits[:, 0])
    for h, weight in reversed(layers):
        mean = torch.einsum("bc,bcj->bj", q, derivative)
        variance = torch.einsum("bc,bcj->bj", q, derivative.square()) - mean.square()
        penalty = penalty + (h.square() * variance).sum(1)
        derivative = (derivative * (h > 0)[:, None]) @ weight
    return logits, (1 - keep_prob) / keep_prob / 2 * penalty


def loss_of(network: Masked) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy of all copies of a batch, and in training the penalty, where there is one."""

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        cross_entropy = F.cross_entropy(logits, y.repeat(len(logits) // len(y)))
        return cross_entropy if network.penalty is None else cross_entropy + network.penalty.mean()

    return loss


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {name: config[name] for name in ("data", "train", "sizes", "recipe")}
    for arm, masks in {"none": 1, "penalty": 0, **{f"k = {k}": k for k in config["masks"]}}.items():
        settings = {**shared, "arm": arm, "masks": masks, "keep_prob": 1.0 if arm == "none" else 0.5}
        yield tuned(settings, config["candidates"], config["seeds"], tuned_by="validation_nll")


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed)
    data = (data if unit["sizes"][0] == data.train.x.shape[1] else shrunk(data)).to(device)
    rows: list[Row] = []
    for i, candidate in enumerate(candidates_of(unit)):
        network = _trained(unit, candidate, data.train)
        if unit.tunes:
            rows.append({**candidate, "candidate": i, "validation_nll": evaluate(network, data.validation).loss})
        else:
            train, test = evaluate(network, data.train), evaluate(network, data.test)
            rows.append({**candidate, "train_nll": train.loss, "test_nll": test.loss, "test_error": test.error})
    return rows


def _trained(unit: Unit, candidate: Candidate, train: Split) -> nn.Module:
    start = runtime.generator(unit.seed)
    network = Masked(
        MLP(unit["sizes"], keep_prob=unit["keep_prob"], generator=start), unit["masks"], unit["keep_prob"]
    ).to(train.x.device)
    fit(network, train, recipe_of(unit.settings, candidate, unit.seed), loss=loss_of(network), progress=False)
    return network


def compared(table: pd.DataFrame, arm: str, control: str, column: str = "test_nll") -> Evidence:
    """An arm's loss, or error, less another's, paired by seed."""
    return difference(table, column, arm, control)


def most(table: pd.DataFrame) -> str:
    """The arm with the most masks a step."""
    return f"k = {int(table['masks'].max())}"


def left(table: pd.DataFrame) -> Evidence:
    """Fall of the loss that is left with the most masks a step, less half of that with one."""
    none, one, many = (values(table, "test_nll", arm=arm) for arm in ("none", "k = 1", most(table)))
    rows = table[table["arm"].isin(["none", "k = 1", most(table)])]
    return noting_ends(rows, paired(none - many, (none - one) / 2, unit="nats"))


def near(table: pd.DataFrame) -> Evidence:
    """How far the penalty's loss is above that of the most masks a step, less a tenth of what one mask takes off."""
    none, one, many, penalty = (values(table, "test_nll", arm=arm) for arm in ("none", "k = 1", most(table), "penalty"))
    rows = table[table["arm"].isin(["none", "k = 1", most(table), "penalty"])]
    return noting_ends(rows, sampled(penalty - many - (none - one) / 10, unit="nats", over="seeds"))


def judge(table: pd.DataFrame) -> list[Finding]:
    many = most(table)
    return [
        Finding.higher(
            f"With {many} masks a step the test loss is higher than with one.",
            compared(table, many, "k = 1"),
            "it rises with k",
            primary="The paper reports that it rises with k: any rise agrees.",
        ),
        Finding.lower(
            "The penalty alone, without a mask, lowers the test loss.",
            compared(table, "penalty", "none"),
            "it regularizes",
            primary="The paper says that it regularizes: any lowering agrees.",
        ),
        Finding.higher(
            f"With {many} masks a step, more than half of what dropout takes off the loss is left.",
            left(table),
        ),
        Finding.lower(
            f"The penalty's test loss exceeds that of {many} masks a step by less than a tenth of what one mask takes off, if at "
            "all (the effect: the excess, less that tenth).",
            near(table),
            "close to each other",
        ),
        Finding.higher(
            f"With {many} masks a step the test error is higher than with one.",
            compared(table, many, "k = 1", "test_error"),
        ),
        Finding.lower(
            f"With {many} masks a step the training loss is lower than with one.",
            compared(table, many, "k = 1", "train_nll"),
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    arms = [arm for arm in table["arm"].unique() if arm not in ("none", "penalty")]
    panels = {
        title: {arm: compared(table, arm, "none", column) for arm in [*arms, "penalty"]}
        for title, column in (("test loss", "test_nll"), ("test error", "test_error"))
    }
    labels = {"test loss": "minus none (nats)", "test error": "minus none (points)"}
    return figures.interval_panels(panels, labels=labels, scales={"test error": 100.0}, colors={"penalty": "L2"})


_SHARED: dict[str, Any] = {
    "data": "mnist_10k",
    "train": 500,
    "sizes": [196, 128, 128, 10],
    "recipe": {"epochs": 40, "batch_size": 50},
    "masks": [1, 2, 8, 32],
    "candidates": [{"learning_rate": rate} for rate in (0.1, 0.03, 0.01, 0.003)],
}

EXPERIMENT = Experiment(
    title="Penalty or noise? Several masks a step",
    source="Wei, Kakade and Ma 2020, Sections 3 and 4",
    claim="Dropout is more than its penalty: the noise of its gradient, which many masks a step average away, helps, too.",
    reported=[Reported("loss of language models against k", "rises with k", "Wei, Kakade and Ma 2020, Section 4")],
    scales={
        "lecture": {**_SHARED, "train": 200, "masks": [1, 8], "candidates": _SHARED["candidates"][1:2], "seeds": 5},
        "workstation": {**_SHARED, "seeds": 10},
        "paper": {
            **_SHARED,
            "data": "mnist",
            "train": 50_000,
            "sizes": [784, 1024, 1024, 10],
            "recipe": {"epochs": 40, "batch_size": 100},
            "seeds": 5,
        },
    },
    origin="other",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "The paper's models are LSTMs and transformers for text. Here masks act on the hidden units only, p = 1/2, of a "
        "network with 128 units a layer that learns 500 digits of 14 by 14 pixels. Each arm has the best of four learning "
        "rates by validation loss; all take as many steps, on batches of 50, so k masks cost k times as much. The penalty is "
        "the expectation over masks to second order, which at p = 1/2 is not small noise."
    ),
)
