"""The transformer experiment: what is tuned, what is compared, and that nothing is drawn from outside a unit."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

from dropout_lessons.experiments import Unit, get
from dropout_lessons.experiments.catalog import attention_heads
from dropout_lessons.experiments.catalog import transformer_pretraining as module
from dropout_lessons.layers import Dropout
from dropout_lessons.running import MaskedNetwork, Outputs

TINY = {
    "network": {"symbols": 4, "concentration": 0.3, "context": 6, "width": 8, "depth": 1, "heads": 1},
    "batch": 4,
    "steps": 6,
    "sequences": 8,
    "checkpoints": 3,
}


def compute(text: str = "repeated", keep_prob: float = 0.9, stage: str = "report", seed: int = 0) -> pd.DataFrame:
    arm = {"stage": stage, "text": text, "keep_prob": keep_prob, "learning_rate": 0.01}
    return pd.DataFrame(module.compute(Unit({**arm, **TINY}, seed), torch.device("cpu")))


def test_a_unit_depends_on_its_settings_and_seed_alone_and_leaves_the_global_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = compute()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    pd.testing.assert_frame_equal(first, compute(), check_exact=True)
    assert not first.equals(compute(seed=1))
    assert not first.equals(compute(keep_prob=0.8))
    assert not first.equals(compute(text="single pass"))


def test_losses_are_taken_at_evenly_spread_steps_up_to_the_last():
    assert compute().step.tolist() == [2, 4, 6]


def test_tuning_looks_at_no_test_text_and_keeps_the_best_checkpoint():
    tuned = compute(stage="tuning")
    assert "test_excess" not in tuned
    assert tuned.validation_excess.tolist() == [compute().validation_excess.min()]


def test_every_arm_has_the_same_candidates_and_is_tuned_by_validation_loss():
    arms = list(module.arms(get("transformer_pretraining").config("workstation")))
    assert len(arms) == 6
    assert all(list(arm.candidates) == list(arms[0].candidates) for arm in arms)
    assert {arm.tuned_by for arm in arms} == {"validation_excess"}


def test_early_stopping_reports_the_test_loss_where_the_validation_loss_is_lowest():
    rows = [
        {"text": "repeated", "keep_prob": 1.0, "seed": seed, "step": step, **losses}
        for seed in range(2)
        for step, losses in {
            100: {"validation_excess": 0.5, "test_excess": 0.6},
            200: {"validation_excess": 0.3, "test_excess": 0.4},
            300: {"validation_excess": 0.9, "test_excess": 0.2},
        }.items()
    ]
    table = pd.DataFrame(rows)
    assert module.early_stopped(table).test_excess.tolist() == [0.4, 0.4]
    assert module.final(table).test_excess.tolist() == [0.2, 0.2]


def test_the_loss_that_is_trained_leaves_out_what_nobody_can_know():
    """The first two symbols have no two before them: what is said of them does not count."""

    class Knows(torch.nn.Module):
        def forward(self, text):
            return 50.0 * torch.nn.functional.one_hot(text.roll(-1, dims=1), 4)

    text = torch.tensor([[0, 1, 2, 3, 1, 0]])
    assert module.next_symbol_loss(Knows(), text).item() == pytest.approx(0, abs=1e-12)
    wrong_at_first = Knows()
    wrong_at_first.forward = lambda text: torch.cat([torch.zeros(1, 1, 4), Knows()(text)[:, 1:]], dim=1)
    assert module.next_symbol_loss(wrong_at_first, text).item() == pytest.approx(0, abs=1e-12)


def test_an_arm_of_attention_heads_drops_in_its_place_alone():
    dropping = {}
    for arm in attention_heads.ARMS:
        unit = Unit({"arm": arm, "keep_prob": 0.8, "network": {**TINY["network"], "width": 8, "heads": 2}}, 0)
        network = attention_heads.network_of(unit, torch.Generator(), torch.Generator())
        layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, Dropout)}
        dropping[arm] = {name for name, layer in layers.items() if layer.keep_prob < 1}
    assert dropping == {
        "none": set(),
        "attention weights": {"block1.attention.weight_dropout"},
        "residual": {"embedding_dropout", "block1.attention_dropout", "block1.hidden_dropout"},
        "whole heads": {"block1.attention.output.0.dropout"},
    }


def test_heads_that_do_nothing_cost_nothing_and_have_no_share():
    settings = {**TINY["network"], "heads": 2}
    unit = Unit({"arm": "none", "keep_prob": 0.8, "network": settings}, 0)
    network = attention_heads.network_of(unit, torch.Generator(), torch.Generator()).eval()
    network.get_submodule("block1.attention.output").weight.data.zero_()
    texts = torch.arange(24).view(4, 6) % 4
    masked = MaskedNetwork(network, outputs=Outputs(class_axis=-1))
    found = attention_heads.measured(masked, 2, texts, temperature=1.0, damage=0.1)
    assert found["one_head"] == found["pairs"] == 0
    assert found["compensation"] == 1
    assert math.isnan(found["share"])
