"""Claims that are checked: a statement, its evidence, and a judgement; an error when the evidence does not support it.

Evidence is an effect with its 95% interval over seeds (``paired``) or independent draws (``sampled``; ``ranked`` for the
median of values with a long tail, ``counted`` for a share of cases), or the largest deviation of an identity (``exact``).
``judge`` compares it with what the statement requires; ``check`` raises where that does not hold, and ``Claims`` shows
several as one figure.
"""

from dropout_lessons.claims.evidence import FEWEST_SEEDS, Evidence, counted, exact, paired, ranked, sampled
from dropout_lessons.claims.judging import ClaimError, Judgement, Words, check, judge
from dropout_lessons.claims.showing import Anatomy, Claims

__all__ = [
    "FEWEST_SEEDS",
    "Anatomy",
    "ClaimError",
    "Claims",
    "Evidence",
    "Judgement",
    "Words",
    "check",
    "counted",
    "exact",
    "judge",
    "paired",
    "ranked",
    "sampled",
]
