"""Which average does dropout compute? Weight scaling, all subnetworks, some of them, and separate networks.

The functions take any network that predicts classes, for each example or for each of its positions, or values, and what it is
given in any form (``running`` says how); they find its dropout by running it, and leave its modes, its buffers and PyTorch's
random state as they were. Averages are of probabilities (arithmetic) or of log-probabilities (geometric, then normalized), never
of classes or logits, and are summed in double precision; a regression's are of values, with their variance within and between
members.
"""

from dropout_lessons.averaging.average import Average, ValueAverage
from dropout_lessons.averaging.compare import compare_averaging
from dropout_lessons.averaging.exact import Subnetworks, exact_average, subnetworks
from dropout_lessons.averaging.monte_carlo import monte_carlo_average
from dropout_lessons.averaging.rules import ensemble_average, weight_scaling

__all__ = [
    "Average",
    "Subnetworks",
    "ValueAverage",
    "compare_averaging",
    "ensemble_average",
    "exact_average",
    "monte_carlo_average",
    "subnetworks",
    "weight_scaling",
]
