"""A pretend device, for machines without a GPU: tensors that lie on the CPU, say they do not, and refuse to mix."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("xpu:0")  # of a type that needs no library to be named
HOST = torch.device("cpu")
MARK = "_pretend"
# What may name tensors of two devices.
COPIES = {"copy_", "to", "cpu", "__set__", "type_as", "_has_compatible_shallow_copy_type"}
TO_HOST = {"numpy", "__array__", "__dlpack__"}
INDEXES = {"__getitem__", "__setitem__", "index_put_", "index"}  # a device's tensor takes indices from the host


def is_here(x: object) -> bool:
    """Whether a tensor lies on the pretend device; one inside ``torch.func`` is what it wraps."""
    while isinstance(x, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(x):
        x = torch._C._functorch.get_unwrapped(x)
    return isinstance(x, Tensor) and MARK in getattr(x, "__dict__", {})


class PretendDevice(TorchFunctionMode):
    """While this is on, ``tensor.to(DEVICE)`` makes a tensor that mixes with none of the host's, as CUDA's would."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.device:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        owner = getattr(getattr(func, "__self__", None), "__name__", "")
        if name == "__get__" and owner == "device":
            return DEVICE if is_here(args[0]) else func(*args, **kwargs)
        if name == "__get__" and owner in ("is_cpu", "is_cuda"):
            return not is_here(args[0]) if owner == "is_cpu" else False
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = [is_here(each) for each in tensors]
        self.check(name, tensors, here, kwargs.get("generator"))
        wanted, args, kwargs = self.on_host(args, kwargs)
        result = func(*args, **kwargs)
        self.calls += any(here)
        if name == "_parse_to":  # of a module's `to`
            return (wanted, *result[1:])
        if name in ("to", "cpu", "type_as") and here:  # which return the tensor itself, for here all lie on the host
            there = name == "to" and here[-1] if wanted is None else wanted == DEVICE
            if result is tensors[0] and here[0] != there:
                with torch._C.DisableTorchFunction():
                    result = result.clone()
            return self.mark(result, there)
        if name == "__set__":
            if owner in ("data", "grad") and isinstance(args[1], Tensor):
                self.mark(args[0], is_here(args[1]))
            return result
        there = any(here) if wanted is None else wanted == DEVICE
        known = {id(each) for each in tensors}  # in place: it stays where it is
        return tree_map_only(Tensor, lambda each: each if id(each) in known else self.mark(each, there), result)

    def mark(self, tensor: Tensor, there: bool) -> Tensor:
        if there:
            tensor.__dict__[MARK] = True
        else:
            tensor.__dict__.pop(MARK, None)
        return tensor

    def check(self, name: str, tensors: list[Tensor], here: list[bool], generator: torch.Generator | None) -> None:
        if name in TO_HOST and any(here):
            raise TypeError("can't convert a tensor of the pretend device to numpy; use Tensor.cpu() first")
        if generator is not None and any(here):
            raise RuntimeError("Expected a generator of the pretend device, got one of the CPU")
        if name in COPIES or not any(here) or all(here):
            return
        if name in INDEXES and here[0]:
            return
        with torch._C.DisableTorchFunction():
            whole = [each for each, there in zip(tensors, here, strict=True) if not there and each.dim() > 0]
        if whole:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, in {name}: {tuple(whole[0].shape)} is on the CPU"
            )

    def on_host(self, args, kwargs):
        """The device that a call names, and its arguments as if it named the host."""
        named = [
            leaf for leaf in (*args, *kwargs.values()) if isinstance(leaf, torch.device | str) and self.is_device(leaf)
        ]
        if not named:
            return None, args, kwargs
        swap = lambda leaf: HOST if isinstance(leaf, torch.device | str) and self.is_device(leaf) else leaf  # noqa: E731
        return torch.device(named[0]), tuple(map(swap, args)), {key: swap(value) for key, value in kwargs.items()}

    def is_device(self, leaf: torch.device | str) -> bool:
        return torch.device(leaf).type in ("cpu", "xpu") if str(leaf).split(":")[0] in ("cpu", "xpu") else False
