# %% reference
from math import log

largest = (log(min({{members}}, {{classes}})), log(min(50, {{classes}})))

# %% correct: by building the members
import torch

def disagreement(members, classes):
    sure = torch.nn.functional.one_hot(torch.arange(members) % classes, classes).double()
    return torch.special.entr(sure.mean(0)).sum().item()

largest = [disagreement({{members}}, {{classes}}), round(float(torch.tensor({{classes}}).log()), 4)]

# %% correct: an array
import numpy as np

largest = np.log(np.minimum([{{members}}, 50], {{classes}}))

# %% wrong: all-by-classes: the number of members forgotten
import math
largest = (math.log({{classes}}), math.log({{classes}}))

# %% wrong: all-by-members: the number of classes forgotten
import math
largest = (math.log({{members}}), math.log(50))

# %% wrong: bits: base 2
import math
largest = (math.log2({{members}}), math.log2({{classes}}))

# %% wrong: no-logarithm: counts
largest = ({{members}}, {{classes}})

# %% wrong: swapped: in the wrong order
import math
largest = (math.log({{classes}}), math.log({{members}}))

# %% wrong: wrong-shape: only one
import math
largest = math.log({{members}})

# %% correct: rounded
import math

largest = [round(math.log(min(m, {{classes}})), 2) for m in ({{members}}, 50)]

# %% wrong: off: the other of two largest
import math
largest = (math.log({{members}}) / 2, math.log({{classes}}) / 2)

# %% wrong: off: probabilities instead of their information
import math
largest = (1 - 1 / {{members}}, 1 - 1 / {{classes}})
