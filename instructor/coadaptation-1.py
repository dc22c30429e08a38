# %% reference
import numpy as np

values = np.array([{{nothing}}, {{first}}, {{second}}, {{both}}])
signs = np.array([[1, 1, 1, 1], [-1, 1, -1, 1], [-1, -1, 1, 1], [1, -1, -1, 1]])
_, *c = signs @ values / 4
numbers = (4 * c[2], c[2] ** 2 / np.dot(c, c))

# %% correct: by the variance that remains
import numpy as np

v = np.array([[{{nothing}}, {{second}}], [{{first}}, {{both}}]], dtype=float)
residual = v - v.mean(0) - v.mean(1, keepdims=True) + v.mean()
numbers = [np.diff(np.diff(v, axis=0), axis=1).item(), residual.var() / v.var()]

# %% correct: on paper
together = {{both}} - ({{first}} + {{second}}) + {{nothing}}
one, two = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = (together, together**2 / 16 / (together**2 / 16 + one**2 + two**2))

# %% wrong: empty-set-forgotten: three terms
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = ({{both}} - {{first}} - {{second}}, (I / 4) ** 2 / (c1**2 + c2**2 + (I / 4) ** 2))

# %% wrong: ratio-of-degrees: relative to the single units
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = (I, (I / 4) ** 2 / (c1**2 + c2**2))

# %% wrong: not-squared: absolute values
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = (I, abs(I / 4) / (abs(c1) + abs(c2) + abs(I / 4)))

# %% wrong: share-of-single-units: the rest
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = (I, 1 - (I / 4) ** 2 / (c1**2 + c2**2 + (I / 4) ** 2))

# %% wrong: effects-alone: effects with the other absent
I = {{both}} - {{first}} - {{second}} + {{nothing}}
a, b = ({{first}} - {{nothing}}) / 2, ({{second}} - {{nothing}}) / 2
numbers = (I, (I / 4) ** 2 / (a**2 + b**2 + (I / 4) ** 2))

# %% wrong: wrong-shape: only the interaction
numbers = {{both}} - {{first}} - {{second}} + {{nothing}}

# %% correct: with the signs written out
v = {(-1, -1): {{nothing}}, (1, -1): {{first}}, (-1, 1): {{second}}, (1, 1): {{both}}}
c = [sum(value * a**i * b**j for (a, b), value in v.items()) / 4 for i, j in ((1, 0), (0, 1), (1, 1))]
numbers = (4 * c[2], c[2] ** 2 / sum(one**2 for one in c))

# %% wrong: sign-lost: an absolute interaction
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = (abs(I), (I / 4) ** 2 / (c1**2 + c2**2 + (I / 4) ** 2))

# %% wrong: swapped: the share first
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = ((I / 4) ** 2 / (c1**2 + c2**2 + (I / 4) ** 2), I)

# %% wrong: coefficient: of the product of signs
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = (I / 4, (I / 4) ** 2 / (c1**2 + c2**2 + (I / 4) ** 2))

# %% wrong: percent: a share of a hundred
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = (I, 100 * (I / 4) ** 2 / (c1**2 + c2**2 + (I / 4) ** 2))

# %% correct: rounded to two digits
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = [I, round((I / 4) ** 2 / (c1**2 + c2**2 + (I / 4) ** 2), 2)]

# %% wrong: off: the root of the share
I = {{both}} - {{first}} - {{second}} + {{nothing}}
c1, c2 = ({{both}} + {{first}} - {{second}} - {{nothing}}) / 4, ({{both}} + {{second}} - {{first}} - {{nothing}}) / 4
numbers = (I, abs(I / 4) / (c1**2 + c2**2 + (I / 4) ** 2) ** 0.5)
