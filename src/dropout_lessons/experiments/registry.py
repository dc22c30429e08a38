"""Experiments by name: one file of the catalog each."""

from __future__ import annotations

import importlib
import pkgutil

from dropout_lessons.experiments import catalog
from dropout_lessons.experiments.experiment import Experiment

__all__ = ["get", "names"]


def names() -> list[str]:
    """The names of all experiments.

    Example:
        >>> "fig9a_keep_prob" in names()
        True
    """
    return sorted(module.name for module in pkgutil.iter_modules(catalog.__path__))


def get(name: str) -> Experiment:
    """The experiment of a name.

    Raises:
        ValueError: If there is none.

    Example:
        >>> get("fig9a_keep_prob").source
        'Srivastava et al. 2014, Figure 9a'
    """
    if name not in names():
        raise ValueError(f"name must be one of {', '.join(names())}, got {name!r}")
    experiment = importlib.import_module(f"{catalog.__name__}.{name}").EXPERIMENT
    assert isinstance(experiment, Experiment)
    return experiment
