"""Dropout masks: draw, enumerate, weigh and count them.

A mask ``m`` is a bool tensor, True where a unit is kept. Under dropout the entries are independent and each is True
with probability ``keep_prob``, the ``p`` of the paper. This package is the only place where masks are drawn.
"""

from dropout_lessons.masks.enumeration import enumerate_masks, expected_distinct_masks, mask_log_prob
from dropout_lessons.masks.sampling import sample_mask, sample_masks

__all__ = ["enumerate_masks", "expected_distinct_masks", "mask_log_prob", "sample_mask", "sample_masks"]
