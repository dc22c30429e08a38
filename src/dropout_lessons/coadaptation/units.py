"""The units of one layer of a network, on given examples, with any of them present."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dropout_lessons.averaging.members import frozen
from dropout_lessons.averaging.outputs import check_output
from dropout_lessons.averaging.sites import Interception
from dropout_lessons.coadaptation.additivity import agrees, look_above
from dropout_lessons.coadaptation.parts import Outputs, Part, Readout
from dropout_lessons.coadaptation.passes import Passes

__all__ = ["Clamp", "Clamped", "Outputs"]

Clamp = Literal["zero", "mean"]

_BLOCK = 128  # examples that run together, at most
_PROBE, _PROBES = 8, 4  # examples on which what lies above the layer is looked at, and how many times


class Clamped:
    r"""A layer whose unit :math:`j` sends on :math:`z_j h_j + (1 - z_j)\, c_j`: its output where present, else its clamp.

    The network is in evaluation mode, dropout is inactive, and what lies below the layer runs once.

    Args:
        network: Any module that returns ``(examples, outputs)``.
        layer: Name of a module that is called once in a forward pass, as in ``network.named_modules()``.
        x: The network's input, examples first.
        y: Class of each example, or the targets of a regression; the network's own predictions when None.
        clamp: ``"zero"`` for :math:`c_j = 0`, ``"mean"`` for the unit's mean over ``x`` (and positions).
        outputs: What the network returns: ``"logits"``, ``"log_probs"``, ``"probs"``, or ``"values"`` of a regression.
        temperature: Divides the logits.
        unit_axis: Axis of the layer's output that counts units.
        memory: Work space in bytes, approximately.

    Attributes:
        n_units: Number of units :math:`n`.
        n_examples: Number of examples.
        activations: What the layer returns.
        is_regression: Whether values are squared errors.
        y: Classes, or targets ``(examples, outputs)``.
        parts: The examples, in parts that run together.

    Raises:
        ValueError: If an argument is not what it should be; the message says what would be.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> units = Clamped(network, "1", torch.randn(5, 4))
        >>> units.values(torch.ones(2, 8, dtype=torch.bool)).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        network: nn.Module,
        layer: str,
        x: Float[Tensor, "examples ..."],
        y: Tensor | None = None,
        *,
        clamp: Clamp = "zero",
        outputs: Outputs = "logits",
        temperature: float = 1.0,
        unit_axis: int = 1,
        memory: int = 2**28,
    ) -> None:
        check_choice("clamp", clamp, get_args(Clamp))
        check_choice("outputs", outputs, get_args(Outputs))
        check_network(network)
        check_x(x)
        if isinstance(y, Tensor) and y.is_floating_point():
            if outputs in ("log_probs", "probs"):
                raise ValueError(
                    f'y has dtype {y.dtype}, the targets of a regression, but outputs="{outputs}"; give classes as int64, '
                    'or say outputs="values"'
                )
            outputs = "values"
        self.is_regression = outputs == "values"
        self.n_examples = len(x)
        self._readout = Readout(outputs, _check_temperature(temperature, self.is_regression))
        module, intact = find_layer(network, layer, x)
        self.y = self._check_y(y, intact)
        self._intact = intact
        probe = torch.cat([x[:_PROBE]] * _PROBES)
        passes = Passes(network, module, probe)
        self._axis = check_unit_axis(passes.activations, layer, unit_axis)
        self.n_units = passes.activations.shape[self._axis]
        clamps = torch.zeros_like(passes.activations[:1])
        above = look_above(Part(passes, clamps, self._axis, self._readout), memory)
        blocks = x.tensor_split(-(-len(x) // min(_BLOCK, above.examples_at_once)))
        runs = (Passes(network, module, block, functional=passes.met_functional_dropout) for block in blocks)
        self.parts = [Part(passes, clamps, self._axis, self._readout) for passes in runs]
        self.activations = torch.cat([part.passes.activations for part in self.parts])
        _check_finite(f"the output of layer {layer!r}", self.activations)
        if clamp == "mean":
            clamps = self._means()
        for part, own in zip(self.parts, self.y.tensor_split(len(blocks)), strict=True):
            part.clamps = clamps
            part.y = own
            part.above = dataclasses.replace(above)
        if not all(agrees(part, above) for part in self.parts):
            for part in self.parts:
                part.above = dataclasses.replace(above, cut=None, additive=False)

    def _means(self) -> Tensor:
        if self.n_examples < 2:
            raise ValueError('clamp="mean" needs the mean over two or more examples, got 1; give more, or clamp="zero"')
        rows = [axis for axis in range(self.activations.dim()) if axis != self._axis]
        return self.activations.double().mean(rows, keepdim=True).to(self.activations.dtype)

    @cached_property
    def rounding(self) -> float:
        """Differences of values that may be rounding: a unit whose effects are all this small has none."""
        dtype = max(self.activations.dtype, self._intact.dtype, key=lambda own: torch.finfo(own).eps)
        eps, logits = torch.finfo(dtype).eps, self._readout.logits(self._intact.unsqueeze(0))[0]
        if eps > 1e-5:
            raise ValueError(
                f"network computes in {dtype}, whose rounding hides what single units do; give network.float(), x.float()"
            )
        if self.is_regression:
            return 16 * eps * (self.y.abs() + logits.abs()).square().max().item()
        below = logits.amax(1, keepdim=True) - logits  # infinite where a probability is 0
        return 16 * (eps * below[below.isfinite()].max().item() + torch.finfo(torch.float64).eps)

    @cached_property
    def additive(self) -> Float[Tensor, "examples units outputs"] | None:
        """What each unit adds to the logits, whose mean over classes is 0, or to a regression; None if they are not additive."""
        if not self.parts[0].above.additive:
            return None
        return torch.cat([part.contributions[1] for part in self.parts])

    def outputs(self, presence: Tensor) -> Tensor:
        """What the network returns, ``(members, examples, outputs)``.

        Args:
            presence: How far each unit is present, 0 to 1 or bool: ``(members, units)``, or ``(members, examples, units)``.
        """
        output = torch.cat([part.outputs(own) for part, own in self._split(presence)], dim=1)
        return output if output.dim() == 3 else output.unsqueeze(2)

    def values(self, presence: Tensor) -> Float[Tensor, "members examples"]:
        r"""Log-probability of the label in nats, or of a regression :math:`-\sum_k (y_k - f_k)^2`."""
        return torch.cat([part.values(own) for part, own in self._split(presence)], dim=1)

    def scores(self, presence: Tensor) -> Float[Tensor, "members examples"]:
        """1 where the prediction is right, else 0; the squared error of a regression."""
        return torch.cat([part.scores(own) for part, own in self._split(presence)], dim=1)

    def _split(self, presence: Tensor) -> Iterator[tuple[Part, Tensor]]:
        sizes = [part.n_examples for part in self.parts]
        if presence.shape[-1] != self.n_units or presence.shape[1:-1] not in ((), (self.n_examples,)):
            raise ValueError(
                f"presence must be (members, {self.n_units}) or (members, {self.n_examples}, {self.n_units}), got "
                f"{tuple(presence.shape)}"
            )
        pieces = presence.split(sizes, dim=1) if presence.dim() == 3 else [presence] * len(sizes)
        yield from zip(self.parts, pieces, strict=True)

    def _check_y(self, y: Tensor | None, intact: Tensor) -> Tensor:
        """Classes, or targets with an axis for the outputs."""
        if self.is_regression:
            return check_targets(y, intact)
        checked = check_output(intact, self.n_examples, self._readout.outputs)  # type: ignore[arg-type]
        return checked.argmax(1) if y is None else check_labels(y, checked)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}")


def check_network(network: nn.Module) -> None:
    if not isinstance(network, nn.Module):
        raise ValueError(f"network must be a torch.nn.Module, got {type(network).__name__}")
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"network has batch normalization without running statistics, {name!r}, with which the output for an "
                "example depends on the others; give it track_running_stats=True"
            )
    for name, parameter in network.named_parameters():
        _check_finite(f"network's parameter {name!r}", parameter.detach())


def _check_finite(name: str, values: Tensor) -> None:
    if not bool(values.isfinite().all()):
        bad = int((~values.isfinite()).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite of {values.numel()} values")


def check_x(x: Tensor) -> None:
    if not isinstance(x, Tensor) or x.dim() == 0 or len(x) == 0:
        got = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x must be a tensor with at least one example, its first axis, got {got}")
    _check_finite("x", x)


def _check_temperature(temperature: float, is_regression: bool) -> float:
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}")
    if is_regression and temperature != 1:
        raise ValueError(f"temperature divides logits, and a regression has none, got {temperature}; leave it at 1")
    return float(temperature)


def find_layer(network: nn.Module, layer: str, x: Tensor) -> tuple[nn.Module, Tensor]:
    """The layer of this name, if one forward pass calls it once and it returns a tensor; and the network's output."""
    calls: Counter[str] = Counter()
    returned: dict[str, Any] = {}
    activations: list[Tensor] = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            calls[name] += 1
            returned[name] = type(output)
            if name == layer and isinstance(output, Tensor):
                activations.append(output)

        return hook

    interception = Interception(network, lambda call: call.unmasked, functional=True)
    with frozen(network), ExitStack() as stack:
        stack.enter_context(interception.active())
        for name, module in network.named_modules():
            stack.callback(module.register_forward_hook(note(name)).remove)
        output = network(x)
    calls.pop("", None)
    if calls[layer] != 1:
        known = [name for name in calls if calls[name] == 1 and issubclass(returned[name], Tensor)]
        modules = dict(network.named_modules())
        why = (
            f"which a forward pass calls {calls[layer]} times"
            if calls[layer]
            else "which no forward pass calls"
            if layer in modules
            else "which the network does not have"
        )
        raise ValueError(
            f"layer must name a module that a forward pass calls once, got {layer!r}, {why}; there are {known}"
        )
    if not issubclass(returned[layer], Tensor):
        raise ValueError(
            f"layer must return one tensor with an axis of units, but {layer!r} returns {returned[layer].__name__}; name a "
            "module that takes its output, or wrap it in one that returns the tensor alone"
        )
    _check_activations(activations[0], layer, len(x))
    return network.get_submodule(layer), output


def _check_activations(activations: Tensor, layer: str, examples: int) -> None:
    shape = tuple(activations.shape)
    if not activations.is_floating_point():
        raise ValueError(f"layer must return floating-point numbers, but {layer!r} returns {activations.dtype}")
    if len(shape) < 2 or shape[0] != examples:
        raise ValueError(
            f"layer must return (examples, units) or (examples, channels, ...), but for {examples} examples {layer!r} "
            f"returns shape {shape}"
        )


def check_unit_axis(activations: Tensor, layer: str, unit_axis: int) -> int:
    """The axis, counted from 0."""
    axes = activations.dim()
    if not -axes < unit_axis < axes or unit_axis % axes == 0:
        shape = ", ".join(map(str, activations.shape[1:]))
        raise ValueError(
            f"unit_axis must be an axis of the output of {layer!r} other than the first, the examples, got {unit_axis} for "
            f"shape (examples, {shape}); dense and convolutional layers have their units on axis 1, transformers on axis -1"
        )
    return unit_axis % axes


def check_labels(y: Tensor, checked: Tensor) -> Tensor:
    examples, classes = checked.shape
    if not isinstance(y, Tensor) or y.dtype == torch.bool or y.is_floating_point() or y.is_complex():
        got = str(y.dtype) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"y must be a tensor of classes, int64, got {got}")
    if tuple(y.shape) != (examples,):
        raise ValueError(f"y must hold one class for each of the {examples} examples of x, got shape {tuple(y.shape)}")
    if bool(((y < 0) | (y >= classes)).any()):
        raise ValueError(
            f"y must hold classes from 0 to {classes - 1}, as many as the network has outputs, got {int(y.min())} to "
            f"{int(y.max())}"
        )
    return y.to(checked.device, torch.int64)


def check_targets(y: Tensor | None, intact: Tensor) -> Tensor:
    if not isinstance(intact, Tensor) or not intact.is_floating_point() or intact.dim() not in (1, 2):
        got = f"shape {tuple(intact.shape)}" if isinstance(intact, Tensor) else type(intact).__name__
        raise ValueError(f"network must return values of shape (examples,) or (examples, outputs), got {got}")
    _check_finite("network's output", intact)
    if y is None:
        y = intact.detach()
    if not isinstance(y, Tensor) or not y.is_floating_point():
        got = str(y.dtype) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f'outputs="values" says that the network is a regression, so y must be a floating-point tensor, got {got}'
        )
    if y.shape != intact.shape and (*y.shape, *intact.shape[1:]) != (len(intact), 1):
        raise ValueError(f"y must have the shape of the network's output, {tuple(intact.shape)}, got {tuple(y.shape)}")
    _check_finite("y", y)
    return y.detach().to(intact.device, torch.float64).reshape(len(intact), -1)
