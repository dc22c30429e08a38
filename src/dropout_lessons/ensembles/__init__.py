"""Train an ensemble: many networks of one shape in one batched computation, each as if it were alone.

The weights of K multilayer perceptrons lie side by side in tensors ``(K, outputs, inputs)``, so that a step of all of
them is one batched matrix product for each layer and direction. What :func:`~dropout_lessons.training.fit` spends
on Python and on starting small kernels is paid once instead of K times.
"""

from dropout_lessons.ensembles.arms import Arm, train_arms
from dropout_lessons.ensembles.curves import CurveNetworks, curve_points, train_curves
from dropout_lessons.ensembles.fitting import fit_ensemble

__all__ = ["Arm", "CurveNetworks", "curve_points", "fit_ensemble", "train_arms", "train_curves"]
