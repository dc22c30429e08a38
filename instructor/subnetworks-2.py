# %% reference
def thin(weight1, bias1, weight2, kept, keep_prob):
    survivors = kept.nonzero().squeeze(1)
    return weight1.index_select(0, survivors), bias1.index_select(0, survivors), weight2.index_select(1, survivors).div(keep_prob)


# %% correct: boolean indexing, scaled on the way in
def thin(weight1, bias1, weight2, kept, keep_prob):
    grow = 1 / keep_prob  # ReLU passes a positive factor on
    return grow * weight1[kept], grow * bias1[kept], weight2[:, kept]


# %% correct: unit by unit
import torch


def thin(weight1, bias1, weight2, kept, keep_prob):
    rows, biases, columns = [], [], []
    for unit, stays in enumerate(kept.tolist()):
        if stays:
            rows.append(weight1[unit])
            biases.append(bias1[unit])
            columns.append(weight2[:, unit] / keep_prob)
    return torch.stack(rows), torch.stack(biases), torch.stack(columns, dim=1)


# %% wrong: unscaled: no scaling
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept], bias1[kept], weight2[:, kept]


# %% wrong: scaled-by-keep-prob: as at test time with standard scaling
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept], bias1[kept], weight2[:, kept] * keep_prob


# %% wrong: scaled-twice: on both sides
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept] / keep_prob, bias1[kept] / keep_prob, weight2[:, kept] / keep_prob


# %% wrong: bias-unscaled: the bias is forgotten on the way in
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept] / keep_prob, bias1[kept], weight2[:, kept]


# %% wrong: not-cut: masked instead of cut
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1 * kept[:, None], bias1 * kept, weight2 * kept / keep_prob


# %% wrong: keep-and-drop-swapped: the mask turned around
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[~kept], bias1[~kept], weight2[:, ~kept] / keep_prob


# %% wrong: raises: the wrong axis of the second weights
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept], bias1[kept], weight2[kept] / keep_prob


# %% wrong: wrong-shape: the biases are not cut
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept], bias1, weight2[:, kept] / keep_prob

# %% correct: through smaller layers
import torch


def thin(weight1, bias1, weight2, kept, keep_prob):
    index = torch.arange(len(kept))[kept]
    first, second = torch.nn.Linear(weight1.shape[1], len(index)), torch.nn.Linear(len(index), len(weight2), bias=False)
    with torch.no_grad():
        first.weight.copy_(weight1[index])
        first.bias.copy_(bias1[index])
        second.weight.copy_(weight2.T[index].T / keep_prob)
    return first.weight, first.bias, second.weight


# %% wrong: scaled-by-drop-prob: the other probability
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept], bias1[kept], weight2[:, kept] / (1 - keep_prob)


# %% wrong: bias-missing: biases of zero
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept], bias1[kept] * 0, weight2[:, kept] / keep_prob


# %% wrong: different: the first so many units
def thin(weight1, bias1, weight2, kept, keep_prob):
    n = int(kept.sum())
    return weight1[:n], bias1[:n], weight2[:, :n] / keep_prob

# %% wrong: wrong-type: nothing comes back
def thin(weight1, bias1, weight2, kept, keep_prob):
    weight1, bias1, weight2 = weight1[kept], bias1[kept], weight2[:, kept] / keep_prob


# %% wrong: wrong-type: without the biases
def thin(weight1, bias1, weight2, kept, keep_prob):
    return weight1[kept], weight2[:, kept] / keep_prob
