"""The experiments on dropout today: masks of recurrent and residual networks against what defines them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dropout_lessons import exercises
from dropout_lessons.exercises.exercise import MOVED, TOPICS
from dropout_lessons.experiments import get
from dropout_lessons.experiments.catalog import fine_tuning, r_drop
from dropout_lessons.experiments.catalog.stochastic_depth import Block, DropPath, build
from dropout_lessons.experiments.recurrent_nets import PLACES, RowReader
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import SmallTransformer


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


@pytest.mark.parametrize(
    "name", ["wider_dropout", "recurrent_masks", "stochastic_depth", "late_dropout", "fine_tuning"]
)
def test_every_arm_is_tuned_alike(name: str) -> None:
    arms = list(get(name).arms(get(name).config("workstation")))
    assert len({len(arm.candidates) * arm.tuning_seeds for arm in arms}) == 1


def test_r_drop_is_tried_with_as_many_keep_probabilities_as_dropout_less_one_and_with_more_penalties() -> None:
    config = get("r_drop").config("workstation")
    keep_probs = {candidate["keep_prob"] for candidate in config["penalties"]}
    assert keep_probs < {candidate["keep_prob"] for candidate in config["keep_probs"]}
    assert len(config["penalties"]) == 3 * len(keep_probs)


def test_the_penalty_of_r_drop_is_half_the_sum_of_both_divergences_and_zero_where_passes_agree() -> None:
    logits = torch.randn(5, 2, 4, generator=seeded())
    first, second = logits.softmax(2).unbind(1)
    both = [(p * (p / q).log()).sum(1).mean() for p, q in ((first, second), (second, first))]
    torch.testing.assert_close(r_drop.disagreement(logits), sum(both) / 2)
    assert r_drop.disagreement(logits[:, :1].expand(5, 2, 4)) == 0
    y = torch.tensor([0, 1, 2, 3, 0])
    one = nn.functional.cross_entropy(logits.flatten(0, 1), y.repeat_interleave(2))
    torch.testing.assert_close(r_drop.loss_with(3.0, logits, y), one + 1.5 * r_drop.disagreement(logits))
    torch.testing.assert_close(r_drop.loss_with(3.0, logits[:, 0], y), nn.functional.cross_entropy(logits[:, 0], y))


def test_a_lora_begins_as_the_network_was_and_learns_its_small_matrices_alone() -> None:
    network = SmallTransformer(symbols=4, context=6, width=8, heads=2, generator=seeded())
    text = torch.randint(4, (3, 6), generator=seeded(1))
    before, total = network(text).detach(), sum(each.numel() for each in network.parameters())
    fine_tuning.with_lora(network, 2, 0.5, seeded(2), seeded(3))
    torch.testing.assert_close(network.eval()(text), before)
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning
    assert {name.rpartition(".")[2] for name in learning} == {"down", "up"}
    assert sum(each.numel() for each in network.parameters() if not each.requires_grad) == total


def test_masks_of_a_lora_act_on_what_enters_the_small_matrices_and_not_on_the_frozen_one() -> None:
    frozen = nn.Linear(6, 4)
    layer = fine_tuning.LowRank(frozen, 2, Dropout(0.5, generator=seeded()), seeded(1))
    x = torch.ones(50, 6)
    torch.testing.assert_close(layer(x), frozen(x), msg="small matrices begin at zero")
    nn.init.ones_(layer.up)
    added = layer(x) - frozen(x)
    kept = added[:, 0]
    assert kept.unique().numel() > 1, "each example has a mask of its own"
    torch.testing.assert_close(layer.eval()(x) - frozen(x), (x @ layer.down.T @ layer.up.T))


def test_exercises_that_moved_kept_their_ids() -> None:
    for exercise, chapter in MOVED.items():
        assert exercises.get(exercise).chapter == chapter != TOPICS[exercises.get(exercise).topic]
