"""Data sets as tensors: embedded, from a folder, or downloaded and verified.

>>> from dropout_lessons import datasets
>>> datasets.load("mnist_10k", train=1000)
Dataset('mnist_10k': 1000 training, 1000 validation, 4000 test; 28 x 28 pixels, 10 classes)
"""

from dropout_lessons.datasets.dataset import Dataset, Split
from dropout_lessons.datasets.language import MarkovSource
from dropout_lessons.datasets.loading import load

__all__ = ["Dataset", "MarkovSource", "Split", "load"]
