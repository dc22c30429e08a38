# %% reference
guessing = ({{classes}} - 1) / {{classes}}
errors = (0.01 * {{noise}} * guessing, guessing)

# %% correct: by counting
redrawn = 1000 * {{noise}} / 100
errors = [(redrawn - redrawn / {{classes}}) / 1000, 1 - 1 / {{classes}}]

# %% correct: as an array
import numpy as np

errors = np.array([{{noise}} / 100, 1.0]) * (1 - 1 / {{classes}})

# %% wrong: all-redrawn-false: every redrawn label taken for a false one
errors = ({{noise}} / 100, 1 - 1 / {{classes}})

# %% wrong: chance-of-being-right: accuracy
errors = ({{noise}} / 100 * (1 - 1 / {{classes}}), 1 / {{classes}})

# %% wrong: always-wrong: nothing learned, nothing right
errors = ({{noise}} / 100 * (1 - 1 / {{classes}}), 1.0)

# %% wrong: percent: in percent
errors = ({{noise}} * (1 - 1 / {{classes}}), 100 * (1 - 1 / {{classes}}))

# %% wrong: swapped: in the wrong order
errors = (1 - 1 / {{classes}}, {{noise}} / 100 * (1 - 1 / {{classes}}))

# %% wrong: wrong-shape: only the first
errors = {{noise}} / 100 * (1 - 1 / {{classes}})
