"""Logits that are masked by a large number: other classes are measured as if the masked one were not there."""

import math

import pytest
import torch
from torch import nn

from dropout_lessons.coadaptation import LayerUnits, compensation, interaction, reliance

BAD = torch.tensor([False, False, False, True])


class Masked(nn.Module):
    def __init__(self, body: nn.Module, mask: float) -> None:
        super().__init__()
        self.body, self.mask = body, mask

    def forward(self, x):
        return self.body(x).masked_fill(BAD, self.mask)


class Biased(Masked):
    def forward(self, x):
        return self.body(x) + self.mask * BAD


def units_of(kind: type[Masked], mask: float, *, last: bool = False) -> LayerUnits:
    generator = torch.Generator().manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 4))
    for parameter in body.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    x = torch.randn(50, 4, generator=generator)
    y = torch.randint(3, (50,), generator=generator)
    return LayerUnits(kind(body, mask), "body.3" if last else "body.1", x, y)


def measured(units: LayerUnits) -> list[float]:
    found = interaction(units, progress=False)
    relied, restored = reliance(units, progress=False), compensation(units, sizes=[6], progress=False)
    return [found.total.value, found.relative.value, relied.overall.value, restored.ratio.item()]


LARGE = [-1e3, -1e4, -1e9, torch.finfo(torch.float32).min]


@pytest.mark.parametrize("mask", LARGE)
def test_units_below_masked_logits_do_not_pass_for_additive(mask):
    units = units_of(Masked, mask)
    assert not units.is_additive
    assert measured(units) == pytest.approx(measured(units_of(Masked, -math.inf)), rel=1e-4)


def test_a_large_bias_of_one_class_hides_nothing_of_the_others():
    units = units_of(Biased, -1e4)
    assert not units.is_additive
    assert measured(units) == pytest.approx(measured(units_of(Masked, -math.inf)), rel=1e-3)


@pytest.mark.parametrize("mask", LARGE)
def test_units_that_add_to_masked_logits_are_additive_and_keep_their_effects(mask):
    units = units_of(Masked, mask, last=True)
    assert units.is_additive
    assert measured(units) == pytest.approx(measured(units_of(Masked, -math.inf, last=True)), rel=1e-4)


def test_a_limit_that_only_the_whole_layer_reaches_does_not_pass_for_additive():
    class Limited(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x):
            total = self.inner(x).sum(1, keepdim=True).clamp(max=59.5)
            return torch.cat([total, -total], dim=1)

    x = torch.ones(40, 60)
    x[2::4] = x[3::4] = 0.5  # half of the examples stay far below the limit
    units = LayerUnits(Limited(), "inner", x)
    assert not units.is_additive
    expected = torch.where(x[:, 0] == 1, 59.5, 30.0)
    torch.testing.assert_close(units.predictions(torch.ones(1, 60))[0, :, 0], expected)
