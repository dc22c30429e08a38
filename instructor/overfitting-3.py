# %% reference
def costs(hidden, weight, bias, labels, units):
    def error_without(gone):
        left = hidden.index_fill(1, torch.tensor(gone, dtype=torch.long), 0)
        answers = torch.addmm(bias, left, weight.mT).argmax(1)
        return answers.ne(labels).double().mean().item()

    intact = error_without([])
    return error_without(units) - intact, sum(error_without([one]) - intact for one in units)

# %% correct: with masks
def costs(hidden, weight, bias, labels, units):
    keep = torch.ones(len(units) + 2, hidden.shape[1], dtype=hidden.dtype)
    keep[1, units] = 0
    keep[range(2, len(units) + 2), units] = 0
    logits = (keep.unsqueeze(1) * hidden) @ weight.t() + bias
    whole, together, *single = (logits.argmax(2) != labels).double().mean(1).tolist()
    return [together - whole, sum(single) - len(single) * whole]

# %% correct: by taking contributions away from the logits
def costs(hidden, weight, bias, labels, units):
    logits = hidden @ weight.T + bias
    parts = {unit: torch.outer(hidden[:, unit], weight[:, unit]) for unit in units}
    right = logits.argmax(1).eq(labels).double().mean()

    def loss(change):
        return float(right - (logits - change).argmax(1).eq(labels).double().mean())

    return loss(sum(parts.values())), sum(map(loss, parts.values()))

# %% wrong: in-place: as given
def costs(hidden, weight, bias, labels, units):
    def error():
        return ((hidden @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error()
    one_by_one = 0.0
    for unit in units:
        hidden[:, unit] = 0
        one_by_one += error() - whole
    hidden[:, units] = 0
    return error() - whole, one_by_one

# %% wrong: removed-for-good: one copy, before the loop
def costs(hidden, weight, bias, labels, units):
    hidden = hidden.clone()

    def error():
        return ((hidden @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error()
    one_by_one = 0.0
    for unit in units:
        hidden[:, unit] = 0
        one_by_one += error() - whole
    hidden[:, units] = 0
    return error() - whole, one_by_one

# %% wrong: averaged: the mean of the single costs
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error([])
    return error(units) - whole, sum(error([unit]) - whole for unit in units) / len(units)

# %% wrong: baseline-forgotten: errors, not costs
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    return error(units), sum(error([unit]) for unit in units)

# %% wrong: baseline-once: the whole network's error subtracted once
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error([])
    return error(units) - whole, sum(error([unit]) for unit in units) - whole

# %% wrong: turned-round: accuracy gained
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error([])
    return whole - error(units), sum(whole - error([unit]) for unit in units)

# %% wrong: swapped: in the wrong order
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error([])
    return sum(error([unit]) - whole for unit in units), error(units) - whole

# %% correct: a copy for each removal, the list untouched
import copy


def costs(hidden, weight, bias, labels, units):
    def wrong(columns):
        left = copy.deepcopy(hidden)
        for column in columns:
            left[:, column] *= 0
        return float((torch.nn.functional.linear(left, weight, bias).argmax(-1) != labels).float().mean())

    return torch.tensor([wrong(units) - wrong([]), sum(wrong([unit]) - wrong([]) for unit in units)])

# %% wrong: baseline-moved: one copy, and the set last
def costs(hidden, weight, bias, labels, units):
    hidden = hidden.clone()

    def error():
        return ((hidden @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error()
    one_by_one = 0.0
    for unit in units:
        hidden[:, unit] = 0
        one_by_one += error() - whole
    whole = error()
    hidden[:, units] = 0
    return error() - whole, one_by_one

# %% wrong: in-place: takes the units out of the caller's list
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole, total = error([]), 0.0
    together = error(units) - whole
    while units:
        total += error([units.pop()]) - whole
    return together, total

# %% wrong: off: units replaced by their mean
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = hidden.mean()
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error([])
    return error(units) - whole, sum(error([unit]) - whole for unit in units)

# %% wrong: sign-lost: sizes of the single costs
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error([])
    return error(units) - whole, sum(abs(error([unit]) - whole) for unit in units)

# %% wrong: falls-left-out: harmful units cost nothing
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error([])
    return error(units) - whole, sum(max(error([unit]) - whole, 0.0) for unit in units)

# %% wrong: wrong-type: a dictionary
def costs(hidden, weight, bias, labels, units):
    def error(gone):
        left = hidden.clone()
        left[:, gone] = 0
        return ((left @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error([])
    return {"together": error(units) - whole, "one by one": sum(error([unit]) - whole for unit in units)}
