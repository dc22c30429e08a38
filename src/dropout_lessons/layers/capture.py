"""What the layers do under torch.fx and TorchScript, which read a network before it runs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.fx import Proxy


def is_symbolic(x: object) -> bool:
    """Whether ``x`` stands for a tensor in torch.fx's symbolic tracing."""
    return isinstance(x, Proxy)


class Capturable(nn.Module):
    """A layer that torch.fx records as a whole, as it does PyTorch's own, and that TorchScript reads in another form."""

    def _recorded(self, *inputs: Any) -> Tensor:
        """Record a call of this layer in the graph of torch.fx."""
        tracer: Any = next(value.tracer for value in inputs if isinstance(value, Proxy))
        path = tracer.path_of_module(self)
        if not path:
            name = type(self).__name__
            raise ValueError(
                f"torch.fx records {name} as a whole and cannot take it apart, got it as the root; trace a network that "
                f"contains it, torch.fx.symbolic_trace(torch.nn.Sequential({name}(...)))"
            )
        call: Tensor = tracer.create_proxy("call_module", path, inputs, {})
        return call

    def __prepare_scriptable__(self) -> nn.Module:
        """What torch.jit.script compiles in place of this layer."""
        from dropout_lessons.layers import scripting  # which imports the layers

        return scripting.scriptable(self)
