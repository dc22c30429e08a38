"""Linear regression with two features, under dropout and under a ridge penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from dropout_lessons.widgets.base import Interactive, KeepProb, finite_array, names_of, script, style

_LEAST_KEEP_PROB = 0.2  # of the slider; at this end the strength is 4
_MOST_EXAMPLES = 60  # with 40 trainings of 100 copies each, what a phone adds up between two frames


class RidgeExplorer(Interactive):
    r"""The plane of the two weights of a linear regression: where dropout and a ridge penalty end up.

    Features and target are centered. Averaged over masks, dropout on the inputs (inverted scaling) minimizes

    .. math:: \lVert y - X w \rVert^2 + \frac{1-p}{p} \sum_j \lVert x_j \rVert^2 w_j^2,

    and ridge regression minimizes the first term plus :math:`\lambda \sum_j d_j w_j^2`. With ``penalty="scaled"``
    :math:`d_j = \lVert x_j \rVert^2`, and the two agree where :math:`\lambda = (1 - p)/p`, as they do while ``linked`` is
    true. With ``penalty="plain"`` both :math:`d_j` are the mean of the :math:`\lVert x_j \rVert^2`. The browser also fits least
    squares to noisy copies of the data, as many as ``copies`` of each example, 40 times: a dot each.

    Args:
        x: Two features, shape (examples, 2), at most 60 examples.
        y: The target, shape (examples,).
        names: Names of the features.
        keep_prob: Probability that an input is kept, in (0, 1].
        strength: :math:`\lambda`, used where ``linked`` is false.
        linked: Whether :math:`\lambda` follows :math:`p`.
        penalty: ``"scaled"`` or ``"plain"``.
        copies: 1, 10 or 100.
        seed: Which masks are drawn, 0 to :math:`2^{32} - 1`.

    Raises:
        ValueError: If the shapes do not fit, a number is not finite, or one feature is constant or a multiple of the other.
        TraitError: If a handle is out of bounds, now or later.

    Example:
        >>> x = [[1.0, 10.0], [2.0, 30.0], [3.0, 20.0], [4.0, 50.0]]
        >>> explorer = RidgeExplorer(x, [1.0, 2.0, 2.0, 4.0], names=["rooms", "area"])
        >>> explorer.keep_prob = 0.8

    Source: Srivastava et al. 2014, Section 9.1.
    """

    _name = "ridge_explorer"
    _esm = script("ridge_explorer.js")
    _css = style("ridge_explorer.css")

    keep_prob = KeepProb(0.5).tag(sync=True)
    strength = traitlets.Float(1.0, min=0.0).tag(sync=True)
    linked = traitlets.Bool(True).tag(sync=True)
    penalty = traitlets.Enum(("scaled", "plain"), "scaled").tag(sync=True)
    copies = traitlets.Enum((1, 10, 100), 10).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**32 - 1).tag(sync=True)

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        names: Sequence[str] | None = None,
        keep_prob: float = 0.5,
        strength: float = 1.0,
        linked: bool = True,
        penalty: str = "scaled",
        copies: int = 10,
        seed: int = 0,
    ) -> None:
        features = finite_array("x", x, (None, 2))
        target = finite_array("y", y, (len(features),))
        if len(features) > _MOST_EXAMPLES:
            raise ValueError(f"x must have at most {_MOST_EXAMPLES} examples, got {len(features)}")
        features = features - features.mean(0)
        moment = _moment(features)
        if np.linalg.det(moment) <= 1e-6 * np.diag(moment).prod():  # one minus their squared correlation
            raise ValueError(
                "x must have two features that vary and are not multiples of each other, got columns with standard "
                f"deviations {features.std(0).tolist()}; leave one out or take others"
            )
        super().__init__(
            data={
                "x": features.tolist(),
                "y": (target - target.mean()).tolist(),
                "names": names_of("names", names, 2),
                "trainings": 40,
                "least": _LEAST_KEEP_PROB,
            },
            keep_prob=keep_prob,
            strength=strength,
            linked=linked,
            penalty=penalty,
            copies=copies,
            seed=seed,
        )

    def _weights(self) -> NDArray[np.float64]:
        """The weights that dropout ends with, on average over masks."""
        x, y = np.array(self.data["x"]), np.array(self.data["y"])
        moment = _moment(x)
        penalty = (1 - self.keep_prob) / self.keep_prob * np.diag(moment)
        weights: NDArray[np.float64] = np.linalg.solve(moment + np.diag(penalty), x.T @ y)
        return weights

    def _sentence(self) -> str:
        first, second = self._weights()
        one, other = self.data["names"]
        return (
            f"Interactive: a linear regression on {one} and {other} with dropout at keep_prob = {self.keep_prob:g}, which ends "
            f"with the weights {first:.3g} and {second:.3g}; compare them with those of a ridge penalty whose strength you set."
        )


def _moment(x: NDArray[np.float64]) -> NDArray[Any]:
    moment: NDArray[Any] = x.T @ x
    return moment
