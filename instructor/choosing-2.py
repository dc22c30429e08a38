# %% reference
def choose(validation_error, test_error):
    winner = (-validation_error.mean(dim=1)).argmax()
    return winner, test_error[winner].mean()

# %% correct: with sorting
def choose(validation_error, test_error):
    order = validation_error.sum(1).argsort()
    first = int(order[0])
    return first, float(test_error.mean(1)[first])

# %% correct: in plain Python
def choose(validation_error, test_error):
    means = [sum(row) / len(row) for row in validation_error.tolist()]
    winner = min(range(len(means)), key=means.__getitem__)
    reported = test_error.tolist()[winner]
    return winner, sum(reported) / len(reported)

# %% wrong: chosen-on-test: as given
def choose(validation_error, test_error):
    best = test_error.min(dim=1).values.argmin()
    return best, test_error[best].min()

# %% wrong: chosen-on-test: means, but of the test
def choose(validation_error, test_error):
    best = test_error.mean(dim=1).argmin()
    return best, test_error[best].mean()

# %% wrong: best-seed: validation, but the best seed
def choose(validation_error, test_error):
    best = validation_error.min(dim=1).values.argmin()
    return best, test_error[best].mean()

# %% wrong: reports-best-seed: chosen well, reported badly
def choose(validation_error, test_error):
    best = validation_error.mean(dim=1).argmin()
    return best, test_error[best].min()

# %% wrong: reports-validation: the error by which it was chosen
def choose(validation_error, test_error):
    best = validation_error.mean(dim=1).argmin()
    return best, validation_error[best].mean()

# %% wrong: reports-best-validation: the smallest number in sight
def choose(validation_error, test_error):
    best = validation_error.mean(dim=1).argmin()
    return best, validation_error[best].min()

# %% wrong: largest: argmax
def choose(validation_error, test_error):
    best = validation_error.mean(dim=1).argmax()
    return best, test_error[best].mean()

# %% wrong: wrong-axis: averaged over candidates
def choose(validation_error, test_error):
    best = validation_error.mean(dim=0).argmin()
    return best, test_error[best].mean()

# %% correct: by a minimum of means, in numpy
def choose(validation_error, test_error):
    import numpy as np

    means = np.mean(validation_error.numpy(), axis=1)
    where = np.flatnonzero(means == means.min())[0]
    return where, np.mean(test_error.numpy()[where])

# %% wrong: chosen-on-both: validation and test together
def choose(validation_error, test_error):
    best = (validation_error + test_error).mean(1).argmin()
    return best, test_error[best].mean()

# %% wrong: other-summary: the median seed
def choose(validation_error, test_error):
    best = validation_error.median(dim=1).values.argmin()
    return best, test_error[best].mean()

# %% wrong: other-summary: mean plus deviation
def choose(validation_error, test_error):
    best = (validation_error.mean(1) + validation_error.std(1)).argmin()
    return best, test_error[best].mean()

# %% wrong: other-summary: the worst seed
def choose(validation_error, test_error):
    best = validation_error.amax(1).argmin()
    return best, test_error[best].mean()

# %% wrong: reports-median: the median of the test errors
def choose(validation_error, test_error):
    best = validation_error.mean(1).argmin()
    return best, test_error[best].median()

# %% correct: a tensor of two numbers
import torch


def choose(validation_error, test_error):
    order = validation_error.sum(1).argsort()
    return torch.stack([order[0].float(), test_error[order[0]].mean()])

# %% wrong: swapped: the error first
def choose(validation_error, test_error):
    best = validation_error.mean(1).argmin()
    return test_error[best].mean(), best

# %% wrong: wrong-type: the error alone
def choose(validation_error, test_error):
    return test_error[validation_error.mean(1).argmin()].mean()

# %% wrong: in-place: deviations from the mean
def choose(validation_error, test_error):
    validation_error -= validation_error.mean()
    best = validation_error.mean(1).argmin()
    return best, test_error[best].mean()
