"""Train one network: a recipe in, a history out.

The data live on the network's device and batches are taken by indexing, which for tensors in memory is faster than a
``DataLoader``. A fit depends on nothing but the network's initial weights, the data and the recipe: on the CPU and
on CUDA it draws from PyTorch's generators inside a fork of their state, seeded by the recipe, and leaves them as they
were.
"""

from dropout_lessons.training.fitting import evaluate, fit, predict
from dropout_lessons.training.recipe import History, Recipe, Score

__all__ = ["History", "Recipe", "Score", "evaluate", "fit", "predict"]
