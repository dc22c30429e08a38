# %% reference
def drop_path(branch, keep_prob):
    shape = [branch.size(0)] + [1] * (branch.ndim - 1)
    coins = torch.bernoulli(torch.full(shape, float(keep_prob), dtype=branch.dtype))
    return branch * coins / keep_prob

# %% correct: with rand and where
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    kept = torch.rand(size) < keep_prob
    return torch.where(kept, branch / keep_prob, 0.0)

# %% correct: with F.dropout on ones
def drop_path(branch, keep_prob):
    ones = branch.new_ones(len(branch))
    noise = torch.nn.functional.dropout(ones, 1 - keep_prob, training=True)
    return noise.view(-1, *[1] * (branch.dim() - 1)) * branch

# %% correct: flattened and back
def drop_path(branch, keep_prob):
    flat = branch.reshape(len(branch), -1)
    kept = (torch.rand(len(branch), 1) >= 1 - keep_prob).to(flat.dtype)
    return (flat * kept).div(keep_prob).reshape(branch.shape)

# %% correct: einsum
def drop_path(branch, keep_prob):
    factor = torch.empty(branch.shape[0]).bernoulli_(keep_prob) / keep_prob
    return torch.einsum('n,n...->n...', factor, branch)

# %% wrong: units-dropped: ordinary dropout
def drop_path(branch, keep_prob):
    return branch * (torch.rand_like(branch) < keep_prob) / keep_prob

# %% wrong: mask-per-batch: one coin
def drop_path(branch, keep_prob):
    return branch * (torch.rand(()) < keep_prob) / keep_prob

# %% wrong: unscaled: not divided
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    return branch * (torch.rand(size) < keep_prob)

# %% wrong: keep-and-drop-swapped: the other way round
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    return branch * (torch.rand(size) > keep_prob) / keep_prob

# %% wrong: scaled-by-keep-prob: multiplied
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    return branch * (torch.rand(size) < keep_prob) * keep_prob

# %% wrong: scaled-by-drop-prob: the wrong divisor
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    return branch * (torch.rand(size) < keep_prob) / (1 - keep_prob)

# %% wrong: stream-added: as if it were x
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    return branch + branch * (torch.rand(size) < keep_prob) / keep_prob

# %% wrong: nothing-dropped: at test time
def drop_path(branch, keep_prob):
    return branch

# %% wrong: same-mask-again: seeded inside
def drop_path(branch, keep_prob):
    torch.manual_seed(0)
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    return branch * (torch.rand(size) < keep_prob) / keep_prob

# %% wrong: exact-count: as many as there should be
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    number = round(keep_prob * len(branch))
    kept = torch.randperm(len(branch)).view(size) < number
    return branch * kept / keep_prob

# %% wrong: hard-coded-half: a fair coin
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    return branch * (torch.rand(size) < 0.5) / keep_prob

# %% wrong: no-gradient: under no_grad
def drop_path(branch, keep_prob):
    with torch.no_grad():
        size = (len(branch),) + (1,) * (branch.dim() - 1)
        return branch * (torch.rand(size) < keep_prob) / keep_prob

# %% wrong: wrong-gradient: straight through
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    kept = branch * (torch.rand(size) < keep_prob) / keep_prob
    return branch + (kept - branch).detach()

# %% wrong: fixed-axes: two axes
def drop_path(branch, keep_prob):
    kept = torch.rand(len(branch), 1) < keep_prob
    return branch * kept / keep_prob

# %% wrong: reseeds: seeds drawn from many
def drop_path(branch, keep_prob):
    torch.manual_seed(int(torch.randint(0, 2**31, ())))
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    return branch * (torch.rand(size) < keep_prob) / keep_prob

# %% correct: numpy's coins
import numpy as np


def drop_path(branch, keep_prob):
    coins = np.random.default_rng().binomial(1, keep_prob, len(branch)) / keep_prob
    return torch.tensordot(torch.from_numpy(coins).float().diag(), branch, dims=1)

# %% wrong: in-place: multiplied where it stands
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    branch *= (torch.rand(size) < keep_prob) / keep_prob
    return branch

# %% wrong: no-gradient: in numpy
def drop_path(branch, keep_prob):
    import numpy as np

    coins = np.random.rand(len(branch)) < keep_prob
    return branch.detach().numpy() * coins.reshape(-1, *[1] * (branch.dim() - 1)) / np.float32(keep_prob)

# %% wrong: wrong-type: nothing returned
def drop_path(branch, keep_prob):
    size = (len(branch),) + (1,) * (branch.dim() - 1)
    branch = branch * (torch.rand(size) < keep_prob) / keep_prob
