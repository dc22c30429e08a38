"""Interactive figures for Jupyter, Colab and static pages."""

from dropout_lessons.widgets.average_subnetworks import AverageSubnetworks
from dropout_lessons.widgets.interaction_matrix import InteractionMatrix
from dropout_lessons.widgets.keep_drop_converter import KeepDropConverter
from dropout_lessons.widgets.keep_prob_sweep import KeepProbSweep
from dropout_lessons.widgets.laboratory import Laboratory, write_digits_script
from dropout_lessons.widgets.mask_shapes import MaskShapes
from dropout_lessons.widgets.remove_units import RemoveUnits
from dropout_lessons.widgets.ridge_explorer import RidgeExplorer
from dropout_lessons.widgets.scaling_explorer import ScalingExplorer
from dropout_lessons.widgets.subnetwork_visits import SubnetworkVisits
from dropout_lessons.widgets.thinned_network import ThinnedNetwork
from dropout_lessons.widgets.uncertainty_explorer import UncertaintyExplorer
from dropout_lessons.widgets.verdict_explorer import VerdictExplorer

__all__ = [
    "AverageSubnetworks",
    "InteractionMatrix",
    "KeepDropConverter",
    "KeepProbSweep",
    "Laboratory",
    "MaskShapes",
    "RemoveUnits",
    "RidgeExplorer",
    "ScalingExplorer",
    "SubnetworkVisits",
    "ThinnedNetwork",
    "UncertaintyExplorer",
    "VerdictExplorer",
    "write_digits_script",
]
