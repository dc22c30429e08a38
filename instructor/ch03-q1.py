# %% reference
import torch


def shared_dropout(x, keep_prob):
    survivors = torch.rand(x.shape[-1], device=x.device) < keep_prob
    return torch.where(survivors, x / keep_prob, torch.zeros_like(x))


# %% correct: torch.bernoulli on one row
import torch


def shared_dropout(x, keep_prob):
    coins = torch.bernoulli(torch.full_like(x[:1], keep_prob))
    return x * coins.expand_as(x) / keep_prob


# %% correct: index the columns that stay
import numpy as np
import torch


def shared_dropout(x, keep_prob):
    y = torch.zeros_like(x)
    columns = torch.from_numpy(np.flatnonzero(np.random.random(x.shape[1]) < keep_prob))
    y[:, columns] = x[:, columns] / keep_prob
    return y


# %% wrong: rows-differ: a mask for each row
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand_like(x) < keep_prob) / keep_prob


# %% wrong: unscaled: no scaling
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob)


# %% wrong: scaled-by-keep-prob: multiplied instead of divided
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob) * keep_prob


# %% wrong: keep-and-drop-swapped: the mask is of dropped units
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) > keep_prob) / keep_prob


# %% wrong: scaled-by-drop-prob: PyTorch's p and the paper's mixed up
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob) / (1 - keep_prob)


# %% wrong: mask-per-row: the wrong axis is shared
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[0], 1) < keep_prob) / keep_prob


# %% wrong: same-mask-again: seeded inside
import torch


def shared_dropout(x, keep_prob):
    torch.manual_seed(0)
    return x * (torch.rand(x.shape[1]) < keep_prob) / keep_prob


# %% wrong: hard-coded-half: 0.5 written into the code
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < 0.5) / keep_prob


# %% wrong: exact-count: a fixed number of units
import torch


def shared_dropout(x, keep_prob):
    n = x.shape[1]
    mask = torch.zeros(n)
    mask[torch.randperm(n)[: round(keep_prob * n)]] = 1
    return x * mask / keep_prob


# %% wrong: in-place: changes its argument
import torch


def shared_dropout(x, keep_prob):
    x *= (torch.rand(x.shape[1]) < keep_prob) / keep_prob
    return x
