# %% reference
share, gap = {{disagree}} / 100, 0.082 - 0.078
noise = (gap * ({{images}} / share) ** 0.5, (2 / gap) ** 2 * share)

# %% correct: with numpy, in percent
import numpy as np

sd = 10 * np.sqrt({{disagree}} / {{images}})  # percentage points, since each image counts +1, 0 or -1
z = 0.4 / sd
noise = np.array([z, {{images}} * (2 / z) ** 2])

# %% correct: with the exact variance
d, n = {{disagree}} / 100, {{images}}
variance = d - 0.004**2
noise = [0.004 / (variance / n) ** 0.5, 4 * variance / 0.004**2]

# %% wrong: independent: two binomials
v = 0.078 * 0.922 + 0.082 * 0.918
noise = (0.004 / (v / {{images}}) ** 0.5, 4 * v / 0.004**2)

# %% wrong: one-deviation: one instead of two
d = {{disagree}} / 100
noise = (0.004 / (d / {{images}}) ** 0.5, d / 0.004**2)

# %% wrong: square-root-of-n-forgotten: one image
d = {{disagree}} / 100
noise = (0.004 / d**0.5, 4 * d / 0.004**2)

# %% wrong: variance-for-deviation: no square root
d = {{disagree}} / 100
noise = (0.004 / (d / {{images}}), 4 * d / 0.004**2)

# %% wrong: swapped: images first
d = {{disagree}} / 100
noise = (4 * d / 0.004**2, 0.004 / (d / {{images}}) ** 0.5)

# %% wrong: wrong-shape: only the first
noise = 0.004 / ({{disagree}} / 100 / {{images}}) ** 0.5

# %% correct: as a dictionary's values, in numpy
import numpy as np

share = np.float64({{disagree}}) / 100
found = {"deviations": 0.004 / np.sqrt(share / {{images}}), "images": np.ceil(4 * share / 0.004**2)}
noise = list(found.values())

# %% wrong: off: the two errors' own deviations added
d = {{disagree}} / 100
noise = (0.004 / (2 * (d / {{images}}) ** 0.5), 16 * d / 0.004**2)

# %% wrong: off: three deviations
d = {{disagree}} / 100
noise = (0.004 / (d / {{images}}) ** 0.5, 9 * d / 0.004**2)

# %% wrong: shown-four-times-in-five: the images that the chapter asks for
d = {{disagree}} / 100
noise = (0.004 / (d / {{images}}) ** 0.5, (1.96 + 0.84) ** 2 * d / 0.004**2)
