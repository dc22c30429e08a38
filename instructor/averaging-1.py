# %% reference
# A product of many probabilities is too small for floating point, and a root gives all subnetworks the same weight.
import torch


def geometric_mean(log_probs, log_weights):
    return torch.einsum("m,mec->ec", log_weights.exp(), log_probs).softmax(dim=-1)


# %% correct: exponentiate and divide
def geometric_mean(log_probs, log_weights):
    total = sum(weight * row for weight, row in zip(log_weights.exp().tolist(), log_probs, strict=True))
    product = (total - total.amax(1, keepdim=True)).exp()
    return product / product.sum(-1)[..., None]


# %% correct: in numpy
import numpy as np


def geometric_mean(log_probs, log_weights):
    logs = np.average(log_probs.numpy(), axis=0, weights=np.exp(log_weights.numpy()))
    return np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))


# %% wrong: not-renormalized: no division by Z
def geometric_mean(log_probs, log_weights):
    return (log_weights.exp()[:, None, None] * log_probs).sum(0).exp()


# %% wrong: unweighted: all alike
def geometric_mean(log_probs, log_weights):
    return log_probs.mean(0).softmax(1)


# %% wrong: arithmetic: the other mean
def geometric_mean(log_probs, log_weights):
    return (log_weights.exp()[:, None, None] * log_probs.exp()).sum(0)


# %% wrong: still-logarithms: log_softmax
def geometric_mean(log_probs, log_weights):
    return (log_weights.exp()[:, None, None] * log_probs).sum(0).log_softmax(1)


# %% wrong: wrong-axis: normalized over examples
def geometric_mean(log_probs, log_weights):
    return (log_weights.exp()[:, None, None] * log_probs).sum(0).softmax(0)


# %% wrong: weights-as-logarithms: log_weights not exponentiated
def geometric_mean(log_probs, log_weights):
    return (log_weights[:, None, None] * log_probs).sum(0).softmax(1)


# %% wrong: wrong-shape: summed over examples too
def geometric_mean(log_probs, log_weights):
    return (log_weights.exp()[:, None, None] * log_probs).sum((0, 1)).softmax(0)

# %% correct: in double precision, by differences from the first class
import torch


def geometric_mean(log_probs, log_weights):
    mixed = torch.tensordot(log_weights.double().exp(), log_probs.double(), dims=1)
    odds = (mixed - mixed[:, :1]).exp()
    return odds / odds.sum(1, keepdim=True)


# %% wrong: logarithms-not-renormalized: the sum itself
def geometric_mean(log_probs, log_weights):
    return (log_weights.exp()[:, None, None] * log_probs).sum(0)


# %% wrong: softmax-of-probabilities: the softmax of the arithmetic mean
def geometric_mean(log_probs, log_weights):
    return (log_weights.exp()[:, None, None] * log_probs.exp()).sum(0).softmax(1)


# %% wrong: loses-small-probabilities: probabilities clipped
def geometric_mean(log_probs, log_weights):
    clipped = log_probs.exp().clamp(min=1e-6).log()
    return (log_weights.exp()[:, None, None] * clipped).sum(0).softmax(1)


# %% wrong: not-finite: probabilities multiplied
def geometric_mean(log_probs, log_weights):
    product = (log_probs.exp() ** log_weights.exp()[:, None, None]).prod(0)
    return product / product.sum(1, keepdim=True)


# %% wrong: off: weights squared
def geometric_mean(log_probs, log_weights):
    return ((2 * log_weights).exp()[:, None, None] * log_probs).sum(0).softmax(1)
