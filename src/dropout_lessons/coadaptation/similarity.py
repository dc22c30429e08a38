"""What the units of a layer say: their outputs, and how alike these are. Supporting measures, contested as evidence.

They look at activations only. None of them can tell whether a unit needs another: two copies of a unit correlate fully,
and each of them is dispensable.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def unit_correlation(a: Float[Tensor, "rows units"]) -> float:
    r"""Mean absolute correlation between two units, :math:`\frac{2}{n(n-1)} \sum_{i<j} \lvert \rho_{ij} \rvert`.

    Over the pairs of units that are not constant; 0 if there are fewer than two such units. It does not depend on the scale
    of a unit. Few rows make it large by chance: independent units have about :math:`\sqrt{2 / (\pi \cdot \text{rows})}`.

    Args:
        a: Outputs of the units, as ``LayerUnits.activations`` has them.

    Raises:
        ValueError: If ``a`` is not a finite matrix with two or more rows.

    Example:
        >>> h = torch.randn(100, 1)
        >>> round(unit_correlation(torch.cat([h, -2 * h, torch.ones(100, 1)], dim=1)), 6)
        1.0

    Source: Cogswell et al. 2016 penalize the covariance, which depends on the units' scale.
    """
    correlation = _correlation(a)
    n = len(correlation)
    if n < 2:
        return 0.0
    total = (correlation.abs().sum() - correlation.diagonal().abs().sum()).item()
    return min(1.0, total / (n * (n - 1)))


def effective_rank(a: Float[Tensor, "rows units"]) -> float:
    r"""Number of directions that the units' outputs spread over, by the participation ratio.

    .. math:: \Big(\sum_i \lambda_i\Big)^2 \Big/ \sum_i \lambda_i^2

    with :math:`\lambda_i` the eigenvalues of the correlation matrix of the units that are not constant: from 1, where all are
    copies of one, to their number, where they are uncorrelated; 0 if there is none. It does not depend on the scale of a
    unit. With fewer rows than units it is at most the number of rows minus one.

    Args:
        a: Outputs of the units, as ``LayerUnits.activations`` has them.

    Raises:
        ValueError: If ``a`` is not a finite matrix with two or more rows.

    Example:
        >>> h = torch.randn(100, 1)
        >>> round(effective_rank(torch.cat([h, 3 * h, -h], dim=1)), 6)
        1.0
    """
    correlation = _correlation(a)
    if len(correlation) == 0:
        return 0.0
    # The eigenvalues' sum is the trace, and that of their squares the sum of the squared entries.
    return (correlation.trace().square() / correlation.square().sum()).item()


def rank_per_unit(a: Float[Tensor, "rows units"]) -> float:
    """The effective rank over the number of units that are not constant."""
    return effective_rank(a) / max(1, len(_correlation(a)))


def activation_sparsity(a: Float[Tensor, "rows units"]) -> float:
    """Share of outputs that are zero or negative, among the units that are positive for some row.

    Units that are never positive are dead, not sparse, and are left out; a layer of dead units only has sparsity 1.

    Args:
        a: Outputs of the units, as ``LayerUnits.activations`` has them.

    Raises:
        ValueError: If ``a`` is not a finite matrix with two or more rows.

    Example:
        >>> activation_sparsity(torch.tensor([[0.0, 1.0, 0.0], [2.0, 3.0, 0.0]]))
        0.25

    Source: Srivastava et al. 2014, Section 7.2 and Figure 8.
    """
    active = _checked("a", a) > 0
    ever = active.any(dim=0)
    return 1.0 - active[:, ever].double().mean().item() if bool(ever.any()) else 1.0


def linear_cka(a: Float[Tensor, "rows units"], b: Float[Tensor, "rows other_units"]) -> float:
    r"""Similarity of what two layers say of the same examples: linear centered kernel alignment, from 0 to 1.

    .. math:: \frac{\lVert B^\top A \rVert_F^2}{\lVert A^\top A \rVert_F \, \lVert B^\top B \rVert_F}

    with the columns of :math:`A` and :math:`B` centered. Rotating, permuting or scaling the units of a layer all together does
    not change it; rescaling single units does. It is 0 where a layer is constant. With few rows for the number of units even
    unrelated layers are similar: use several rows for each unit.

    Args:
        a: Outputs of the units of one layer, as ``LayerUnits.activations`` has them.
        b: The same of another layer, perhaps of another network, for the same examples.

    Raises:
        ValueError: If they are not finite matrices with the same number of rows, at least two.

    Example:
        >>> a = torch.randn(50, 4)
        >>> round(linear_cka(a, -3 * a.flip(1)), 6)
        1.0

    Source: Kornblith et al. 2019, "Similarity of neural network representations revisited", Section 3.
    """
    if len(a) != len(b):
        raise ValueError(f"a and b must hold the same examples in the same order, got {len(a)} and {len(b)} rows")
    a, b = _centered("a", a), _centered("b", b)
    if not (a.any() and b.any()):
        return 0.0
    a, b = a / a.abs().max(), b / b.abs().max()  # squares of very large or small numbers stay finite
    if max(a.shape[1], b.shape[1]) > len(a):  # the same numbers from the smaller matrices, those of the rows
        left, right = a @ a.T, b @ b.T
        cross, scale = (left * right).sum(), left.norm() * right.norm()
    else:
        cross, scale = (b.T @ a).square().sum(), (a.T @ a).norm() * (b.T @ b).norm()
    return min(1.0, float(cross / scale))


def _checked(name: str, a: Tensor) -> Tensor:
    if a.dim() != 2 or len(a) < 2 or not a.is_floating_point():
        raise ValueError(
            f"{name} must be a floating-point matrix (rows, units) with two or more rows, got {a.dtype} of shape "
            f"{tuple(a.shape)}; LayerUnits(network, layer, x).activations is one"
        )
    if not bool(a.isfinite().all()):
        row, unit = (~a.isfinite()).nonzero()[0].tolist()
        raise ValueError(f"{name} must be finite, got {a[row, unit].item()} for row {row}, unit {unit}")
    return a.detach()


def _centered(name: str, a: Tensor) -> Tensor:
    """Columns minus their means, in double precision; those that are constant up to rounding are exactly zero."""
    a = _checked(name, a)
    rounding = 4 * torch.finfo(a.dtype).eps
    a = a.double()
    centered = a - a.mean(dim=0)
    constant = centered.abs().amax(dim=0) <= rounding * a.abs().amax(dim=0)
    return centered.masked_fill(constant, 0.0)


def _correlation(a: Tensor) -> Tensor:
    """Correlation matrix of the units that are not constant."""
    centered = _centered("a", a)
    largest = centered.abs().amax(dim=0)
    centered = centered[:, largest > 0] / largest[largest > 0]
    centered /= centered.norm(dim=0)
    correlation: Tensor = centered.T @ centered
    return correlation
