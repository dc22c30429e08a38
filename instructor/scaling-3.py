# %% reference
def to_inverted(weight, bias, keep_prob):
    return keep_prob * weight, bias


# %% correct: through a linear layer
import torch


def to_inverted(weight, bias, keep_prob):
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.mul(weight, keep_prob))
        layer.bias.copy_(bias)
    return layer.weight, layer.bias


# %% correct: in numpy
import numpy as np


def to_inverted(weight, bias, keep_prob):
    return np.asarray(weight) * np.float32(keep_prob), np.asarray(bias)


# %% wrong: bias-scaled: the bug itself
def to_inverted(weight, bias, keep_prob):
    return weight * keep_prob, bias * keep_prob


# %% wrong: unscaled: weights left alone
def to_inverted(weight, bias, keep_prob):
    return weight, bias


# %% wrong: divided: the other direction
def to_inverted(weight, bias, keep_prob):
    return weight / keep_prob, bias


# %% wrong: scaled-by-drop-prob: the probability of dropping
def to_inverted(weight, bias, keep_prob):
    return weight * (1 - keep_prob), bias


# %% wrong: bias-scaled: the bias the other way
def to_inverted(weight, bias, keep_prob):
    return weight * keep_prob, bias / keep_prob


# %% wrong: in-place: changes the old network
def to_inverted(weight, bias, keep_prob):
    weight *= keep_prob
    return weight, bias


# %% wrong: wrong-type: a dictionary
def to_inverted(weight, bias, keep_prob):
    return {"weight": weight * keep_prob}, bias

# %% correct: as a matrix product
import torch


def to_inverted(weight, bias, keep_prob):
    return weight @ torch.eye(weight.shape[1], dtype=weight.dtype).mul(keep_prob), bias.clone()


# %% wrong: scaled-twice: squared
def to_inverted(weight, bias, keep_prob):
    return weight * keep_prob**2, bias


# %% wrong: wrong-scale: the root
def to_inverted(weight, bias, keep_prob):
    return weight * keep_prob**0.5, bias


# %% wrong: wrong-shape: turned round
def to_inverted(weight, bias, keep_prob):
    return weight.T * keep_prob, bias

# %% wrong: wrong-type: the weights alone
def to_inverted(weight, bias, keep_prob):
    return weight * keep_prob
