"""Dropout, measured: layers, networks and training behind a book that computes its own claims.

The most used names are here; the modules hold the rest: ``masks``, ``layers``, ``penalties``, ``networks``,
``datasets``, ``training``, ``ensembles``, ``calibration``, ``averaging``, ``coadaptation``, ``claims``, ``conventions``,
``figures``, ``experiments``, ``exercises``, ``widgets`` and ``runtime``.
"""

from dropout_lessons import datasets
from dropout_lessons.averaging import compare_averaging
from dropout_lessons.claims import check
from dropout_lessons.coadaptation import measure
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.layers import DropBlock, DropConnect, Dropout, GaussianDropout, SpatialDropout
from dropout_lessons.masks import enumerate_masks, expected_distinct_masks, mask_log_prob, sample_mask
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, evaluate, fit

__all__ = [
    "MLP",
    "DropBlock",
    "DropConnect",
    "Dropout",
    "GaussianDropout",
    "Recipe",
    "SpatialDropout",
    "check",
    "compare_averaging",
    "datasets",
    "enumerate_masks",
    "evaluate",
    "expected_distinct_masks",
    "fit",
    "fit_ensemble",
    "mask_log_prob",
    "measure",
    "sample_mask",
]
