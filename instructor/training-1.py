# %% reference
# Every row of a call keeps the same number of units: one column, which stands elsewhere in the next call.
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

# %% correct: in numpy
import numpy as np


def shared_dropout(x, keep_prob):
    x = np.asarray(x)
    return np.where(np.random.default_rng().random(x.shape[1]) < keep_prob, x / np.float32(keep_prob), np.float32(0))


# %% correct: a mask from numpy, in double precision
import numpy as np
import torch


def shared_dropout(x, keep_prob):
    return x * torch.from_numpy(np.random.binomial(1, keep_prob, x.shape[1]) / keep_prob)


# %% correct: a generator of its own
import torch

_draws = torch.Generator()
_draws.seed()


def shared_dropout(x, keep_prob):
    return x.mul(torch.empty(x.size(1)).bernoulli_(keep_prob, generator=_draws).div(keep_prob))


# %% correct: dropout of a row of ones
import torch


def shared_dropout(x, keep_prob):
    return torch.nn.functional.dropout(torch.ones(1, x.shape[-1]), p=1 - keep_prob) * x


# %% wrong: units-share-coins: pairs
import torch


def shared_dropout(x, keep_prob):
    coins = (torch.rand((x.shape[1] + 1) // 2) < keep_prob).repeat_interleave(2)[: x.shape[1]]
    return x * coins / keep_prob


# %% wrong: units-share-coins: the second half repeats the first
import torch


def shared_dropout(x, keep_prob):
    half = torch.rand(-(-x.shape[1] // 2)) < keep_prob
    return x * torch.cat([half, half])[: x.shape[1]] / keep_prob


# %% wrong: units-share-coins: the second half mirrors the first
import torch


def shared_dropout(x, keep_prob):
    half = torch.rand(x.shape[1])[: -(-x.shape[1] // 2)] < keep_prob
    return x * torch.cat([half, half.flip(0)])[: x.shape[1]] / keep_prob


# %% wrong: units-share-coins: one number for a unit and its counterpart
import torch


def shared_dropout(x, keep_prob):
    u = torch.rand(-(-x.shape[1] // 2))
    return x * (torch.cat([u, 1 - u])[: x.shape[1]] < keep_prob) / keep_prob


# %% wrong: units-share-coins: eight coins, again and again
import torch


def shared_dropout(x, keep_prob):
    coins = torch.rand(200) < keep_prob
    return x * coins.repeat(x.shape[1] // 200 + 1)[: x.shape[1]] / keep_prob


# %% wrong: unequal-rates: sorted coins
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]).sort().values < keep_prob) / keep_prob


# %% wrong: unequal-rates: the first unit is never dropped
import torch


def shared_dropout(x, keep_prob):
    mask = torch.rand(x.shape[1]) < keep_prob
    mask[0] = True
    return x * mask / keep_prob


# %% wrong: unequal-rates: later units are kept less often
import torch


def shared_dropout(x, keep_prob):
    rates = keep_prob + torch.linspace(0.1, -0.1, x.shape[1])
    return x * (torch.rand(x.shape[1]) < rates) / keep_prob


# %% wrong: rates-vary: a rate for each call
import torch


def shared_dropout(x, keep_prob):
    rate = keep_prob + 0.2 * (torch.rand(()) - 0.5)
    return x * (torch.rand(x.shape[1]) < rate) / keep_prob


# %% wrong: exact-count: rounded up or down
import torch


def shared_dropout(x, keep_prob):
    n = x.shape[1]
    mask = torch.zeros(n)
    mask[torch.randperm(n)[: int(keep_prob * n + torch.rand(()).item())]] = 1
    return x * mask / keep_prob


# %% wrong: wrong-rate: rounded to one digit
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < round(keep_prob, 1)) / keep_prob


# %% wrong: wrong-rate: three points too many
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob + 0.03) / keep_prob


# %% wrong: mask-reused: every mask serves twice
import torch

_state = {}


def shared_dropout(x, keep_prob):
    _state["n"] = _state.get("n", 0) + 1
    if _state["n"] % 2 or len(_state["mask"]) != x.shape[1]:
        _state["mask"] = torch.rand(x.shape[1]) < keep_prob
    return x * _state["mask"] / keep_prob


# %% wrong: no-gradient: detached
import torch


def shared_dropout(x, keep_prob):
    return x.detach() * (torch.rand(x.shape[1]) < keep_prob) / keep_prob


# %% wrong: no-gradient: under no_grad
import torch


@torch.no_grad()
def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob) / keep_prob


# %% wrong: no-gradient: through numpy and back
import numpy as np
import torch


def shared_dropout(x, keep_prob):
    mask = (np.random.random(x.shape[1]) < keep_prob) / keep_prob
    return torch.from_numpy((x.numpy() * mask).astype(np.float32))


# %% wrong: fixed-size: the width of the first x
import torch

_width = []


def shared_dropout(x, keep_prob):
    _width.append(x.shape[1])
    return x * (torch.rand(_width[0]) < keep_prob) / keep_prob


# %% wrong: reseeds: seeds drawn from many
import torch


def shared_dropout(x, keep_prob):
    torch.manual_seed(int(torch.randint(0, 2**31, ())))
    return x * (torch.rand(x.shape[1]) < keep_prob) / keep_prob


# %% wrong: nothing-kept: zeros
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) > 1) / keep_prob


# %% wrong: nothing-dropped: no mask
def shared_dropout(x, keep_prob):
    return x / keep_prob


# %% wrong: scaled-for-half: doubled
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob) * 2


# %% wrong: scaled-twice: divided twice
import torch


def shared_dropout(x, keep_prob):
    return x * ((torch.rand(x.shape[1]) < keep_prob) / keep_prob) / keep_prob


# %% wrong: wrong-scale: the root
import torch


def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob) / keep_prob**0.5


# %% wrong: wrong-scale: every row scaled by what it kept
import torch


def shared_dropout(x, keep_prob):
    mask = torch.rand(x.shape[1]) < keep_prob
    return x * mask / mask.float().mean().clamp(min=0.01)


# %% wrong: wrong-dtype: half precision
import torch


def shared_dropout(x, keep_prob):
    return (x * (torch.rand(x.shape[1]) < keep_prob) / keep_prob).half()


# %% wrong: stale-keep-prob: a factor that wide inputs alone renew
import torch

_factor = {}


def shared_dropout(x, keep_prob):
    if x.shape[1] > 100 or not _factor:
        _factor["now"] = 1 / keep_prob
    return x * (torch.rand(x.shape[1]) < keep_prob) * _factor["now"]
