"""Interactive figures for Jupyter, Colab and static pages."""

from dropout_lessons.widgets.keep_drop_converter import KeepDropConverter
from dropout_lessons.widgets.scaling_explorer import ScalingExplorer
from dropout_lessons.widgets.thinned_network import ThinnedNetwork

__all__ = ["KeepDropConverter", "ScalingExplorer", "ThinnedNetwork"]
