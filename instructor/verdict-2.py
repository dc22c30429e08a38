# %% reference
import numpy as np

p, s = {{keep}}, {{noise}}
covariance = np.array([[1, 1, 0], [1, 2 + s, 1], [0, 1, 1]])
weights = np.linalg.solve(covariance + (1 - p) / p * np.diag(np.diag(covariance)), covariance[0])

# %% correct: by elimination
# First and third row: w1 = p (1 - w2), w3 = -p w2. The second is then one equation in w2.
p, s = {{keep}}, {{noise}}
w2 = (1 - p) / ((2 + s) / p - 2 * p)
weights = (p * (1 - w2), w2, -p * w2)

# %% correct: in torch
import torch

p = {{keep}}
a = torch.tensor([[1.0, 1.0, 0.0], [1.0, 2.0 + {{noise}}, 1.0], [0.0, 1.0, 1.0]])
a[range(3), range(3)] /= p
weights = torch.linalg.inv(a) @ torch.tensor([1.0, 1.0, 0.0])

# %% correct: by descent
p, s = {{keep}}, {{noise}}
rows, target = [[1 / p, 1, 0], [1, (2 + s) / p, 1], [0, 1, 1 / p]], [1, 1, 0]
weights = [0.0, 0.0, 0.0]
for _ in range(4000):
    slope = [sum(a * w for a, w in zip(row, weights)) - b for row, b in zip(rows, target)]
    weights = [w - 0.1 * g for w, g in zip(weights, slope)]

# %% wrong: no-penalty: least squares
weights = (1, 0, 0)

# %% wrong: keep-for-drop: p / (1 - p)
import numpy as np

p, s = {{keep}}, {{noise}}
c = np.array([[1, 1, 0], [1, 2 + s, 1], [0, 1, 1]])
weights = np.linalg.solve(c + p / (1 - p) * np.diag(np.diag(c)), c[0])

# %% wrong: factor-forgotten: the diagonal doubled
import numpy as np

c = np.array([[1, 1, 0], [1, 2 + {{noise}}, 1], [0, 1, 1]])
weights = np.linalg.solve(c + np.diag(np.diag(c)), c[0])

# %% wrong: not-divided: 1 - p
import numpy as np

c = np.array([[1, 1, 0], [1, 2 + {{noise}}, 1], [0, 1, 1]])
weights = np.linalg.solve(c + (1 - {{keep}}) * np.diag(np.diag(c)), c[0])

# %% wrong: standard-scaling: p (1 - p)
import numpy as np

c = np.array([[1, 1, 0], [1, 2 + {{noise}}, 1], [0, 1, 1]])
weights = np.linalg.solve(c + {{keep}} * (1 - {{keep}}) * np.diag(np.diag(c)), c[0])

# %% wrong: ridge: all weights alike
import numpy as np

c = np.array([[1, 1, 0], [1, 2 + {{noise}}, 1], [0, 1, 1]])
weights = np.linalg.solve(c + (1 - {{keep}}) / {{keep}} * np.eye(3), c[0])

# %% wrong: noise-forgotten: variance 2
import numpy as np

c = np.array([[1, 1, 0], [1, 2, 1], [0, 1, 1]])
weights = np.linalg.solve(c + (1 - {{keep}}) / {{keep}} * np.diag(np.diag(c)), c[0])

# %% wrong: half-the-penalty: only one side differentiated
import numpy as np

c = np.array([[1, 1, 0], [1, 2 + {{noise}}, 1], [0, 1, 1]])
weights = np.linalg.solve(c + (1 - {{keep}}) / {{keep}} / 2 * np.diag(np.diag(c)), c[0])

# %% wrong: sign-lost: absolute weights
p, s = {{keep}}, {{noise}}
w2 = (1 - p) / ((2 + s) / p - 2 * p)
weights = (p * (1 - w2), w2, p * w2)

# %% wrong: swapped: x2 first
p, s = {{keep}}, {{noise}}
w2 = (1 - p) / ((2 + s) / p - 2 * p)
weights = (w2, p * (1 - w2), -p * w2)
