"""The dropout family as ``nn.Module``: the semantics of ``nn.Dropout``, written in terms of keeping.

Every layer is active in training mode and deterministic in evaluation mode. With ``scaling="inverted"``, the
convention of PyTorch, TensorFlow and JAX, what is kept is divided by ``keep_prob`` in training and the test-time layer
is the identity. With ``scaling="standard"``, the convention of the paper, training does not rescale and the test-time
layer multiplies by ``keep_prob``. The layers draw from PyTorch's global generator unless they are given their own.
"""

from dropout_lessons.layers.concrete import ConcreteDropout
from dropout_lessons.layers.dropout import Dropout, GaussianDropout, Scaling
from dropout_lessons.layers.schedule import ScheduledDropout
from dropout_lessons.layers.structured import DropBlock, DropConnect, SpatialDropout

__all__ = [
    "ConcreteDropout",
    "DropBlock",
    "DropConnect",
    "Dropout",
    "GaussianDropout",
    "Scaling",
    "ScheduledDropout",
    "SpatialDropout",
]
