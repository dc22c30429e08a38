"""The interactives: what they hand to Jupyter, and what a reader sees with no kernel and no network."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
import torch
import traitlets
from axe_playwright_python.sync_playwright import Axe
from interactives import (
    BUILDS,
    HANDLES,
    LIVE_HOST,
    Open,
    every_interactive,
    every_slider,
    keep_drop_converter,
    move,
    move_slider,
    network_arrays,
    number,
    output,
    scaling_explorer,
    text,
    thinned_network,
    unit_inputs,
)
from IPython.core.formatters import DisplayFormatter
from playwright.sync_api import Page, expect

from dropout_lessons import widgets
from dropout_lessons.conventions import CONVENTIONS, Convention
from dropout_lessons.widgets import KeepDropConverter, ScalingExplorer, ThinnedNetwork
from dropout_lessons.widgets.base import Interactive

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
with_keep_prob = pytest.mark.parametrize(
    "build", [build for build, handle in HANDLES.items() if handle.trait == "keep_prob"]
)


# What Python hands out


def test_every_public_interactive_is_among_those_that_are_tested() -> None:
    public = {name for name in widgets.__all__ if isinstance(getattr(widgets, name), type)}
    built = {type(build()).__name__ for build in BUILDS}
    assert built == public, (
        f"BUILDS in tests/interactives.py must build every interactive: add a function that builds "
        f"{sorted(public - built)}, to HANDLES if it has a slider"
    )


@every_slider
def test_an_output_has_a_widget_form_an_html_form_and_a_sentence(build: Callable[[], Interactive]) -> None:
    widget = build()
    bundle, _ = widget._repr_mimebundle_()
    assert bundle[WIDGET_VIEW]["model_id"] == widget.model_id
    assert f'data-interactive="{widget._name}"' in bundle["text/html"]
    assert bundle["text/plain"].startswith("Interactive: ")
    assert bundle["text/plain"].endswith(".")
    assert HANDLES[build].trait in bundle["text/plain"]
    assert f"{getattr(widget, HANDLES[build].trait):g}" in bundle["text/plain"]


@every_interactive
def test_ipywidgets_7_cannot_bypass_the_html_form(
    build: Callable[[], Interactive], monkeypatch: pytest.MonkeyPatch
) -> None:
    def display_as_ipywidgets_7_does(self: object) -> None: ...  # IPython then takes the object for displayed

    monkeypatch.setattr(ipywidgets.Widget, "_ipython_display_", display_as_ipywidgets_7_does, raising=False)
    formatted, _ = DisplayFormatter().format(build())
    assert {WIDGET_VIEW, "text/html", "text/plain"} <= set(formatted)


@every_interactive
def test_the_html_form_asks_for_nothing_from_elsewhere(build: Callable[[], Interactive]) -> None:
    html = build()._repr_mimebundle_()[0]["text/html"]
    assert set(re.findall(r"https?://[^\s\"']+", html)) == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert not re.search(r"@import|url\((?!#)|\bimport\b *[({\"'*]|<link|<img|\bsrc=", html)


@every_slider
def test_the_html_form_is_the_same_for_the_same_state_and_follows_it(build: Callable[[], Interactive]) -> None:
    one, other = build(), build()
    assert output(one) == output(other)
    handle = HANDLES[build]
    setattr(other, handle.trait, handle.elsewhere)
    assert output(one) != output(other)
    assert f'"{handle.trait}": {handle.elsewhere}' in output(other)


@every_interactive
def test_no_text_can_end_the_script_early(build: Callable[[], Interactive]) -> None:
    html = build()._repr_mimebundle_()[0]["text/html"]
    assert html.count("</script") == html.count("<script") == 1
    assert html.count("</style") == html.count("<style") == 1
    assert "<!--" not in html


def test_a_state_that_looks_like_html_stays_text() -> None:
    hostile = "</script><!--<script><b>&"
    widget = KeepDropConverter([Convention(hostile, "p", "keep", "f({value})")])
    html = widget._repr_mimebundle_()[0]["text/html"]
    assert html.count("</script") == html.count("<script") == 1
    assert "<!--" not in html
    assert "<b>" not in html


@with_keep_prob
@pytest.mark.parametrize("keep_prob", [0, -0.1, 1.3, float("nan"), "0.5", None])
def test_a_keep_prob_out_of_bounds_is_refused_and_changes_nothing(build: Callable[..., Any], keep_prob: Any) -> None:
    with pytest.raises(traitlets.TraitError, match=r"keep_prob must be .*in \(0, 1\], got"):
        build(keep_prob=keep_prob)
    widget = build(keep_prob=0.7)
    with pytest.raises(traitlets.TraitError, match=r"keep_prob must be .*in \(0, 1\], got"):
        widget.keep_prob = keep_prob
    assert widget.keep_prob == 0.7


@every_slider
def test_a_move_in_the_browser_reaches_an_observer_in_the_kernel(build: Callable[[], Any]) -> None:
    widget, seen, handle = build(), [], HANDLES[build]
    widget.observe(lambda change: seen.append(change["new"]), handle.trait)
    widget.set_state({handle.trait: handle.elsewhere})  # what a message from the browser calls
    assert seen == [handle.elsewhere]
    assert widget.get_state()[handle.trait] == handle.elsewhere


def test_a_mask_must_fit_the_network() -> None:
    assert thinned_network().mask == [True, False] * 3
    with pytest.raises(traitlets.TraitError, match="one entry for each of the 6 hidden units, got 5"):
        thinned_network(mask=[True] * 5)
    network = thinned_network(mask=[True] * 6)
    with pytest.raises(traitlets.TraitError, match="got 7"):
        network.mask = [True] * 7
    assert network.mask == [True] * 6


@pytest.mark.parametrize(("build", "trait"), [(thinned_network, "show"), (scaling_explorer, "scaling")])
def test_a_choice_outside_the_list_is_refused(build: Callable[[], Any], trait: str) -> None:
    with pytest.raises(traitlets.TraitError, match=trait):
        setattr(build(), trait, "both")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w1": np.ones((6, 3))}, r"w1 must have shape \('any', 4\), got \(6, 3\)"),
        ({"w1": np.ones(6)}, r"w1 must have shape \('any', 4\), got \(6,\)"),
        ({"b1": np.ones(5)}, r"b1 must have shape \(6,\), got \(5,\)"),
        ({"w2": np.ones((3, 5))}, r"w2 must have shape \('any', 6\), got \(3, 5\)"),
        ({"b2": np.ones(2)}, r"b2 must have shape \(3,\), got \(2,\)"),
        ({"x": []}, r"x must have shape \('any',\), got \(0,\)"),
        ({"x": [1.0, np.nan, 1.0, 1.0]}, "x must be finite, got nan"),
        ({"target": 3}, "target must be a class from 0 to 2, got 3"),
        ({"w1": np.ones((13, 4)), "b1": np.ones(13), "w2": np.ones((3, 13))}, "at most 12 units"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        thinned_network(**changes)


def test_inputs_of_a_unit_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights must have shape \(2,\), got \(3,\)"):
        ScalingExplorer([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="at most 200 numbers, got 201"):
        ScalingExplorer(np.ones(201), np.ones(201))


def test_a_converter_without_conventions_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        KeepDropConverter([])


def test_parameters_of_a_module_are_taken_as_they_are() -> None:
    first, second = torch.nn.Linear(4, 6), torch.nn.Linear(6, 2)
    network = ThinnedNetwork(first.weight, first.bias, second.weight, second.bias, torch.ones(4), target=0)
    assert network.data["w1"] == first.weight.tolist()
    assert network.data["b2"] == second.bias.tolist()


ROOT = Path(__file__).parents[1]
COLOR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?)\(|[\"'](?:C\d|tab:\w+|red|blue|green|orange|purple)[\"']")


@pytest.mark.parametrize("folder", ["src/dropout_lessons/figures", "src/dropout_lessons/widgets", "chapters"])
def test_every_color_is_of_the_palette(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {literal}"
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".js", ".css", ".ipynb"} and path.name != "palette.py"
        for literal in COLOR.findall(path.read_text(encoding="utf-8"))
    ]
    assert found == []


# What a reader sees


def toggle_to(page: Page, mask: tuple[bool, ...]) -> None:
    for unit, kept in zip(page.get_by_role("checkbox").all(), mask, strict=True):
        if unit.is_checked() != kept:
            unit.press(" ")


def autograd(arrays: dict[str, Any], mask: tuple[bool, ...], keep_prob: float) -> dict[str, Any]:
    w1, b1, w2, b2, x = (torch.tensor(arrays[name], dtype=torch.float64) for name in ("w1", "b1", "w2", "b2", "x"))
    w1.requires_grad_()
    w2.requires_grad_()
    hidden = torch.relu(w1 @ x + b1) * torch.tensor(mask) / keep_prob
    log_probs = torch.log_softmax(w2 @ hidden + b2, dim=0)
    loss = -log_probs[arrays["target"]]
    loss.backward()
    return {"loss": loss.item(), "probs": log_probs.exp().tolist(), "w1": w1.grad, "w2": w2.grad}


MASKS = [(True,) * 6, (False,) * 6, (True, False, True, True, False, True), (False, True, False, False, True, False)]


@pytest.mark.parametrize("keep_prob", [0.5, 0.8, 1.0])
def test_outputs_loss_and_gradients_are_those_of_autograd(open_page: Open, keep_prob: float) -> None:
    page = open_page(output(thinned_network()))
    move_slider(page, keep_prob)
    for mask in MASKS:
        toggle_to(page, mask)
        expected = autograd(network_arrays(), mask, keep_prob)
        lines = page.locator("line[data-weight]").evaluate_all("lines => lines.map(line => ({...line.dataset}))")
        shown = {line["weight"]: float(line["gradient"]) for line in lines}
        names = {
            f"{name}[{to}, {unit}]": expected[name][to, unit].item()
            for name in ("w1", "w2")
            for to, unit in itertools.product(*map(range, expected[name].shape))
        }
        # float64 on both sides: sums of at most 6 terms of order 1, in another order
        assert shown == pytest.approx(names, rel=1e-12, abs=1e-13)
        assert number(page, "loss") == pytest.approx(expected["loss"], abs=0.0005 + 1e-9)
        for k, prob in enumerate(expected["probs"]):
            assert number(page, f"prob-{k}") == pytest.approx(prob, abs=0.0005 + 1e-9)
        assert number(page, "kept") == sum(mask)
        assert number(page, "receiving") == sum(gradient != 0 for gradient in names.values())
        assert number(page, "mask-prob") == pytest.approx(
            keep_prob ** sum(mask) * (1 - keep_prob) ** (6 - sum(mask)), rel=0.005
        )


def test_a_dropped_units_weights_have_gradient_exactly_zero_and_are_drawn_so(open_page: Open) -> None:
    page = open_page(output(thinned_network(b1=np.full(6, 10.0), mask=[True] * 6)))  # no ReLU is silent
    expect(page.locator("line.dl-dropped[data-weight]")).to_have_count(0)
    page.get_by_role("checkbox", name="Hidden unit 3").click()
    at_unit = page.locator('line[data-weight^="w1[2,"], line[data-weight^="w2["][data-weight$=", 2]"]')
    expect(at_unit).to_have_count(4 + 3)
    for line in at_unit.all():
        assert float(line.get_attribute("data-gradient") or "nan") == 0
        assert line.get_attribute("class") == "dl-dropped"
        assert line.evaluate("line => getComputedStyle(line).strokeDasharray") != "none"
    assert number(page, "receiving") == 6 * 4 + 3 * 6 - 7
    assert "Hidden unit 3 of 6 is dropped" in text(page, "summary")
    assert number(page, "subnetworks") == 2**6


@pytest.mark.parametrize(("show", "of"), [("gradients", "gradient"), ("weights", "weight")])
def test_the_width_of_a_line_grows_with_what_is_chosen(open_page: Open, show: str, of: str) -> None:
    network = thinned_network(mask=[True] * 6)
    page = open_page(output(network))
    page.get_by_label(f"|{of}|").check()
    expected = autograd(network_arrays(), (True,) * 6, 0.5) if show == "gradients" else network_arrays()
    widths, sizes = [], []
    for line in page.locator("line[data-weight]").all():
        name, to, unit = re.fullmatch(r"(w\d)\[(\d+), (\d+)\]", line.get_attribute("data-weight") or "").groups()  # type: ignore[union-attr]
        size = abs(float(expected[name][int(to), int(unit)]))
        if size > 0:
            sizes.append(size)
            widths.append(float(line.get_attribute("stroke-width") or "nan"))
    assert np.corrcoef(widths, sizes)[0, 1] > 1 - 1e-12
    assert f"|{of}|, widest {max(sizes):.{3 if show == 'gradients' else 2}f}" in text(page, "widest")


def test_a_drawn_mask_keeps_each_unit_with_the_chosen_probability(open_page: Open) -> None:
    page = open_page(output(thinned_network()))
    draws, button = 300, page.get_by_role("button", name="Draw a new mask")
    count_kept = """(button, draws) => {
        let kept = 0;
        for (let k = 0; k < draws; k++) {
            button.click();
            kept += document.querySelectorAll('[role=checkbox][aria-checked=true]').length;
        }
        return kept;
    }"""
    for keep_prob in (0.2, 0.5, 1.0):
        move_slider(page, keep_prob)
        trials = 6 * draws
        sigma = (trials * keep_prob * (1 - keep_prob)) ** 0.5
        assert abs(button.evaluate(count_kept, draws) - trials * keep_prob) <= 5 * sigma
    assert number(page, "draws") == 3 * draws
    move_slider(page, 0.05)
    button.click()
    page.get_by_role("button", name="Keep all units").click()
    assert number(page, "kept") == 6


def enumerated(scaling: str, keep_prob: float) -> dict[str, float]:
    """Mean, variance and fourth moment over all masks, each with its probability, and the value at test time."""
    activations, weights = unit_inputs()
    masks = np.array(list(itertools.product([0, 1], repeat=len(weights))))
    kept = masks.sum(axis=1)
    probs = keep_prob**kept * (1 - keep_prob) ** (len(weights) - kept)
    inputs = masks @ (weights * activations) / (keep_prob if scaling == "inverted" else 1)
    mean = probs @ inputs
    return {
        "mean": mean,
        "variance": probs @ (inputs - mean) ** 2,
        "fourth": probs @ (inputs - mean) ** 4,
        "test": weights @ activations * (keep_prob if scaling == "standard" else 1),
    }


LABELS = {"standard": "standard", "inverted": "inverted", "none": "no scaling at all"}


@pytest.mark.parametrize("scaling", list(LABELS))
def test_mean_variance_and_test_value_are_those_of_all_masks(open_page: Open, scaling: str) -> None:
    page = open_page(output(scaling_explorer()))
    page.get_by_label(LABELS[scaling]).check()
    for keep_prob in (0.05, 0.3, 0.5, 0.95, 1.0):
        move_slider(page, keep_prob)
        expected = enumerated(scaling, keep_prob)
        rounded = 0.0005 + 1e-9
        assert number(page, "training-mean") == pytest.approx(expected["mean"], abs=rounded)
        assert number(page, "training-variance") == pytest.approx(expected["variance"], abs=rounded)
        assert number(page, "test-value") == pytest.approx(expected["test"], abs=rounded)
        assert number(page, "gap") == pytest.approx(expected["test"] - expected["mean"], abs=rounded)
        # 4,000 masks: five standard errors
        mean_error = 5 * (expected["variance"] / 4000) ** 0.5
        variance_error = 5 * (max(expected["fourth"] - expected["variance"] ** 2, 0) / 4000) ** 0.5
        assert abs(number(page, "sampled-mean") - expected["mean"]) <= mean_error + rounded
        assert abs(number(page, "sampled-variance") - expected["variance"]) <= variance_error + rounded


def test_the_gap_is_seen_without_scaling_and_only_then(open_page: Open) -> None:
    page = open_page(output(scaling_explorer()))
    assert unit_inputs()[0] @ unit_inputs()[1] > 0

    def position(kind: str) -> float:
        path = page.locator(f".dl-marker.dl-{kind}").get_attribute("d") or ""
        return float(path.removeprefix("M").split(" ")[0])

    for scaling in ("standard", "inverted"):
        page.get_by_label(LABELS[scaling]).check()
        assert position("test") == pytest.approx(position("training"), abs=1e-6)
        assert "is the mean over masks" in text(page, "summary")
    page.get_by_label(LABELS["none"]).check()
    assert position("test") - position("training") > 10
    assert "1/p = 2.00 times what" in text(page, "summary")


@pytest.mark.parametrize("keep_prob", [0.05, 0.5, 1.0])
def test_the_bars_hold_every_sampled_mask_and_balance_at_their_mean(open_page: Open, keep_prob: float) -> None:
    page = open_page(output(scaling_explorer(keep_prob=keep_prob)))
    ticks = [t.replace("−", "-") for t in page.locator("[data-interactive] .dl-picture svg text").all_text_contents()]
    values = [float(t) for t in ticks if re.fullmatch(r"-?[\d.]+", t)]
    top_share = max(float(t.rstrip("%")) for t in ticks if t.endswith("%")) / 100
    bars = page.locator(".dl-bar").evaluate_all(
        "bars => bars.map(b => ['x', 'width', 'height'].map(a => +b.getAttribute(a)))"
    )
    x, width, height = np.array(bars).T
    box = page.locator(".dl-axis").first.get_attribute("d") or ""
    left, top, bottom, right = map(float, re.findall(r"[\d.]+", box))
    shares = height / (bottom - top) * top_share
    assert shares.sum() == pytest.approx(1, abs=1e-9)
    centers = min(values) + (x + width / 2 - left) / (right - left) * (max(values) - min(values))
    half_bin = (max(values) - min(values)) / len(bars) / 2
    assert shares @ centers == pytest.approx(number(page, "sampled-mean"), abs=half_bin + 0.0005)


def test_the_converter_writes_what_the_conventions_say_at_every_stop(open_page: Open) -> None:
    page = open_page(output(keep_drop_converter()))
    cells = page.locator("code[data-value]")
    assert [c.get_attribute("data-value") for c in cells.all()] == [convention.library for convention in CONVENTIONS]
    for percent in range(1, 101):
        move_slider(page, percent / 100)
        assert cells.all_inner_texts() == [convention.code(percent / 100) for convention in CONVENTIONS]


def test_a_library_named_like_html_is_shown_as_text(open_page: Open) -> None:
    hostile = "</script><b id='x'>&"
    page = open_page(output(KeepDropConverter([Convention(hostile, "p", "keep", "f({value})")])))
    expect(page.get_by_role("rowheader")).to_have_text(hostile)
    expect(page.locator("#x")).to_have_count(0)


@every_slider
def test_the_arrow_keys_move_the_slider_and_go_no_further(open_page: Open, build: Callable[..., Interactive]) -> None:
    handle = HANDLES[build]
    page = open_page(output(build(**{handle.trait: 0.5})))
    page.evaluate("window.heard = []; document.addEventListener('keydown', (event) => heard.push(event.key))")
    shows = page.locator("[data-interactive] :is([data-value], svg)")
    before = shows.evaluate_all("elements => elements.map(element => element.outerHTML)")
    slider = page.get_by_role("slider", name=handle.name)
    for _ in range(10):
        page.keyboard.press("Tab")
        if slider.evaluate("slider => slider === document.activeElement"):
            break
    expect(slider).to_be_focused()
    page.evaluate("heard.length = 0")
    page.keyboard.press("ArrowRight")
    assert text(page, handle.trait) == handle.after_arrow
    after = shows.evaluate_all("elements => elements.map(element => element.outerHTML)")
    assert sum(old != new for old, new in zip(before, after, strict=True)) >= 2  # more than the slider's own number
    assert page.evaluate("heard") == []


def test_units_and_buttons_are_worked_by_keyboard(open_page: Open) -> None:
    page = open_page(output(thinned_network(mask=[True] * 6)), width=360)  # long enough to scroll
    unit = page.get_by_role("checkbox", name="Hidden unit 2")
    unit.focus()
    scrolled = page.evaluate("scrollY")
    for key, kept in ((" ", False), ("Enter", True), (" ", False)):
        page.keyboard.press(key)
        expect(unit).to_be_checked(checked=kept)
        expect(unit).to_be_focused()
    assert page.evaluate("scrollY") == scrolled
    page.get_by_role("button", name="Keep all units").press("Enter")
    expect(unit).to_be_checked()


@every_slider
def test_an_output_shown_twice_makes_two_that_move_alone(open_page: Open, build: Callable[[], Interactive]) -> None:
    html = output(build())
    page = open_page(html, html)
    first, second = page.locator("[data-interactive]").all()
    ids = page.locator("[id]").evaluate_all("elements => elements.map(element => element.id)")
    assert len(ids) == len(set(ids)) > 2
    groups = [
        set(each.locator("input[type=radio]").evaluate_all("inputs => inputs.map(input => input.name)"))
        for each in (first, second)
    ]
    assert not groups[0] & groups[1]
    handle = HANDLES[build]
    untouched = text(first, handle.trait)
    second.get_by_role("slider", name=handle.name).fill(str(handle.elsewhere))
    assert text(second, handle.trait) == handle.shown
    assert text(first, handle.trait) == untouched != handle.shown


LOOKS = """element => [...element.querySelectorAll("*")].map((each) => {
    const {width, height} = each.getBoundingClientRect();
    const style = getComputedStyle(each);
    const properties = ["display", "color", "fill", "fillOpacity", "stroke", "strokeWidth", "strokeDasharray",
        "strokeOpacity", "opacity", "margin", "padding", "border", "background", "fontSize", "fontWeight", "textAlign"];
    const size = each.ownerSVGElement ? [] : [width, height]; // within a drawing, rounded with its place on the page
    return [each.tagName, each.getAttribute("class"), ...size, ...properties.map((name) => style[name])].join(" ");
})"""


@every_interactive
def test_an_interactive_looks_the_same_beside_all_the_others(open_page: Open, build: Callable[[], Interactive]) -> None:
    alone = open_page(output(build())).locator("[data-interactive]").evaluate(LOOKS)
    others = [output(other()) for other in BUILDS if other is not build]
    page = open_page(*others, output(build()), *others)
    beside = page.locator(f'[data-interactive="{build()._name}"]').evaluate(LOOKS)
    assert len(alone) > 10
    assert beside == alone


# Text of pictures with its size on the screen, and what a legend's words leave to their left on each line.
LABELS_ON_A_PHONE = """() => {
    const texts = [...document.querySelectorAll("svg text")].map((text) => {
        const svg = text.closest("svg");
        const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        return [text.textContent, scale * parseFloat(getComputedStyle(text).fontSize)];
    }).filter(([words, size]) => words && size > 0);
    const indents = [...document.querySelectorAll("ul.dl-legend > li:not([hidden])")].map((entry) => {
        const mark = entry.querySelector(".dl-swatch").getBoundingClientRect();
        const words = document.createTreeWalker(entry, NodeFilter.SHOW_TEXT);
        const range = document.createRange();
        const lines = [];
        while (words.nextNode()) {
            range.selectNode(words.currentNode);
            lines.push(...range.getClientRects());
        }
        return lines.filter(({left}) => left < mark.right).length;
    });
    return {texts, indents};
}"""


def test_on_a_phone_labels_can_be_read_an_axis_has_one_name_and_a_second_line_of_a_legend_is_indented(
    open_page: Open,
) -> None:
    # The book's page leaves 358 of a phone's 390 pixels, this one all but 16.
    found = open_page(*(output(build()) for build in BUILDS), width=374).evaluate(LABELS_ON_A_PHONE)
    assert len(found["texts"]) > 100
    assert [label for label, size in found["texts"] if size < 11] == []
    assert [label for label, _ in found["texts"] if ";" in label] == []
    assert len(found["indents"]) > 20
    assert not any(found["indents"])


def test_on_a_phone_a_slider_is_as_wide_as_its_interactive_below_its_name_and_its_value(open_page: Open) -> None:
    page = open_page(*(output(build()) for build in BUILDS), width=374)
    page.locator("details").evaluate_all("folds => folds.forEach(fold => { fold.open = true })")
    sliders = page.locator(".dl-slider:visible").evaluate_all("""sliders => sliders.map((slider) => {
        const [box, label, range, value] = [slider, ...slider.children].map((each) => each.getBoundingClientRect());
        return [range.width >= box.width - 1, Math.abs(label.top - value.top) < 1, range.top >= label.bottom - 1];
    })""")
    assert len(sliders) > 10
    assert all(map(all, sliders))


@every_interactive
def test_without_scripts_the_sentence_is_read(open_page: Open, build: Callable[[], Interactive]) -> None:
    widget = build()
    page = open_page(output(widget), scripts=False)
    expect(page.locator("[data-interactive]")).to_have_text(widget._repr_mimebundle_()[0]["text/plain"])


@every_slider
def test_the_state_is_told_in_words_to_who_cannot_see_it(open_page: Open, build: Callable[[], Interactive]) -> None:
    page = open_page(output(build()))
    live = page.locator("[aria-live=polite]")
    expect(live).to_have_count(1)
    before = live.inner_text()
    assert len(before.split()) > 8
    move(page, HANDLES[build])
    assert live.inner_text() != before


@every_interactive
@pytest.mark.parametrize("width", [360, 1000])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    open_page: Open, build: Callable[[], Interactive], width: int, dark: bool
) -> None:
    page = open_page(output(build()), width=width, dark=dark)
    for summary in page.locator("summary").all():
        summary.click()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@every_slider
def test_jupyters_model_and_the_view_follow_each_other(open_page: Open, build: Callable[[], Any]) -> None:
    widget = build()
    page = open_page()
    handle = HANDLES[build]
    page.evaluate(LIVE_HOST, [widget._esm, widget._state(), handle.trait])
    page.evaluate("([trait, value]) => model.set(trait, value)", [handle.trait, handle.elsewhere])  # a kernel's change
    assert text(page, handle.trait) == handle.shown
    assert page.evaluate("saved") == []  # no echo
    move_slider(page, 0.6, handle.name)
    assert page.evaluate("trait => model.get(trait)", handle.trait) == 0.6
    assert page.evaluate("saved") == [0.6]
    assert page.evaluate("close_view()") == 0
