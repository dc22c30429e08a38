# %% reference
def paired_interval(arm, control, quantile):
    difference = arm - control
    half = quantile * difference.std() / len(difference) ** 0.5
    return difference.mean(), difference.mean() - half, difference.mean() + half

# %% correct: in numpy
import numpy as np


def paired_interval(arm, control, quantile):
    d = np.asarray(arm) - np.asarray(control)
    error = d.std(ddof=1) / np.sqrt(d.size)
    return tuple(d.mean() + sign * quantile * error for sign in (0, -1, 1))

# %% correct: in plain Python
def paired_interval(arm, control, quantile):
    from statistics import mean, stdev

    d = [float(a) - float(b) for a, b in zip(arm, control)]
    half = quantile * stdev(d) / len(d) ** 0.5
    return [mean(d), mean(d) - half, mean(d) + half]

# %% correct: with the sums written out
def paired_interval(arm, control, quantile):
    n = arm.numel()
    d = arm - control
    mean = d.sum() / n
    half = quantile * ((d - mean).square().sum() / (n * (n - 1))).sqrt()
    return torch.stack([mean, mean - half, mean + half])

# %% wrong: unpaired: variances of the arms added
def paired_interval(arm, control, quantile):
    effect = arm.mean() - control.mean()
    half = quantile * ((arm.var() + control.var()) / len(arm)).sqrt()
    return effect, effect - half, effect + half

# %% wrong: spread-of-seeds: no square root of n
def paired_interval(arm, control, quantile):
    d = arm - control
    half = quantile * d.std()
    return d.mean(), d.mean() - half, d.mean() + half

# %% wrong: divided-by-n: n for its root
def paired_interval(arm, control, quantile):
    d = arm - control
    half = quantile * d.std() / len(d)
    return d.mean(), d.mean() - half, d.mean() + half

# %% wrong: one-standard-error: no quantile
def paired_interval(arm, control, quantile):
    d = arm - control
    half = d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half

# %% wrong: normal-quantile: 1.96
def paired_interval(arm, control, quantile):
    d = arm - control
    half = 1.96 * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half

# %% wrong: biased-spread: numpy's default
import numpy as np


def paired_interval(arm, control, quantile):
    d = (arm - control).numpy()
    half = quantile * np.std(d) / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half

# %% wrong: variance: var for std
def paired_interval(arm, control, quantile):
    d = arm - control
    half = quantile * d.var() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half

# %% wrong: turned-round: control minus arm
def paired_interval(arm, control, quantile):
    d = control - arm
    half = quantile * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half

# %% wrong: range: smallest and largest
def paired_interval(arm, control, quantile):
    d = arm - control
    return d.mean(), d.min(), d.max()

# %% wrong: ends-swapped: high, low
def paired_interval(arm, control, quantile):
    d = arm - control
    half = quantile * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() + half, d.mean() - half

# %% wrong: raises: ten seeds taken for granted
def paired_interval(arm, control, quantile):
    d = (arm - control).reshape(13)
    half = quantile * d.std() / 13**0.5
    return d.mean(), d.mean() - half, d.mean() + half

# %% correct: a column, with a covariance
def paired_interval(arm, control, quantile):
    n = len(arm)
    together = torch.cov(torch.stack([arm, control]))
    half = quantile * ((together[0, 0] + together[1, 1] - 2 * together[0, 1]) / n).sqrt()
    middle = arm.mean() - control.mean()
    return torch.stack([middle, middle - half, middle + half])[:, None]

# %% wrong: hard-coded-t: 2.262
def paired_interval(arm, control, quantile):
    gain = arm - control
    reach = 2.262 * gain.std() / len(gain) ** 0.5
    return gain.mean(), gain.mean() - reach, gain.mean() + reach

# %% wrong: mean-in-the-middle: low, mean, high
def paired_interval(arm, control, quantile):
    gain = arm - control
    reach = quantile * gain.std() / len(gain) ** 0.5
    return gain.mean() - reach, gain.mean(), gain.mean() + reach

# %% wrong: in-place: the arm is overwritten
def paired_interval(arm, control, quantile):
    arm -= control
    reach = quantile * arm.std() / len(arm) ** 0.5
    return arm.mean(), arm.mean() - reach, arm.mean() + reach

# %% wrong: wrong-shape: half of the width
def paired_interval(arm, control, quantile):
    gain = arm - control
    return gain.mean(), quantile * gain.std() / len(gain) ** 0.5
