# %% reference
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    variance_of_logit = (1 / keep_prob - 1) * ((x * w) ** 2).sum(dim=1)
    return 0.5 * q * (1 - q) * variance_of_logit

# %% correct: with the derivative of the sigmoid
def second_order_penalty(x, w, b, keep_prob):
    logit = torch.mv(x, w) + b
    curvature = 1 / (2 + torch.exp(logit) + torch.exp(-logit))
    return curvature * torch.einsum("ij,j->i", x.pow(2), w.pow(2)) * (1 - keep_prob) / (2 * keep_prob)

# %% wrong: untouched: as given
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    return 0.5 * q * (1 - q) * (1 - keep_prob) * (x @ w) ** 2

# %% wrong: square-of-the-sum: only the factor repaired
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    return 0.5 * q * (1 - q) * (1 - keep_prob) / keep_prob * (x @ w) ** 2

# %% wrong: variance-of-the-mask: only the sum repaired
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    return 0.5 * q * (1 - q) * (1 - keep_prob) * (x**2 @ w**2)

# %% wrong: standard-scaling: Bernoulli's variance
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    return 0.5 * q * (1 - q) * keep_prob * (1 - keep_prob) * (x**2 @ w**2)

# %% wrong: keep-and-drop-swapped: upside down
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    return 0.5 * q * (1 - q) * keep_prob / (1 - keep_prob) * (x**2 @ w**2)

# %% wrong: half-forgotten: without 1/2
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    return q * (1 - q) * (1 - keep_prob) / keep_prob * (x**2 @ w**2)

# %% wrong: bias-forgotten: the bias left out
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w)
    return 0.5 * q * (1 - q) * (1 - keep_prob) / keep_prob * (x**2 @ w**2)

# %% wrong: wrong-shape: summed over examples
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    return (0.5 * q * (1 - q) * (1 - keep_prob) / keep_prob * (x**2 @ w**2)).sum()

# %% correct: one feature after the other
def second_order_penalty(x, w, b, keep_prob):
    total = torch.zeros(len(x), dtype=x.dtype)
    for column, weight in zip(x.unbind(1), w):
        total = total + (column * weight).square()
    s = torch.special.expit(x @ w + b)
    return (s - s * s) * total * (1 - keep_prob) / keep_prob / 2

# %% correct: with the matrix of squares
def second_order_penalty(x, w, b, keep_prob):
    slope = torch.sigmoid(x @ w + b) * torch.sigmoid(-(x @ w + b))
    return slope * (x.square() @ w.square()[:, None])[:, 0] * ((1 - keep_prob) / keep_prob) * 0.5

# %% wrong: no-gradient: under no_grad
def second_order_penalty(x, w, b, keep_prob):
    with torch.no_grad():
        q = torch.sigmoid(x @ w + b)
        return 0.5 * q * (1 - q) * (1 - keep_prob) / keep_prob * ((x**2) @ (w**2))

# %% wrong: wrong-gradient: q is taken for a constant
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b).detach()
    return 0.5 * q * (1 - q) * (1 - keep_prob) / keep_prob * (x**2 @ w**2)

# %% wrong: wrong-gradient: weights turned into numbers
def second_order_penalty(x, w, b, keep_prob):
    total = sum((column * weight).square() for column, weight in zip(x.unbind(1), w.tolist()))
    q = torch.sigmoid(x @ w + b)
    return 0.5 * q * (1 - q) * (1 - keep_prob) / keep_prob * total
