# %% reference
k = {{part}}  # (1 - p) / p = 1 / k, then 1 / (2k)
keep_probs = tuple(1 / (1 + strength) for strength in (1 / k, 1 / (2 * k)))

# %% correct: as fractions
keep_probs = [{{part}} / ({{part}} + 1), 2 * {{part}} / (2 * {{part}} + 1)]

# %% correct: by search
import numpy as np

grid = np.linspace(0.001, 0.999, 99_801)
keep_probs = np.array([grid[np.abs((1 - grid) / grid - 1 / m).argmin()] for m in ({{part}}, 2 * {{part}})])

# %% wrong: drop-prob: PyTorch's p
keep_probs = (1 / ({{part}} + 1), 1 / (2 * {{part}} + 1))

# %% wrong: not-solved-for-p: the ratio
keep_probs = (1 / {{part}}, 1 / (2 * {{part}}))

# %% wrong: data-halved: more data taken for a stronger penalty
keep_probs = ({{part}} / ({{part}} + 1), {{part}} / ({{part}} + 2))

# %% wrong: unchanged: n forgotten
keep_probs = ({{part}} / ({{part}} + 1), {{part}} / ({{part}} + 1))

# %% wrong: swapped: in the wrong order
keep_probs = (2 * {{part}} / (2 * {{part}} + 1), {{part}} / ({{part}} + 1))

# %% wrong: wrong-shape: only the first
keep_probs = {{part}} / ({{part}} + 1)

# %% correct: as exact numbers
from decimal import Decimal

keep_probs = [Decimal(m) / (m + 1) for m in ({{part}}, 2 * {{part}})]

# %% wrong: drop-prob: as a percentage of what is dropped, in one array
import numpy as np

keep_probs = 1 - np.array([{{part}} / ({{part}} + 1), 2 * {{part}} / (2 * {{part}} + 1)])

# %% wrong: off: the root of the strength
keep_probs = (1 / (1 + {{part}} ** -0.5), 1 / (1 + (2 * {{part}}) ** -0.5))
