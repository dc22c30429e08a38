"""How a network is called, where in what it returns its predictions are, and what they are: said, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from dropout_lessons.arguments import is_axis, is_count

# A tensor, or a tuple, list or mapping of tensors and of what else a network takes. Examples are on one axis of each tensor.
Examples = Any

Kind = Literal["logits", "log_probs", "probs", "values", "mean_and_variance"]

# Whether a network writes into what it is given, as its first call shows.
_WRITES: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class Outputs:
    """How a network is called, and what it returns.

    Inputs decide how the network is called: ``network(x)`` for a tensor, ``network(*x)`` for a tuple, ``network(**x)`` for a
    mapping. A network that returns a tensor needs nothing more, nor does one whose ``logits`` are an attribute or an entry of
    that name, as with HuggingFace's models.

    Attributes:
        kind: What the numbers are: ``"logits"``, ``"log_probs"`` or ``"probs"`` of classes; ``"values"`` of a regression, or
            its ``"mean_and_variance"``, a pair of tensors. A network with one logit or probability for each example is a binary
            classifier: its classes are 0 and 1.
        at: Name of the attribute, key or index of what the network returns, where it returns several things.
        call: A function of the network and its inputs that returns the numbers, where the rest does not do.
        class_axis: Axis of the classes where there are more than two: 1 for images, -1 for tokens.
        batch_axis: Axis of the examples, in the tensors that the network is given and in those that it returns.

    Raises:
        ValueError: If an attribute is not one of these.

    Example:
        >>> import torch
        >>> network = nn.Linear(4, 3)
        >>> Outputs().of(network, torch.ones(2, 4)).shape
        torch.Size([2, 3])
        >>> Outputs(call=lambda network, x: network(x).mean(dim=1), class_axis=-1).of(network, torch.ones(2, 7, 4)).shape
        torch.Size([2, 3])
    """

    kind: Kind = "logits"
    at: str | int | None = None
    call: Callable[[nn.Module, Any], Any] | None = None
    class_axis: int | None = None
    batch_axis: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"outputs must be one of {list(get_args(Kind))}, or an Outputs, got {self.kind!r}")
        if self.call is not None and not callable(self.call):
            raise ValueError(f"call must be a function of the network and its inputs, got {self.call!r}")
        if not is_count(self.batch_axis):
            raise ValueError(f"batch_axis must be an axis counted from 0, got {self.batch_axis!r}")
        if self.class_axis is not None and not is_axis(self.class_axis):
            raise ValueError(f"class_axis must be the number of an axis, or None, got {self.class_axis!r}")
        if not (self.at is None or isinstance(self.at, str) or is_axis(self.at)):
            raise ValueError(f"at must be a name or a place in what the network returns, got {self.at!r}")

    @property
    def is_regression(self) -> bool:
        return self.kind in ("values", "mean_and_variance")

    def for_targets(self, y: Any) -> Outputs:
        """The same where real targets say that what looks like logits are the values of a regression."""
        if not isinstance(y, Tensor) or not y.is_floating_point() or self.is_regression:
            return self
        if bool(((y == 0) | (y == 1)).all()):
            return self  # labels of two classes, or one-hot ones, which are refused as labels are
        if self.kind != "logits":
            raise ValueError(
                f'y has dtype {y.dtype}, the targets of a regression, but outputs="{self.kind}"; give classes as int64, '
                'or say outputs="values"'
            )
        return replace(self, kind="values")

    def returned(self, network: nn.Module, x: Examples) -> Any:
        """Call the network, and pick its predictions: a tensor, or a pair of them for a mean and a variance.

        A network that writes into tensors that it is given, as a first layer in place does, is given copies.

        Raises:
            ValueError: If they are not where they should be, or the network has changed what it was given, so that a second
                call would be one on something else.
        """
        own = cloned(x) if _WRITES.get(network, True) else x
        before, before_own = versions_of(x), versions_of(own)
        returned = self.called(network, own)
        wrote = versions_of(own) != before_own
        _WRITES[network] = wrote or _WRITES.get(network, False)
        check_unchanged(x, before)
        return returned

    def called(self, network: nn.Module, x: Examples) -> Any:
        """The same of a network that may write into what it is given."""
        try:
            if self.call is not None:
                returned = self.call(network, x)
            elif isinstance(x, Tensor):
                returned = network(x)
            else:
                returned = network(**x) if isinstance(x, Mapping) else network(*x)
        except RuntimeError as error:
            if torch.is_grad_enabled() or "does not require grad" not in str(error):
                raise
            raise ValueError(
                "network takes gradients in its forward pass, which runs under torch.no_grad() here; let it turn them on where "
                "it needs them: with torch.enable_grad(): ..."
            ) from error
        return self._picked(returned)

    def of(self, network: nn.Module, x: Examples) -> Tensor:
        """What the network predicts, examples first and classes last; a mean and a variance are stacked on the last axis."""
        return self.arranged(self.returned(network, x))

    def _picked(self, returned: Any) -> Any:
        if self.at is not None:
            picked = _at(returned, self.at)
        elif isinstance(returned, Tensor) or (self.kind == "mean_and_variance" and _is_pair(returned)):
            picked = returned
        else:
            named = _at(returned, self.kind, default=None)
            if named is None:
                raise ValueError(
                    f"network must return a tensor, or something with {self.kind!r} in it, got {_described(returned)}; say "
                    "where its predictions are: Outputs(at=...), or Outputs(call=lambda network, x: ...)"
                )
            picked = named
        if not isinstance(picked, Tensor) and not (self.kind == "mean_and_variance" and _is_pair(picked)):
            raise ValueError(
                f"network must return {self._shape_words()}, got {_described(picked)}; say where it is: Outputs(at=...)"
            )
        return picked

    def arranged(self, output: Any) -> Tensor:
        """Put the examples first and the classes last, and make two classes of a binary classifier's one number."""
        if self.kind == "mean_and_variance":
            pair = output.unbind(-1) if isinstance(output, Tensor) else output
            both = torch.stack(tuple(part.movedim(self.batch_axis, 0) for part in pair), dim=-1)
            return both if both.dim() > 2 else both.unsqueeze(1)
        if not output.is_floating_point():
            raise ValueError(f"network must return floating-point {self.kind}, got {output.dtype}")
        if output.dim() <= self.batch_axis:
            raise ValueError(
                f"network must return {self.kind} with the examples on axis {self.batch_axis}, got shape "
                f"{tuple(output.shape)}"
            )
        if self.kind == "values":
            values: Tensor = output.movedim(self.batch_axis, 0)
            return values if values.dim() > 1 else values.unsqueeze(1)
        if output.dim() == 1:
            return self._two_classes(output)
        if output.dim() > 2:
            if self.class_axis is None or not -output.dim() <= self.class_axis < output.dim():
                raise ValueError(
                    f"network returns {self.kind} of shape {tuple(output.shape)}: say which axis holds the classes, "
                    "outputs=Outputs(class_axis=1) for images, Outputs(class_axis=-1) for tokens"
                )
            if self.class_axis % output.dim() == self.batch_axis:
                raise ValueError(f"class_axis must be another axis than batch_axis={self.batch_axis}")
            output = output.movedim((self.batch_axis, self.class_axis), (0, -1))
        elif self.batch_axis == 1 or self.class_axis == 0:
            output = output.T
        return self._two_classes(output.squeeze(-1)) if output.shape[-1] == 1 else output

    def _two_classes(self, one: Tensor) -> Tensor:
        if self.kind == "logits":
            return torch.stack([torch.zeros_like(one), one], dim=-1)
        if self.kind == "probs":
            return torch.stack([1 - one, one], dim=-1)
        return torch.stack([torch.log1p(-one.exp()), one], dim=-1)

    def checked(self, output: Float[Tensor, "examples *positions classes"], examples: int) -> Tensor:
        """Return the arranged output if it is what ``kind`` says, as far as that can be told."""
        if len(output) != examples:
            raise ValueError(
                f"network must return {self.kind} for each of the {examples} examples, got shape {tuple(output.shape)}"
            )
        if self.is_regression:
            if not bool(output.isfinite().all()):
                raise ValueError(f"network returned {self.kind} that are NaN or infinite")
            if self.kind == "mean_and_variance" and bool((output[..., 1] < 0).any()):
                raise ValueError("network returned negative variances; if they are logarithms, take exp() of them")
            return output
        values = output.detach().double()
        tolerance = max(1e-4, 8 * torch.finfo(output.dtype).eps)
        are_probs = bool((values >= 0).all()) and bool(((values.sum(dim=-1) - 1).abs() < tolerance).all())
        if self.kind == "logits" and are_probs:
            raise ValueError(
                'outputs="logits" says that the network returns logits, but its rows are nonnegative and sum to 1; '
                'if they are probabilities, say outputs="probs"'
            )
        if self.kind == "probs" and not are_probs:
            raise ValueError(
                'outputs="probs" says that the network returns probabilities, but its rows do not sum to 1'
            )
        if self.kind == "log_probs" and bool(((values.exp().sum(dim=-1) - 1).abs() >= tolerance).any()):
            raise ValueError(
                'outputs="log_probs" says that the network returns log-probabilities, but their exponentials do not sum to 1'
            )
        return output

    def _shape_words(self) -> str:
        return "a pair of tensors, mean and variance" if self.kind == "mean_and_variance" else "a tensor"

    def log_probs(
        self, output: Float[Tensor, "*members examples classes"]
    ) -> Float[Tensor, "*members examples classes"]:
        """Normalized log-probabilities in double precision, in nats, from arranged classes."""
        output = output.detach().double()
        log_probs = output.log() if self.kind == "probs" else output
        # In memory classes come first, since over a short last axis sums take several times as long.
        log_probs = log_probs.movedim(-1, 0).log_softmax(dim=0).movedim(0, -1)
        if bool(log_probs.sum().isnan()):
            raise ValueError(
                f"network returned {self.kind} that are NaN or infinite, for some mask if not for all units; look for "
                "numbers beyond its precision (network.float() has more than half precision) or in its weights"
            )
        return log_probs


def as_outputs(outputs: Outputs | Kind | Callable[[nn.Module, Any], Any]) -> Outputs:
    """An ``Outputs`` from itself, from the kind of the numbers alone, or from a function that returns logits."""
    if isinstance(outputs, Outputs):
        return outputs
    return Outputs(outputs) if isinstance(outputs, str) or not callable(outputs) else Outputs(call=outputs)


def cloned(output: Any) -> Any:
    """Copy tensors, since what follows may write into them."""
    # Most modules return one tensor, and to look for others takes ten times as long as to copy it.
    return output.clone() if isinstance(output, Tensor) else tree_map_only(Tensor, torch.clone, output)


def check_unchanged(x: Examples, before: Any) -> None:
    """Say that what a network was given has other versions than before, if it has."""
    if versions_of(x) != before:
        raise ValueError(
            "network writes into what it is given, as a cache of keys and values does that grows with each call, so that "
            "its next call on the same x is one on other numbers; give it a copy: "
            "Outputs(call=lambda network, x: network(copy.deepcopy(x)))"
        )


def versions_of(x: Examples) -> Any:
    """How often each tensor in it was written into; and in objects of other kinds, such as caches, which tensors there are."""
    if isinstance(x, Tensor):
        return version_of(x)
    if isinstance(x, Mapping) and not isinstance(x, dict):
        x = dict(x)
    return [version_of(leaf) if isinstance(leaf, Tensor) else _held(leaf) for leaf in tree_leaves(x)]


def version_of(tensor: Tensor) -> int:
    """How often it was written into; tensors of inference mode, which may be the user's own, do not tell."""
    return 0 if tensor.is_inference() else tensor._version


def _held(value: Any, depth: int = 3) -> Any:
    """The tensors in an object's attributes, with their versions, to some depth."""
    own = getattr(value, "__dict__", None)
    if not depth or not own or isinstance(value, (type, nn.Module)) or callable(value):
        return None
    return [
        (id(leaf), version_of(leaf)) if isinstance(leaf, Tensor) else _held(leaf, depth - 1)
        for leaf in tree_leaves(own)
    ]


def _at(returned: Any, at: str | int, **default: Any) -> Any:
    if isinstance(returned, Mapping) and at in returned:  # before its methods, such as ``values`` and ``items``
        return returned[at]
    if isinstance(at, str) and hasattr(returned, at) and not callable(getattr(returned, at)):
        return getattr(returned, at)
    try:
        return returned[at]
    except (KeyError, IndexError, TypeError):
        if default:
            return default["default"]
        raise ValueError(
            f"at must be found in what the network returns, got {at!r} for {_described(returned)}"
        ) from None


def _is_pair(returned: Any) -> bool:
    return (
        isinstance(returned, (tuple, list)) and len(returned) == 2 and all(isinstance(own, Tensor) for own in returned)
    )


def _described(returned: Any) -> str:
    name = type(returned).__name__
    if isinstance(returned, Mapping):
        return f"{name} with the keys {list(returned)}"
    return f"{name} of {len(returned)}" if isinstance(returned, (tuple, list)) else name
