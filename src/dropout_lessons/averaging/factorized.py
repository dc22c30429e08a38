"""The sum over all masks just below a linear output layer, without listing them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from dropout_lessons.masks import enumerate_masks, mask_log_prob
from dropout_lessons.running.members import Head
from dropout_lessons.running.sites import Site

# Entries of the table of normalizers that are worked on at once: up to a megabyte, for the processor's cache.
_ENTRIES = 2**17
# Beyond such a spread of a row's logits the factors of improbable classes would leave the range of normal numbers.
_LARGEST_SPREAD = {torch.float32: 80.0, torch.float64: 700.0}


class HeadSum:
    r"""All members that masks :math:`m` on a linear output layer's input make.

    With the units in two halves :math:`A` and :math:`B`, :math:`e^{z_k(m)} = e^{a_k(m_A)} e^{b_k(m_B)}`. The normalizers
    of all members are one matrix product of the two tables, :math:`Z = E_A E_B^\top`, and the members' mean takes a
    second one, :math:`\sum_{m_A} \pi_{m_A} E_A \odot (Z^{-1} \pi_{m_B} E_B)`.
    """

    def __init__(self, head: Head, site: Site) -> None:
        self.weight = head.weight.double() * site.scale
        self.bias = self.weight.new_zeros(len(self.weight)) if head.bias is None else head.bias.double()
        self.keep_prob = site.keep_prob
        n, device = site.n_units, self.weight.device
        self.half = n // 2
        self.masks = [enumerate_masks(size, device=device) for size in (self.half, n - self.half)]
        self.log_weights = [mask_log_prob(masks, self.keep_prob) for masks in self.masks]
        classes = len(self.weight)
        rows = [len(masks) for masks in self.masks]
        #: Floating-point operations for each row: the tables, two products, the normalizers' reciprocals and logarithms.
        self.flops = 2 * classes * sum(r * m.shape[1] for r, m in zip(rows, self.masks, strict=True))
        self.flops += (4 * classes + 2) * rows[0] * rows[1]
        self.bytes_per_row = 8 * (6 * classes * sum(rows) + n * classes)

    def sum(
        self, h: Float[Tensor, "rows units"]
    ) -> tuple[Float[Tensor, "rows classes"], Float[Tensor, "rows classes"]]:
        """Log of the members' mean probability, and mean of their log-probability."""
        contributions = h.detach().double()[:, None, :] * self.weight  # (rows, classes, units)
        halves = contributions[..., : self.half], contributions[..., self.half :]
        weights = [log_weights.exp() for log_weights in self.log_weights]
        tables, mean_log_z, spread = [], h.new_zeros(len(h), dtype=torch.float64), h.new_zeros(len(h))
        for half, masks, weight in zip(halves, self.masks, weights, strict=True):
            table = half @ masks.T.double()  # (rows, classes, masks)
            if half is halves[1]:
                table += self.bias[:, None]
            # The largest class's factor becomes 1, for each half mask. The shift cancels in the probabilities.
            shift = table.amax(dim=1, keepdim=True)
            table -= shift
            spread = spread - table.amin(dim=(1, 2))
            mean_log_z += shift.squeeze(1) @ weight
            tables.append(table)
        # A single-precision network's members have single-precision logits: their normalizers need no more.
        wide = ~(spread < _LARGEST_SPREAD[torch.float64])
        single = h.dtype == torch.float32 and bool((spread < _LARGEST_SPREAD[torch.float32]).all())
        dtype = torch.float32 if single else torch.float64
        if not wide.any():
            log_mean, log_z = self._by_products(tables, weights, dtype)
        else:
            log_mean, log_z = (torch.empty_like(part) for part in (contributions[..., 0], mean_log_z))
            if not wide.all():
                log_mean[~wide], log_z[~wide] = self._by_products([table[~wide] for table in tables], weights, dtype)
            log_mean[wide], log_z[wide] = self._by_logarithms(*(table[wide] for table in tables))
        mean_logits = contributions.sum(dim=2) * self.keep_prob + self.bias
        return log_mean, mean_logits - (mean_log_z + log_z)[:, None]

    def _by_products(
        self, tables: Sequence[Tensor], weights: Sequence[Tensor], dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Log of the mean probability, and mean of the log-normalizer, of rows whose factors are normal numbers."""
        weight_a, weight_b = weights[0], weights[1].to(dtype)
        a, b = (table.exp_().to(dtype) for table in tables)
        weighted_b = b * weight_b
        ratios, log_z = torch.empty_like(a), torch.empty_like(a[:, 0])
        rows_at_once = max(1, min(len(a), _ENTRIES // (a.shape[2] * b.shape[2])))
        masks_at_once = max(1, min(a.shape[2], _ENTRIES // b.shape[2]))
        work = a.new_empty(rows_at_once, b.shape[2], masks_at_once)  # the same for all, so that it stays in the cache
        for start in range(0, len(a), rows_at_once):
            rows = slice(start, start + rows_at_once)
            for first in range(0, a.shape[2], masks_at_once):
                some = slice(first, first + masks_at_once)
                left = a[rows, :, some]
                z = torch.bmm(b[rows].mT, left, out=work[: len(left)])  # (rows, masks of b, masks of a)
                ratios[rows, :, some] = weighted_b[rows] @ z.reciprocal_()
                log_z[rows, some] = -(weight_b @ z.log_())
        return ((a * ratios).double() @ weight_a).log(), log_z.double() @ weight_a

    def _by_logarithms(self, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
        """The same of rows whose factors are not: where units pull towards different classes by hundreds of nats."""
        rows_at_once = max(1, _ENTRIES // log_a[0].numel() // log_b.shape[2])
        masks_at_once = max(1, _ENTRIES // log_b[0].numel())
        log_means, means = [], []
        for a, b in zip(log_a.split(rows_at_once), log_b.split(rows_at_once), strict=True):
            parts, mean = [], a.new_zeros(len(a))
            for some, log_weight in zip(
                a.split(masks_at_once, dim=2), self.log_weights[0].split(masks_at_once), strict=True
            ):
                joint = some.unsqueeze(3) + b.unsqueeze(2)  # (rows, classes, masks of a, masks of b)
                log_z = joint.logsumexp(1, keepdim=True)
                log_weights = log_weight[:, None] + self.log_weights[1]
                parts.append((joint - log_z + log_weights).logsumexp((2, 3)))
                mean += (log_z[:, 0] * log_weights.exp()).sum((1, 2))
            log_means.append(torch.stack(parts).logsumexp(0))
            means.append(mean)
        return torch.cat(log_means), torch.cat(means)
