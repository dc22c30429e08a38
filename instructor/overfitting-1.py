# %% reference
guessing = ({{classes}} - 1) / {{classes}}
errors = (0.01 * {{noise}} * guessing, guessing)

# %% correct: by counting
redrawn = 1000 * {{noise}} / 100
errors = [(redrawn - redrawn / {{classes}}) / 1000, 1 - 1 / {{classes}}]

# %% correct: as an array
import numpy as np

errors = np.array([{{noise}} / 100, 1.0]) * (1 - 1 / {{classes}})

# %% wrong: all-redrawn-false: every redrawn label taken for a false one
errors = ({{noise}} / 100, 1 - 1 / {{classes}})

# %% wrong: chance-of-being-right: accuracy
errors = ({{noise}} / 100 * (1 - 1 / {{classes}}), 1 / {{classes}})

# %% wrong: always-wrong: nothing learned, nothing right
errors = ({{noise}} / 100 * (1 - 1 / {{classes}}), 1.0)

# %% wrong: percent: in percent
errors = ({{noise}} * (1 - 1 / {{classes}}), 100 * (1 - 1 / {{classes}}))

# %% wrong: swapped: in the wrong order
errors = (1 - 1 / {{classes}}, {{noise}} / 100 * (1 - 1 / {{classes}}))

# %% wrong: wrong-shape: only the first
errors = {{noise}} / 100 * (1 - 1 / {{classes}})

# %% correct: as fractions
from fractions import Fraction as F

errors = (F({{noise}}, 100) * (1 - F(1, {{classes}})), 1 - F(1, {{classes}}))

# %% correct: as a named pair
from typing import NamedTuple


class Errors(NamedTuple):
    noisy: float
    new: float


errors = Errors(noisy=round({{noise}} / 100 - {{noise}} / 100 / {{classes}}, 3), new=1 - 1 / {{classes}})

# %% correct: as a series
import pandas as pd

errors = pd.Series({"noisy": 0.01 * {{noise}}, "new": 1.0}) * (1 - 1 / {{classes}})

# %% wrong: chance-of-being-right: accuracy, in a list of tensors
import torch

errors = [torch.tensor({{noise}} / 100 * (1 - 1 / {{classes}})), torch.tensor([1 / {{classes}}])]

# %% wrong: off: the examples that keep their labels
errors = (1 - {{noise}} / 100, 1 - 1 / {{classes}})

# %% wrong: right-answers: shares of right answers
errors = (1 - {{noise}} / 100 * (1 - 1 / {{classes}}), 1 / {{classes}})

# %% wrong: off: the share of false labels twice
errors = ({{noise}} / 100 * (1 - 1 / {{classes}}), {{noise}} / 100 * (1 - 1 / {{classes}}))
