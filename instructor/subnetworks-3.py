# %% reference
# Off at 0.8: likely masks return in bursts, so agreements are not independent, and the first comes later than for
# independent pairs. For few units what is neglected, two thirds of a draw, counts, too.
import math


def draws_until_repeat(n, keep_prob):
    same = (1 - 2 * keep_prob * (1 - keep_prob)) ** n
    return math.sqrt(math.pi / (2 * same))


# %% correct: with the next term
import numpy as np


def draws_until_repeat(n, keep_prob):
    collide = np.exp(n * np.log(keep_prob * keep_prob + (1 - keep_prob) * (1 - keep_prob)))
    return np.sqrt(np.pi / 2) * collide**-0.5 + 2 / 3


# %% correct: summed over kinds of masks
from math import comb, pi


def draws_until_repeat(n, keep_prob):
    odds = [comb(n, k) * (keep_prob**k * (1 - keep_prob) ** (n - k)) ** 2 for k in range(n + 1)]
    return (pi / 2 / sum(odds)) ** 0.5


# %% wrong: equally-likely: as if p were 1/2
import math


def draws_until_repeat(n, keep_prob):
    return math.sqrt(math.pi / 2 * 2**n)


# %% wrong: one-pair: waiting for one given mask
def draws_until_repeat(n, keep_prob):
    return 1 / (keep_prob**2 + (1 - keep_prob) ** 2) ** n


# %% wrong: keep-prob-only: both keep it, and nothing else
import math


def draws_until_repeat(n, keep_prob):
    return math.sqrt(math.pi / (2 * keep_prob ** (2 * n)))


# %% wrong: no-constant: without the constant
def draws_until_repeat(n, keep_prob):
    return (keep_prob**2 + (1 - keep_prob) ** 2) ** (-n / 2)


# %% wrong: not-a-root: the root is forgotten
import math


def draws_until_repeat(n, keep_prob):
    return math.pi / (2 * (keep_prob**2 + (1 - keep_prob) ** 2) ** n)


# %% wrong: off: a root too many
def draws_until_repeat(n, keep_prob):
    return (keep_prob**2 + (1 - keep_prob) ** 2) ** (-n / 4)

# %% correct: by logarithms
import torch


def draws_until_repeat(n, keep_prob):
    log_same = n * torch.log(torch.tensor(keep_prob**2 + (1 - keep_prob) ** 2, dtype=torch.float64))
    return torch.exp(0.5 * (torch.log(torch.tensor(torch.pi / 2)) - log_same))


# %% wrong: median: the number for even odds
import math


def draws_until_repeat(n, keep_prob):
    return math.sqrt(2 * math.log(2) / (keep_prob**2 + (1 - keep_prob) ** 2) ** n)


# %% wrong: off: another constant
def draws_until_repeat(n, keep_prob):
    return 4 / 3 * (keep_prob**2 + (1 - keep_prob) ** 2) ** (-n / 2)

# %% wrong: one-unit: two masks agree on one unit
import math


def draws_until_repeat(n, keep_prob):
    return math.sqrt(math.pi / (2 * (keep_prob**2 + (1 - keep_prob) ** 2)))


# %% wrong: turned-round: a misplaced bracket
import math


def draws_until_repeat(n, keep_prob):
    return math.sqrt(math.pi / 2 * (keep_prob**2 + (1 - keep_prob) ** 2) ** n)


# %% wrong: wrong-type: prints the number
import math


def draws_until_repeat(n, keep_prob):
    f"{math.sqrt(math.pi / (2 * (keep_prob**2 + (1 - keep_prob) ** 2) ** n)):.0f} draws"


# %% wrong: wrong-type: a formula in words
def draws_until_repeat(n, keep_prob):
    return "sqrt(pi / 2c)"


# %% correct: a whole number of draws
import numpy as np


def draws_until_repeat(n, keep_prob):
    agree = np.polyval([2, -2, 1], keep_prob)
    return int(np.ceil(np.sqrt(np.pi / 2 / np.power(agree, n))))
