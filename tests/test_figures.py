import dataclasses
import functools
import itertools
import math
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from dropout_lessons import figures
from dropout_lessons.calibration import reliability
from dropout_lessons.claims import paired
from dropout_lessons.coadaptation import PLANTED, Compensation, Curve, LayerUnits, Study, measure, report
from dropout_lessons.figures.palette import DARK
from dropout_lessons.figures.style import NARROW, STYLE
from dropout_lessons.networks import MLP
from dropout_lessons.training import History

pytestmark = pytest.mark.xdist_group("figures")  # in one worker, which draws each of them once

RUN = History([2, 4], [1.0, 0.1], [0.4, 0.2], [1.1, 0.9], [0.4, 0.3])
ERRORS = {"plain": [0.10, 0.11, 0.09, 0.10, 0.12], "dropout": [0.08, 0.08, 0.08, 0.09, 0.08]}
# Three examples in the bin up to 80%, of which two are right, and one example in the last bin.
CALIBRATION = reliability(torch.tensor([[0.75, 0.25]] * 3 + [[0.9, 0.1]]), torch.tensor([0, 0, 1, 0]), bins=5)
WAYS = {"plain": [[3.0, 0.0]] * 2, "weight scaling": [[2.0, 0.1]] * 2, "MC dropout": [[1.0, 0.9]] * 2}
CURVE = Curve("zero clamp", torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[0.9, 0.7, 0.1], [0.9, 0.5, 0.1]]), chance=0.2)
COMPENSATION = Compensation(
    torch.tensor([1, 2, 4]),
    *torch.tensor([[1.0, 2.0, 4.0], [0.0, 0.1, 0.0], [0.1, 0.4, 1.6], [0.1, 0.2, 0.4], [0.1] * 3]),
)
# The arm has e times the control's measure at layer "a" and half of it at layer "b", in each of five seeds.
STUDY = Study(
    pd.DataFrame(
        [
            (arm, seed, layer, "share", (1 + seed) * {"plain": 1.0, "dropout": math.e if layer == "a" else 0.5}[arm])
            for arm in ("plain", "dropout")
            for seed in range(5)
            for layer in ("a", "b")
        ]
        + [(arm, seed, "network", "error", -0.1) for arm in ("plain", "dropout") for seed in range(5)],
        columns=["arm", "seed", "layer", "measure", "value"],
    ),
    {"plain": [], "dropout": []},
    (0, 1, 2, 3, 4),
    ("a", "b"),
)
SIZES = {
    "plain": np.array([[300.0, 310.0]]),
    "L2": np.array([[200.0, 190.0], [50.0, 70.0]]),
    "L1": np.array([[90.0, 95.0]]),
}
SWEPT = {
    "plain": np.array([[0.11, 0.10]]),
    "L2": np.array([[0.11, 0.10], [0.12, 0.14]]),
    "L1": np.array([[0.12, 0.12]]),
}
EFFECTS = {
    "ten networks": paired([0.09, 0.10, 0.09, 0.10, 0.09], [0.1] * 5),
    "one with dropout": paired([0.08, 0.08, 0.07, 0.08, 0.09], [0.1] * 5),
}
SEEDS = 0.1 + 0.01 * np.random.default_rng(0).random((3, 5))
FIGURES = {
    "sweep_panels": lambda: figures.sweep_panels(
        {"narrow": {"dropout": SEEDS}, "wide": {"dropout": SEEDS}},
        {"narrow": [100, 500, 1000], "wide": [100, 500, 1000]},
        x_label="examples",
        y_label="test error (%)",
        logarithmic=True,
    ),
    "trajectories": lambda: figures.trajectories(
        {"plain": {"2 layers": SEEDS + 0.02}, "dropout": {"2 layers": SEEDS}},
        [5, 10, 15],
        y_label="validation error (%)",
    ),
    "excess_loss_curves": lambda: figures.excess_loss_curves(
        [100, 200, 300], {"fresh text": {1.0: 5 * SEEDS, 0.9: 10 * SEEDS}}
    ),
    "keep_prob_panels": lambda: figures.keep_prob_panels(
        {"1,000 examples": {"256 units": SEEDS}, "5,000 examples": {"256 units": SEEDS / 2}}, [0.2, 0.5, 0.8]
    ),
    "winner_curves": lambda: figures.winner_curves([100, 500, 1000], SEEDS - 0.01, SEEDS),
    "coefficients": lambda: figures.coefficients(
        {"plain": [0.5, -0.2], "L2": [0.3, -0.1], "dropout": np.array([[0.3, 0.31], [-0.1, -0.11]])},
        ["age", "bmi"],
        named={"plain": "least squares", "L2": "ridge, in closed form", "dropout": "SGD with dropout"},
    ),
    "approximation_ratios": lambda: figures.approximation_ratios(
        [0.0625, 1.0, 8.0], {0.8: [1.0, 1.1, 0.6], 0.5: np.array([[1.0, 1.1], [1.3, 1.2], [0.5, 0.8]])}
    ),
    "plantings": lambda: figures.plantings(PLANTED, colors={"XOR": "synergy"}),
    "logistic_penalty": lambda: figures.logistic_penalty(
        torch.tensor([0.1, 0.5]),
        torch.tensor([0.05, 0.1]),
        torch.tensor([0.0, 1.0]),
        {"L2": torch.tensor([0.0, 0.1])},
        label="probability",
    ),
    "signed_images": lambda: figures.signed_images({"a": torch.randn(4, 6), "b": torch.randn(3, 6)}, (2, 3)),
    "activation_histograms": lambda: figures.activation_histograms(
        {"plain": [5, 3, 0, 0], "dropout": [7, 1, 1, 0]}, [0.0, 1.0, 2.0, 3.0, 4.0], {"plain": 0.9, "dropout": 0.4}
    ),
    "interval_panels": lambda: figures.interval_panels(
        {"error": EFFECTS, "loss": {"one with dropout": EFFECTS["one with dropout"]}},
        labels={"error": "error (points)", "loss": "loss (nats)"},
        scales={"error": 100.0},
        colors={"ten networks": "ensemble"},
    ),
    "interval_chart": lambda: figures.interval_chart(
        EFFECTS, label="test error, minus plain (points)", scale=100, colors={"ten networks": "ensemble"}
    ),
    "removal_curves": lambda: figures.removal_curves({"plain": [CURVE, CURVE], "dropout": CURVE}),
    "damage_against_sum": lambda: figures.damage_against_sum({"plain": [COMPENSATION] * 2, "dropout": COMPENSATION}),
    "share_at_damage": lambda: figures.share_at_damage({"plain": (np.ones((2, 3)), np.full((2, 3), 0.1))}),
    "study_intervals": lambda: figures.study_intervals(STUDY),
    "coadaptation_report": lambda: figures.coadaptation_report(
        measure(MLP([6, 4, 4, 3], keep_prob=0.5), "hidden1", torch.randn(20, 6), torch.arange(20) % 3)
    ),
    "image_rows": lambda: figures.image_rows({"one": torch.rand(4, 9), "two": torch.rand(4, 9)}, (3, 3)),
    "mask_grid": lambda: figures.mask_grid(torch.rand(8, 20) < 0.5),
    "thinned_networks": lambda: figures.thinned_networks([[torch.arange(5) > 1, torch.arange(4) > 2]] * 3, n_outputs=2),
    "distinct_masks": lambda: figures.distinct_masks(
        [1, 10_000, 10_000_000], {"2 units": [1.0, 4.0, 4.0]}, {"2 units": 4}
    ),
    "member_scores": lambda: figures.member_scores({"a": torch.rand(50), "b": torch.rand(9)}, {"c": 0.1}, label="x"),
    "kept_counts": lambda: figures.kept_counts({"ours": torch.full((50,), 40.0)}, n_units=50, keep_prob=0.8),
    "learning_curves": lambda: figures.learning_curves({"plain": [RUN, RUN], "dropout": [RUN, RUN]}),
    "paired_scores": lambda: figures.paired_scores(ERRORS, label="error (%)"),
    "penalty_sweep": lambda: figures.penalty_sweep(SIZES, {"validation": SWEPT, "training": SWEPT}),
    "what_units_add": lambda: figures.what_units_add(
        [-1, 0, 1], {"plain": [[3, 3, 3], [-2, -2, 0]], "dropout": [[0.5, 0.5, 1], [0.5, 0.5, 1]]}, ([0.5], [1.2])
    ),
    "input_distribution": lambda: figures.input_distribution({"a": torch.randn(99)}, {"a": 0.0}, label="input"),
    "score_panels": lambda: figures.score_panels(
        {"loss (nats)": {"a": [0.3], "b": [0.4]}, "error (%)": {"a": [0.1], "b": [0.2]}}
    ),
    "agreement": lambda: figures.agreement([0.1, 0.2], {"a": [0.1, 0.3]}, label="exact", axis="loss"),
    "captioned_images": lambda: figures.captioned_images(torch.rand(8, 9), ["a 3\n99.9%"] * 8, (3, 3)),
    "reliability_diagram": lambda: figures.reliability_diagram(
        {"one": {"plain": CALIBRATION}, "two": {"plain": CALIBRATION, "MC dropout": CALIBRATION}}, least=1
    ),
    "curve_bands": lambda: figures.curve_bands([-1, 1], {"MC dropout": ([0, 1], [0.1, 0.2])}, ([0.5], [0.4])),
    "learned_keep_prob_curves": lambda: figures.learned_keep_prob_curves([100, 1000], {"inputs": [[0.6, 0.8]]}),
    "way_curves": lambda: figures.way_curves([1, 1000], WAYS, x_label="times", label="entropy", x_scale="log"),
    "monte_carlo_curves": lambda: figures.monte_carlo_curves([1, 10], {"x": np.ones((3, 2))}, {"x": [1.0, 2.0]}),
}


@functools.cache
def drawn(name, narrow=False):
    """A figure as it is drawn for a page or, in narrow, for a phone; not to be changed."""
    figure = FIGURES[name]().redraw() if narrow else FIGURES[name]()
    FigureCanvasAgg(figure).draw()
    return figure


@functools.cache
def drawings(name):
    """What a page shows of a figure, and the drawings in it, the last of them that for a phone."""
    markup = drawn(name)._repr_mimebundle_()["text/html"]
    return markup, re.findall(r"<svg.*?</svg>", markup, re.DOTALL)


def texts(figure) -> list[str]:
    FigureCanvasAgg(figure).draw()
    return [text.get_text() for text in figure.findobj(plt.Text) if text.get_text()]


def luminance(color) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(a, b) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def as_seen_with_deuteranopia(color) -> np.ndarray:
    # Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
    matrix = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return np.clip(matrix @ np.array(linear), 0, 1) ** (1 / 2.2)


def test_every_public_figure_is_tested():
    assert {"COLORS", *FIGURES} == set(figures.__all__)


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_figures_are_drawn_on_a_light_ground_and_closed(draw):
    before = {key: plt.rcParams[key] for key in STYLE}
    figure = draw()
    texts(figure)
    assert plt.get_fignums() == []  # else a notebook shows the figure twice
    assert {key: plt.rcParams[key] for key in STYLE} == before
    assert luminance(figure.get_facecolor()) > 0.9
    assert figure.get_figwidth() <= 6  # readable at phone width


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", FIGURES)
def test_no_label_is_cut_off(name, narrow):
    figure = drawn(name, narrow)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= -0.02
    assert box.y0 >= -0.02
    assert box.x1 <= width + 0.02
    assert box.y1 <= height + 0.02


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", FIGURES)
def test_no_number_touches_the_next_one(name, narrow):
    for axis in drawn(name, narrow).axes:
        numbers = [tick.label1 for tick in axis.xaxis.get_major_ticks() if tick.label1.get_visible()]
        boxes = [text.get_window_extent() for text in numbers if text.get_text()]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_a_long_label_is_broken_on_a_phone():
    effects = {"inputs 0.8, both hidden 0.5": paired(ERRORS["dropout"], ERRORS["plain"])}
    figure = figures.interval_chart(effects, label="test error, minus no dropout (points)", scale=100).redraw()
    FigureCanvasAgg(figure).draw()
    assert figure.get_tightbbox().x1 <= figure.get_figwidth() + 0.02


@pytest.mark.parametrize("name", FIGURES)
def test_a_label_has_eleven_pixels_on_a_phone(name):
    drawing = drawings(name)[1][-1]
    width = float(re.search(r'viewBox="0 0 ([\d.]+) ', drawing)[1])
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", drawing)]  # exponents have their own
    assert sizes
    # A phone of 390 pixels leaves 358 to a page's text; a figure is drawn across all of them.
    assert min(sizes) * 358 / width >= 11


@pytest.mark.parametrize("name", FIGURES)
def test_a_panel_has_its_own_numbers_on_a_phone(name):
    figure = drawn(name, narrow=True)
    for panel in figure.stack:
        if not panel.axison or not panel.spines["bottom"].get_visible():
            continue  # a picture, which has none
        for axis in (panel.xaxis, panel.yaxis):
            labels = [tick.label1 for tick in axis.get_major_ticks()]
            assert not labels or any(label.get_visible() and label.get_text() for label in labels)
        if len(figure.stack) > 1 and figure.get_figheight() >= 2 * len(figure.stack):
            assert panel.get_xlabel()


@pytest.mark.parametrize("name", FIGURES)
def test_a_logarithmic_axis_has_plain_numbers(name):
    written = [text.get_text() for text in drawn(name, narrow=True).findobj(plt.Text)]
    assert not [text for text in written if re.search(r"\$|\de[-+]?\d", text)]


def test_plain_numbers_are_grouped_and_have_no_needless_zeros():
    shown = texts(figures.distinct_masks([1, 10_000], {"all": [0.001, 10_000.0]}, {"all": 4}))
    assert {"1", "100", "10,000", "0.1"} <= set(shown)


@pytest.mark.parametrize("name", FIGURES)
def test_a_page_shows_a_figure_in_the_colors_of_its_theme(name):
    markup, found = drawings(name)
    assert len(found) == (2 if drawn(name).get_figwidth() > NARROW else 1)
    for drawing in found:
        assert 'role="img" aria-label="Figure"' in drawing
        labels = re.findall(r"<text[^>]*>", drawing)
        assert labels
        assert set(re.findall(r"font-family: ([^;\"]*)", drawing)) == {"inherit"}
        assert all("fill: var(--dl-" in label or "fill: #" not in label for label in labels)
    names = re.findall(r' id="([^"]+)"', markup)
    assert len(names) == len(set(names))
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', markup)) <= set(names)


def test_every_figure_of_a_chapter_has_a_caption_and_an_alternative_text():
    names = []
    for path in sorted((Path(__file__).parents[1] / "chapters").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            draws = re.search(r"^(?:figures\.[a-z]\w*\(|.*\.draw\(\)$)", cell.source, re.MULTILINE)
            if cell.cell_type == "code" and draws:
                shown = cell.metadata.get("mystnb", {})
                assert shown.get("image", {}).get("alt"), f"{path.name}: {cell.source}"
                assert shown.get("figure", {}).get("caption"), f"{path.name}: {cell.source}"
                names.append(shown["figure"]["name"])
    assert len(names) > 50
    assert len(names) == len(set(names))


def test_colors_stand_out_from_a_dark_page():
    for color in DARK.values():
        assert contrast(color, "#14181e") >= 3


def test_colors_stand_out_from_the_ground_and_from_each_other():
    for color in figures.COLORS.values():
        assert contrast(color, "#fcfcfa") >= 3  # WCAG's bound for graphics
    # Also with a color vision deficiency, next to dropout.
    for arm in ("plain", "max-norm", "ensemble"):
        seen = as_seen_with_deuteranopia(figures.COLORS[arm]) - as_seen_with_deuteranopia(figures.COLORS["dropout"])
        assert np.linalg.norm(seen) > 0.15, arm
    for a, b in itertools.combinations(figures.COLORS.values(), 2):
        assert np.linalg.norm(np.subtract(to_rgb(a), to_rgb(b))) > 0.15


def test_paired_scores_show_the_means_and_the_paired_interval():
    shown = texts(FIGURES["paired_scores"]())
    difference = paired(100 * np.array(ERRORS["dropout"]), 100 * np.array(ERRORS["plain"]))
    low, high = difference.interval
    assert f"{100 * np.mean(ERRORS['plain']):.2f}" in shown
    assert f"dropout\n{difference.effect:+.2f}\n[{low:+.2f}, {high:+.2f}]" in shown


def test_learning_curves_label_lines_at_their_ends_and_name_units():
    shown = texts(FIGURES["learning_curves"]())
    assert {"plain", "dropout", "training loss (nats)", "validation loss (nats)", "epoch"} <= set(shown)


def test_learning_curves_need_validation_losses():
    with pytest.raises(ValueError, match=r"those of \['plain'\] have none; fit a Dataset"):
        figures.learning_curves({"plain": [History([1], [1.0], [0.5])]})


def test_implementations_differ_in_mark_and_color_and_do_not_hide_each_other():
    counts = {name: torch.full((50,), 40.0) for name in ("from scratch", "dropout_lessons", "nn.Dropout")}
    lines = figures.kept_counts(counts, n_units=50, keep_prob=0.8).axes[0].get_lines()
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines}) == 3
    assert len({tuple(line.get_xdata()) for line in lines}) == 3


def test_a_panel_that_is_named_for_its_arm_names_it_once():
    factors = [0.6, 0.7, 0.8, 0.9, 1.0, 1.1]
    panels = {arm: {arm: np.vstack([SEEDS, SEEDS])} for arm in ("plain", "L2")}
    figure = figures.sweep_panels(
        panels, dict.fromkeys(panels, factors), x_label="factor", y_label="loss", logarithmic=True
    )
    assert texts(figure).count("plain") == texts(figure).count("L2") == 1
    for rendering in (figure, figure.redraw()):
        for axis in rendering.axes:
            assert [label.get_text() for label in axis.get_xticklabels()] == [f"{each:g}" for each in factors]


def test_a_number_that_would_touch_its_neighbor_is_left_out():
    x = [100, 110, 120, 130, 140, 150, 5000]
    figure = figures.sweep_panels(
        {"a": {"plain": np.vstack([SEEDS, SEEDS, SEEDS[:1]])}},
        {"a": x},
        x_label="examples",
        y_label="loss",
        logarithmic=True,
    )
    FigureCanvasAgg(figure).draw()
    written = [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert [written[0].get_text(), written[-1].get_text()] == ["100", "5,000"]
    assert 2 < len(written) < len(x)
    boxes = [label.get_window_extent() for label in written]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_kept_counts_draw_the_share_of_rows_at_each_count():
    figure = FIGURES["kept_counts"]()
    (line,) = figure.axes[0].get_lines()
    heights = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    assert heights[40] == 1
    assert math.isclose(sum(heights.values()), 1)


def test_the_mask_grid_counts_the_examples_that_train_a_unit():
    mask = torch.tensor([[True, False, True], [True, False, False]])
    bars = figures.mask_grid(mask).axes[1].patches
    assert [bar.get_height() for bar in bars] == [2, 0, 1]


def test_the_reliability_diagram_draws_accuracy_against_confidence_of_bins_with_enough_examples():
    figure = figures.reliability_diagram({"all": {"plain": CALIBRATION}}, least=2)
    diagonal, line = figure.axes[0].get_lines()
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert np.allclose(line.get_xydata(), [[75, 200 / 3]])


def test_the_names_of_curves_stand_beside_their_ends_in_order_and_do_not_touch():
    figure = FIGURES["way_curves"]()
    FigureCanvasAgg(figure).draw()
    names = [text for text in figure.axes[0].texts if text.get_text() in WAYS]
    assert [name.get_text() for name in names] == ["plain", "weight scaling", "MC dropout"]  # from the lowest end up
    boxes = [name.get_window_extent() for name in names]
    assert all(upper.y0 >= lower.y1 for lower, upper in itertools.pairwise(boxes))
    high, end = figure.axes[0].transData.transform((1000, 0.9)), boxes[2]
    assert end.y0 < high[1] < end.y1


def test_curves_are_means_over_seeds():
    figure = figures.way_curves([1, 2], {"ensemble": [[0.0, 2.0], [1.0, 4.0]]}, x_label="x", label="y")
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_ydata()) == [0.5, 3.0]


def test_bars_of_scores_start_where_there_is_no_skill():
    figure = figures.score_panels({"AUROC": {"a": [0.8, 0.9], "b": [0.7, 0.7]}}, start=0.5)
    bar = figure.axes[0].get_lines()[0]
    assert np.allclose(bar.get_xdata(), [0.5, 0.85])
    assert figure.axes[0].get_xlim()[0] == 0.5


def test_removal_curves_are_means_over_networks_in_percent_above_the_line_of_chance():
    figure = figures.removal_curves({"dropout": [CURVE, CURVE]})
    curve, chance = figure.axes[0].get_lines()
    assert np.allclose(curve.get_xydata(), [[0, 90], [50, 60], [100, 10]])
    assert np.allclose(chance.get_ydata(), 20)
    assert {"dropout", "chance", "units removed (%)", "accuracy (%)"} <= set(texts(figure))


def test_damage_is_drawn_against_the_sum_of_single_damages_with_the_sizes_of_sets():
    figure = figures.damage_against_sum({"plain": COMPENSATION})
    points = figure.axes[0].get_lines()[0].get_xydata()
    assert np.allclose(points, [[0.1, 0.1], [0.2, 0.4], [0.4, 1.6]])
    assert {"1 unit", "2 units", "4 units"} <= set(texts(figure))


def test_a_damage_that_is_not_positive_has_no_place_on_a_logarithmic_axis():
    negative = Compensation(*(value.clone() for value in vars(COMPENSATION).values()))
    negative.set_damage[0] = -0.1
    points = figures.damage_against_sum({"plain": [COMPENSATION, negative]}).axes[0].get_lines()[-2].get_xydata()
    assert np.allclose(points, [[0.2, 0.4], [0.4, 1.6]])
    negative.set_damage[:] = -0.1
    figures.damage_against_sum({"plain": negative})


def test_the_study_is_drawn_as_paired_ratios_with_their_intervals():
    figure = FIGURES["study_intervals"]()
    for axis, ratio in zip(figure.axes, (math.e, 0.5), strict=True):
        reference, interval, dot = axis.get_lines()
        assert np.allclose(reference.get_xdata(), 1)
        assert np.allclose(interval.get_xdata(), ratio)  # no spread in the ratio
        assert np.allclose(dot.get_xdata(), ratio)
    assert {"a", "b", "share", "dropout", "times that of plain"} <= set(texts(figure))
    with pytest.raises(ValueError, match=r"needs positive values, but 'error' has -0\.1"):
        figures.study_intervals(STUDY, measures=["error"])


def test_the_marks_of_a_row_stand_closer_together_than_those_of_two_rows_and_each_panel_has_its_unit():
    arms = {"plain": 1.0, "L2": 1.1, "max-norm": 1.2, "dropout": 1.3}
    values = [
        (arm, seed, layer, name, times)
        for arm, times in arms.items()
        for seed in range(5)
        for layer in "ab"
        for name in "xyz"
    ]
    table = pd.DataFrame(values, columns=["arm", "seed", "layer", "measure", "value"])
    figure = figures.study_intervals(Study(table, {arm: [] for arm in arms}, tuple(range(5)), ("a", "b")))
    for axis in figure.axes:
        assert axis.get_xlabel() == "times that of plain"
        marks = sorted(line.get_ydata()[0] for line in axis.get_lines() if len(line.get_ydata()) == 1)
        assert np.rint(marks).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        gaps = np.diff(marks)
        assert gaps[[0, 1, 3, 4, 6, 7]].max() < 0.5 * gaps[[2, 5]].min()


def test_the_report_marks_the_perturbations_that_were_met_in_training():
    network, x, y = MLP([6, 4, 4, 3]), torch.randn(20, 6), torch.arange(20) % 3
    figure = figures.coadaptation_report(report(LayerUnits(network, "hidden1", x, y), trained_with=["weight noise"]))
    assert "weight noise (met in training)" in texts(figure)
    dashed = [line.get_label() for axis in figure.axes for line in axis.get_lines() if line.get_linestyle() == "--"]
    assert dashed == ["weight noise (met in training)"]
    largest_first = figure.axes[0].images[0].get_array().sum(axis=0)
    assert bool((np.diff(largest_first) <= 1e-9).all())


def test_a_report_without_pairs_says_so():
    found = measure(MLP([6, 4, 4, 3]), "hidden1", torch.randn(20, 6))
    figure = figures.coadaptation_report(dataclasses.replace(found, interaction=None))
    assert "too many units\nfor all pairs" in texts(figure)


def test_a_penalty_sweep_draws_each_penalty_from_the_plain_network_on_with_means_over_seeds():
    figure = figures.penalty_sweep(SIZES, {"validation": SWEPT})
    lines = {line.get_color(): line.get_xydata() for line in figure.axes[0].get_lines()}
    plain, l2 = lines[figures.COLORS["plain"]], lines[figures.COLORS["L2"]]
    assert np.allclose(plain, [[math.sqrt(300 * 310), 10.5]])
    assert np.allclose(l2, [plain[0], [math.sqrt(200 * 190), 10.5], [math.sqrt(50 * 70), 13.0]])
    assert {"plain", "L2", "L1", "validation error", "sum of squared weights (logarithmic)"} <= set(texts(figure))


@pytest.mark.parametrize(
    ("weights", "errors", "message"),
    [
        ({"L2": SIZES["L2"]}, {"validation": SWEPT}, "of 'plain' and of at least one penalty, got .'L2'."),
        (SIZES, {"test": SWEPT}, r"errors must be of .'validation', 'training'., got .'test'."),
        (SIZES, {"training": {"plain": SWEPT["plain"]}}, "weights and training errors must be .* arrays of one shape"),
        (SIZES, {"training": SWEPT | {"L2": SWEPT["L2"][:1]}}, "weights and training errors must be .* of one shape"),
    ],
)
def test_a_penalty_sweep_needs_weights_and_errors_of_the_same_networks(weights, errors, message):
    with pytest.raises(ValueError, match=message):
        figures.penalty_sweep(weights, errors)


def test_a_curve_is_drawn_whole_and_without_the_unit_that_adds_most():
    curves = [line.get_ydata().tolist() for line in FIGURES["what_units_add"]().axes[2].get_lines()]
    assert curves == [[1, 1, 3], [-2, -2, 0], [1.2]]


def test_what_units_add_needs_a_column_for_each_point():
    with pytest.raises(ValueError, match=r"units\['plain'\] must have shape \(units, 3\), got \(2, 2\)"):
        figures.what_units_add([-1, 0, 1], {"plain": [[1, 2], [1, 2]]}, ([0], [0]))


def test_an_interval_chart_draws_each_effect_with_its_interval_in_the_label_unit():
    axis = FIGURES["interval_chart"]().axes[0]
    lines = [line for line in axis.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    drawn = [tuple(line.get_xdata()) for line in lines if line.get_xdata()[0] != line.get_xdata()[1]]
    assert drawn == [tuple(100 * end for end in effect.interval) for effect in EFFECTS.values()]
    assert [label.get_text() for label in axis.get_yticklabels()] == list(EFFECTS)


def test_interval_panels_share_their_rows_and_each_has_its_unit():
    errors, losses = FIGURES["interval_panels"]().axes
    drawn = {}
    for axis in (errors, losses):
        for line in axis.lines:
            x, y = line.get_xdata(), line.get_ydata()
            if len(x) == 2 and y[0] == y[1]:
                drawn[axis, y[0]] = tuple(x), line.get_color()
    ten, one = EFFECTS.values()
    assert drawn == {
        (errors, 0): (tuple(100 * end for end in ten.interval), figures.COLORS["ensemble"]),
        (errors, 1): (tuple(100 * end for end in one.interval), figures.COLORS["dropout"]),
        (losses, 1): (one.interval, figures.COLORS["dropout"]),  # the row that it has in the first panel
    }
    assert errors.get_ylim() == losses.get_ylim()
    assert [label.get_text() for label in errors.get_yticklabels()] == list(EFFECTS)
    with pytest.raises(ValueError, match="panels must have at least one effect"):
        figures.interval_panels({"error": {}}, labels={"error": "error"})


def test_a_panel_below_another_has_no_empty_rows():
    labels = {"error": "error (points)", "loss": "loss (nats)"}
    ten, one = EFFECTS
    apart = figures.interval_panels({"error": {ten: EFFECTS[ten]}, "loss": {one: EFFECTS[one]}}, labels=labels)
    assert [axis.get_subplotspec().rowspan.start for axis in apart.axes] == [0, 1]  # also on a wide page
    lacking = figures.interval_panels({"error": EFFECTS, "loss": {one: EFFECTS[one]}}, labels=labels).redraw()
    for figure, rows in ((apart, [[ten], [one]]), (apart.redraw(), [[ten], [one]]), (lacking, [[ten, one], [one]])):
        assert [[label.get_text() for label in axis.get_yticklabels()] for axis in figure.axes] == rows
        for axis, own in zip(figure.axes, rows, strict=True):
            assert axis.get_ylim() == (len(own) - 0.5, -0.5)


def test_an_interval_chart_of_nothing_is_refused():
    with pytest.raises(ValueError, match="effects must have at least one row"):
        figures.interval_chart({}, label="error")


def test_coefficients_stand_at_their_weights_a_row_for_each_feature():
    axis = FIGURES["coefficients"]().axes[0]
    drawn = {line.get_color(): np.stack(line.get_data()) for line in axis.lines[1:]}
    x, rows = drawn[figures.COLORS["dropout"]]
    assert x.tolist() == [0.3, 0.31, -0.1, -0.11]
    assert np.rint(rows).tolist() == [0, 0, 1, 1]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["age", "bmi"]
    with pytest.raises(ValueError, match=r"weights\['L2'\] must have 2 rows, one for each feature, got 3"):
        figures.coefficients({"L2": [1.0, 2.0, 3.0]}, ["age", "bmi"])


def test_approximation_ratios_have_the_geometric_mean_over_seeds_and_fractions_as_ticks():
    axis = FIGURES["approximation_ratios"]().axes[0]
    means = {line.get_label(): line.get_ydata() for line in axis.lines if str(line.get_label()).startswith("keep_prob")}
    assert means["keep_prob 0.5"] == pytest.approx(np.sqrt([1.0 * 1.1, 1.3 * 1.2, 0.5 * 0.8]))
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1/16", "1", "8"]
    with pytest.raises(ValueError, match=r"ratios\[0.5\] must have 3 rows, one for each size, got 2"):
        figures.approximation_ratios([1, 2, 3], {0.5: [1.0, 2.0]})


def test_the_approximate_penalty_is_half_the_variance_of_the_label():
    axis = FIGURES["logistic_penalty"]().axes[0]
    q, dome = axis.lines[0].get_data()
    assert dome == pytest.approx(q * (1 - q) / 2)
    assert pytest.approx(np.array([[0.1, 0.05], [0.5, 0.1]])) == np.stack(axis.lines[1].get_data()).T


def test_zero_is_the_middle_gray_of_signed_images():
    figure = figures.signed_images({"a": torch.tensor([[0.0, 2.0, -1.0, 0.0]])}, (2, 2))
    (shown,) = figure.axes[0].images
    assert shown.norm(0.0) == 0.5
    assert (shown.norm.vmin, shown.norm.vmax) == (-2, 2)


def test_histograms_of_activations_are_shares_up_to_the_last_activation():
    figure = FIGURES["activation_histograms"]()
    values = [axis.patches[0].get_data().values for axis in figure.axes]
    assert [sum(value) for value in values] == pytest.approx([100, 100])
    assert values[1] == pytest.approx(100 * np.array([7, 1, 1, 0]) / 9)
    assert figure.axes[0].get_xlim() == (0.0, 3.0)
    assert "dropout, mean 0.40" in texts(figure)
    with pytest.raises(ValueError, match=r"counts\['plain'\] must have shape \(2,\), got \(3,\)"):
        figures.activation_histograms({"plain": [1, 2, 3]}, [0.0, 1.0, 2.0], {"plain": 1.0})
