# %% reference
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if not self.training:
            return self.keep_prob * x
        coins = torch.full_like(x, self.keep_prob).bernoulli()
        return coins * x


# %% correct: one factor for both modes
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        factor = torch.bernoulli(torch.ones_like(x) * self.keep_prob) if self.training else self.keep_prob
        return x * factor


# %% correct: built on PyTorch's
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep = keep_prob
        self.inverted = nn.Dropout(1 - keep_prob)

    def forward(self, x):
        return self.inverted(x).mul(self.keep)


# %% wrong: same-mask-again: a mask that is drawn once
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob, self.mask = keep_prob, None

    def forward(self, x):
        if self.mask is None:
            self.mask = torch.rand_like(x) < self.keep_prob
        return x * self.mask if self.training else x * self.keep_prob


# %% wrong: on-at-test-time: F.dropout's default
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return nn.functional.dropout(x, 1 - self.keep_prob) * self.keep_prob


# %% wrong: inverted: as PyTorch does it
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) / self.keep_prob if self.training else x


# %% wrong: unscaled: nothing at test time
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) if self.training else x


# %% wrong: scaled-at-both-times: both conventions at once
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) / self.keep_prob if self.training else x * self.keep_prob


# %% wrong: on-at-test-time: the mode is not looked at
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob)


# %% wrong: modes-swapped: the test is the wrong way round
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * self.keep_prob if self.training else x * (torch.rand_like(x) < self.keep_prob)


# %% wrong: divided: divided at test time
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) if self.training else x / self.keep_prob


# %% wrong: keep-and-drop-swapped: more than, not less than
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) > self.keep_prob) if self.training else x * self.keep_prob


# %% wrong: scaled-by-drop-prob: the other probability
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) if self.training else x * (1 - self.keep_prob)


# %% wrong: mask-per-batch: one mask for all rows
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand(x.shape[1]) < self.keep_prob) if self.training else x * self.keep_prob

# %% correct: where, and a buffer of ones
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.register_buffer("keep_prob", torch.tensor(float(keep_prob)))

    def forward(self, x):
        kept = torch.rand(x.size(), device=x.device).lt(self.keep_prob)
        return torch.where(kept, x, torch.zeros_like(x)) if self.training else torch.mul(x, self.keep_prob)


# %% wrong: no-gradient: detached
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if self.training:
            return x.detach() * (torch.rand_like(x) < self.keep_prob)
        return x * self.keep_prob


# %% wrong: no-gradient: through numpy
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        import numpy as np

        if self.training:
            mask = np.random.rand(*x.shape) < self.keep_prob
            return torch.from_numpy(x.numpy() * mask)
        return x * self.keep_prob


# %% wrong: no-gradient: no gradient at test time
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if self.training:
            return x * (torch.rand_like(x) < self.keep_prob)
        with torch.no_grad():
            return x * self.keep_prob


# %% wrong: in-place: F.dropout in place
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if self.training:
            return nn.functional.dropout(x, 1 - self.keep_prob, True, True).mul_(self.keep_prob)
        return x * self.keep_prob


# %% wrong: in-place: in place at test time
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) if self.training else x.mul_(self.keep_prob)


# %% wrong: units-share-coins: pairs of columns
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if self.training:
            mask = torch.rand(x.shape[0], (x.shape[1] + 1) // 2) < self.keep_prob
            return x * mask.repeat_interleave(2, 1)[:, : x.shape[1]]
        return x * self.keep_prob


# %% wrong: units-share-coins: a row never loses all of its units
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if self.training:
            mask = torch.rand_like(x) < self.keep_prob
            mask[:, 0] |= ~mask.any(1)
            return x * mask
        return x * self.keep_prob


# %% wrong: rows-share-coins: the second half of the batch repeats the first
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if self.training:
            half = torch.rand((len(x) + 1) // 2, x.shape[1]) < self.keep_prob
            return x * torch.cat([half, half])[: len(x)]
        return x * self.keep_prob


# %% wrong: fixed-size: the shape of the first batch
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob, self.size = keep_prob, None

    def forward(self, x):
        self.size = self.size or x.shape
        return x * (torch.rand(self.size) < self.keep_prob) if self.training else x * self.keep_prob


# %% wrong: mask-reused: each mask for two calls
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob, self.calls, self.mask = keep_prob, 0, torch.ones(0)

    def forward(self, x):
        if not self.training:
            return x * self.keep_prob
        if self.calls % 2 == 0 or self.mask.shape != x.shape:
            self.mask = torch.rand_like(x) < self.keep_prob
        self.calls += 1
        return x * self.mask


# %% wrong: exact-count: a fixed number in each row
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if self.training:
            places = torch.rand_like(x).argsort(1).argsort(1)
            return x * (places < round(self.keep_prob * x.shape[1]))
        return x * self.keep_prob


# %% wrong: unequal-rates: the first example keeps everything
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if self.training:
            mask = torch.rand_like(x) < self.keep_prob
            mask[0] = True
            mask[1:2] &= False
            return x * mask
        return x * self.keep_prob


# %% wrong: stays-off: train() is not listened to
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob, self.dropping = keep_prob, True

    def eval(self):
        return self.train(False)

    def train(self, mode=True):
        self.dropping = self.dropping and mode
        return super().train(mode)

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) if self.dropping else x * self.keep_prob


# %% wrong: scaled-in-training: multiplied in both modes
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * self.keep_prob * (torch.rand_like(x) < self.keep_prob) if self.training else x * self.keep_prob


# %% wrong: wrong-scale: the square at test time
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) if self.training else x * self.keep_prob**2


# %% wrong: wrong-dtype: a mask in double precision
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        mask = (torch.rand(x.shape, dtype=torch.float64) < self.keep_prob).double()
        return x * mask if self.training else x * self.keep_prob


# %% wrong: wrong-rate: one probability for all layers
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        StandardDropout.keep_prob = keep_prob

    def forward(self, x):
        return x * (torch.rand_like(x) < self.keep_prob) if self.training else x * self.keep_prob
