"""Results in, matplotlib figure out: the book's figures, which never train a network.

One color stands for one idea in the whole book (``COLORS``, from Okabe and Ito's colour-blind safe palette). A
notebook and a page show a figure as line art whose colors follow a dark page, drawn once for wide pages and once for
phones.
"""

from dropout_lessons.figures.averaging import agreement, member_scores, monte_carlo_curves, score_panels
from dropout_lessons.figures.coadaptation import (
    coadaptation_report,
    damage_against_sum,
    removal_curves,
    share_at_damage,
    study_intervals,
)
from dropout_lessons.figures.images import image_rows, signed_images
from dropout_lessons.figures.intervals import interval_chart, interval_panels
from dropout_lessons.figures.keep_prob import keep_prob_panels, winner_curves
from dropout_lessons.figures.masks import distinct_masks, kept_counts, mask_grid, thinned_networks
from dropout_lessons.figures.overfitting import penalty_sweep, what_units_add
from dropout_lessons.figures.palette import COLORS
from dropout_lessons.figures.placement import excess_loss_curves
from dropout_lessons.figures.planted import plantings
from dropout_lessons.figures.regularizer import (
    activation_histograms,
    approximation_ratios,
    coefficients,
    logistic_penalty,
)
from dropout_lessons.figures.scaling import input_distribution
from dropout_lessons.figures.sweeps import sweep_panels, trajectories
from dropout_lessons.figures.training import learning_curves, paired_scores
from dropout_lessons.figures.uncertainty import (
    captioned_images,
    curve_bands,
    learned_keep_prob_curves,
    reliability_diagram,
    way_curves,
)

__all__ = [
    "COLORS",
    "activation_histograms",
    "agreement",
    "approximation_ratios",
    "captioned_images",
    "coadaptation_report",
    "coefficients",
    "curve_bands",
    "damage_against_sum",
    "distinct_masks",
    "excess_loss_curves",
    "image_rows",
    "input_distribution",
    "interval_chart",
    "interval_panels",
    "keep_prob_panels",
    "kept_counts",
    "learned_keep_prob_curves",
    "learning_curves",
    "logistic_penalty",
    "mask_grid",
    "member_scores",
    "monte_carlo_curves",
    "paired_scores",
    "penalty_sweep",
    "plantings",
    "reliability_diagram",
    "removal_curves",
    "score_panels",
    "share_at_damage",
    "signed_images",
    "study_intervals",
    "sweep_panels",
    "thinned_networks",
    "trajectories",
    "way_curves",
    "what_units_add",
    "winner_curves",
]
