# %% reference
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    n = hidden.shape[1]
    def half(units):
        masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=hidden.dtype)] * len(units))
        odds = torch.where(masks == 1, keep_prob, 1 - keep_prob).prod(1)
        return masks, odds
    (left, p_left), (right, p_right) = half(range(n // 2)), half(range(n // 2, n))
    out = []
    for row in hidden / keep_prob:
        a = torch.exp((left * row[: n // 2]) @ weight[:, : n // 2].T + bias)
        b = torch.exp((right * row[n // 2 :]) @ weight[:, n // 2 :].T)
        norm = p_left[:, None] * p_right / (a @ b.T)
        out.append((a * (norm @ b)).sum(0))
    return torch.stack(out)


# %% correct: two halves, all examples at once
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    def side(units):
        codes = torch.arange(2 ** len(units))
        on = (codes[:, None] >> torch.arange(len(units)) & 1).double()
        factor = torch.exp(torch.einsum("su,eu,ku->esk", on, hidden[:, units].double() / keep_prob, weight[:, units].double()))
        return factor, (keep_prob**on * (1 - keep_prob) ** (1 - on)).prod(1)

    n = hidden.shape[1]
    (first, p_first), (second, p_second) = side(range(n // 2)), side(range(n // 2, n))
    first = first * bias.double().exp()
    share = p_first[:, None] * p_second / (first @ second.mT)
    return (first * (share @ second)).sum(1)


# %% correct: one unit at a time, doubling
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    logits, chances = bias.expand(1, len(hidden), -1), torch.ones(1, dtype=hidden.dtype)
    for unit in range(hidden.shape[1]):
        extra = hidden[:, unit, None] * weight[:, unit] / keep_prob
        logits = torch.cat([logits, logits + extra])
        chances = torch.cat([chances * (1 - keep_prob), chances * keep_prob])
    return torch.einsum("s,sec->ec", chances, logits.softmax(-1))


# %% correct: all masks at once, in numpy
import numpy as np


def exact_mean(hidden, weight, bias, keep_prob):
    h, w, b = (np.asarray(part, dtype=float) for part in (hidden, weight, bias))
    kept = (np.arange(2 ** h.shape[1])[:, None] >> np.arange(h.shape[1]) & 1) > 0
    chance = np.where(kept, keep_prob, 1 - keep_prob).prod(1)
    total = []
    for row in h / keep_prob:
        e = np.exp((kept * row) @ w.T + b)
        total.append(chance @ (e / e.sum(1, keepdims=True)))
    return np.array(total)


# %% wrong: one-by-one: a loop over all subnetworks
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    total = torch.zeros(len(hidden), len(weight), dtype=hidden.dtype)
    for code in range(2 ** hidden.shape[1]):
        bits = torch.tensor([code >> unit & 1 for unit in range(hidden.shape[1])], dtype=hidden.dtype)
        chance = torch.where(bits > 0, keep_prob, 1 - keep_prob).prod()
        total += chance * torch.softmax((hidden * bits / keep_prob) @ weight.T + bias, dim=1)
    return total

# %% wrong: one-by-one: the loop in numpy, with itertools
import itertools

import numpy as np


def exact_mean(hidden, weight, bias, keep_prob):
    h, w, b = (np.asarray(part, dtype=float) for part in (hidden, weight, bias))
    total = np.zeros((h.shape[0], w.shape[0]))
    for mask in itertools.product((True, False), repeat=h.shape[1]):
        mask = np.array(mask)
        e = np.exp(h[:, mask] / keep_prob @ w[:, mask].T + b)
        total += keep_prob ** mask.sum() * (1 - keep_prob) ** (~mask).sum() * e / e.sum(1, keepdims=True)
    return total

# %% wrong: unweighted: all masks alike
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * hidden.shape[1])
    return ((masks[:, None] * hidden / keep_prob) @ weight.T + bias).softmax(2).mean(0)

# %% wrong: geometric: logits are averaged
def exact_mean(hidden, weight, bias, keep_prob):
    return (hidden @ weight.T + bias).softmax(1)

# %% wrong: unscaled: no division by keep_prob
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * hidden.shape[1])
    odds = torch.where(masks == 1, keep_prob, 1 - keep_prob).prod(1).double()
    return torch.tensordot(odds, ((masks[:, None] * hidden) @ weight.T + bias).softmax(2), 1)

# %% wrong: empty-missing: the loop starts at 1
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * hidden.shape[1])[1:]
    odds = torch.where(masks == 1, keep_prob, 1 - keep_prob).prod(1).double()
    return torch.tensordot(odds, ((masks[:, None] * hidden / keep_prob) @ weight.T + bias).softmax(2), 1)

# %% wrong: keep-and-drop-swapped: weighed the wrong way round
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * hidden.shape[1])
    odds = torch.where(masks == 1, 1 - keep_prob, keep_prob).prod(1).double()
    return torch.tensordot(odds, ((masks[:, None] * hidden / keep_prob) @ weight.T + bias).softmax(2), 1)

# %% wrong: softmax-of-sum: normalized at the end
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * hidden.shape[1])
    odds = torch.where(masks == 1, keep_prob, 1 - keep_prob).prod(1).double()
    total = torch.tensordot(odds, ((masks[:, None] * hidden / keep_prob) @ weight.T + bias).exp(), 1)
    return total / total.sum(1, keepdim=True)

# %% wrong: empty-missing-alike: without it, and the others' chances made to add up to 1
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=hidden.dtype)] * hidden.shape[1])[1:]
    odds = torch.where(masks == 1, keep_prob, 1 - keep_prob).prod(1).to(hidden.dtype)
    return torch.tensordot(odds / odds.sum(), ((masks[:, None] * hidden / keep_prob) @ weight.T + bias).softmax(2), 1)

# %% wrong: not-normalized: exponentials averaged
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=hidden.dtype)] * hidden.shape[1])
    odds = torch.where(masks == 1, keep_prob, 1 - keep_prob).prod(1).to(hidden.dtype)
    return torch.tensordot(odds, ((masks[:, None] * hidden / keep_prob) @ weight.T + bias).exp(), 1)

# %% wrong: raises: six units
import itertools

import torch


def exact_mean(hidden, weight, bias, keep_prob):
    out = 0
    for m in itertools.product((0.0, 1.0), repeat=6):
        m = torch.tensor(m, dtype=hidden.dtype)
        k = m.sum()
        out = out + keep_prob**k * (1 - keep_prob) ** (6 - k) * torch.softmax(hidden * m / keep_prob @ weight.T + bias, 1)
    return out

# %% wrong: whole-missing: the last subnetwork is left out
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    n = hidden.shape[1]
    total = 0
    for number in range(2**n - 1):
        mask = torch.tensor([(number >> i) & 1 for i in range(n)], dtype=hidden.dtype)
        kept = int(mask.sum())
        chance = keep_prob**kept * (1 - keep_prob) ** (n - kept)
        total = total + chance * ((hidden * mask / keep_prob) @ weight.T + bias).softmax(1)
    return total

# %% wrong: few-units-alone: masks are drawn where there are many
import itertools

import torch


def exact_mean(hidden, weight, bias, keep_prob):
    n = hidden.shape[1]
    if n > 12:
        masks = (torch.rand(200, n) < keep_prob).to(hidden.dtype)
        odds = torch.full((200,), 1 / 200, dtype=hidden.dtype)
    else:
        masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=hidden.dtype)
        odds = torch.where(masks == 1, keep_prob, 1 - keep_prob).prod(1).to(hidden.dtype)
    return torch.tensordot(odds, ((masks[:, None] * hidden / keep_prob) @ weight.T + bias).softmax(2), 1)

# %% wrong: few-units-alone: room for seven units
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    n = hidden.shape[1]
    codes = torch.arange(2 ** min(n, 7))
    masks = torch.stack([codes >> unit & 1 for unit in range(7)], 1)[:, :n].to(hidden.dtype)
    odds = (keep_prob**masks * (1 - keep_prob) ** (1 - masks)).prod(1)
    return torch.tensordot(odds, ((masks[:, None] * hidden / keep_prob) @ weight.T + bias).softmax(2), 1)
