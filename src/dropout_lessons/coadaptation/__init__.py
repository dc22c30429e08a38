"""Measure co-adaptation: how much the units of a layer rely on each other.

:func:`measure` asks everything of one layer. To ask one thing, or with more to say, make a :class:`LayerUnits`: the units of a
layer, on given examples. Each measure is then a question to it, and what lies below the layer runs once for all of them.
"""

from dropout_lessons.coadaptation.arms import standard_arms
from dropout_lessons.coadaptation.damage import keep_prob_for_damage, mean_damage
from dropout_lessons.coadaptation.dependence import Reliance, interaction_share, reliance, share_at_equal_damage
from dropout_lessons.coadaptation.estimate import Estimate
from dropout_lessons.coadaptation.measures import MEASURES, Effort, Measure, Text
from dropout_lessons.coadaptation.pairs import Interaction, interaction
from dropout_lessons.coadaptation.planted import (
    PLANTED,
    PlantedNetwork,
    Planting,
    planted_data,
    planted_scores,
    planted_study,
)
from dropout_lessons.coadaptation.removal import Compensation, Curve, ablation_curve, compensation
from dropout_lessons.coadaptation.reports import Report, measure, report
from dropout_lessons.coadaptation.robustness import robustness_curve
from dropout_lessons.coadaptation.similarity import activation_sparsity, effective_rank, linear_cka, unit_correlation
from dropout_lessons.coadaptation.studies import Study, study
from dropout_lessons.coadaptation.units import LayerUnits
from dropout_lessons.ensembles import Arm as Arm
from dropout_lessons.running.layer import Layer

__all__ = [
    "MEASURES",
    "PLANTED",
    "Compensation",
    "Curve",
    "Effort",
    "Estimate",
    "Interaction",
    "Layer",
    "LayerUnits",
    "Measure",
    "PlantedNetwork",
    "Planting",
    "Reliance",
    "Report",
    "Study",
    "Text",
    "ablation_curve",
    "activation_sparsity",
    "compensation",
    "effective_rank",
    "interaction",
    "interaction_share",
    "keep_prob_for_damage",
    "linear_cka",
    "mean_damage",
    "measure",
    "planted_data",
    "planted_scores",
    "planted_study",
    "reliance",
    "report",
    "robustness_curve",
    "share_at_equal_damage",
    "standard_arms",
    "study",
    "unit_correlation",
]
