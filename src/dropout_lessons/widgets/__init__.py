"""Interactive figures for Jupyter, Colab and static pages."""

from dropout_lessons.widgets.average_subnetworks import AverageSubnetworks
from dropout_lessons.widgets.interaction_matrix import InteractionMatrix
from dropout_lessons.widgets.keep_drop_converter import KeepDropConverter
from dropout_lessons.widgets.remove_units import RemoveUnits
from dropout_lessons.widgets.scaling_explorer import ScalingExplorer
from dropout_lessons.widgets.subnetwork_visits import SubnetworkVisits
from dropout_lessons.widgets.thinned_network import ThinnedNetwork
from dropout_lessons.widgets.uncertainty_explorer import UncertaintyExplorer

__all__ = [
    "AverageSubnetworks",
    "InteractionMatrix",
    "KeepDropConverter",
    "RemoveUnits",
    "ScalingExplorer",
    "SubnetworkVisits",
    "ThinnedNetwork",
    "UncertaintyExplorer",
]
