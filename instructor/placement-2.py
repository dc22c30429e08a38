# %% reference
def variance_ratio(h, weight, keep_prob):
    clean = torch.cov((h @ weight.mT).mT, correction=0).diagonal()
    masked = torch.einsum("ni,oi->o", h.square(), weight.square()) / len(h)
    return (clean + masked * (1 / keep_prob - 1)) / clean

# %% correct: second moments with and without masks
def variance_ratio(h, weight, keep_prob):
    moment = h.T @ h / h.shape[0]
    noisy = moment + torch.diag(moment.diagonal()) * (1 - keep_prob) / keep_prob
    mean = h.mean(0)
    square = torch.outer(mean, mean)
    over, under = ((weight @ (m - square) * weight).sum(1) for m in (noisy, moment))
    return over / under

# %% correct: one output after the other
def variance_ratio(h, weight, keep_prob):
    ratios = []
    for w in weight:
        parts = h * w
        test = parts.sum(1).var(correction=0)
        ratios.append(1 + (parts**2).sum(1).mean() * (1 - keep_prob) / (keep_prob * test))
    return torch.stack(ratios)

# %% wrong: only-what-is-added: without the test variance
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight**2 @ (h**2).mean(0))
    return added / (h @ weight.T).var(0, correction=0)

# %% wrong: upside-down: test over training
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight**2 @ (h**2).mean(0))
    test = (h @ weight.T).var(0, correction=0)
    return test / (test + added)

# %% wrong: standard-scaling: Bernoulli's variance
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) * keep_prob * (weight**2 @ (h**2).mean(0))
    test = (h @ weight.T).var(0, correction=0)
    return (test + added) / test

# %% wrong: keep-and-drop-swapped: the other probability
def variance_ratio(h, weight, keep_prob):
    added = keep_prob / (1 - keep_prob) * (weight**2 @ (h**2).mean(0))
    test = (h @ weight.T).var(0, correction=0)
    return (test + added) / test

# %% wrong: variance-for-square: the variance of h
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight**2 @ h.var(0, correction=0))
    test = (h @ weight.T).var(0, correction=0)
    return (test + added) / test

# %% wrong: square-of-the-mean: squared after averaging
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight**2 @ h.mean(0) ** 2)
    test = (h @ weight.T).var(0, correction=0)
    return (test + added) / test

# %% wrong: independent-inputs: covariances forgotten
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight**2 @ (h**2).mean(0))
    test = weight**2 @ h.var(0, correction=0)
    return (test + added) / test

# %% wrong: standard-deviations: the square root
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight**2 @ (h**2).mean(0))
    test = (h @ weight.T).var(0, correction=0)
    return ((test + added) / test).sqrt()

# %% correct: in numpy
import numpy as np


def variance_ratio(h, weight, keep_prob):
    h, weight = np.asarray(h, dtype=float), np.asarray(weight, dtype=float)
    second = (h[:, None, :] * weight) ** 2
    return 1 + (1 - keep_prob) / keep_prob * second.sum(2).mean(0) / np.var(h @ weight.T, axis=0)

# %% wrong: sample-variance: divided by n - 1
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight**2 @ (h**2).mean(0))
    test = (h @ weight.T).var(0)
    return (test + added) / test

# %% correct: as a column, by the law of total variance
def variance_ratio(h, weight, keep_prob):
    z = h @ weight.mT
    spread = z.square().mean(0) - z.mean(0).square()
    by_masks = ((1 / keep_prob - 1) * h.square() @ weight.square().mT).mean(0)
    return (1 + by_masks / spread).reshape(-1, 1)

# %% wrong: summed-over-examples: sum for mean
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight**2 @ (h**2).sum(0))
    return 1 + added / (h @ weight.T).var(0, correction=0)

# %% wrong: weight-not-squared: the plain weights
def variance_ratio(h, weight, keep_prob):
    added = (1 - keep_prob) / keep_prob * (weight @ (h**2).mean(0))
    return 1 + added / (h @ weight.T).var(0, correction=0)
