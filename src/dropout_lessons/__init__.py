"""Dropout, measured: layers, networks and training behind a book that computes its own claims.

The most used names are here; the modules hold the rest: ``masks``, ``layers``, ``penalties``, ``networks``,
``datasets``, ``training``, ``ensembles``, ``calibration``, ``averaging``, ``coadaptation``, ``claims``, ``conventions``,
``figures``, ``experiments``, ``exercises``, ``widgets`` and ``runtime``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropout_lessons import datasets
    from dropout_lessons.averaging import compare_averaging
    from dropout_lessons.claims import check
    from dropout_lessons.coadaptation import measure
    from dropout_lessons.ensembles import Arm, fit_ensemble, train_arms
    from dropout_lessons.layers import DropBlock, DropConnect, Dropout, GaussianDropout, SpatialDropout
    from dropout_lessons.masks import enumerate_masks, expected_distinct_masks, mask_log_prob, sample_mask
    from dropout_lessons.networks import MLP
    from dropout_lessons.training import Recipe, evaluate, fit, predict

# Where a name is, which is imported when it is first asked for: who trains a network does not wait for pandas.
_MODULES = {
    "averaging": ("compare_averaging",),
    "claims": ("check",),
    "coadaptation": ("measure",),
    "ensembles": ("Arm", "fit_ensemble", "train_arms"),
    "layers": ("DropBlock", "DropConnect", "Dropout", "GaussianDropout", "SpatialDropout"),
    "masks": ("enumerate_masks", "expected_distinct_masks", "mask_log_prob", "sample_mask"),
    "networks": ("MLP",),
    "training": ("Recipe", "evaluate", "fit", "predict"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "MLP",
    "Arm",
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
    "predict",
    "sample_mask",
    "train_arms",
]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return import_module("dropout_lessons.datasets")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'dropout_lessons' has no attribute {name!r}")
    value = getattr(import_module(f"dropout_lessons.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
