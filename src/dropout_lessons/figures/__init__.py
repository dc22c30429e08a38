"""Results in, matplotlib figure out: the book's figures, which never train a network.

One color stands for one idea in the whole book (``COLORS``, from Okabe and Ito's colour-blind safe palette). Figures are
drawn on an opaque light ground, so that they read the same on a light page, on a dark one and in a notebook.
"""

from dropout_lessons.figures.masks import image_rows, kept_counts, mask_grid
from dropout_lessons.figures.scaling import input_distribution, pitfalls
from dropout_lessons.figures.style import COLORS
from dropout_lessons.figures.training import learning_curves, paired_scores

__all__ = [
    "COLORS",
    "image_rows",
    "input_distribution",
    "kept_counts",
    "learning_curves",
    "mask_grid",
    "paired_scores",
    "pitfalls",
]
