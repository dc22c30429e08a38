"""Which average does dropout compute? Weight scaling, all subnetworks, some of them, and separate networks.

The functions take any network that returns ``(examples, classes)``, find its dropout by running it, and leave its modes,
its buffers and PyTorch's random state as they were. Averages are of probabilities (arithmetic) or of log-probabilities
(geometric, then normalized), never of classes or logits, and are summed in double precision.

Dropout that is built into ``nn.LSTM``, ``nn.GRU``, ``nn.RNN`` and ``nn.MultiheadAttention`` cannot be masked from outside:
it stays in evaluation mode. A subclass of PyTorch's dropout layers with a ``forward`` of its own counts by the functional
dropout that it calls. Examples run in blocks, so the network must treat each one by itself, as batch normalization with
running statistics does; and dropout in place counts by what it returns.
"""

from dropout_lessons.averaging.average import Average
from dropout_lessons.averaging.compare import compare_averaging
from dropout_lessons.averaging.exact import Subnetworks, exact_average, subnetworks
from dropout_lessons.averaging.monte_carlo import monte_carlo_average
from dropout_lessons.averaging.rules import ensemble_average, weight_scaling

__all__ = [
    "Average",
    "Subnetworks",
    "compare_averaging",
    "ensemble_average",
    "exact_average",
    "monte_carlo_average",
    "subnetworks",
    "weight_scaling",
]
