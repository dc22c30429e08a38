"""What the number given to dropout means: the probability of keeping a unit in some libraries, of dropping it in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dropout_lessons.arguments import check_keep_prob

__all__ = ["CONVENTIONS", "Convention"]


@dataclass(frozen=True)
class Convention:
    """How one library, or text, writes dropout.

    Attributes:
        library: Its name.
        argument: What it calls the number.
        meaning: Whether the number is the probability to "keep" or to "drop" a unit.
        template: A line of code, or of text, with ``{value}`` in the place of the number.

    Example:
        >>> pytorch = Convention("PyTorch", "p", "drop", "nn.Dropout(p={value})")
        >>> pytorch.value(keep_prob=0.8)
        0.2
        >>> pytorch.code(keep_prob=0.8)
        'nn.Dropout(p=0.2)'
    """

    library: str
    argument: str
    meaning: Literal["keep", "drop"]
    template: str

    def value(self, keep_prob: float) -> float:
        """Return the number to write for a layer that keeps units with probability ``keep_prob``."""
        keep_prob = check_keep_prob(keep_prob)
        return keep_prob if self.meaning == "keep" else round(1 - keep_prob, 12)  # 0.2, not 0.19999999999999996

    def code(self, keep_prob: float) -> str:
        """Return the line to write for a layer that keeps units with probability ``keep_prob``."""
        return self.template.format(value=format(self.value(keep_prob), "g"))


CONVENTIONS: tuple[Convention, ...] = (
    Convention("The paper", "p", "keep", "p = {value}"),
    Convention("dropout_lessons", "keep_prob", "keep", "Dropout(keep_prob={value})"),
    Convention("PyTorch", "p", "drop", "torch.nn.Dropout(p={value})"),
    Convention("TensorFlow / Keras", "rate", "drop", "keras.layers.Dropout(rate={value})"),
    Convention("TensorFlow 1", "keep_prob", "keep", "tf.nn.dropout(x, keep_prob={value})"),
    Convention("JAX with Flax", "rate", "drop", "flax.linen.Dropout(rate={value})"),
    Convention("JAX with Equinox", "p", "drop", "equinox.nn.Dropout(p={value})"),
)
