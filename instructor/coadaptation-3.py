# %% reference
def all_pairs(value, units):
    def without(*absent):
        mask = torch.ones(units, dtype=torch.bool)
        mask[list(absent)] = False
        return value(mask)

    whole, missing = without(), [without(unit) for unit in range(units)]
    matrix = torch.zeros(units, units)
    for i in range(units):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = whole - missing[i] - missing[j] + without(i, j)
    return matrix

# %% correct: with itertools and a table of the four corners
def all_pairs(value, units):
    from itertools import combinations

    result = [[0.0] * units for _ in range(units)]
    for i, j in combinations(range(units), 2):
        corners = {}
        for a in (False, True):
            for b in (False, True):
                present = [True] * units
                present[i], present[j] = a, b
                corners[a, b] = float(value(torch.tensor(present)))
        total = sum(corner if a == b else -corner for (a, b), corner in corners.items())
        result[i][j] = result[j][i] = total
    return torch.tensor(result, dtype=torch.float64)

# %% correct: as a difference of effects
def all_pairs(value, units):
    eye = torch.eye(units, dtype=torch.bool)

    def effect(i, absent):
        return value(~absent | eye[i]) - value(~(absent | eye[i]))

    rows = [[effect(i, eye[i] * False) - effect(i, eye[j]) if i != j else 0.0 for j in range(units)] for i in range(units)]
    return torch.as_tensor(rows)

# %% wrong: alone: all others absent
def all_pairs(value, units):
    matrix = torch.zeros(units, units)
    for i in range(units):
        for j in range(units):
            if i != j:
                def v(*present):
                    mask = torch.zeros(units, dtype=torch.bool)
                    mask[list(present)] = True
                    return value(mask)
                matrix[i, j] = v(i, j) - v(i) - v(j) + v()
    return matrix

# %% wrong: last-term-forgotten: three terms
def all_pairs(value, units):
    matrix = torch.zeros(units, units)
    for i in range(units):
        for j in range(units):
            if i != j:
                mask = torch.ones(units, dtype=torch.bool)
                both = value(mask)
                mask[j] = False
                only_i = value(mask)
                mask[j], mask[i] = True, False
                matrix[i, j] = both - only_i - value(mask)
    return matrix

# %% wrong: turned-round: the other sign
def all_pairs(value, units):
    matrix = torch.zeros(units, units)
    for i in range(units):
        for j in range(units):
            if i != j:
                mask = torch.ones(units, dtype=torch.bool)
                both = value(mask)
                mask[j] = False
                only_i = value(mask)
                mask[i] = False
                neither = value(mask)
                mask[j] = True
                matrix[i, j] = only_i + value(mask) - both - neither
    return matrix

# %% wrong: unsigned: absolute values
def all_pairs(value, units):
    matrix = torch.zeros(units, units)
    for i in range(units):
        for j in range(units):
            if i != j:
                mask = torch.ones(units, dtype=torch.bool)
                both = value(mask)
                mask[j] = False
                only_i = value(mask)
                mask[i] = False
                neither = value(mask)
                mask[j] = True
                matrix[i, j] = abs(both - only_i - value(mask) + neither)
    return matrix

# %% wrong: half: the upper half alone
def all_pairs(value, units):
    matrix = torch.zeros(units, units)
    for i in range(units):
        for j in range(i + 1, units):
            mask = torch.ones(units, dtype=torch.bool)
            both = value(mask)
            mask[j] = False
            only_i = value(mask)
            mask[i] = False
            neither = value(mask)
            mask[j] = True
            matrix[i, j] = both - only_i - value(mask) + neither
    return matrix

# %% wrong: diagonal: single effects on the diagonal
def all_pairs(value, units):
    matrix = torch.zeros(units, units)
    for i in range(units):
        for j in range(units):
            mask = torch.ones(units, dtype=torch.bool)
            both = value(mask)
            mask[j] = False
            only_i = value(mask)
            mask[i] = False
            neither = value(mask)
            mask[j] = True
            matrix[i, j] = both - only_i - value(mask) + neither if i != j else both - neither
    return matrix

# %% correct: in numpy
import numpy as np


def all_pairs(value, units):
    everyone = np.ones(units, dtype=bool)

    def at(**changes):
        mask = everyone.copy()
        mask[list(changes.values())] = False
        return float(value(torch.from_numpy(mask)))

    matrix = np.array([[at() - at(a=i) - at(b=j) + at(a=i, b=j) for j in range(units)] for i in range(units)])
    np.fill_diagonal(matrix, 0)
    return matrix

# %% wrong: halved: each pair counted once for two
def all_pairs(value, units):
    def v(*gone):
        mask = torch.ones(units, dtype=torch.bool)
        mask[list(gone)] = False
        return value(mask)

    matrix = torch.zeros(units, units)
    for i in range(units):
        for j in range(units):
            if i != j:
                matrix[i, j] = (v() - v(i) - v(j) + v(i, j)) / 2
    return matrix

# %% wrong: raises: six units
def all_pairs(value, units):
    out = torch.zeros(6, 6)

    def v(*gone):
        mask = torch.ones(6, dtype=torch.bool)
        mask[list(gone)] = False
        return value(mask)

    for i in range(6):
        for j in range(6):
            if i != j:
                out[i, j] = v() - v(j) - v(i) + v(i, j)
    return out
