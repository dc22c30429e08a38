# %% reference
q, p = {{input_keep_prob}}, {{keep_prob}}
left = (q * p, p)

# %% correct: a list
left = [{{keep_prob}} * {{input_keep_prob}}, {{keep_prob}}]

# %% correct: counted over many masks
import torch

from dropout_lessons import sample_mask

draws = torch.Generator().manual_seed(5)
inputs = sample_mask((4_000, 40), {{input_keep_prob}}, generator=draws).double()
hidden = sample_mask((4_000, 40), {{keep_prob}}, generator=draws).double()
left = (inputs.mean(1) @ hidden.mean(1) / 4_000, hidden.mean())

# %% wrong: one-end-only: the weights in need the input alone
left = ({{input_keep_prob}}, {{keep_prob}})

# %% wrong: either-end: a weight is left if one of its ends is
left = (1 - (1 - {{input_keep_prob}}) * (1 - {{keep_prob}}), {{keep_prob}})

# %% wrong: lost: the fraction that is lost
left = (1 - {{input_keep_prob}} * {{keep_prob}}, 1 - {{keep_prob}})

# %% wrong: outputs-dropped: the outputs are dropped too
left = ({{input_keep_prob}} * {{keep_prob}}, {{keep_prob}} * {{keep_prob}})

# %% wrong: swapped: the same for both layers
left = ({{input_keep_prob}} * {{keep_prob}}, {{input_keep_prob}} * {{keep_prob}})

# %% wrong: wrong-shape: one number
left = {{input_keep_prob}} * {{keep_prob}}

# %% correct: as percentages, divided
left = [round(100 * {{input_keep_prob}} * {{keep_prob}}) / 100 + 0.0, {{keep_prob}}]
if abs(left[0] - {{input_keep_prob}} * {{keep_prob}}) > 1e-9:
    left[0] = {{input_keep_prob}} * {{keep_prob}}

# %% correct: as fractions
from fractions import Fraction

left = (Fraction("{{input_keep_prob}}") * Fraction("{{keep_prob}}"), Fraction("{{keep_prob}}"))

# %% wrong: other-end-only: the hidden end alone
left = ({{keep_prob}}, {{keep_prob}})

# %% wrong: both-dropped: both ends lost
left = ((1 - {{input_keep_prob}}) * (1 - {{keep_prob}}), {{keep_prob}})

# %% wrong: averaged: the mean of the two
left = (({{input_keep_prob}} + {{keep_prob}}) / 2, {{keep_prob}})

# %% wrong: wrong-layer: the inputs for the second number
left = ({{input_keep_prob}} * {{keep_prob}}, {{input_keep_prob}})

# %% wrong: keep-and-drop-swapped: hidden units dropped with keep_prob
left = ({{input_keep_prob}} * (1 - {{keep_prob}}), 1 - {{keep_prob}})
