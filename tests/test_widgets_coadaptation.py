"""RemoveUnits and InteractionMatrix: units that are removed, and how pairs of units interact."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import traitlets
from interactives import (
    LIVE_HOST,
    Open,
    few_examples,
    interaction_matrix,
    interactions,
    move_slider,
    number,
    output,
    press,
    remove_units,
    text,
    two_networks,
)
from playwright.sync_api import Locator, Page, expect
from scipy import stats

from dropout_lessons import figures
from dropout_lessons.networks import MLP
from dropout_lessons.widgets import InteractionMatrix, RemoveUnits
from dropout_lessons.widgets.base import Interactive, source

ROUNDED = 0.0005 + 1e-5
# The browser has the activations as 32-bit numbers, torch here as 64-bit ones: 6e-8 of sums of order 10.
SINGLE = 2e-6
UNITS = 9


def state_size(widget: Interactive) -> int:
    return len(json.dumps(widget._state()))


# Units that are removed


@contextmanager
def without(network: MLP, layer: str, removed: Sequence[int]) -> Iterator[MLP]:
    """The network in evaluation mode and double precision, where these units of the layer send 0."""
    twin = MLP(network.sizes, keep_prob=0.5, dropout=lambda _: torch.nn.Identity()).double()
    twin.load_state_dict(network.state_dict())
    present = torch.ones(network.get_submodule(layer).out_features, dtype=torch.float64)
    present[list(removed)] = 0
    # "standard" dropout, as one of the networks of the tests has it, scales at test time
    for name in network.hidden_names:
        own = network.get_submodule(f"{name}_dropout")
        scale = own.keep_prob if own.scaling == "standard" else 1.0
        kept = present if name == layer else torch.ones(1, dtype=torch.float64)
        twin.get_submodule(name).register_forward_hook(lambda _, args, h, scale=scale, kept=kept: h * kept * scale)
    yield twin


def loss_and_accuracy(
    network: MLP, removed: Sequence[int], layer: str = "hidden1", examples: dict[str, torch.Tensor] | None = None
) -> tuple[float, float]:
    x, y = (examples or few_examples()).values()
    with without(network, layer, removed) as twin, torch.no_grad():
        logits = twin(x.double())
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).double().mean().item()


def effects_of(network: MLP, removed: Sequence[int], layer: str = "hidden1", units: int = UNITS) -> dict[int, float]:
    """The rise of the loss if a unit goes next, for each unit that is there."""
    now = loss_and_accuracy(network, removed, layer)[0]
    present = set(range(units)) - set(removed)
    return {unit: loss_and_accuracy(network, [*removed, unit], layer)[0] - now for unit in sorted(present)}


def bars(page: Page, kind: str) -> dict[int, float]:
    read = "bars => bars.map(bar => [Number(bar.dataset.unit), Number(bar.dataset.effect)])"
    return dict(page.locator(f".dl-picture rect.dl-{kind}[data-unit]").evaluate_all(read))


def toggles(page: Page) -> list[Locator]:
    return page.locator("button.dl-toggle").all()


def removed_units(page: Page) -> list[int]:
    return [unit for unit, each in enumerate(toggles(page)) if each.get_attribute("aria-pressed") == "false"]


def press_units(page: Page, removed: Sequence[int]) -> None:
    for unit, toggle in enumerate(toggles(page)):
        if (toggle.get_attribute("aria-pressed") == "false") != (unit in removed):
            toggle.press(" ")


SETS = [(), (4,), (0, 3, 8), (1, 2, 4, 5, 7), tuple(range(8)), tuple(range(9))]


def test_the_networks_of_these_tests_scale_differently_at_test_time() -> None:
    for network in two_networks().values():  # so that the oracle, which copies them, is none of the code under test
        network.eval()
        x, y = few_examples().values()
        assert F.cross_entropy(network(x), y).item() == pytest.approx(loss_and_accuracy(network, [])[0], abs=1e-5)


@pytest.mark.parametrize("name", ["plain", "dropout"])
@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
def test_losses_and_effects_are_those_of_torch_for_every_set(open_page: Open, name: str, layer: str) -> None:
    network, units = two_networks()[name], {"hidden1": 9, "hidden2": 7}[layer]
    page = open_page(output(remove_units(network=name, layer=layer)))
    alone = effects_of(network, [], layer, units)
    intact = loss_and_accuracy(network, [], layer)
    for removed in (tuple(unit for unit in each if unit < units) for each in SETS):
        press_units(page, removed)
        loss, accuracy = loss_and_accuracy(network, removed, layer)
        effects = effects_of(network, removed, layer, units)
        assert bars(page, "now") == pytest.approx(effects, abs=SINGLE)
        assert bars(page, "intact") == pytest.approx(alone, abs=SINGLE)
        for key, expected in (("accuracy-intact", 100 * intact[1]), ("accuracy", 100 * accuracy)):
            assert number(page, key) == pytest.approx(expected, abs=0.05 + 1e-9)
        total, damage = sum(alone[unit] for unit in removed), loss - intact[0]
        for key, expected in (("loss", loss), ("loss-intact", intact[0]), ("damage", damage), ("damage-sum", total)):
            assert number(page, key) == pytest.approx(expected, abs=ROUNDED)
        if damage > 0.001 and total > 0.001:
            assert number(page, "ratio") == pytest.approx(damage / total, abs=0.05 + 0.001 * damage / total)
        elif damage < 0.0004 or total < 0.0004:
            assert text(page, "ratio") == "–"
        if effects:
            assert number(page, "effect") == pytest.approx(np.mean(list(effects.values())), abs=ROUNDED)
            there = np.mean([alone[unit] for unit in effects])
            assert number(page, "effect-intact") == pytest.approx(there, abs=ROUNDED)
        else:
            assert text(page, "effect") == text(page, "effect-intact") == "–"
        assert text(page, "removed") == f"{len(removed)} of {units}"


def test_the_sentence_says_what_the_numbers_say(open_page: Open) -> None:
    page = open_page(output(remove_units(removed=[0, 3, 8])))
    said = text(page, "summary")
    assert (
        f"plain: removed 3 of 9 units: accuracy {text(page, 'accuracy-intact')}% to {text(page, 'accuracy')}%" in said
    )
    assert f"damage {text(page, 'damage')} nats" in said
    assert f"one at a time these units cost {text(page, 'damage-sum')} nats in sum" in said
    now, intact = bars(page, "now"), bars(page, "intact")
    grown = sum(now[unit] > intact[unit] for unit in now)
    assert f"Of the 6 still there, {grown} cost more now" in said
    turned = sum(now[unit] * intact[unit] < 0 for unit in now)
    label = page.get_by_role("img").get_attribute("aria-label") or ""
    assert f"larger now for {grown}, and has changed its sign for {turned}" in label
    press_units(page, [])
    assert "plain: all 9 units are there" in text(page, "summary")
    press_units(page, [2])
    assert "removed 1 of 9 units" in text(page, "summary")
    assert "one at a time" not in text(page, "summary")


def gate(bias: float) -> MLP:
    """Units 0 and 1 send the input, 1 for class 1 and -1 (so 0) for class 0, to one unit; it feeds the logit of class 1."""
    network = MLP([1, 3, 1, 2])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.get_submodule("hidden1").weight[:2] = 1.0
        network.get_submodule("hidden2").weight[0, :2] = 1.0
        network.get_submodule("hidden2").bias[0] = bias
        network.get_submodule("output").weight[:, 0] = torch.tensor([-8.0, 8.0])
        network.get_submodule("output").bias[:] = torch.tensor([1.0, -1.0])
    return network


def test_units_that_cover_for_each_other_cost_more_together_and_units_in_need_of_each_other_less(
    open_page: Open,
) -> None:
    examples = {"x": torch.tensor([[1.0], [-1.0]]), "y": torch.tensor([1, 0])}
    # max(0, h0 + h1): one of them is enough. max(0, h0 + h1 - 1): nothing without both.
    page = open_page(output(RemoveUnits({"plain": gate(0.0)}, "hidden1", **examples, removed=[0, 1])))
    assert number(page, "accuracy") == 50
    assert number(page, "damage") > 1
    assert number(page, "damage-sum") == 0
    assert text(page, "ratio") == "–"  # not infinitely many times as much
    assert "one at a time these units cost 0.000 nats in sum." in text(page, "summary")
    page.locator("button.dl-toggle").first.press(" ")  # put back: now unit 0 alone does the work
    now, intact = bars(page, "now"), bars(page, "intact")
    assert now[0] > 1
    assert abs(intact[0]) < 0.001
    page = open_page(output(RemoveUnits({"plain": gate(-1.0)}, "hidden1", **examples, removed=[0, 1])))
    assert number(page, "ratio") == 0.5  # the second costs nothing once the first is gone
    assert "0.5 times as much together" in text(page, "summary")


@pytest.mark.parametrize(("which", "choose"), [("least", min), ("most", max)])
def test_the_least_and_the_most_important_are_so_now(open_page: Open, which: str, choose: Callable[..., int]) -> None:
    page = open_page(output(remove_units(removed=[])))
    network, removed = two_networks()["plain"], []
    for _ in range(UNITS):
        effects = effects_of(network, removed)
        press(page, f"Remove the {which} important")
        removed.append(choose(effects, key=effects.__getitem__))
        assert removed_units(page) == sorted(removed)
    for name in ("Remove the least important", "Remove the most important", "Remove one at random"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    press(page, "Put all back")
    assert removed_units(page) == []
    expect(page.get_by_role("button", name="Put all back")).to_be_disabled()


def test_random_removals_are_the_seeds_own_and_every_order_is_as_likely(open_page: Open) -> None:
    def first_three(seed: int) -> list[list[int]]:
        page, seen = open_page(output(remove_units(removed=[], seed=seed))), []
        for _ in range(3):
            press(page, "Remove one at random")
            seen.append(removed_units(page))
        assert [len(each) for each in seen] == [1, 2, 3]
        return seen

    assert first_three(5) == first_three(5)
    assert len({str(first_three(seed)) for seed in range(4)}) > 1
    page, draws = open_page(output(remove_units(removed=[]))), 900
    program = """draws => {
        const button = (name) => [...document.querySelectorAll("button")].find((each) => each.textContent === name);
        const toggles = [...document.querySelectorAll(".dl-toggle")];
        const gone = () => toggles.flatMap((each, unit) => (each.getAttribute("aria-pressed") === "false" ? [unit] : []));
        return Array.from({length: draws}, () => {
            button("Remove one at random").click();
            const [first] = gone();
            button("Remove one at random").click();
            const second = gone().find((unit) => unit !== first);
            button("Put all back").click();
            return 9 * first + second;
        });
    }"""
    counts = np.bincount(page.evaluate(program, draws), minlength=81).reshape(9, 9)
    assert np.trace(counts) == 0
    assert stats.chisquare(counts[~np.eye(9, dtype=bool)]).pvalue > 1e-6  # 12.5 expected for each of the 72 orders


def test_bars_have_one_scale_and_stand_by_unit_or_by_effect(open_page: Open) -> None:
    page = open_page(output(remove_units(removed=[6, 1])))
    read = """bars => bars.map(bar => [Number(bar.dataset.unit), Number(bar.dataset.effect),
        ...["x", "y", "height"].map((name) => Number(bar.getAttribute(name)))])"""
    shown = page.locator("rect[data-unit]")

    def heights() -> np.ndarray:
        return np.array(shown.evaluate_all(read))

    unit, effect, x, y, height = heights().T
    scale = height.sum() / abs(effect).sum()
    assert height == pytest.approx(scale * abs(effect), abs=1e-9)
    zero = y[np.argmax(effect)] + height[np.argmax(effect)]
    assert y == pytest.approx(np.where(effect > 0, zero - height, zero), abs=1e-9)
    ticks = page.locator('.dl-picture text[text-anchor="end"]')
    values = [float(tick.replace("−", "-")) for tick in ticks.all_text_contents()]
    at = ticks.evaluate_all("all => all.map(tick => Number(tick.getAttribute('y')))")
    assert np.polyfit(values, at, 1) == pytest.approx([-scale, zero + 5], rel=1e-6)
    assert list(unit[np.argsort(x)]) == sorted(unit)
    page.get_by_label("effect", exact=True).check()
    unit, effect, x, _, _ = heights().T
    expected = effects_of(two_networks()["plain"], [6, 1])
    alone = effects_of(two_networks()["plain"], [])
    wanted = sorted(expected, key=lambda each: -expected[each]) + sorted([6, 1], key=lambda each: -alone[each])
    assert list(dict.fromkeys(unit[np.argsort(x)].astype(int))) == wanted
    labels = page.locator(".dl-column text").all_text_contents()
    assert labels == [str(each + 1) for each in wanted]


def test_labels_of_forty_bars_do_not_overlap(open_page: Open) -> None:
    page = open_page(output(RemoveUnits(two_networks(5, 40, 4), "hidden1", **few_examples())), width=360)
    boxes = page.locator(".dl-column text").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) == 40
    for a, b in itertools.combinations(boxes, 2):
        apart = min(a["right"], b["right"]) <= max(a["left"], b["left"]) + 0.1
        assert apart or abs(a["y"] - b["y"]) > 8
    smallest = min(min(toggle.bounding_box()[side] for side in ("width", "height")) for toggle in toggles(page))  # type: ignore[index]
    assert smallest >= 24


def test_a_unit_is_removed_by_key_or_by_its_bar_and_the_focus_stays(open_page: Open) -> None:
    page = open_page(output(remove_units(removed=[])), width=360)
    page.evaluate("window.heard = []; document.addEventListener('keydown', (event) => heard.push(event.key))")
    toggle = toggles(page)[3]
    toggle.focus()
    for key, removed in ((" ", [3]), ("Enter", []), (" ", [3])):
        page.keyboard.press(key)
        assert removed_units(page) == removed
        expect(toggle).to_be_focused()
    assert page.evaluate("heard") == []
    assert toggle.get_attribute("aria-label") == "4, removed"
    page.locator(".dl-column").nth(5).click()
    assert removed_units(page) == [3, 5]
    page.locator(".dl-column").nth(3).click()
    assert removed_units(page) == [5]
    effect = effects_of(two_networks()["plain"], [5])[3]
    assert (toggle.get_attribute("aria-label") or "").replace("−", "-") == f"4, effect {effect:.3f} nats"


def rgb(idea: str) -> str:
    """A color of the palette as a browser says it."""
    return f"rgb{tuple(bytes.fromhex(figures.COLORS[idea][1:]))}"


def test_the_other_network_has_its_own_color_and_the_same_units_removed(open_page: Open) -> None:
    page = open_page(output(remove_units(removed=[2, 7])))
    fill = "bar => getComputedStyle(bar).fill"
    assert page.locator("rect.dl-now[data-unit]").first.evaluate(fill) == rgb("plain")
    page.get_by_label("dropout").check()
    assert page.locator("rect.dl-now[data-unit]").first.evaluate(fill) == rgb("dropout")
    assert removed_units(page) == [2, 7]
    assert bars(page, "now") == pytest.approx(effects_of(two_networks()["dropout"], [2, 7]), abs=SINGLE)
    one = open_page(output(remove_units(networks={"dropout": two_networks()["dropout"]}, colors=["dropout"])))
    expect(one.get_by_label("dropout")).to_have_count(0)
    assert one.locator("rect.dl-now[data-unit]").first.evaluate(fill) == rgb("dropout")


def test_a_first_state_has_units_removed_and_python_follows_the_browser() -> None:
    units = remove_units()
    assert units.removed == [0, 4, 8]
    assert "Now 3 of 9 units are removed from plain" in units._sentence()
    assert output(units) == output(remove_units())
    seen: list[list[int]] = []
    units.observe(lambda change: seen.append(change["new"]), "removed")
    units.set_state({"removed": [7, 1]})  # what a message from the browser calls
    assert seen == [[7, 1]]
    assert '"removed": [7, 1]' in output(units)


def test_a_network_is_read_and_left_as_it_was() -> None:
    network = two_networks()["dropout"]
    network.train()
    network.get_submodule("hidden2_dropout").eval()
    modes = [module.training for module in network.modules()]
    RemoveUnits({"dropout": network.double()}, "hidden1", **few_examples())
    assert [module.training for module in network.modules()] == modes
    assert not network.get_submodule("hidden1")._forward_hooks
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_page_of_two_networks_stays_small() -> None:
    x = few_examples(20, 10, 200)
    narrow = RemoveUnits(two_networks(20, 32, 32, 10), "hidden1", **x)
    assert 70_000 < state_size(narrow) < 85_000  # the docstring says 80 kB
    assert state_size(RemoveUnits(two_networks(20, 40, 40, 40, 10), "hidden1", **x)) < 150_000
    with pytest.raises(
        ValueError, match=r"the page would hold \d+ kB .* fewer than 200 examples, or networks that are"
    ):
        RemoveUnits(two_networks(20, 40, 256, 10), "hidden1", **x)


def nan_weights() -> MLP:
    network = two_networks()["plain"]
    with torch.no_grad():
        network.get_submodule("output").weight[0, 0] = torch.nan
    return network


PLAIN = two_networks()["plain"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": {}}, "networks must be one or two networks by name, got 0"),
        ({"networks": dict.fromkeys("abc", PLAIN)}, "networks must be one or two networks by name, got 3"),
        (
            {"networks": {"a": torch.nn.Linear(5, 4)}},
            r"networks\['a'\] must be a dropout_lessons.networks.MLP, got Linear",
        ),
        ({"networks": {"a": nan_weights()}}, r"weights of 'output' in networks\['a'\] must be finite, got nan"),
        ({"networks": {"a": MLP([5, 41, 4])}}, "'hidden1' must have at most 40 units, one button for each, got 41"),
        ({"networks": {"a": PLAIN, "b": MLP([5, 8, 4])}}, "networks must agree in their units in 'hidden1'"),
        (
            {"networks": {"a": PLAIN, "b": MLP([5, 9, 3])}},
            "networks must agree in their units in 'hidden1' and their cl",
        ),
        (
            {"networks": {"a": MLP([5, 9, 4], dropout=lambda _: torch.nn.Tanh())}},
            r"networks\['a'\] must have only ReLU layers above 'hidden1'",
        ),
        ({"layer": "hidden3"}, r"layer must be one of \['hidden1', 'hidden2'\] in networks\['plain'\], got 'hidden3'"),
        ({"layer": "output"}, "layer must be one of"),
        ({"x": torch.zeros(30, 4)}, r"x must have 5 inputs for networks\['plain'\], got 4"),
        ({"x": torch.zeros(30)}, r"x must have shape \('any', 'any'\), got \(30,\)"),
        ({"x": torch.full((30, 5), torch.inf)}, "x must be finite, got inf"),
        ({"x": torch.zeros(201, 5)}, r"x must have at most 200 examples, got 201; take x\[:200\]"),
        ({"y": torch.zeros(29)}, r"y must have shape \(30,\), got \(29,\)"),
        ({"y": torch.full((30,), 4)}, "y must be classes from 0 to 3, got 4"),
        ({"colors": ["plain"]}, "colors must be one of .* for each of 2 networks"),
        ({"colors": ["plain", "red"]}, "colors must be one of .*'red'"),
    ],
)
def test_networks_and_examples_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        remove_units(**changes)


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("network", "L2", r"network must be one of \['plain', 'dropout'\], got 'L2'"),
        ("removed", [9], r"removed must be different units from 0 to 8, got \[9\]"),
        ("removed", [-1], "removed must be different units"),
        ("removed", [2, 2], "removed must be different units"),
        ("order", "size", "order"),
        ("seed", -1, "seed"),
    ],
)
def test_handles_of_the_removal_out_of_bounds_are_refused(trait: str, value: Any, message: str) -> None:
    with pytest.raises(traitlets.TraitError, match=message):
        remove_units(**{trait: value})
    units = remove_units()
    before = getattr(units, trait)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(units, trait, value)
    assert getattr(units, trait) == before


# How pairs interact


def network_card(page: Page, name: str) -> Locator:
    return page.locator(f'.dl-network[data-network="{name}"]')


def field(page: Page, name: str) -> Locator:
    return network_card(page, name).locator(".dl-field")


def pair_shown(page: Page) -> tuple[str, int, int]:
    found = re.fullmatch(r"(\w+), units? (\d+)(?: and (\d+))?", text(page, "pair"))
    assert found is not None
    return found[1], int(found[2]) - 1, int(found[3] or found[2]) - 1


def pixels(page: Page, name: str) -> np.ndarray:
    # copied first: Chromium complains of a canvas that is read several times
    read = """canvas => {
        const copy = document.createElement("canvas");
        [copy.width, copy.height] = [canvas.width, canvas.height];
        copy.getContext("2d").drawImage(canvas, 0, 0);
        return [...copy.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
    }"""
    data = np.array(network_card(page, name).locator("canvas").evaluate(read))
    side = math.isqrt(len(data) // 4)
    return data.reshape(side, side, 4)


def pairs_of(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.triu_indices(len(matrix), 1)]


def known(matrix: np.ndarray) -> np.ndarray:
    """Without the diagonal, and without what counts as rounding."""
    return np.where(np.eye(len(matrix), dtype=bool) | (abs(matrix) < 1e-6), 0, matrix)


UNPACK = """([source, packed, bits, units, signed]) => {
    const unpack = new Function(source.replace("export default { render };", "return unpack;"))();
    return [...unpack(packed, bits, units, signed)];
}"""


@pytest.mark.parametrize(
    ("units", "with_strength", "bits"), [(2, True, 15), (12, True, 15), (256, False, 12), (256, True, 6)]
)
def test_numbers_reach_the_browser_to_within_what_the_docstring_says(
    open_page: Open, units: int, with_strength: bool, bits: int
) -> None:
    made = interactions(units)
    matrix = InteractionMatrix(made["matrices"], made["strength"] if with_strength else None)
    assert matrix.data["bits"] == bits
    page = open_page()
    for entry, name in zip(matrix.data["networks"], made["matrices"], strict=True):
        for key, argument in (("mean", "matrices"), *([("size", "strength")] if with_strength else [])):
            args = [source("base.js", "interaction_matrix.js"), entry[key], bits, units, key == "mean"]
            got = np.array(page.evaluate(UNPACK, args)).reshape(units, units)
            true = known(made[argument][name])
            most, levels = abs(true).max(), 2**bits - 1
            bound = np.sqrt(abs(true) * most) / levels + most / (4 * levels**2)
            assert (abs(got - true) <= bound * (1 + 1e-9)).all()
            assert (got == got.T).all()
            assert (got[true == 0] == 0).all()
            assert (got * true >= 0).all()
            near = (abs(true) > 0.009 * most) & (abs(true) < 0.012 * most)
            if units == 256:
                assert near.any()
                assert abs(got[near] / true[near] - 1).max() < {12: 0.003, 6: 0.18}[bits]


def test_a_page_with_256_units_stays_small() -> None:
    made = interactions(256)
    assert state_size(InteractionMatrix(**made)) < 150_000
    assert state_size(InteractionMatrix(made["matrices"], effects=made["effects"])) < 150_000
    small = interactions(64)
    assert state_size(InteractionMatrix(**small)) < 50_000


@pytest.mark.parametrize("name", ["plain", "dropout"])
def test_every_pair_is_told_with_its_effects_and_its_interaction(open_page: Open, name: str) -> None:
    page, made = open_page(output(interaction_matrix())), interactions()
    field(page, name).focus()
    page.keyboard.press("Home")
    for _ in range(12):
        page.keyboard.press("ArrowUp")
    seen = set()
    for row in range(12):
        for _ in range(12):
            shown, i, j = pair_shown(page)
            assert (shown, i) == (name, row)
            seen.add((i, j))
            said = text(page, "summary")
            assert number(page, "effect-row") == pytest.approx(made["effects"][name][i], abs=0.005 + 1e-6)
            if i == j:
                assert "no pair" in said
                assert text(page, "interaction") == text(page, "size") == "–"
                expect(page.locator('[data-value="effect-column"]')).to_be_hidden()
            else:
                value = made["matrices"][name][i, j]
                assert number(page, "effect-column") == pytest.approx(made["effects"][name][j], abs=0.005 + 1e-6)
                assert number(page, "interaction") == pytest.approx(value, abs=0.005 + 5e-5)
                assert number(page, "size") == pytest.approx(made["strength"][name][i, j], abs=0.005 + 5e-5)
                assert f"interact by {text(page, 'interaction')} nats" in said
                if abs(value) > 0.006:
                    size = text(page, "interaction").removeprefix("-")
                    kind = "Redundant" if value < 0 else "Synergy"
                    assert f"{kind}: removing both costs {size} nats {'more' if value < 0 else 'less'} than" in said
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowDown")
    assert seen == set(itertools.product(range(12), range(12)))


def games() -> dict[str, Callable[[bool, bool, bool], float]]:
    return {
        "cover": lambda a, b, c: float(a or b) + 0.3 * c,  # either is enough
        "need": lambda a, b, c: 0.7 * float(a and b) + 0.3 * c,  # neither does anything alone
        "add": lambda a, b, c: 0.5 * a + 0.2 * b + 0.3 * c,
    }


@pytest.mark.parametrize("name", ["cover", "need", "add"])
def test_the_words_for_a_sign_are_true_of_the_game_it_comes_from(open_page: Open, name: str) -> None:
    v = games()[name]
    contexts = (False, True)
    matrix = np.zeros((3, 3))
    matrix[0, 1] = matrix[1, 0] = np.mean(
        [v(True, True, c) - v(True, False, c) - v(False, True, c) + v(False, False, c) for c in contexts]
    )
    both = np.mean([v(True, True, c) - v(False, False, c) for c in contexts])
    each = np.mean([2 * v(True, True, c) - v(False, True, c) - v(True, False, c) for c in contexts])
    page = open_page(output(InteractionMatrix({"plain": matrix}, pair=[0, 1])))
    said = text(page, "summary")
    found = re.search(r"removing both costs ([\d.]+) nats (more|less) than the sum of removing each", said)
    if name == "add":
        assert both == pytest.approx(each)
        assert "Their effects add up" in said
        assert found is None
    else:
        assert found is not None
        told = float(found[1]) * (1 if found[2] == "more" else -1)
        assert told == pytest.approx(both - each, abs=0.005)
        assert ("one covers for the other" in said) == (name == "cover")
        assert ("they need each other" in said) == (name == "need")


@pytest.mark.parametrize("show", ["mean", "size"])
@pytest.mark.parametrize("threshold", [0.0, 0.03, 0.1, 0.35, 1.4])
def test_pairs_above_the_threshold_are_counted_and_the_others_not_drawn(
    open_page: Open, show: str, threshold: float
) -> None:
    page, made = open_page(output(interaction_matrix(show=show))), interactions()
    move_slider(page, threshold, "Threshold")
    for name in ("plain", "dropout"):
        shown = known(abs(made["matrices" if show == "mean" else "strength"][name]))
        above = pairs_of(shown) > threshold
        means = pairs_of(known(made["matrices"][name]))
        assert abs(pairs_of(shown) - threshold).min() > 1e-5 or threshold in (0.0, 0.35, 1.4)
        row = page.locator(f'tr[data-network="{name}"]')
        assert number(row, "above") == above.sum()
        assert number(row, "redundant") == (above & (means < 0)).sum()
        assert number(row, "synergistic") == (above & (means > 0)).sum()
        total = pairs_of(made["strength"][name]).sum()
        assert number(row, "total") == pytest.approx(total, rel=0.005)
        alpha = pixels(page, name)[..., 3]
        assert (alpha > 0).sum() <= 2 * above.sum()
        visible = np.triu(shown, 1) > max(threshold, 1e-3)  # below, a color may be too pale to be drawn
        assert (alpha[visible] > 0).all()
        assert f"{above.sum()} in {name}" in text(page, "summary")
    assert f"Above {threshold:.2f} nats in size" in text(page, "summary")


@pytest.mark.parametrize("scale", ["shared", "own"])
def test_colors_grow_with_the_square_root_on_a_shared_or_on_each_matrixs_own_scale(open_page: Open, scale: str) -> None:
    page, made = open_page(output(interaction_matrix(scale=scale))), interactions()
    alphas = {}
    for name, matrix in made["matrices"].items():
        most = 1.4 if scale == "shared" else abs(matrix).max()
        shown = pixels(page, name).astype(float)
        alphas[name] = shown[..., 3]
        assert shown[..., 3] == pytest.approx(255 * np.sqrt(abs(matrix) / most), abs=0.51)
        drawn = shown[..., 3] > 40  # a canvas keeps its colors multiplied by alpha, in bytes
        green, purple = shown[drawn & (matrix > 0)], shown[drawn & (matrix < 0)]
        assert green[:, :3] == pytest.approx(np.tile([46.0, 158, 91], (len(green), 1)), abs=4)
        assert purple[:, :3] == pytest.approx(np.tile([155.0, 89, 182], (len(purple), 1)), abs=4)
        ticks = network_card(page, name).locator(".dl-ticks").inner_text().replace("−", "-")
        assert f"-{most:.2f}" in ticks
    # on a shared scale the weaker matrix is paler; on its own it looks like the other
    assert alphas["dropout"].max() == (128 if scale == "shared" else 255)


def test_sizes_are_drawn_in_gray_on_their_own_scale(open_page: Open) -> None:
    page, made = open_page(output(interaction_matrix(scale="own"))), interactions()
    page.get_by_label("mean size", exact=True).check()
    for name, size in made["strength"].items():
        shown = pixels(page, name).astype(float)
        off = ~np.eye(12, dtype=bool)
        assert shown[..., 3][off] == pytest.approx(255 * np.sqrt(size / pairs_of(size).max())[off], abs=0.51)
        assert (shown[..., 3][~off] == 0).all()
        assert shown[off][:, :3] == pytest.approx(np.full((132, 3), float(0x55)), abs=8)  # the reference's gray


@pytest.mark.parametrize("order", ["network", "effect", "interaction", "grouped"])
def test_units_stand_in_the_chosen_order_and_the_pair_stays(open_page: Open, order: str) -> None:
    widget = interaction_matrix()
    page, made = open_page(output(widget)), interactions()
    before = pair_shown(page)
    labels = {"network": "as in the network", "effect": "by effect", "interaction": "by total interaction"}
    page.get_by_label(labels.get(order, order)).check()
    for index, name in enumerate(("plain", "dropout")):
        sizes = made["strength"][name] * ~np.eye(12, dtype=bool)
        expected = {
            "network": np.arange(12),
            "effect": np.argsort(-made["effects"][name]),
            "interaction": np.argsort(-sizes.sum(axis=1)),
            "grouped": np.array(widget.data["networks"][index]["grouped"]),
        }[order]
        assert sorted(expected) == list(range(12))
        matrix = made["matrices"][name][np.ix_(expected, expected)]
        assert pixels(page, name)[..., 3] == pytest.approx(255 * np.sqrt(abs(matrix) / 1.4), abs=0.51)
    assert pair_shown(page) == before
    field(page, "plain").focus()
    _, i, j = pair_shown(page)
    page.keyboard.press("ArrowRight")
    plain = {
        "network": list(range(12)),
        "effect": list(np.argsort(-made["effects"]["plain"])),
        "interaction": list(np.argsort(-(made["strength"]["plain"] * ~np.eye(12, dtype=bool)).sum(axis=1))),
        "grouped": widget.data["networks"][0]["grouped"],
    }[order]
    assert pair_shown(page) == ("plain", i, plain[min(11, plain.index(j) + 1)])


def test_groups_of_interacting_units_are_found_again_after_shuffling() -> None:
    generator = np.random.default_rng(0)
    group = generator.permutation(np.repeat(np.arange(5), 6))
    matrix = np.where(group[:, None] == group, -0.2, 0.0) + 0.02 * generator.normal(size=(30, 30))
    matrix = (matrix + matrix.T) / 2
    order = InteractionMatrix({"plain": matrix}).data["networks"][0]["grouped"]
    assert sorted(order) == list(range(30))
    assert len(list(itertools.groupby(group[order]))) == 5


def test_keys_move_the_cursor_within_the_matrix_and_go_no_further(open_page: Open) -> None:
    page = open_page(output(interaction_matrix(pair=[5, 6])), width=360)
    page.evaluate("window.heard = []; document.addEventListener('keydown', (event) => heard.push(event.key))")
    field(page, "plain").focus()
    scrolled = page.evaluate("scrollY")
    place = (5, 6)
    for key, (down, right) in (
        ("ArrowLeft", (0, -1)),
        ("ArrowUp", (-1, 0)),
        ("ArrowDown", (1, 0)),
        ("ArrowRight", (0, 1)),
        ("Shift+ArrowRight", (0, 10)),
        ("Home", (0, -12)),
        ("End", (0, 12)),
        ("PageUp", (-10, 0)),
        ("PageDown", (10, 0)),
        ("Shift+ArrowDown", (10, 0)),
        ("ArrowDown", (1, 0)),
    ):
        page.keyboard.press(key)
        place = (min(11, max(0, place[0] + down)), min(11, max(0, place[1] + right)))
        assert pair_shown(page) == ("plain", *place)
        cursor = field(page, "plain").locator(".dl-cursor")
        for name, at in (("y", place[0]), ("x", place[1])):
            side = float(cursor.get_attribute("height") or "nan")
            assert float(cursor.get_attribute(name) or "nan") + side / 2 == pytest.approx(at + 0.5)
    assert page.evaluate("scrollY") == scrolled
    assert page.evaluate("heard.filter((key) => key !== 'Shift')") == []
    expect(field(page, "plain")).to_be_focused()
    page.keyboard.press("Tab")  # its two buttons
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(field(page, "dropout")).to_be_focused()
    assert pair_shown(page)[0] == "dropout"
    field(page, "plain").focus()
    assert pair_shown(page) == ("plain", *place)  # each matrix remembers


def test_the_pointer_names_the_pair_below_it(open_page: Open) -> None:
    page = open_page(output(interaction_matrix()))
    for name, (row, column) in (("dropout", (2, 9)), ("plain", (11, 0)), ("plain", (4, 4))):
        box = network_card(page, name).locator("canvas").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + (column + 0.5) * box["width"] / 12, box["y"] + (row + 0.5) * box["height"] / 12)
        assert pair_shown(page) == (name, row, column)
    touch = (
        "field => field.dispatchEvent(new PointerEvent('pointermove', {clientX: 1, clientY: 1, pointerType: 'touch'}))"
    )
    field(page, "dropout").evaluate(touch)  # a finger that scrolls
    assert pair_shown(page) == ("plain", 4, 4)


def test_the_strongest_pairs_are_found_in_either_network(open_page: Open) -> None:
    page, made = open_page(output(interaction_matrix())), interactions()
    assert abs(made["matrices"]["plain"][pair_shown(page)[1:]]) == pytest.approx(1.4)  # the first state
    for name, matrix in made["matrices"].items():
        for label, extreme in (("Strongest synergy", matrix.argmax()), ("Strongest redundancy", matrix.argmin())):
            network_card(page, name).get_by_role("button", name=label).click()
            shown, i, j = pair_shown(page)
            assert (shown, {i, j}) == (name, {*map(int, np.unravel_index(extreme, matrix.shape))})


def test_only_what_was_given_is_offered(open_page: Open) -> None:
    plain = interactions()["matrices"]["plain"]
    page = open_page(output(InteractionMatrix({"dropout": plain}, colors=["dropout"])))
    for label in ("by effect", "shared", "mean size"):
        expect(page.get_by_label(label)).to_have_count(0)
    expect(page.locator('[data-value="size"], [data-value="effect-row"]')).to_have_count(0)
    assert "they interact by" in text(page, "summary")
    assert "brings" not in text(page, "summary")
    key = page.locator(".dl-key").evaluate("key => getComputedStyle(key).backgroundColor")
    assert key == "rgb(213, 94, 0)"
    for changes, missing in (({"show": "size"}, "strength"), ({"order": "effect"}, "effects")):
        with pytest.raises(traitlets.TraitError, match=f"only where {missing} is given"):
            InteractionMatrix({"dropout": plain}, **changes)


def test_a_network_without_any_interaction_is_shown_as_such(open_page: Open) -> None:
    zeros = torch.zeros(5, 5, requires_grad=True)
    page = open_page(output(InteractionMatrix({"plain": zeros})))
    assert number(page.locator("tr[data-network]"), "above") == 0
    assert "units 1 and 2: they interact by 0.000 nats. Their effects add up" in text(page, "summary")
    assert (pixels(page, "plain") == 0).all()
    rounding = 1e-8 * (torch.ones(5, 5) - torch.eye(5))
    assert "Their effects add up" in text(open_page(output(InteractionMatrix({"plain": rounding}))), "summary")
    large = torch.full((5, 5), 1e4)
    assert number(open_page(output(InteractionMatrix({"plain": large}))), "interaction") == 10_000


ASYMMETRIC = np.triu(np.ones((12, 12)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrices": {}}, "matrices must be those of one or two networks by name, got 0"),
        ({"matrices": dict.fromkeys("abc", np.eye(3))}, "one or two networks by name, got 3"),
        ({"matrices": {"plain": np.ones((3, 4))}, "strength": None, "effects": None}, r"must have shape \(3, 3\)"),
        ({"matrices": {"plain": np.ones(3)}, "strength": None, "effects": None}, "must have shape"),
        ({"matrices": {"a": np.ones((1, 1))}, "strength": None, "effects": None}, "2 to 256 units, got 1"),
        ({"matrices": {"a": np.ones((257, 257))}, "strength": None, "effects": None}, "2 to 256 units, got 257; take"),
        (
            {"matrices": {"plain": ASYMMETRIC, "dropout": np.eye(12)}},
            r"matrices\['plain'\] must be symmetric.*by up to 1",
        ),
        (
            {"matrices": {"plain": np.eye(12), "dropout": np.eye(11)}},
            r"matrices\['dropout'\] must have shape \(12, 12\)",
        ),
        ({"matrices": {"plain": np.eye(12) * np.nan, "dropout": np.eye(12)}}, r"matrices\['plain'\] must be finite"),
        (
            {"strength": {"plain": np.eye(12)}},
            r"strength must be of the networks \['plain', 'dropout'\], got \['plain'\]",
        ),
        (
            {"strength": dict.fromkeys(("plain", "dropout"), np.zeros((12, 12)))},
            r"strength\['plain'\] must be mean sizes \|I\|, at least the size of matrices\['plain'\]",
        ),
        ({"effects": {"plain": np.ones(12), "dropout": np.ones(11)}}, r"effects\['dropout'\] must have shape \(12,\)"),
        ({"effects": {"plain": np.ones(12), "L2": np.ones(12)}}, "effects must be of the networks"),
        ({"colors": ["plain"]}, "colors must be one of .* for each of 2 networks"),
        ({"colors": ["plain", "blue"]}, "colors must be one of .*'blue'"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interaction_matrix(**changes)


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("show", "both", "show"),
        ("order", "random", "order"),
        ("scale", "log", "scale"),
        ("threshold", -0.1, "threshold must be from 0 to 1.4 nats, where no pair is left, got -0.1"),
        ("threshold", 1.5, "got 1.5"),
        ("threshold", math.nan, "got nan"),
        ("network", "L2", r"network must be one of \['plain', 'dropout'\], got 'L2'"),
        ("pair", [1], r"pair must be two units from 0 to 11, got \[1\]"),
        ("pair", [0, 12], "pair must be two units"),
    ],
)
def test_handles_of_the_matrix_out_of_bounds_are_refused(trait: str, value: Any, message: str) -> None:
    with pytest.raises(traitlets.TraitError, match=message):
        interaction_matrix(**{trait: value})
    matrix = interaction_matrix()
    before = getattr(matrix, trait)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(matrix, trait, value)
    assert getattr(matrix, trait) == before


# In Jupyter as in a static page

LOOKS = """root => [root.innerText, ...[...root.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()),
    ...[...root.querySelectorAll("svg, [aria-pressed], [aria-label]")].map(each => each.outerHTML)]"""


@pytest.mark.parametrize(
    ("build", "trait", "value", "button"),
    [
        (remove_units, "removed", [5, 2], "Remove the most important"),
        (interaction_matrix, "pair", [3, 4], "Strongest synergy"),
    ],
)
def test_jupyter_shows_what_the_static_page_shows_and_each_follows_the_other(
    open_page: Open, build: Callable[..., Interactive], trait: str, value: list[int], button: str
) -> None:
    widget = build()
    page = open_page()
    page.evaluate(LIVE_HOST, [widget._esm, widget._state(), trait])
    page.add_style_tag(content=widget._css)
    page.evaluate("([trait, value]) => model.set(trait, value)", [trait, value])  # a kernel's change
    assert page.evaluate("saved") == []  # no echo
    static = open_page(output(build(**{trait: value})))
    assert page.locator("[data-interactive]").evaluate(LOOKS) == static.locator("[data-interactive]").evaluate(LOOKS)
    for each in (page, static):
        each.get_by_role("button", name=button).first.click()
    assert page.locator("[data-interactive]").evaluate(LOOKS) == static.locator("[data-interactive]").evaluate(LOOKS)
    moved = page.evaluate("trait => model.get(trait)", trait)
    assert page.evaluate("saved") == [moved] != [value]
    setattr(widget, trait, moved)  # the kernel takes it
    assert page.evaluate("close_view()") == 0


def test_two_of_the_same_removals_on_a_page_move_alone(open_page: Open) -> None:
    html = output(remove_units(removed=[]))
    page = open_page(html, html)
    first, second = page.locator("[data-interactive]").all()
    second.locator("button.dl-toggle").first.click()
    assert text(first, "removed") == "0 of 9"
    assert text(second, "removed") == "1 of 9"
    ids = page.locator("[id]").evaluate_all("elements => elements.map(element => element.id)")
    assert len(ids) == len(set(ids))


def test_one_live_region_tells_of_a_removal(open_page: Open) -> None:
    page = open_page(output(remove_units()))
    live = page.locator("[aria-live=polite]")
    expect(live).to_have_count(1)
    before = live.inner_text()
    press(page, "Remove one at random")
    assert live.inner_text() != before
