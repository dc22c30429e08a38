# %% reference
def verdict(differences, bound):
    from scipy.stats import t

    n = len(differences)
    half = t.isf(0.025, df=n - 1) * differences.std().item() / n**0.5
    offset = differences.mean().item() - bound
    if abs(offset) <= half:
        return "undecided"
    return "agrees" if offset < 0 else "differs"

# %% correct: scipy's own interval
def verdict(differences, bound):
    from scipy import stats

    low, high = stats.ttest_1samp(differences.numpy(), 0).confidence_interval(0.95)
    return "agrees" if high < bound else "differs" if low > bound else "undecided"

# %% correct: by a two-sided test
def verdict(differences, bound):
    from scipy import stats

    test = stats.ttest_1samp(differences.tolist(), bound)
    words = {True: "agrees", False: "differs"}
    return words[bool(test.statistic < 0)] if test.pvalue < 0.05 else "undecided"

# %% wrong: normal: 1.96
def verdict(differences, bound):
    half = 1.96 * differences.std() / len(differences) ** 0.5
    mean = differences.mean()
    return "agrees" if mean + half < bound else "differs" if mean - half > bound else "undecided"

# %% wrong: standard-deviation: not divided by the square root of n
def quantile(differences, share=0.975):
    from scipy import stats

    return stats.t.ppf(share, len(differences) - 1)


def verdict(differences, bound):
    half = quantile(differences) * differences.std()
    mean = differences.mean()
    return "agrees" if mean + half < bound else "differs" if mean - half > bound else "undecided"

# %% wrong: population-deviation: divided by n
def quantile(differences, share=0.975):
    from scipy import stats

    return stats.t.ppf(share, len(differences) - 1)


def verdict(differences, bound):
    half = quantile(differences) * differences.std(correction=0) / len(differences) ** 0.5
    mean = differences.mean()
    return "agrees" if mean + half < bound else "differs" if mean - half > bound else "undecided"

# %% wrong: one-sided: the 95% quantile
def quantile(differences, share=0.975):
    from scipy import stats

    return stats.t.ppf(share, len(differences) - 1)


def verdict(differences, bound):
    half = quantile(differences, 0.95) * differences.std() / len(differences) ** 0.5
    mean = differences.mean()
    return "agrees" if mean + half < bound else "differs" if mean - half > bound else "undecided"

# %% wrong: bound-ignored: zero
def quantile(differences, share=0.975):
    from scipy import stats

    return stats.t.ppf(share, len(differences) - 1)


def verdict(differences, bound):
    half = quantile(differences) * differences.std() / len(differences) ** 0.5
    mean = differences.mean()
    return "agrees" if mean + half < 0 else "differs" if mean - half > 0 else "undecided"

# %% wrong: turned-round: above for below
def quantile(differences, share=0.975):
    from scipy import stats

    return stats.t.ppf(share, len(differences) - 1)


def verdict(differences, bound):
    half = quantile(differences) * differences.std() / len(differences) ** 0.5
    mean = differences.mean()
    return "differs" if mean + half < bound else "agrees" if mean - half > bound else "undecided"

# %% wrong: never-undecided: the mean alone
def verdict(differences, bound):
    return "agrees" if differences.mean() < bound else "differs"

# %% wrong: undecided-counted-as-differing: what does not agree differs
def quantile(differences, share=0.975):
    from scipy import stats

    return stats.t.ppf(share, len(differences) - 1)


def verdict(differences, bound):
    half = quantile(differences) * differences.std() / len(differences) ** 0.5
    return "agrees" if differences.mean() + half < bound else "differs"

# %% wrong: wrong-words: true or false
def quantile(differences, share=0.975):
    from scipy import stats

    return stats.t.ppf(share, len(differences) - 1)


def verdict(differences, bound):
    half = quantile(differences) * differences.std() / len(differences) ** 0.5
    return str(bool(differences.mean() + half < bound))

# %% wrong: hard-coded-t: the quantile for ten seeds
def verdict(differences, bound):
    half = 2.262 * differences.std() / len(differences) ** 0.5
    mean = differences.mean()
    return "agrees" if mean + half < bound else "differs" if mean - half > bound else "undecided"

# %% wrong: degrees-of-freedom: n instead of n - 1
def verdict(differences, bound):
    from scipy import stats

    n = len(differences)
    half = stats.t.ppf(0.975, n) * differences.std() / n**0.5
    mean = differences.mean()
    return "agrees" if mean + half < bound else "differs" if mean - half > bound else "undecided"

# %% correct: in numpy
def verdict(differences, bound):
    import numpy as np
    from scipy.stats import sem, t

    values = np.asarray(differences, dtype=float)
    low, high = t.interval(0.95, len(values) - 1, loc=values.mean(), scale=sem(values))
    return ["undecided", "agrees", "differs"][int(high < bound) + 2 * int(low > bound)]

# %% wrong: off: a 99% interval
def quantile(differences, share=0.975):
    from scipy import stats

    return stats.t.ppf(share, len(differences) - 1)


def verdict(differences, bound):
    half = quantile(differences, 0.995) * differences.std() / len(differences) ** 0.5
    mean = differences.mean()
    return "agrees" if mean + half < bound else "differs" if mean - half > bound else "undecided"

# %% wrong: zero-decides: undecided where the interval contains zero
def verdict(differences, bound):
    from scipy import stats

    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std() / len(differences) ** 0.5
    low, high = differences.mean() - half, differences.mean() + half
    if low < 0 < high:
        return "undecided"
    return "agrees" if high < bound else "differs" if low > bound else "undecided"

# %% wrong: wrong-end: the lower end decides
def verdict(differences, bound):
    from scipy import stats

    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std() / len(differences) ** 0.5
    low, high = differences.mean() - half, differences.mean() + half
    return "agrees" if low < bound else "differs" if high > bound else "undecided"

# %% wrong: never-differs: agrees or not
def verdict(differences, bound):
    from scipy import stats

    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std() / len(differences) ** 0.5
    return "agrees" if differences.mean() + half < bound else "undecided"

# %% wrong: wrong-words: in a list
def verdict(differences, bound):
    from scipy import stats

    low, high = stats.t.interval(0.95, len(differences) - 1, differences.mean(), stats.sem(differences))
    return ["agrees" if high < bound else "differs" if low > bound else "undecided"]

# %% wrong: in-place: measured from the bound
def verdict(differences, bound):
    from scipy import stats

    differences -= bound
    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std() / len(differences) ** 0.5
    mean = differences.mean()
    return "agrees" if mean + half < 0 else "differs" if mean - half > 0 else "undecided"
