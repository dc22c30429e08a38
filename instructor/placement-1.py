# %% reference
import math

steps = math.ceil(-math.log(2) / math.log({{keep_prob}}))

# %% correct: by counting
left, steps = 1.0, 0
while left >= 0.5:
    left, steps = left * {{keep_prob}}, steps + 1

# %% correct: with numpy
import numpy as np

steps = np.argmax({{keep_prob}} ** np.arange(100) < 0.5)

# %% wrong: one-too-few: rounded down
import math
steps = math.floor(math.log(0.5) / math.log({{keep_prob}}))

# %% wrong: not-rounded: not rounded
import math
steps = math.log(0.5) / math.log({{keep_prob}})

# %% wrong: one-too-many: counted from the wrong end
import math
steps = math.ceil(math.log(0.5) / math.log({{keep_prob}})) + 1

# %% wrong: mean-lifetime: the mean of a geometric distribution
steps = 1 / (1 - {{keep_prob}})

# %% wrong: keep-and-drop-swapped: p for the probability of dropping
steps = 1

# %% wrong: wrong-type: in words
steps = "seven"

# %% correct: by search
steps = next(t for t in range(1, 1000) if {{keep_prob}} ** t < 0.5)

# %% wrong: chances-added: as if chances added up
steps = 0.5 / (1 - {{keep_prob}})

# %% wrong: off: to one part in e
import math
steps = math.ceil(-1 / math.log({{keep_prob}})) + 3
