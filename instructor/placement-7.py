# %% reference
left = 1 - (1 - {{keep_prob}}) ** 8

# %% correct: one neighbor after the other
gone = 1.0
for _ in range(8):
    gone *= 1 - {{keep_prob}}
left = 1 - gone

# %% correct: with scipy
from scipy.stats import binom

left = binom.sf(0, 8, {{keep_prob}})

# %% correct: summed over how many are left
from math import comb

left = sum(comb(8, k) * {{keep_prob}} ** k * (1 - {{keep_prob}}) ** (8 - k) for k in range(1, 9))

# %% wrong: none-left: all are gone
left = (1 - {{keep_prob}}) ** 8

# %% wrong: keep-and-drop-swapped: p taken for dropping
left = 1 - {{keep_prob}} ** 8

# %% wrong: all-left: all are there
left = {{keep_prob}} ** 8

# %% wrong: one-neighbor: the first will do
left = {{keep_prob}}

# %% wrong: chances-added: eight chances
left = 8 * {{keep_prob}}

# %% wrong: four-neighbors: without corners
left = 1 - (1 - {{keep_prob}}) ** 4

# %% wrong: itself-counted: nine entries
left = 1 - (1 - {{keep_prob}}) ** 9

# %% wrong: exactly-one: one and no more
left = 8 * {{keep_prob}} * (1 - {{keep_prob}}) ** 7

# %% wrong: wrong-type: in words
left = "very likely"

# %% wrong: off: a guess
left = 0.5

# %% correct: two decimals
left = round(1 - (1 - {{keep_prob}}) ** 8, 2)

# %% wrong: percent: in percent
left = 100 * (1 - (1 - {{keep_prob}}) ** 8)
