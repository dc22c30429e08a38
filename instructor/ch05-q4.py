# %% reference
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    total = torch.zeros(len(hidden), len(weight), dtype=hidden.dtype)
    for code in range(2 ** hidden.shape[1]):
        bits = torch.tensor([code >> unit & 1 for unit in range(hidden.shape[1])], dtype=hidden.dtype)
        chance = torch.where(bits > 0, keep_prob, 1 - keep_prob).prod()
        total += chance * torch.softmax((hidden * bits / keep_prob) @ weight.T + bias, dim=1)
    return total


# %% correct: one unit at a time, doubling
import torch


def exact_mean(hidden, weight, bias, keep_prob):
    logits, chances = bias.expand(1, len(hidden), -1), torch.ones(1, dtype=hidden.dtype)
    for unit in range(hidden.shape[1]):
        extra = hidden[:, unit, None] * weight[:, unit] / keep_prob
        logits = torch.cat([logits, logits + extra])
        chances = torch.cat([chances * (1 - keep_prob), chances * keep_prob])
    return torch.einsum("s,sec->ec", chances, logits.softmax(-1))


# %% correct: two halves
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
