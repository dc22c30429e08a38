# %% reference
# With 256 units it is 60,000 times the 256th power: below 1e-40. Such an example reaches the next layer as zeros,
# so that biases alone answer, the same for every example.
miss = 1 - {{keep_prob}}
empty = 60_000 * miss**{{n}}

# %% correct: counted over every mask
import itertools

p = {{keep_prob}}
weigh = {m: p ** sum(m) * (1 - p) ** ({{n}} - sum(m)) for m in itertools.product((0, 1), repeat={{n}})}
empty = round(6e4 * weigh[(0,) * {{n}}], 2)

# %% correct: unit by unit
empty = 60_000.0
for unit in range({{n}}):
    empty -= empty * {{keep_prob}}

# %% wrong: probability: not multiplied by the number of masks
empty = (1 - {{keep_prob}}) ** {{n}}

# %% wrong: one-dropped: one unit alone
empty = 60_000 * (1 - {{keep_prob}})

# %% wrong: any-dropped: at least one dropped
empty = 60_000 * (1 - {{keep_prob}} ** {{n}})

# %% wrong: added: probabilities added
empty = 60_000 * {{n}} * (1 - {{keep_prob}})

# %% wrong: wrong-type: a sentence
empty = "about 3,750"

# %% wrong: one-unit-too-few: one unit too few
empty = 60_000 * (1 - {{keep_prob}}) ** ({{n}} - 1)

# %% correct: a count
import torch

empty = int((torch.rand(60_000, {{n}}) >= {{keep_prob}}).all(1).sum())

# %% correct: as an exact number
from decimal import Decimal

empty = 60_000 * (1 - Decimal("{{keep_prob}}")) ** {{n}}

# %% wrong: all-kept: every unit kept
empty = 60_000 * {{keep_prob}} ** {{n}}

# %% wrong: equally-likely: one mask of so many
empty = 60_000 / 2 ** {{n}}

# %% wrong: off: one unit too many
empty = 60_000 * (1 - {{keep_prob}}) ** ({{n}} + 1)
