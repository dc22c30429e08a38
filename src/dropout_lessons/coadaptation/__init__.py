"""Measure co-adaptation: how much the units of a layer rely on each other."""

from dropout_lessons.coadaptation.ablation import Compensation, Curve, ablation_curve, compensation
from dropout_lessons.coadaptation.activations import (
    activation_sparsity,
    activations,
    effective_rank,
    linear_cka,
    unit_correlation,
)
from dropout_lessons.coadaptation.arms import standard_arms
from dropout_lessons.coadaptation.damage import keep_prob_for_damage, mean_damage
from dropout_lessons.coadaptation.estimate import Estimate
from dropout_lessons.coadaptation.interaction import Interaction, interaction
from dropout_lessons.coadaptation.measures import MEASURES
from dropout_lessons.coadaptation.report import Report, measure
from dropout_lessons.coadaptation.robustness import robustness_curve
from dropout_lessons.coadaptation.share import Reliance, interaction_share, reliance
from dropout_lessons.coadaptation.study import Study, study
from dropout_lessons.ensembles import Arm

__all__ = [
    "MEASURES",
    "Arm",
    "Compensation",
    "Curve",
    "Estimate",
    "Interaction",
    "Reliance",
    "Report",
    "Study",
    "ablation_curve",
    "activation_sparsity",
    "activations",
    "compensation",
    "effective_rank",
    "interaction",
    "interaction_share",
    "keep_prob_for_damage",
    "linear_cka",
    "mean_damage",
    "measure",
    "reliance",
    "robustness_curve",
    "standard_arms",
    "study",
    "unit_correlation",
]
