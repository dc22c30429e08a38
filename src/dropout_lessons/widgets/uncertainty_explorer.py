"""An input that changes step by step, and what each method says of it, if it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from dropout_lessons.widgets.base import (
    Index,
    Interactive,
    check_colors,
    class_labels,
    finite_array,
    hex_images,
    names_of,
    script,
    style,
)

_COLORS = ("reference", "dropout", "ensemble")
_UNIT = 1e-4  # probabilities are kept as multiples of it


class UncertaintyExplorer(Interactive):
    r"""What several methods predict for an input that leaves the training data, and which of them would not answer.

    A method averages its members' probabilities :math:`P_i` to :math:`\bar P`. The browser shows :math:`\bar P` and its
    members, the entropy :math:`H(\bar P)` in nats, and the mutual information :math:`H(\bar P) - \frac{1}{k} \sum_i
    H(P_i)`, by which the members disagree. A method answers where its entropy is at most ``threshold``.

    A page holds the pictures in 16 grays and the probabilities rounded to 4 digits, which moves an entropy over 10
    classes by less than 0.005 nats. Four examples of 28 x 28 pixels at 13 steps with 26 members and 10 classes take
    about 100 kB, and at most 130.

    Args:
        images: The examples at each step, shape (examples, steps, height, width), in [0, 1].
        probs: For each method, by name, its members' probabilities, shape (examples, steps, members, classes), such as
            ``{"weight scaling": ..., "MC dropout": ..., "ensemble": ...}``; at most 3 methods.
        step_labels: What to call each step, such as ``["0°", "15°", "30°"]``; their numbers if None.
        step_name: What is changed, such as ``"Rotation"``.
        labels: The true class of each example, shape (examples,). With them, wrong answers are counted.
        class_names: A name for each class; their numbers if None.
        colors: For each method, the key of ``figures.COLORS`` it is drawn in.
        threshold: The largest entropy at which a method answers, in nats, from 0 to log(classes).
        example: The example shown first.
        step: The step shown first; the one in the middle if None.

    Raises:
        ValueError: If the shapes do not fit each other, images or probabilities are out of [0, 1], probabilities do not
            sum to 1, a label is no class, or a method has no color.
        TraitError: If ``threshold``, ``example`` or ``step`` is out of bounds, now or later.

    Example:
        >>> images, probs = np.zeros((1, 2, 8, 8)), np.full((1, 2, 5, 4), 0.25)
        >>> explorer = UncertaintyExplorer(images, {"MC dropout": probs}, colors=["dropout"])
        >>> explorer.step = 0
    """

    _name = "uncertainty_explorer"
    _esm = script("examples.js", "uncertainty_explorer.js")
    _css = style("examples.css", "uncertainty_explorer.css")

    threshold = traitlets.Float(0.5).tag(sync=True)
    example = Index(lambda data: len(data["images"]["pixels"])).tag(sync=True)
    step = Index(lambda data: len(data["step_labels"])).tag(sync=True)

    def __init__(
        self,
        images: ArrayLike,
        probs: Mapping[str, ArrayLike],
        step_labels: Sequence[str] | None = None,
        step_name: str = "Step",
        labels: ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        colors: Sequence[str] = _COLORS,
        threshold: float = 0.5,
        example: int = 0,
        step: int | None = None,
    ) -> None:
        pictures = hex_images("images", images, (None, None, None, None))
        examples, steps = len(pictures["pixels"]), len(pictures["pixels"][0])
        if not probs:
            raise ValueError("probs must have at least one method, got none")
        check_colors(colors, len(probs), "methods")
        arrays = {
            name: finite_array(f"probs[{name!r}]", array, (examples, steps, None, None))
            for name, array in probs.items()
        }
        classes = next(iter(arrays.values())).shape[-1]
        methods = []
        for (name, array), color in zip(arrays.items(), colors, strict=False):
            finite_array(f"probs[{name!r}]", array, (examples, steps, None, classes))
            total = array.sum(axis=-1)
            if array.min() < 0 or abs(total - 1).max() > 1e-3:
                raise ValueError(
                    f"probs[{name!r}] must be probabilities that sum to 1 over the classes, got a least one of "
                    f"{array.min():g} and sums from {total.min():g} to {total.max():g}; log-probabilities need exp()"
                )
            methods.append({"name": name, "color": color, "probs": np.rint(array / _UNIT).astype(int).tolist()})
        super().__init__(
            data={
                "images": pictures,
                "methods": methods,
                "step_labels": names_of("step_labels", step_labels, steps),
                "step_name": step_name,
                "labels": None if labels is None else class_labels(labels, examples, classes),
                "class_names": names_of("class_names", class_names, classes),
            },
            threshold=threshold,
            example=example,
            step=steps // 2 if step is None else step,
        )

    @traitlets.validate("threshold")
    def _an_entropy(self, proposal: Any) -> float:
        most = math.log(len(self.data["class_names"]))
        if not 0 <= proposal["value"] <= most:
            raise traitlets.TraitError(
                f"threshold must be an entropy in nats from 0 to log(classes) = {most:.3f}, got {proposal['value']}"
            )
        return float(proposal["value"])

    def _sentence(self) -> str:
        names = ", ".join(method["name"] for method in self.data["methods"])
        return (
            f"Interactive: what {names} predict{'s' * (len(self.data['methods']) == 1)} for an example at "
            f"{len(self.data['step_labels'])} steps of {self.data['step_name'].lower()}, now "
            f"{self.data['step_labels'][self.step]}, and whether the entropy is below a threshold of {self.threshold:g} "
            "nats, so that an answer is given."
        )
