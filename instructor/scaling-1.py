# %% reference
# The second paper: look for "retain" or "rate", for what is multiplied at test time, for its code, or whether its layers
# of 0.9 are those with little dropout, such as inputs.
a, b = {{input_drop}}, {{hidden_drop}}
numbers = (1 - a, 1 - b, a, b)

# %% correct: an array
import numpy as np

out = np.array([{{input_drop}}, {{hidden_drop}}])
numbers = np.r_[1.0 - out, out]

# %% correct: a tensor
import torch

numbers = torch.tensor([1.0 - {{input_drop}}, 1.0 - {{hidden_drop}}, {{input_drop}}, {{hidden_drop}}])

# %% wrong: all-keep: PyTorch's p taken for the paper's
numbers = (1 - {{input_drop}}, 1 - {{hidden_drop}}, 1 - {{input_drop}}, 1 - {{hidden_drop}})

# %% wrong: all-drop: keep_prob taken for a rate
numbers = ({{input_drop}}, {{hidden_drop}}, {{input_drop}}, {{hidden_drop}})

# %% wrong: keep-and-drop-swapped: the other way round
numbers = ({{input_drop}}, {{hidden_drop}}, 1 - {{input_drop}}, 1 - {{hidden_drop}})

# %% wrong: layers-swapped: hidden units first
numbers = (1 - {{hidden_drop}}, 1 - {{input_drop}}, {{hidden_drop}}, {{input_drop}})

# %% wrong: wrong-shape: for MLP only
numbers = (1 - {{input_drop}}, 1 - {{hidden_drop}})

# %% wrong: percent: in percent
numbers = (100 - 100 * {{input_drop}}, 100 - 100 * {{hidden_drop}}, 100 * {{input_drop}}, 100 * {{hidden_drop}})

# %% correct: two pairs, one for each library
numbers = ((1 - {{input_drop}}, 1 - {{hidden_drop}}), ({{input_drop}}, {{hidden_drop}}))

# %% wrong: libraries-swapped: both kinds of mistakes
numbers = ({{hidden_drop}}, {{input_drop}}, 1 - {{hidden_drop}}, 1 - {{input_drop}})

# %% wrong: off: the hidden units' number for both layers
numbers = (1 - {{hidden_drop}}, 1 - {{hidden_drop}}, {{hidden_drop}}, {{hidden_drop}})

# %% wrong: taken-in-turns: both libraries for the inputs, then both for the hidden units
numbers = (1 - {{input_drop}}, {{input_drop}}, 1 - {{hidden_drop}}, {{hidden_drop}})

# %% wrong: wrong-type: as words
numbers = ("0.8", "0.6", "0.2", "0.4")
