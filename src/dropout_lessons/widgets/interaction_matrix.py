"""How every pair of units of a layer interacts, as a matrix to be sorted and explored."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from dropout_lessons.widgets.base import Interactive, OneOf, check_colors, finite_array, nice_step, script, style

_COLORS = ("plain", "dropout")
_MOST_UNITS = 256
_MOST_CHARACTERS = 145_000
_MOST_BITS = 15
_LEAST = 1e-6  # nats; below it is the rounding of 32-bit arithmetic


class InteractionMatrix(Interactive):
    r"""The interaction of every pair of units, as colored matrices to be sorted and explored.

    With :math:`v(S)` what a network gets when only the units in :math:`S` are present, units :math:`i` and :math:`j`
    interact by :math:`I_{ij}(S) = v(S + ij) - v(S + i) - v(S + j) + v(S)`. Below 0 they are *redundant*: one covers for
    the other, and removing both costs :math:`|I|` more than the sum of removing each. Above 0 they are in *synergy*:
    they need each other, and removing both costs :math:`I` less than that sum. The matrices show the mean of
    :math:`I_{ij}` over examples and contexts :math:`S` and, where given, the mean of :math:`|I_{ij}|`, which does not
    cancel. Color grows with the square root of the size, so that weak pairs are seen beside strong ones.

    A page holds the numbers on a square-root scale, with :math:`l = 2^b - 1` steps up to the largest size :math:`M` of
    its matrix. A number of size :math:`u` is kept to within :math:`\sqrt{u M} / l + M / (4 l^2)`; sums over all pairs
    are computed before. :math:`b` is 15, or what fits into 145 kB: two matrices of 256 units have :math:`b = 12` (at
    :math:`u = M / 100` a relative error of at most 0.3%), and :math:`b = 6` with ``strength`` (17%). Sizes below
    :math:`10^{-6}` nats, the rounding of 32-bit arithmetic, are shown as 0.

    Args:
        matrices: For one or two networks, by name, the mean interactions in nats, symmetric, shape (n, n), such as
            ``{"plain": ..., "dropout": ...}``; n from 2 to 256. The diagonal is not used.
        strength: For each of these networks, the mean sizes :math:`|I_{ij}|`, shape (n, n).
        effects: For each of these networks, the mean effects of single units :math:`v(S + i) - v(S)`, shape (n,).
        colors: For each network, the key of ``figures.COLORS`` that its name has.
        show: The matrices shown first: ``"mean"``, or ``"size"`` where ``strength`` is given.
        order: How units are sorted: as in the ``"network"``, by ``"effect"`` where given, by total ``"interaction"``,
            that is the sum of sizes over a unit's pairs, or ``"grouped"``, where those that interact stand together.
        scale: Whether the colors of all matrices have one ``"shared"`` scale, or each its ``"own"``.
        threshold: Only pairs whose size is above it are shown, in nats.
        network: The network whose pair is told first; the first one if None.
        pair: Two units, counted from 0; those that interact most in that network if None.

    Raises:
        ValueError: If shapes do not fit, numbers are not finite, a matrix is not symmetric, a mean size is below 0 or
            below the size of the mean, there are more than two networks or 256 units, or names do not agree.
        TraitError: If ``show``, ``order``, ``scale``, ``threshold``, ``network`` or ``pair`` is out of bounds, now or
            later.

    Example:
        >>> redundant = np.array([[0.0, -0.2, 0.0], [-0.2, 0.0, 0.1], [0.0, 0.1, 0.0]])
        >>> matrix = InteractionMatrix({"plain": redundant}, effects={"plain": [0.3, 0.2, 0.1]})
        >>> matrix.order = "grouped"
    """

    _name = "interaction_matrix"
    _esm = script("interaction_matrix.js")
    _css = style("interaction_matrix.css")

    show = traitlets.Enum(("mean", "size"), "mean").tag(sync=True)
    order = traitlets.Enum(("network", "effect", "interaction", "grouped"), "network").tag(sync=True)
    scale = traitlets.Enum(("shared", "own"), "shared").tag(sync=True)
    threshold = traitlets.Float(0.0).tag(sync=True)
    network = OneOf("networks").tag(sync=True)
    pair = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(
        self,
        matrices: Mapping[str, ArrayLike],
        strength: Mapping[str, ArrayLike] | None = None,
        effects: Mapping[str, ArrayLike] | None = None,
        colors: Sequence[str] = _COLORS,
        show: str = "mean",
        order: str = "network",
        scale: str = "shared",
        threshold: float = 0.0,
        network: str | None = None,
        pair: Sequence[int] | None = None,
    ) -> None:
        if not 1 <= len(matrices) <= 2:
            raise ValueError(f"matrices must be those of one or two networks by name, got {len(matrices)}")
        check_colors(colors, len(matrices), "networks")
        for argument, given in (("strength", strength), ("effects", effects)):
            if given is not None and set(given) != set(matrices):
                raise ValueError(f"{argument} must be of the networks {list(matrices)}, got {list(given)}")
        means: dict[str, NDArray[np.float64]] = {}
        of_first, matrix = next(iter(matrices.items()))
        units = len(finite_array(f"matrices[{of_first!r}]", matrix, (None, None)))
        if not 2 <= units <= _MOST_UNITS:
            raise ValueError(f"matrices must have 2 to {_MOST_UNITS} units, got {units}; take the units of most effect")
        for name, matrix in matrices.items():
            means[name] = _symmetric(f"matrices[{name!r}]", matrix, units)
        sizes = {name: abs(mean) for name, mean in means.items()}
        if strength is not None:
            sizes = {name: _symmetric(f"strength[{name!r}]", strength[name], units) for name in matrices}
            for name, size in sizes.items():
                # the two means are sums in different orders, of 32-bit numbers perhaps
                if (size < abs(means[name]) * (1 - 1e-4) - 1e-4 * size.max()).any() or size.min() < 0:
                    raise ValueError(
                        f"strength[{name!r}] must be mean sizes |I|, at least the size of matrices[{name!r}] everywhere"
                    )
        pairs = np.triu_indices(units, 1)
        numbers = len(matrices) * len(pairs[0])
        # b + 1 bits for a signed number and b for a size, 6 in each character
        bits = 6 * _MOST_CHARACTERS / numbers
        bits = min(_MOST_BITS, int((bits - 1) / (1 if strength is None else 2)))
        entries = []
        for (name, mean), color in zip(means.items(), colors, strict=False):
            size = sizes[name]
            entries.append(
                {
                    "name": name,
                    "color": color,
                    "mean": _packed(mean[pairs], bits, signed=True),
                    "size": None if strength is None else _packed(size[pairs], bits, signed=False),
                    "effects": None
                    if effects is None
                    else [float(f"{e:.6g}") for e in finite_array(f"effects[{name!r}]", effects[name], (units,))],
                    "grouped": _grouped(size),
                    "total": float(f"{size[pairs].sum():.6g}"),
                }
            )
        largest = max(float(size[pairs].max()) for size in (*sizes.values(), *map(abs, means.values())))
        largest = largest if largest >= _LEAST else 1.0
        step = nice_step(largest / 200)
        first = of_first if network is None else network
        strongest = np.argmax(abs(means.get(first, means[of_first])[pairs]))
        super().__init__(
            data={
                "networks": entries,
                "units": units,
                "bits": bits,
                "step": step,
                "most": step * math.ceil(largest / step - 1e-9),
            },
            show=show,
            order=order,
            scale=scale,
            threshold=threshold,
            network=first,
            pair=[int(unit[strongest]) for unit in pairs] if pair is None else list(pair),
        )

    @traitlets.validate("show", "order")
    def _only_what_there_is(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        needs = {"size": ("size", "strength"), "effect": ("effects", "effects")}.get(value)
        if needs is not None and self.data["networks"][0][needs[0]] is None:
            raise traitlets.TraitError(f"{name} can be {value!r} only where {needs[1]} is given")
        return value

    @traitlets.validate("threshold")
    def _on_the_slider(self, proposal: Any) -> float:
        if not 0 <= proposal["value"] <= self.data["most"]:
            raise traitlets.TraitError(
                f"threshold must be from 0 to {self.data['most']:g} nats, where no pair is left, got {proposal['value']}"
            )
        return float(proposal["value"])

    @traitlets.validate("pair")
    def _two_units(self, proposal: Any) -> list[int]:
        units, value = self.data["units"], list(proposal["value"])
        if len(value) != 2 or not set(value) <= set(range(units)):
            raise traitlets.TraitError(f"pair must be two units from 0 to {units - 1}, got {value}")
        return value

    def _sentence(self) -> str:
        units = self.data["units"]
        names = " and ".join(entry["name"] for entry in self.data["networks"])
        totals = " and ".join(f"{entry['total']:.3g}" for entry in self.data["networks"])
        return (
            f"Interactive: the interactions of all {units * (units - 1) // 2:,} pairs of {units} units, as a colored "
            f"matrix to be sorted and explored ({names}); pairs below a threshold of {self.threshold:g} nats are hidden. "
            f"The sizes of all pairs add up to {totals} nats."
        )


def _symmetric(name: str, matrix: ArrayLike, units: int) -> NDArray[np.float64]:
    array = finite_array(name, matrix, (units, units)).copy()
    np.fill_diagonal(array, 0)
    if not np.allclose(array, array.T, rtol=1e-4, atol=1e-5 * float(abs(array).max())):
        raise ValueError(
            f"{name} must be symmetric, as I_ij is I_ji; they differ by up to {abs(array - array.T).max():g}"
        )
    return array


def _packed(values: NDArray[np.float64], bits: int, *, signed: bool) -> dict[str, Any]:
    """Return numbers on a square-root scale of 2**bits - 1 steps to the largest size, with one bit more for a sign."""
    levels = 2**bits - 1
    values = np.where(abs(values) < _LEAST, 0, values)
    most = float(abs(values).max())
    steps = np.rint(levels * np.sqrt(abs(values) / (most or 1.0))).astype(int)
    if signed:
        steps, bits = levels + np.where(values < 0, -steps, steps), bits + 1
    digits = (steps[:, None] >> np.arange(bits)[::-1]) & 1
    return {"most": most, "steps": base64.b64encode(np.packbits(digits.astype(np.uint8)).tobytes()).decode()}


def _grouped(size: NDArray[np.float64]) -> list[int]:
    """Return an order in which units with a large interaction stand together: the leaves of average linkage."""
    distance = 1 - np.sqrt(size / (size.max() or 1.0))
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return [int(unit) for unit in leaves_list(tree)]
