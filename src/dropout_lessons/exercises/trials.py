"""What is done to every answer that drops units, beside the answer: calls, sizes, gradients, generators.

``judges.masks`` judges what comes back, and says why each of these calls is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropout_lessons.exercises.exercise import Inputs, WrongKind

Layer = Callable[[Tensor], Any]
_BACKWARD = 2  # calls whose gradients are taken; all forward passes come before the first backward pass


def gradients(outputs: list[Any], leaves: list[Tensor], upstream: list[Tensor]) -> list[Tensor] | None:
    """The gradient at each leaf, the last first; None if one does not get any."""
    found = []
    for y, leaf, gradient in reversed(list(zip(outputs, leaves, upstream, strict=True))):
        if not isinstance(y, Tensor) or not y.requires_grad:
            return None
        if y.shape == gradient.shape:
            # As of a sum: given the gradient itself, PyTorch imports sympy, in every sandbox for a quarter of a second.
            (each,) = torch.autograd.grad((y * gradient.to(y.dtype)).sum(), leaf, allow_unused=True)
        else:  # which PyTorch says in its words
            (each,) = torch.autograd.grad(y, leaf, gradient.to(y.dtype), allow_unused=True)
        if each is None:
            return None
        found.append(each)
    return found[::-1]


def gradient(function: Callable[[Tensor], Any], at: Tensor, upstream: Tensor) -> Tensor | None:
    """The gradient of what a function returns at a tensor; None if there is none, or if the function does not bear one."""
    leaf = at.clone().requires_grad_()
    try:
        passed = gradients([function(leaf * 1)], [leaf], [upstream])  # times 1: a change in place raises nothing
    except Exception:  # without gradients it ran, or is yet to be judged
        return None
    return passed[0] if passed else None


def parts(value: Any, count: int) -> list[Any]:
    """The ``count`` values that an answer returns together.

    Raises:
        WrongKind: If it returns anything else.
    """
    try:
        found = [] if isinstance(value, (dict, set, str)) else list(value)
    except TypeError:  # of what has no parts
        found = []
    if len(found) == count:
        return found
    if isinstance(value, (tuple, list)):
        raise WrongKind(f"It returns {len(value)} values, where {count} are asked for.")
    raise WrongKind(f"It returns {_kind(value)}, where {count} values are asked for, with commas between them.")


def kind_of(value: Any) -> str:
    """What a value is, in words: ``a dict``, ``an int``, ``None``."""
    if value is None or value is ...:
        return str(value)
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _kind(value: Any) -> str:
    return "nothing (is a return missing?)" if value is None else kind_of(value)


def stacked(outputs: list[Any]) -> Any:
    """What several calls returned, as one array.

    Raises:
        WrongKind: If a call returned no array, or one of another shape than the others.
    """
    outputs = [_array(y) for y in outputs]
    if len({tuple(y.shape) for y in outputs}) > 1:
        raise WrongKind(
            "What it returns has another shape in each call: a dropped unit sends zero, and keeps its place."
        )
    return np.stack(outputs) if isinstance(outputs[0], np.ndarray) else torch.stack(outputs)


def _array(y: Any) -> Any:
    if not isinstance(y, (Tensor, np.ndarray)):
        raise WrongKind(f"It returns {_kind(y)}, where one tensor is asked for.")
    return y


def tensor(y: Any) -> Tensor:
    """What one call returned, as a tensor without a gradient.

    Raises:
        WrongKind: If it can be none.
    """
    try:
        return torch.as_tensor(y).detach()
    except (TypeError, ValueError, RuntimeError):
        raise WrongKind(f"It returns {_kind(y)}, where one tensor is asked for.") from None


def told(error: Exception) -> str:
    """What an answer raises where it could do without, in words."""
    return f"{type(error).__name__}: {error}"[:300]


def try_layer(layer: Layer, other: Layer, inputs: Inputs, *, arrays: bool = False) -> dict[str, Any]:
    """Call a layer in training as a network would, and in ways in which it goes wrong later.

    Args:
        layer: The layer with ``keep_prob``.
        other: The layer with ``other_keep_prob``, which is called between forward and backward passes of the first.
        inputs: What ``judges.drawing.layer`` draws.
        arrays: Whether an answer may work in numpy, where there are no gradients.

    Returns:
        ``y`` of all calls; ``gradient`` of the last of them; the same for ``sparse``, an input of another size with
        zeros in it; ``narrow``, the output for rows of two units; and whether it could be trained through
        (``trainable``), took other sizes (``resizable``), let its backward pass turn the generator back (``rewinds``)
        or seeded it (``reseeds``).
    """
    x, sparse = inputs["x"].clone(), inputs["sparse"].clone()
    seed = torch.initial_seed()
    y = [_array(layer(inputs["x"]))]  # on the array itself, so that a change in place shows
    in_numpy = arrays and isinstance(y[0], np.ndarray)
    y += [layer(x.clone()) for _ in range(inputs["calls"] - 1 - _BACKWARD)]
    outcome: dict[str, Any] = {"trainable": False, "resizable": False, "rewinds": False}
    outcome |= {"in_numpy": in_numpy, "trouble": ""}
    if in_numpy:
        y += [layer(x.clone()) for _ in range(_BACKWARD)]
    else:
        y += _trained(layer, other, x, sparse, inputs, outcome)
    outcome |= _other_sizes(layer, other, sparse, inputs)
    return {**outcome, "y": stacked(y), "reseeds": torch.initial_seed() != seed}


def _trained(
    layer: Layer, other: Layer, x: Tensor, sparse: Tensor, inputs: Inputs, outcome: dict[str, Any]
) -> list[Tensor]:
    """Outputs of the calls with gradients; what else there is goes to ``outcome``."""
    leaves = [x.clone().requires_grad_() for _ in range(_BACKWARD)]
    upstream = [inputs["upstream"]] * _BACKWARD
    try:
        y = [layer(leaf * 1) for leaf in leaves]  # times 1: no leaf, so that a change in place raises nothing
        other(x.clone())
        passed = gradients(y, leaves, upstream)
        if passed is None:
            return [each.detach() for each in y]
        outcome |= {"trainable": True, "gradient": torch.stack(passed), "rewinds": _rewinds(layer, x, inputs)}
        if (sparse_gradient := gradient(other, sparse, inputs["sparse_upstream"])) is not None:
            outcome["sparse_gradient"] = sparse_gradient
        return [each.detach() for each in y]
    except NotImplementedError:
        raise
    except Exception as error:  # without gradients it ran: they are what it does not bear
        outcome |= {"trainable": False, "trouble": told(error)}
        return [layer(x.clone()) for _ in range(_BACKWARD)]


def _rewinds(layer: Layer, x: Tensor, inputs: Inputs) -> bool:
    leaf = x.clone().requires_grad_()
    y = layer(leaf * 1)
    before = torch.rand(8)
    gradients([y], [leaf], [inputs["upstream"]])
    return torch.equal(before, torch.rand(8))


def _other_sizes(layer: Layer, other: Layer, sparse: Tensor, inputs: Inputs) -> dict[str, Any]:
    try:
        return {"sparse": other(sparse.clone()), "narrow": layer(inputs["narrow"].clone()), "resizable": True}
    except Exception:
        return {}
