"""A network under masks: how it is called, where it drops, and passes in which its dropout calls are answered.

``Outputs`` says how any network is called and where its predictions are; a ``MaskedNetwork`` is a network with that and with
the choice of what is masked. Sites are found by running the network, so they are what it does and not what its attributes say:
layers of ``torch.nn`` and of this package, calls of functional dropout, and, as a last resort, modules that draw by themselves
in training mode (recurrent layers, attention, stochastic depth), which then draw their own masks. A module that is called
twice is two sites, and one that is not called is none. Examples run in blocks, so the network must treat each one by itself,
as batch normalization with running statistics does, and must not write into what it is given.
"""

from dropout_lessons.running.calls import without_dropout
from dropout_lessons.running.masked import MaskedNetwork
from dropout_lessons.running.outputs import Outputs
from dropout_lessons.running.sites import Site

__all__ = ["MaskedNetwork", "Outputs", "Site", "without_dropout"]
