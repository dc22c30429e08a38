"""The experiments on dropout today: masks of recurrent and residual networks against what defines them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dropout_lessons import exercises
from dropout_lessons.exercises.exercise import MOVED, TOPICS
from dropout_lessons.experiments import get
from dropout_lessons.experiments.catalog.stochastic_depth import Block, DropPath, build
from dropout_lessons.experiments.recurrent_nets import PLACES, RowReader


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reader(place: str, keep_prob: float) -> RowReader:
    return RowReader(rows=4, units=6, place=place, keep_prob=keep_prob, generator=seeded())


def run(network: nn.Module, x: torch.Tensor, seed: int = 1) -> torch.Tensor:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        logits: torch.Tensor = network(x)
    return logits


def test_a_row_reader_without_masks_is_pytorchs_lstm() -> None:
    ours, theirs = reader("none", 1.0), nn.LSTM(4, 6, batch_first=True)
    # PyTorch's gates come in the order input, forget, cell, output; ours has the news last.
    order = torch.cat([torch.arange(12), torch.arange(18, 24), torch.arange(12, 18)])
    with torch.no_grad():
        for name, layer in (("ih", ours.from_row), ("hh", ours.from_state)):
            getattr(theirs, f"weight_{name}_l0")[order] = layer.weight
            getattr(theirs, f"bias_{name}_l0")[order] = layer.bias
        x = torch.rand(3, 20, generator=seeded(2))
        states, _ = theirs(x.view(3, 5, 4))
        torch.testing.assert_close(ours(x), ours.output(states[:, -1]))


@pytest.mark.parametrize("place", PLACES[1:5])
def test_nothing_is_dropped_at_test_time_and_something_in_training(place: str) -> None:
    x, plain = torch.rand(8, 20, generator=seeded(2)), reader("none", 1.0)
    masked = reader(place, 0.5)
    torch.testing.assert_close(run(masked.eval(), x), run(plain, x))
    assert not torch.allclose(run(masked.train(), x), run(plain, x))


def test_masks_on_what_is_read_at_the_first_step_change_nothing() -> None:
    """Cell and state begin at zero, so masks of the path from step to step begin to act at the second."""
    x, plain = torch.rand(8, 4, generator=seeded(2)), reader("none", 1.0)
    for place in ("fresh on the cell", "fresh on the state", "locked on the state"):
        torch.testing.assert_close(run(reader(place, 0.5), x), run(plain, x))


def test_zoneout_that_always_updates_is_no_zoneout_and_its_mean_is_exact_for_one_step() -> None:
    x, plain = torch.rand(4, 4, generator=seeded(2)), reader("none", 1.0)
    torch.testing.assert_close(run(reader("zoneout", 1.0), x), run(plain, x))
    zoneout = reader("zoneout", 0.7)
    many = torch.stack([run(zoneout.train(), x, seed) for seed in range(2000)])
    error = many.std(0) / 2000**0.5
    assert ((many.mean(0) - run(zoneout.eval(), x)).abs() < 5 * error).all()


def test_drop_path_drops_whole_examples_and_keeps_the_mean() -> None:
    branch = torch.ones(20_000, 2, 3)
    kept = run(DropPath(0.75), branch)
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (kept == kept[:, :1, :1]).all()
    assert abs(kept.mean().item() - 1) < 5 * (0.25 / 0.75 / 20_000) ** 0.5
    assert torch.equal(DropPath(0.75).eval()(branch), branch)


def test_the_deeper_the_block_the_less_often_it_is_kept() -> None:
    network = build("branches", 0.6, width=4, depth=4, seed=0)
    kept = [block.drop_path.keep_prob for block in network if isinstance(block, Block)]
    assert kept == pytest.approx([0.9, 0.8, 0.7, 0.6])
    plain, units = (build(arm, 0.6, width=4, depth=4, seed=0) for arm in ("plain", "units"))
    for one, other in zip(plain.parameters(), units.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["wider_dropout", "recurrent_masks", "stochastic_depth"])
def test_every_arm_is_tuned_alike(name: str) -> None:
    arms = list(get(name).arms(get(name).config("workstation")))
    assert len({len(arm.candidates) * arm.tuning_seeds for arm in arms}) == 1


def test_exercises_that_moved_kept_their_ids() -> None:
    for exercise, chapter in MOVED.items():
        assert exercises.get(exercise).chapter == chapter != TOPICS[exercises.get(exercise).topic]
