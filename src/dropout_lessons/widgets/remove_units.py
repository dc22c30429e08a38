"""Units taken out of a trained layer by hand, and what those still there are worth then."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray

from dropout_lessons.networks import MLP, evaluating
from dropout_lessons.widgets.base import Interactive, OneOf, check_colors, class_labels, finite_array, script, style

_COLORS = ("plain", "dropout")
_MOST_UNITS = 40
_MOST_EXAMPLES = 200
_MOST_BYTES = 150_000


class RemoveUnits(Interactive):
    r"""Remove units of a trained layer one by one, and see what each of the others is worth without them.

    The loss :math:`L(S)` is the mean cross-entropy over the examples, in nats, when only the units in :math:`S` are
    present and the others send 0. The *effect* of unit :math:`i` is what the loss rises by if it goes next,
    :math:`L(S \setminus i) - L(S)`; the least important unit has the smallest effect now. The browser shows each present
    unit's effect beside its effect in the intact network, where :math:`S` is the whole layer :math:`A`. Of the removed
    units :math:`T` together it shows the damage :math:`L(A \setminus T) - L(A)`, the sum of their effects in the intact
    network, :math:`\sum_{i \in T} [L(A \setminus i) - L(A)]`, and the ratio of the two where both are above 0. Where
    units rely on each other, effects grow, shrink or change sign as others go.

    A page holds the layer's activations and the weights above it as 32-bit numbers: 200 examples in two 784-32-32-10
    networks take 80 kB.

    Args:
        networks: One or two trained networks by name, such as ``{"plain": ..., "dropout": ...}``, with at most 40 units
            in the layer.
        layer: The hidden layer whose units are removed, such as ``"hidden1"``.
        x: The examples, shape (examples, inputs), at most 200.
        y: The class of each example, shape (examples,).
        colors: For each network, the key of ``figures.COLORS`` it is drawn in.
        network: The network shown first; the first one if None.
        removed: The units removed at first, counted from 0, in the order in which they went; every fourth one if None.
        order: How the bars are sorted: by ``"unit"`` or by ``"effect"``.
        seed: Which units are removed at random, 0 to :math:`2^{32} - 1`.

    Raises:
        ValueError: If there are more than two networks, 40 units or 200 examples, if the networks differ in their number
            of units or classes, are no MLPs or have no such layer, if shapes do not fit, a number is not finite or a
            label is no class.
        TraitError: If ``network``, ``removed``, ``order`` or ``seed`` is out of bounds, now or later.

    Example:
        >>> network, x = MLP([4, 8, 3]), torch.rand(20, 4)
        >>> units = RemoveUnits({"plain": network}, "hidden1", x, y=torch.arange(20) % 3)
        >>> units.removed = [5, 0]
    """

    _name = "remove_units"
    _esm = script("remove_units.js")
    _css = style("remove_units.css")

    network = OneOf("networks").tag(sync=True)
    removed = traitlets.List(traitlets.Int()).tag(sync=True)
    order = traitlets.Enum(("unit", "effect"), "unit").tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**32 - 1).tag(sync=True)

    def __init__(
        self,
        networks: Mapping[str, MLP],
        layer: str,
        x: ArrayLike,
        y: ArrayLike,
        colors: Sequence[str] = _COLORS,
        network: str | None = None,
        removed: Sequence[int] | None = None,
        order: str = "unit",
        seed: int = 0,
    ) -> None:
        if not 1 <= len(networks) <= 2:
            raise ValueError(f"networks must be one or two networks by name, got {len(networks)}")
        check_colors(colors, len(networks), "networks")
        x_array = finite_array("x", x, (None, None))
        if len(x_array) > _MOST_EXAMPLES:
            raise ValueError(
                f"x must have at most {_MOST_EXAMPLES} examples, got {len(x_array)}; take x[:{_MOST_EXAMPLES}]"
            )
        entries, sizes, size = [], set(), 0
        for (name, each), color in zip(networks.items(), colors, strict=False):
            h, layers = _from(f"networks[{name!r}]", each, layer, x_array)
            sizes.add((h.shape[1], len(layers[-1][1])))
            packed = [{"w": _floats(weight), "b": _floats(bias)} for weight, bias in layers]
            entries.append({"name": name, "color": color, "h": _floats(h), "layers": packed})
            size += len(_floats(h)) + sum(len(text) for texts in packed for text in texts.values())
        if len(sizes) > 1:
            raise ValueError(
                f"networks must agree in their units in {layer!r} and their classes, got {sorted(sizes)} units and classes"
            )
        units, classes = sizes.pop()
        if units > _MOST_UNITS:
            raise ValueError(f"{layer!r} must have at most {_MOST_UNITS} units, one button for each, got {units}")
        if size > _MOST_BYTES:
            raise ValueError(
                f"the page would hold {size / 1000:.0f} kB of activations and weights, at most {_MOST_BYTES // 1000} are "
                f"allowed; give fewer than {len(x_array)} examples, or networks that are narrower above {layer!r}"
            )
        super().__init__(
            data={
                "networks": entries,
                "layer": layer,
                "units": units,
                "labels": class_labels(y, len(x_array), classes, name="y"),
            },
            network=next(iter(networks)) if network is None else network,
            removed=list(range(0, units, 4)) if removed is None else list(removed),
            order=order,
            seed=seed,
        )

    @traitlets.validate("removed")
    def _each_unit_at_most_once(self, proposal: Any) -> list[int]:
        units, value = self.data["units"], list(proposal["value"])
        if not set(value) <= set(range(units)) or len(set(value)) < len(value):
            raise traitlets.TraitError(f"removed must be different units from 0 to {units - 1}, got {value}")
        return value

    def _sentence(self) -> str:
        names = " and ".join(entry["name"] for entry in self.data["networks"])
        return (
            f"Interactive: remove units of layer {self.data['layer']} by hand ({names}). "
            f"Now {len(self.removed)} of {self.data['units']} units are removed from {self.network}; see the accuracy, "
            "the damage against the sum of the damages one at a time, and the effect of each unit still there beside its "
            "effect in the intact network."
        )


def _floats(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


_Layers = list[tuple[NDArray[np.float64], NDArray[np.float64]]]


def _from(name: str, network: MLP, layer: str, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], _Layers]:
    """Return the layer's activations without dropout, and weight and bias of each layer above it."""
    if not isinstance(network, MLP):
        raise ValueError(f"{name} must be a dropout_lessons.networks.MLP, got {type(network).__name__}")
    if layer not in network.hidden_names:
        raise ValueError(f"layer must be one of {list(network.hidden_names)} in {name}, got {layer!r}")
    if x.shape[1] != network.sizes[0]:
        raise ValueError(f"x must have {network.sizes[0]} inputs for {name}, got {x.shape[1]}")
    seen: list[torch.Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda module, args, output: seen.append(output))
    try:
        with evaluating(network), torch.no_grad():
            logits = network(torch.as_tensor(x).to(network.output.weight)).double().cpu().numpy()
            layers, below = [], layer
            for above in (*network.hidden_names[network.hidden_names.index(layer) + 1 :], "output"):
                module = network.get_submodule(above)
                assert isinstance(module, torch.nn.Linear)
                # Dropout with standard scaling multiplies at test time: here the weights above it do.
                scale = network.get_submodule(f"{below}_dropout")(torch.ones_like(module.weight[:1]))
                weight = finite_array(f"weights of {above!r} in {name}", module.weight * scale, (None, None))
                layers.append((weight, finite_array(f"biases of {above!r} in {name}", module.bias, (None,))))
                below = above
    finally:
        hook.remove()
    h = finite_array(f"activations of {layer!r} in {name}", seen[0], (None, None))
    output = h
    for i, (weight, bias) in enumerate(layers):
        output = (np.maximum(output, 0) if i else output) @ weight.T + bias
    if not np.allclose(output, logits, rtol=1e-3, atol=1e-3 * max(1.0, float(abs(logits).max()))):
        raise ValueError(f"{name} must have only ReLU layers above {layer!r}, and dropout that scales at most")
    return h, layers
