# %% reference
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = [outcomes.count(True), outcomes.count(False), outcomes.count(None), len(outcomes) / 40]

# %% correct: from the ledger's table
from dropout_lessons import experiments

rows = experiments.ledger().query("experiment == '{{experiment}}'")
reading = [int((rows.verdict == word).sum()) for word in ("agrees", "differs", "undecided")] + [0.025 * len(rows)]

# %% correct: read off, and rounded
import numpy as np

from dropout_lessons import experiments

codes = {True: 0, False: 1, None: 2}
tally = np.bincount([codes[one.holds] for one in experiments.recorded("{{experiment}}").findings], minlength=3)
reading = np.append(tally, round(tally.sum() * 0.025, 2))

# %% wrong: undecided-counted-as-differing: undecided taken for different
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
agree = outcomes.count(True)
reading = (agree, len(outcomes) - agree, 0, len(outcomes) / 40)

# %% wrong: luck-both-sides: five percent
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = (*(outcomes.count(holds) for holds in (True, False, None)), len(outcomes) / 20)

# %% wrong: luck-of-those-that-agree: of the first number
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = (*(outcomes.count(holds) for holds in (True, False, None)), outcomes.count(True) / 40)

# %% wrong: percent: in percent
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = (*(outcomes.count(holds) for holds in (True, False, None)), 2.5)

# %% wrong: wrong-shape: without luck
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = [outcomes.count(holds) for holds in (True, False, None)]

# %% correct: as nested pairs
from dropout_lessons import experiments

found = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = ((found.count(True), found.count(False)), (found.count(None), 2.5 * len(found) / 100))

# %% wrong: off: agree and differ swapped
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
agree, differ = outcomes.count(True), outcomes.count(False)
reading = (differ, agree, outcomes.count(None), len(outcomes) / 40)

# %% wrong: off: a third of them by luck
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = (*(outcomes.count(holds) for holds in (True, False, None)), len(outcomes) / 3)

# %% wrong: off: undecided left out
from dropout_lessons import experiments

outcomes = [statement.holds for statement in experiments.recorded("{{experiment}}").findings]
reading = (outcomes.count(True), outcomes.count(False), 0, len(outcomes) / 40)
