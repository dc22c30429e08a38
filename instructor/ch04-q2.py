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
