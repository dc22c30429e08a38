"""What goes into a fit, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple

import numpy as np

from dropout_lessons.arguments import check_choice, check_count, check_number


@dataclass(frozen=True)
class Recipe:
    r"""Everything that decides how a network is trained, except the network and the data.

    With SGD and momentum :math:`\mu`, a step is :math:`v \leftarrow \mu v + g`, :math:`w \leftarrow w - \epsilon v`.
    Hinton et al. 2012 write :math:`v \leftarrow \mu v - (1 - \mu) \epsilon g`: their learning rate is
    :math:`1/(1-\mu)` times this one. The defaults are the course's; they train a net on 1000 digits in seconds.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Examples in a step; the last batch of an epoch may be smaller.
        learning_rate: :math:`\epsilon` of the first step.
        optimizer: ``"sgd"`` with momentum, as in the paper, ``"adam"`` or ``"adamw"``.
        momentum: :math:`\mu`, for SGD only; the paper uses 0.95 to 0.99 with dropout.
        decay: ``"linear"`` lowers the learning rate to zero step by step, ``"none"`` keeps it, and a number in (0, 1]
            multiplies it after each epoch.
        weight_decay: :math:`\lambda` of an L2 penalty :math:`\frac{\lambda}{2} \sum w^2` on the weights, not the biases; with
            ``"adamw"`` no part of the loss, but a factor :math:`1 - \epsilon \lambda` on the weights before each step.
        l1: :math:`\lambda_1` of an L1 penalty :math:`\lambda_1 \sum |w|` on the weights.
        max_norm: Radius :math:`c` of the ball that each unit's incoming weights are projected onto after every step,
            or None; the paper uses 3 to 4.
        seed: Decides the order of the examples and, where layers have no generator of their own, the dropout masks.
        precision: ``"float32"``, the parameters' own, or ``"bfloat16"``: matrix products of training are rounded to 8 bits,
            while weights, updates, loss and evaluation keep theirs. Faster on processors with matrix units for it (most
            GPUs; CPUs with the flag ``amx_bf16``) and slower on others: time an epoch of each.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> Recipe(epochs=5, max_norm=3.0).learning_rate
        0.1

    Source: Srivastava et al. 2014, Appendix A; Loshchilov and Hutter 2019 for AdamW.
    """

    epochs: int = 60
    batch_size: int = 100
    learning_rate: float = 0.1
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: float = 0.9
    decay: Literal["linear", "none"] | float = "linear"
    weight_decay: float = 0.0
    l1: float = 0.0
    max_norm: float | None = None
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.generic):  # such as one of np.geomspace: a checkpoint holds plain numbers
                object.__setattr__(self, item.name, value.item())
        check_count("epochs", self.epochs, at_least=1)
        check_count("batch_size", self.batch_size, at_least=1)
        check_number("learning_rate", self.learning_rate, "a positive number", above=0)
        check_choice("optimizer", self.optimizer, ("sgd", "adam", "adamw"))
        check_number("momentum", self.momentum, "in [0, 1)", at_least=0, below=1)
        if self.decay not in ("linear", "none"):
            check_number("decay", self.decay, '"linear", "none" or a factor in (0, 1]', above=0, at_most=1)
        check_number("weight_decay", self.weight_decay, "0 or positive", at_least=0)
        check_number("l1", self.l1, "0 or positive", at_least=0)
        if self.max_norm is not None:
            check_number("max_norm", self.max_norm, "positive or None", above=0)
        check_count("seed", self.seed, at_least=0)
        check_choice("precision", self.precision, ("float32", "bfloat16"))


class Score(NamedTuple):
    """How well a network does on a set of examples.

    Attributes:
        loss: Mean cross-entropy in nats; for a regression, mean squared error over examples and outputs, or, where the network
            returns variances too, mean negative log-likelihood in nats; with a loss of one's own, the mean of that.
        error: Fraction of the labels that are missed (of soft labels, of the most probable ones); for a regression, fraction
            of the targets' variance that is left unexplained; NaN where a loss of one's own compares something else.
    """

    loss: float
    error: float


@dataclass
class History:
    """What happened during a fit, one entry for each evaluated epoch.

    Training and validation sets are both measured in evaluation mode, with nothing dropped, so that they compare. Losses
    and errors are those of :class:`Score`.

    Attributes:
        epoch: Epochs completed at each evaluation.
        train_loss: Loss on the training set.
        train_error: Error on the training set.
        validation_loss: The same on the validation set; empty if the data have none.
        validation_error: The same on the validation set; empty if the data have none.
        seconds: Time the fit took, evaluation included.
    """

    epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_error: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_error: list[float] = field(default_factory=list)
    seconds: float = 0.0
