import pytest
import torch
from layer_units import asked
from torch import nn

from dropout_lessons import MLP, coadaptation
from dropout_lessons.masks import enumerate_masks, mask_log_prob

keep_prob_for_damage, mean_damage = asked(coadaptation.keep_prob_for_damage), asked(coadaptation.mean_damage)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_case(seed: int = 0) -> tuple[MLP, torch.Tensor, torch.Tensor]:
    generator = seeded(seed)
    network = MLP([5, 8, 6, 3], generator=generator).double()
    x = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    return network, x, network(x).argmax(1)  # so that removing units costs something


def enumerated_damage(network: MLP, x: torch.Tensor, y: torch.Tensor, keep_prob: float) -> float:
    """The expectation, written as a sum over all subnetworks that are run one by one."""
    masks = enumerate_masks(8)
    weights = mask_log_prob(masks, keep_prob).exp()

    def value(mask: torch.Tensor) -> torch.Tensor:
        log_probs = network(x, masks={"hidden1": mask}).log_softmax(1)
        return log_probs.gather(1, y[:, None]).mean()

    with torch.no_grad():
        values = torch.stack([value(mask) for mask in masks])
    return (value(torch.ones(8, dtype=torch.bool)) - (weights * values).sum()).item()


@pytest.mark.parametrize("keep_prob", [0.3, 0.5, 0.9])
def test_damage_agrees_with_the_sum_over_all_subnetworks(keep_prob):
    network, x, y = small_case()
    found = mean_damage(network, "hidden1", x, y, keep_prob=keep_prob, samples=2000, generator=seeded(1))
    assert abs(found.value - enumerated_damage(network, x, y, keep_prob)) < 5 * found.stderr
    assert 0 < found.stderr < 0.1


def test_the_keep_probability_for_a_damage_costs_that_damage():
    network, x, y = small_case()
    keep_prob = keep_prob_for_damage(network, "hidden1", x, y, damage=0.1, samples=2000, generator=seeded(1))
    found = mean_damage(network, "hidden1", x, y, keep_prob=keep_prob, samples=2000, generator=seeded(2))
    assert abs(found.value - 0.1) < 5 * 2**0.5 * found.stderr
    assert abs(enumerated_damage(network, x, y, keep_prob) - 0.1) < 5 * found.stderr


def test_more_damage_needs_a_lower_keep_probability():
    network, x, y = small_case()
    found = [
        keep_prob_for_damage(network, "hidden1", x, y, damage=damage, generator=seeded(1))
        for damage in (0.02, 0.1, 0.2)
    ]
    assert 1 > found[0] > found[1] > found[2] > 0


def test_unused_units_change_neither_damage_nor_keep_probability():
    network, x, y = small_case()
    wider = MLP([5, 11, 6, 3]).double()
    wider.load_state_dict(
        network.state_dict()
        | {
            "hidden1.weight": torch.cat([network.hidden1.weight, torch.randn(3, 5, dtype=torch.float64)]),
            "hidden1.bias": torch.cat([network.hidden1.bias, torch.randn(3, dtype=torch.float64)]),
            "hidden2.weight": torch.cat([network.hidden2.weight, torch.zeros(6, 3, dtype=torch.float64)], dim=1),
        }
    )
    narrow = mean_damage(network, "hidden1", x, y, samples=4000, generator=seeded(1))
    wide = mean_damage(wider, "hidden1", x, y, samples=4000, generator=seeded(2))
    assert abs(narrow.value - wide.value) < 5 * (narrow.stderr**2 + wide.stderr**2) ** 0.5


def test_a_dead_layer_costs_nothing():
    network, x, y = small_case()
    nn.init.zeros_(network.hidden2.weight)
    assert float(mean_damage(network, "hidden1", x, y)) == 0


def test_a_damage_that_cannot_be_reached_is_refused():
    network, x, y = small_case()
    with pytest.raises(
        ValueError, match=r"damage must be less than what the network loses without any unit of 'hidden1'"
    ):
        keep_prob_for_damage(network, "hidden1", x, y, damage=100.0)


@pytest.mark.parametrize("damage", [0.0, -1.0, float("nan"), float("inf")])
def test_a_damage_must_be_positive(damage):
    network, x, y = small_case()
    with pytest.raises(ValueError, match="damage must be a positive number of nats, got"):
        keep_prob_for_damage(network, "hidden1", x, y, damage=damage)


def test_bad_arguments_are_named():
    network, x, y = small_case()
    with pytest.raises(ValueError, match="samples must be a whole number of at least 2, got 1"):
        mean_damage(network, "hidden1", x, y, samples=1)
    with pytest.raises(ValueError, match=r"samples must be a whole number of at least 2, got 2\.5"):
        mean_damage(network, "hidden1", x, y, samples=2.5)
    with pytest.raises(ValueError, match=r"keep_prob must be in \(0, 1\], got 1.5"):
        mean_damage(network, "hidden1", x, y, keep_prob=1.5)


def test_the_global_generator_stays_as_it_is():
    network, x, y = small_case()
    state = torch.get_rng_state()
    mean_damage(network, "hidden1", x, y)
    assert torch.equal(torch.get_rng_state(), state)
