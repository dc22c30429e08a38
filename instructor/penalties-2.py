# %% reference
def standard_solution(x, y, keep_prob):
    second = x.mT @ x
    second = second - (1 - keep_prob) * (second - torch.diag(second.diagonal()))
    return torch.linalg.inv(second) @ (x.mT @ y)

# %% correct: inverted solution, divided
def standard_solution(x, y, keep_prob):
    squares = (x * x).sum(dim=0)
    lam = 1 / keep_prob - 1
    w = torch.linalg.lstsq(x.T.matmul(x) + lam * torch.eye(len(squares), dtype=x.dtype) * squares, x.T.matmul(y)).solution
    return w / keep_prob

# %% correct: least squares with rows added
def standard_solution(x, y, keep_prob):
    rows = torch.diag((keep_prob * (1 - keep_prob) * x.pow(2).sum(0)).sqrt())
    stacked = torch.cat([keep_prob * x, rows])
    target = torch.cat([y, y.new_zeros(x.shape[1])])
    return torch.linalg.lstsq(stacked, target.unsqueeze(1)).solution.squeeze(1)

# %% wrong: inverted: the chapter's
def standard_solution(x, y, keep_prob):
    gram = x.T @ x
    return torch.linalg.solve(gram + (1 - keep_prob) / keep_prob * torch.diag(gram.diag()), x.T @ y)

# %% wrong: scaled-the-wrong-way: times keep_prob
def standard_solution(x, y, keep_prob):
    gram = x.T @ x
    return keep_prob * torch.linalg.solve(gram + (1 - keep_prob) / keep_prob * torch.diag(gram.diag()), x.T @ y)

# %% wrong: mean-forgotten: the variance alone
def standard_solution(x, y, keep_prob):
    gram = x.T @ x
    return torch.linalg.solve(gram + (1 - keep_prob) * keep_prob * torch.diag(gram.diag()), x.T @ y)

# %% wrong: keep-and-drop-swapped: the other probability
def standard_solution(x, y, keep_prob):
    gram = x.T @ x
    return torch.linalg.solve((1 - keep_prob) * gram + keep_prob * torch.diag(gram.diag()), x.T @ y)

# %% wrong: plain-ridge: n for every feature
def standard_solution(x, y, keep_prob):
    gram = x.T @ x
    ridge = (1 - keep_prob) * len(y) * torch.eye(x.shape[1], dtype=x.dtype)
    return torch.linalg.solve(keep_prob * gram + ridge, x.T @ y)

# %% wrong: least-squares: no penalty
def standard_solution(x, y, keep_prob):
    return torch.linalg.lstsq(x, y[:, None]).solution[:, 0]

# %% wrong: least-squares-scaled: only scaled
def standard_solution(x, y, keep_prob):
    return torch.linalg.lstsq(x, y[:, None]).solution[:, 0] / keep_prob

# %% correct: as a column
def standard_solution(x, y, keep_prob):
    gram = x.T @ x
    return torch.linalg.solve(keep_prob * gram + (1 - keep_prob) * torch.diag(gram.diag()), x.T @ y[:, None])

# %% correct: by solving for scaled weights
import numpy as np


def standard_solution(x, y, keep_prob):
    x, y = x.numpy(), y.numpy()
    scales = np.sqrt(np.square(x).sum(0))
    correlations = (x / scales).T @ (x / scales)
    correlations = keep_prob * correlations + (1 - keep_prob) * np.eye(len(scales))
    return np.linalg.solve(correlations, (x / scales).T @ y) / scales

# %% wrong: averaged: means of squares
def standard_solution(x, y, keep_prob):
    own = torch.diag((x**2).mean(0))
    return torch.linalg.solve(keep_prob * x.T @ x + (1 - keep_prob) * own, x.T @ y)

# %% wrong: wrong-shape: a number for each example
def standard_solution(x, y, keep_prob):
    gram = x.T @ x
    return x @ torch.linalg.solve(keep_prob * gram + (1 - keep_prob) * torch.diag(gram.diag()), x.T @ y)
