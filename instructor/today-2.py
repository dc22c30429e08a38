# %% reference
depth = sum(1 - l / {{blocks}} * (1 - {{keep_prob}}) for l in range(1, {{blocks}} + 1))

# %% correct: in closed form
depth = {{blocks}} - (1 - {{keep_prob}}) * ({{blocks}} + 1) / 2

# %% correct: with numpy
import numpy as np

depth = np.linspace(1, {{keep_prob}}, {{blocks}} + 1)[1:].sum()

# %% correct: with torch
import torch

depth = (1 - torch.arange(1, {{blocks}} + 1, dtype=torch.float64) / {{blocks}} * (1 - {{keep_prob}})).sum()

# %% wrong: counted-from-zero: l from 0
depth = sum(1 - l / {{blocks}} * (1 - {{keep_prob}}) for l in range({{blocks}}))

# %% wrong: all-alike: the last block's probability for all
depth = {{blocks}} * {{keep_prob}}

# %% wrong: blocks-dropped: the others
depth = (1 - {{keep_prob}}) * ({{blocks}} + 1) / 2

# %% wrong: keep-and-drop-swapped: p for dropping
depth = sum(1 - l / {{blocks}} * {{keep_prob}} for l in range(1, {{blocks}} + 1))

# %% wrong: halves-only: half of them
depth = {{blocks}} / 2

# %% wrong: nothing-dropped: all of them
depth = {{blocks}}

# %% wrong: middle-block: the mean of the ends
depth = {{blocks}} * (1 + {{keep_prob}}) / 2

# %% wrong: share: as a share
depth = sum(1 - l / {{blocks}} * (1 - {{keep_prob}}) for l in range(1, {{blocks}} + 1)) / {{blocks}}

# %% wrong: wrong-type: in words
depth = "most of them"

# %% wrong: off: a guess
depth = 3
