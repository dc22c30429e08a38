# %% reference
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    total = 0.0
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        total = total + (confidence - right)[inside].sum().abs() / len(labels)
    return total

# %% correct: with sums by bin
def calibration_error(probs, labels, bins):
    top = probs.amax(1)
    surplus = top - probs.argmax(1).eq(labels).double()
    place = (top * bins).ceil().long() - 1
    return torch.zeros(bins, dtype=torch.float64).index_add(0, place, surplus).abs().sum() / top.numel()

# %% correct: in numpy
def calibration_error(probs, labels, bins):
    import numpy as np

    p, y = probs.numpy(), labels.numpy()
    which = np.digitize(p.max(1), np.linspace(0, 1, bins + 1), right=True)
    over = p.max(1) - (p.argmax(1) == y)
    return float(np.abs(np.bincount(which, weights=over)).sum() / len(y))

# %% wrong: untouched: as given
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    gaps = []
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if inside.any():
            gaps.append(confidence[inside].mean() - right[inside].mean())
    return (sum(gaps) / len(gaps)).abs()

# %% wrong: bins-alike: absolute values, no weights
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    gaps = []
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if inside.any():
            gaps.append((confidence[inside].mean() - right[inside].mean()).abs())
    return sum(gaps) / len(gaps)

# %% wrong: gaps-cancel: weights, no absolute values
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    return (confidence.mean() - (answers == labels).double().mean()).abs()

# %% wrong: largest-gap: the maximum
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    gaps = []
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if inside.any():
            gaps.append((confidence[inside].mean() - right[inside].mean()).abs())
    return max(gaps)

# %% wrong: all-bins-counted: divided by the number of bins
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    gaps = []
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if inside.any():
            gaps.append((confidence[inside].mean() - right[inside].mean()).abs())
    return sum(gaps) / bins

# %% wrong: raises: empty bins not thought of
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    place = (confidence * bins).ceil().long()
    return sum(abs(float(right[place == k].mean()) - float(confidence[place == k].sum()) / int((place == k).sum())) for k in range(bins))

# %% correct: with bins that hold their lower edge
def calibration_error(probs, labels, bins):
    top, answers = probs.max(1)
    place = (top * bins).floor().long().clamp(max=bins - 1)
    gap = (top - (answers == labels).to(top.dtype)) / len(labels)
    return float(torch.bincount(place, weights=gap.double()).abs().sum())

# %% wrong: sure-left-out: a confidence of 1 is in no bin
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    total = 0.0
    for k in range(bins):
        inside = (confidence >= k / bins) & (confidence < (k + 1) / bins)
        if inside.any():
            total = total + inside.double().mean() * (confidence[inside].mean() - right[inside].mean()).abs()
    return total

# %% wrong: squared: the root of the mean square
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    total = 0.0
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if inside.any():
            total = total + inside.double().mean() * (confidence[inside].mean() - right[inside].mean()) ** 2
    return total**0.5

# %% wrong: off: always five bins
def calibration_error(probs, labels, bins):
    bins = 5
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    total = 0.0
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        total = total + (confidence - right)[inside].sum().abs() / len(labels)
    return total

# %% wrong: unsure-left-out: bins counted from one
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    gap, total = confidence - (answers == labels).to(probs.dtype), 0.0
    for k in range(1, bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        total = total + gap[inside].sum().abs() / len(labels)
    return total

# %% wrong: off: the chapter's ten bins
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    gap = confidence - (answers == labels).to(probs.dtype)
    place = (confidence * 10).ceil()
    return sum(gap[place == k].sum().abs() for k in range(1, 11)) / len(labels)

# %% wrong: off: bins from the least confidence to the largest
def calibration_error(probs, labels, bins):
    from scipy.stats import binned_statistic

    confidence, answers = probs.max(dim=1)
    gap = confidence - (answers == labels).to(probs.dtype)
    sums = binned_statistic(confidence.numpy(), gap.numpy(), "sum", bins).statistic
    return abs(sums).sum() / len(labels)
