"""The networks of the course. Their layers have names, so that diagnostics can ask for one."""

from dropout_lessons.networks.conv import ConvLayer, ConvNet
from dropout_lessons.networks.mlp import MLP, HiddenLayer
from dropout_lessons.networks.modes import evaluating, modes_restored
from dropout_lessons.networks.transformer import SmallTransformer

__all__ = ["MLP", "ConvLayer", "ConvNet", "HiddenLayer", "SmallTransformer", "evaluating", "modes_restored"]
