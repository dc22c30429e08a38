"""MaskShapes: which entries are dropped, and how much of them their nearest kept neighbors tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import traitlets
from interactives import Open, feature_maps, mask_shapes, move_slider, output, press, text
from playwright.sync_api import Locator, Page, expect

from dropout_lessons.widgets import MaskShapes

ORANGE = [213, 94, 0]
LABELS = {"entries": "entries one by one", "blocks": "blocks", "maps": "whole maps"}
READ = """canvas => {
    const copy = document.createElement("canvas").getContext("2d");
    copy.drawImage(canvas, 0, 0);
    return [...copy.getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def pixels(canvas: Locator, height: int, width: int) -> np.ndarray:
    return np.array(canvas.evaluate(READ)).reshape(height, width, 4)[..., :3]


def shown_maps(page: Page, layer: str, example: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The maps in [0, 1], their masks and the maps with guesses, as drawn, of the example that is shown."""
    height, width = feature_maps()[layer].shape[2:]
    page.get_by_role("group", name="Image:").get_by_role("radio", name=str(example + 1)).check()
    maps, masks, guesses = [], [], []
    for card in page.locator(".dl-map").all():
        original, dropped, filled = (pixels(canvas, height, width) for canvas in card.locator("canvas").all())
        mask = (dropped != ORANGE).any(axis=2)
        assert (dropped[mask] == original[mask]).all()
        assert (filled[mask] == original[mask]).all()
        maps.append(original[..., 0] / 255)
        masks.append(mask)
        guesses.append(filled[..., 0] / 255)
    return np.array(maps), np.array(masks), np.array(guesses)


def stored(layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Maps and their means in the 256 grays that the page holds."""
    maps = feature_maps()[layer]
    return np.rint(255 * maps / maps.max()) / 255, np.rint(255 * maps.mean(axis=0) / maps.max()) / 255


def nearest_kept(deviations: np.ndarray, mask: np.ndarray) -> list[tuple[int, int, int, float]]:
    """For each dropped entry its place, the distance to the nearest kept one (0 if none) and the mean deviation there."""
    found = []
    places = np.argwhere(mask)
    for y, x in np.argwhere(~mask):
        away = abs(places - [y, x]).max(axis=1) if len(places) else np.array([])
        near = places[away == away.min()] if len(places) else places
        mean = float(np.mean([deviations[i, j] for i, j in near])) if len(places) else 0.0
        found.append((int(y), int(x), int(away.min()) if len(places) else 0, mean))
    return found


def told(deviations: np.ndarray, masks: np.ndarray) -> tuple[float, dict[int, float]]:
    """The share of the dropped entries' variance that is told, and the factor of each distance, by least squares."""
    of_distance: dict[int, list[tuple[float, float]]] = {}
    for map_, mask in zip(
        deviations.reshape(-1, *deviations.shape[-2:]), masks.reshape(-1, *masks.shape[-2:]), strict=True
    ):
        for y, x, distance, mean in nearest_kept(map_, mask):
            of_distance.setdefault(distance, []).append((map_[y, x], mean))
    left, total, factors = 0.0, 0.0, {}
    for distance, pairs in of_distance.items():
        d, n = np.array(pairs).T
        factors[distance] = float(np.linalg.lstsq(n[:, None], d, rcond=None)[0][0]) if n.any() else 0.0
        left += float(((d - factors[distance] * n) ** 2).sum())
        total += float((d**2).sum())
    return 1 - left / total, factors


@pytest.mark.parametrize("layer", ["smooth", "rough"])
@pytest.mark.parametrize("shape", list(LABELS))
def test_what_neighbors_tell_is_what_least_squares_finds(open_page: Open, layer: str, shape: str) -> None:
    page = open_page(output(mask_shapes(layer=layer, shape=shape, seed=3)))
    maps, mean = stored(layer)
    for keep_prob in (0.3, 0.7):
        move_slider(page, keep_prob)
        shown = [shown_maps(page, layer, example) for example in range(2)]
        for example, (originals, _, _) in enumerate(shown):
            assert originals == pytest.approx(maps[example], abs=1e-12)
        masks = np.array([mask for _, mask, _ in shown])
        assert number_of(page, f"kept-{shape}") == pytest.approx(100 * masks.mean(), abs=0.05 + 1e-9)
        if masks.all():
            continue
        share, factors = told(maps - mean, masks)
        assert number_of(page, f"told-{shape}") == pytest.approx(100 * share, abs=0.05 + 1e-9)
        for example, (_, mask, guesses) in enumerate(shown):
            for channel in range(len(mean)):
                for y, x, distance, neighbors in nearest_kept(maps[example, channel] - mean[channel], mask[channel]):
                    guess = mean[channel, y, x] + factors[distance] * neighbors
                    assert guesses[channel, y, x] == pytest.approx(min(max(guess, 0), 1), abs=0.5 / 255 + 1e-9)


def number_of(page: Page, name: str) -> float:
    return float(text(page, name).rstrip("%"))


def test_nothing_is_told_of_a_map_that_is_dropped_as_a_whole(open_page: Open) -> None:
    page = open_page(output(mask_shapes(layer="rough", shape="maps", keep_prob=0.35)))
    assert number_of(page, "told-maps") == 0
    masks = np.array([shown_maps(page, "rough", example)[1] for example in range(2)])
    assert (masks.all(axis=(2, 3)) | ~masks.any(axis=(2, 3))).all()
    assert 0 < masks.mean() < 1
    _, mean = stored("rough")
    guesses = shown_maps(page, "rough", 1)[2]
    assert guesses[~masks[1]] == pytest.approx(mean[~masks[1]], abs=0.5 / 255 + 1e-9)


def test_smooth_maps_tell_more_than_rough_ones_and_single_entries_more_than_blocks(open_page: Open) -> None:
    page = open_page(output(mask_shapes(block_size=5)))
    smooth = [number_of(page, f"told-{shape}") for shape in LABELS]
    page.get_by_role("radio", name="rough").check()
    rough = [number_of(page, f"told-{shape}") for shape in LABELS]
    assert smooth[0] > 80
    assert rough[0] < 20
    assert smooth[0] > smooth[1] > smooth[2] == rough[2] == 0


@pytest.mark.parametrize(("shape", "block"), [("entries", 3), ("blocks", 2), ("blocks", 5), ("maps", 3)])
def test_masks_keep_each_entry_with_the_chosen_probability(open_page: Open, shape: str, block: int) -> None:
    maps = np.ones((1, 40, 16, 16))
    page = open_page(output(MaskShapes({"one": maps}, shape=shape, block_size=block)))
    independent = {"entries": 40 * 256, "blocks": 40 * (16 / block) ** 2, "maps": 40}[shape]  # roughly, and not more
    for keep_prob in (0.2, 0.5, 0.9):
        move_slider(page, keep_prob)
        error = math.sqrt(keep_prob * (1 - keep_prob) / independent)
        shares = []
        for _ in range(10):
            press(page, "Draw new masks")
            shares.append(number_of(page, f"kept-{shape}") / 100)
        assert abs(np.mean(shares) - keep_prob) < 5 * error / math.sqrt(10)
        assert len(set(shares)) > 1


def test_what_is_dropped_in_blocks_is_covered_by_whole_blocks(open_page: Open) -> None:
    page = open_page(output(MaskShapes({"one": np.ones((1, 30, 12, 12))}, shape="blocks", block_size=4, keep_prob=0.8)))
    for card in page.locator(".dl-map").all():
        dropped = (pixels(card.locator("canvas").nth(1), 12, 12) == ORANGE).all(axis=2)
        padded = np.pad(dropped, 3, constant_values=True)  # blocks may reach over the edge
        windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4)).all(axis=(2, 3))
        covered = np.zeros_like(padded)
        for y, x in np.argwhere(windows):
            covered[y : y + 4, x : x + 4] = True
        assert (covered[3:-3, 3:-3] >= dropped).all()


def test_a_higher_keep_prob_keeps_what_a_lower_one_kept(open_page: Open) -> None:
    page = open_page(output(mask_shapes(layer="rough")))
    for shape in LABELS.values():
        page.get_by_role("radio", name=shape, exact=True).check()
        move_slider(page, 0.4)
        fewer = shown_maps(page, "rough", 0)[1]
        move_slider(page, 0.6)
        more = shown_maps(page, "rough", 0)[1]
        assert (more >= fewer).all()
    move_slider(page, 1.0)
    assert shown_maps(page, "rough", 0)[1].all()
    assert text(page, "told-maps") == "–"
    assert "nothing is dropped" in text(page, "summary")


def test_the_summary_and_the_picture_say_what_is_shown(open_page: Open) -> None:
    page = open_page(output(mask_shapes()))
    page.get_by_role("radio", name="rough").check()
    page.get_by_role("radio", name="blocks").check()
    move_slider(page, 4, "Block size")
    said = text(page, "summary")
    assert "rough, 3 maps of 7 × 6, blocks of 4 × 4 at p = 0.50" in said
    assert f"{text(page, 'told-blocks')} of the variance" in said
    expect(page.locator("[aria-live=polite]")).to_have_count(1)
    picture = page.get_by_role("img", name="The maps of image 1")
    expect(picture).to_have_count(1)
    assert "blocks of 4 × 4" in (picture.get_attribute("aria-label") or "")


def test_one_layer_and_one_example_have_nothing_to_choose(open_page: Open) -> None:
    page = open_page(output(MaskShapes({"pixels": torch.rand(1, 1, 28, 28)})))
    expect(page.get_by_role("radio")).to_have_count(3)
    assert "pixels, 1 map of 28 × 28" in text(page, "summary")
    assert text(page, "block_size") == "3 × 3"


def test_given_means_are_what_deviations_are_from(open_page: Open) -> None:
    maps = np.full((2, 1, 4, 4), 0.5)
    page = open_page(output(MaskShapes({"flat": maps}, means={"flat": np.zeros((1, 4, 4))})))
    assert number_of(page, "told-entries") == 100  # all deviate by as much
    page = open_page(output(MaskShapes({"flat": maps})))
    assert text(page, "told-entries") == "–"  # no variance is there


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": {}}, "maps must be those of at least one layer, got none"),
        ({"maps": {"a": np.ones((2, 4, 4))}}, r"maps\['a'\] must have shape .* got \(2, 4, 4\)"),
        (
            {"maps": {"a": np.ones((2, 1, 4, 4)), "b": np.ones((3, 1, 4, 4))}},
            r"maps\['b'\] must have shape \(2, 'any', 'any', 'any'\), got \(3, 1, 4, 4\)",
        ),
        ({"maps": {"a": -np.ones((2, 1, 4, 4))}}, r"maps\['a'\] must be at least 0, .* got -1 to -1 in 4 x 4"),
        ({"maps": {"a": np.zeros((2, 1, 4, 4))}}, r"maps\['a'\] must be .* not all 0"),
        ({"maps": {"a": np.ones((2, 1, 33, 4))}}, r"maps\['a'\] must be .* at most 32 x 32, got 1 to 1 in 33 x 4"),
        ({"means": {"a": np.ones((1, 4, 4))}}, r"means must be of the layers \['smooth', 'rough'\], got \['a'\]"),
    ],
)
def test_maps_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mask_shapes(**changes)


@pytest.mark.parametrize(
    ("trait", "value"),
    [("layer", "other"), ("shape", "rows"), ("block_size", 1), ("block_size", 10), ("example", 2), ("seed", -1)],
)
def test_handles_out_of_bounds_are_refused(trait: str, value: object) -> None:
    with pytest.raises(traitlets.TraitError, match=trait):
        mask_shapes(**{trait: value})
    with pytest.raises(traitlets.TraitError, match=trait):
        setattr(mask_shapes(), trait, value)


def test_the_sentence_names_the_shape_and_the_layer() -> None:
    said = mask_shapes(shape="blocks", layer="rough", keep_prob=0.7)._sentence()
    assert "keep_prob 0.7 drops blocks of 3 x 3 entries of the layer rough" in said
