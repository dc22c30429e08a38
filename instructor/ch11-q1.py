# %% reference
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = [outcomes.count(True), outcomes.count(False), outcomes.count(None), len(outcomes) / 40]

# %% correct: from the ledger's table
from dropout_lessons import experiments

rows = experiments.ledger().query("experiment == '{{experiment}}'")
reading = [int((rows.verdict == word).sum()) for word in ("agrees", "differs", "undecided")] + [0.025 * len(rows)]

# %% correct: read off
numbers = {
    "early_dropout": (6, 0, 6), "batchnorm_variance_shift": (9, 2, 3), "conv_placement": (3, 2, 5), "fig4_architectures": (4, 2, 1)
}["{{experiment}}"]
reading = (*numbers, round(sum(numbers) * 0.025, 2))

# %% wrong: undecided-counted-as-differing: undecided taken for different
numbers = {
    "early_dropout": (6, 6, 0), "batchnorm_variance_shift": (9, 5, 0), "conv_placement": (3, 7, 0), "fig4_architectures": (4, 3, 0)
}["{{experiment}}"]
reading = (*numbers, sum(numbers) * 0.025)

# %% wrong: luck-both-sides: five percent
numbers = {
    "early_dropout": (6, 0, 6), "batchnorm_variance_shift": (9, 2, 3), "conv_placement": (3, 2, 5), "fig4_architectures": (4, 2, 1)
}["{{experiment}}"]
reading = (*numbers, sum(numbers) * 0.05)

# %% wrong: luck-of-those-that-agree: of the first number
numbers = {
    "early_dropout": (6, 0, 6), "batchnorm_variance_shift": (9, 2, 3), "conv_placement": (3, 2, 5), "fig4_architectures": (4, 2, 1)
}["{{experiment}}"]
reading = (*numbers, numbers[0] * 0.025)

# %% wrong: percent: in percent
numbers = {
    "early_dropout": (6, 0, 6), "batchnorm_variance_shift": (9, 2, 3), "conv_placement": (3, 2, 5), "fig4_architectures": (4, 2, 1)
}["{{experiment}}"]
reading = (*numbers, 2.5)

# %% wrong: wrong-shape: without luck
reading = {
    "early_dropout": (6, 0, 6), "batchnorm_variance_shift": (9, 2, 3), "conv_placement": (3, 2, 5), "fig4_architectures": (4, 2, 1)
}["{{experiment}}"]
