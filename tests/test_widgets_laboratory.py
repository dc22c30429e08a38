"""The laboratory: its numbers are torch's, its draws belong to the seed, and its page says what came out."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import traitlets
from interactives import LIVE_HOST, Open, laboratory, move_slider, output, press, text
from playwright.sync_api import Browser, Page, expect
from scipy import stats

from dropout_lessons import datasets
from dropout_lessons.penalties import max_norm_
from dropout_lessons.widgets import Laboratory, write_digits_script
from dropout_lessons.widgets.base import source

ROOT = Path(__file__).parents[1]
NUMERICS = source("base.js", *(f"laboratory/{name}.js" for name in ("network", "worlds", "training", "running")))
TASK = {"seed": 3, "width": 12, "noise": 0.2, "l2": 0, "maxNorm": 0, "frames": 10, "keepInput": 1, "keepHidden": 0.7}
TASKS = {
    "plain": {**TASK, "mode": "curve", "examples": 20, "epochs": 50, "keepHidden": 1},
    "curve": {**TASK, "mode": "curve", "examples": 20, "epochs": 50},
    "moons": {**TASK, "mode": "moons", "examples": 30, "epochs": 50, "l2": 0.01, "maxNorm": 1.5},
    "digits": {**TASK, "mode": "digits", "examples": 250, "epochs": 17, "keepInput": 0.8, "keepHidden": 0.5},
    "penalties": {**TASK, "mode": "digits", "examples": 300, "epochs": 17, "l2": 0.01, "maxNorm": 1.0},
}
# What the browser trains, and the first weights, batches and masks that it starts from, drawn once more.
TRAINED = """async ([source, task, packed]) => {
    const names = "training, worldOf, initialLayers, scheduleOf, stepMasks, takeBatch, drawing, unpackDigits";
    const lab = new Function(`${source}; return {${names}};`)();
    if (packed) task.digits = await lab.unpackDigits(packed);
    const [said, losses] = [[...lab.training(task)], []];
    for (const each of said) if (typeof each === "number") losses.push(each);
    const world = lab.worldOf(task);
    const {batch, rate, steps} = lab.scheduleOf(task);
    const layers = lab.initialLayers(task, world);
    const [masks, batches] = [lab.drawing(task.seed, 3), lab.drawing(task.seed, 4)];
    const taken = [];
    for (let [done, at, order] = [0, 0, null]; done < steps; done++, at += batch) {
        if (batch < world.train.n && (order === null || at >= order.length)) [order, at] = [batches.order(world.train.n), 0];
        const {x, y} = lab.takeBatch(world.train, batch < world.train.n ? order.slice(at, at + batch) : null);
        taken.push({x: [...x], y: [...y], masks: lab.stepMasks(layers, y.length, task, masks).map((mask) => mask && [...mask])});
    }
    const plain = (each) => each.map(({inputs, outputs, w, b}) => ({inputs, outputs, w: [...w], b: [...b]}));
    const {layers: trained, test} = said.at(-1);
    return JSON.stringify({losses, rate, steps, taken, layers: plain(layers), trained: plain(trained), test,
        testX: [...world.test.x], testY: [...world.test.y]});
}"""


def trained(page: Page, task: dict[str, Any]) -> dict[str, Any]:
    packed = Laboratory("digits").data["digits"] if task["mode"] == "digits" else ""
    return dict(json.loads(page.evaluate(TRAINED, [NUMERICS, task, packed])))


def network_of(layers: list[dict[str, Any]]) -> torch.nn.ModuleList:
    network = torch.nn.ModuleList()
    for layer in layers:
        linear = torch.nn.Linear(layer["inputs"], layer["outputs"]).double()
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(layer["w"], dtype=torch.float64).view(layer["inputs"], -1).T)
            linear.bias.copy_(torch.tensor(layer["b"], dtype=torch.float64))
        network.append(linear)
    return network


def outputs_of(network: torch.nn.ModuleList, x: torch.Tensor, masks: list[Any] | None = None) -> torch.Tensor:
    for i, linear in enumerate(network):
        if masks is not None and masks[i] is not None:
            x = x * torch.tensor(masks[i], dtype=torch.float64).view(x.shape)
        x = linear(x)
        if i < len(network) - 1:
            x = x.relu()
    return x


def loss_of(output: torch.Tensor, y: list[float], mode: str) -> torch.Tensor:
    if mode == "curve":
        return F.mse_loss(output[:, 0], torch.tensor(y, dtype=torch.float64))
    return F.cross_entropy(output, torch.tensor(y, dtype=torch.int64))


@pytest.mark.parametrize("name", list(TASKS))
def test_the_losses_are_those_of_torch_from_the_same_weights_with_the_same_masks(open_page: Open, name: str) -> None:
    task = TASKS[name]
    found = trained(open_page(), task)
    network = network_of(found["layers"])
    groups = [
        {"params": [layer.weight for layer in network], "weight_decay": task["l2"]},
        {"params": [layer.bias for layer in network], "weight_decay": 0.0},
    ]
    digits = task["mode"] == "digits"
    optimizer = torch.optim.SGD(groups, 0.1, momentum=0.9) if digits else torch.optim.Adam(groups, 0.005)
    assert found["rate"] == optimizer.defaults["lr"]
    assert found["steps"] >= 50
    losses = []
    for done, batch in enumerate(found["taken"]):
        x = torch.tensor(batch["x"], dtype=torch.float64).view(len(batch["y"]), -1)
        loss = loss_of(outputs_of(network, x, batch["masks"]), batch["y"], task["mode"])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = found["rate"] * (1 - done / found["steps"])
        optimizer.step()
        if task["maxNorm"]:
            max_norm_(network, task["maxNorm"])
    # The issue asks for 1e-4; double precision on both sides, in another order of sums, gives much less.
    assert found["losses"] == pytest.approx(losses, rel=1e-7, abs=1e-9)
    assert losses[-1] < losses[0]
    for layer, linear in zip(found["trained"], network, strict=True):
        assert np.array(layer["w"]) == pytest.approx(linear.weight.detach().T.flatten().numpy(), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", ["curve", "moons", "digits"])
def test_scores_are_those_of_the_trained_network_with_nothing_dropped(open_page: Open, name: str) -> None:
    found = trained(open_page(), TASKS[name])
    x = torch.tensor(found["testX"], dtype=torch.float64).view(len(found["testY"]), -1)
    output = outputs_of(network_of(found["trained"]), x)
    assert found["test"]["loss"] == pytest.approx(loss_of(output, found["testY"], name).item(), rel=1e-9)
    if name == "curve":
        assert found["test"]["error"] == found["test"]["loss"]
        assert found["testY"] == pytest.approx(0.8 * np.sin(3 * np.array(found["testX"])))
    else:
        wrong = output.argmax(1) != torch.tensor(found["testY"], dtype=torch.int64)
        assert found["test"]["error"] == pytest.approx(wrong.double().mean().item())


def test_masks_keep_each_unit_with_the_chosen_probability_and_are_scaled(open_page: Open) -> None:
    found = trained(open_page(), TASKS["digits"])
    for place, keep_prob in ((0, 0.8), (1, 0.5), (2, 0.5)):
        mask = np.concatenate([batch["masks"][place] for batch in found["taken"]])
        assert set(np.unique(mask)) == {0.0, 1 / keep_prob}
        sigma = (keep_prob * (1 - keep_prob) / mask.size) ** 0.5
        assert abs((mask > 0).mean() - keep_prob) < 5 * sigma
        # neither the units of an example nor the examples of a unit share a draw
        centered = (mask > 0) - keep_prob
        assert abs((centered[1:] * centered[:-1]).mean()) < 5 * sigma


def test_both_arms_of_a_seed_begin_alike_and_seeds_differ(open_page: Open) -> None:
    page = open_page()
    plain, dropout = trained(page, TASKS["plain"]), trained(page, TASKS["curve"])
    assert plain["layers"] == dropout["layers"]
    assert [batch["x"] for batch in plain["taken"]] == [batch["x"] for batch in dropout["taken"]]
    assert plain["losses"] != dropout["losses"]
    assert trained(page, TASKS["curve"])["losses"] == dropout["losses"]
    other = trained(page, {**TASKS["curve"], "seed": 4})
    assert other["layers"] != dropout["layers"]
    assert other["taken"][0]["x"] != dropout["taken"][0]["x"]


def test_the_digits_are_those_of_the_package_at_half_the_size(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    read = "async ([source, packed]) => [...await new Function(source + '; return unpackDigits;')()(packed)]"
    found = np.array(page.evaluate(read, [NUMERICS, Laboratory("digits").data["digits"]]))
    data = datasets.load("mnist_10k", train=1000)
    labels = torch.cat([data.train.y, data.test.y[:1000]])
    assert found[2000 * 196 :].tolist() == labels.tolist()
    image = data.test.x[7].view(14, 2, 14, 2).mean(dim=(1, 3)) * 255
    assert found[1007 * 196 : 1008 * 196] == pytest.approx(image.flatten().numpy(), abs=0.5 + 1e-3)
    write_digits_script(tmp_path / "digits.js")
    assert (tmp_path / "digits.js").stat().st_size < 200_000


def test_random_labels_replace_the_share_that_is_asked_for(open_page: Open) -> None:
    page, task = open_page(), {**TASKS["digits"], "examples": 1000, "epochs": 1}
    world = """async ([source, task, packed]) => {
        const lab = new Function(source + '; return {worldOf, unpackDigits};')();
        return [...lab.worldOf({...task, digits: await lab.unpackDigits(packed)}).train.y];
    }"""
    packed = Laboratory("digits").data["digits"]
    clean, half = (np.array(page.evaluate(world, [NUMERICS, {**task, "noise": noise}, packed])) for noise in (0, 0.5))
    changed = (clean != half).mean()
    # 500 are replaced, one in ten of them by the true label
    assert abs(changed - 0.45) < 5 * (0.5 * 0.1 * 0.9 / 1000) ** 0.5


def train(page: Page) -> None:
    press(page, "Train")
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_visible(timeout=60_000)


def look_inside(page: Page) -> None:
    page.get_by_text("Look inside").click()
    expect(page.locator(".dl-unit-button").last).to_be_visible()


def removed(page: Page, arm: str) -> list[bool]:
    buttons = page.locator(f".dl-of-{arm} .dl-unit-button")
    return buttons.evaluate_all("all => all.map(each => each.getAttribute('aria-pressed') === 'false')")


def test_nothing_is_trained_before_it_is_asked_for(open_page: Open) -> None:
    page = open_page(output(laboratory()))
    page.wait_for_timeout(300)
    assert text(page, "summary").startswith("Nothing is trained yet.")
    assert text(page, "score-plain") == text(page, "score-dropout") == "not trained yet"
    expect(page.locator(".dl-results")).to_be_hidden()
    train(page)
    assert "One run is an anecdote" in text(page, "summary")


@pytest.mark.parametrize("mode", ["curve", "moons"])
def test_seeds_in_numbers_and_in_words_with_the_paired_interval(open_page: Open, mode: str) -> None:
    page = open_page(output(laboratory(mode, seeds=4)))
    train(page)
    cells = page.locator(".dl-results tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('td')].map(cell => cell.textContent))"
    )
    assert len(cells) == 5
    rows = np.array([[float(cell.replace("−", "-")) for cell in row] for row in cells[:4]])
    rounded = 0.0005 if mode == "curve" else 0.05
    named = page.locator(".dl-results thead th").all_inner_texts()
    error = ["seed", "all units", "dropout", "dropout − all units"]
    loss = ["all units", "dropout"]
    assert named == (["mean squared error", *error] if mode == "curve" else ["error (%)", "loss (nats)", *error, *loss])
    difference = rows[:, 2]
    assert difference == pytest.approx(rows[:, 1] - rows[:, 0], abs=2.1 * rounded)
    mean, margin = (float(part.replace("−", "-")) for part in cells[4][2].split(" ± "))
    low, high = stats.t.interval(0.95, 3, difference.mean(), stats.sem(difference))
    assert (mean, margin) == pytest.approx(((low + high) / 2, (high - low) / 2), abs=6 * rounded)
    said = text(page, "summary")
    assert said.startswith("Over 4 seeds")
    ends = [float(end) for end in re.findall(r"interval from (-?\d+\.\d+) to (-?\d+\.\d+)", said)[0]]
    excludes = ends[0] > 0 or ends[1] < 0
    assert ("It excludes zero" in said) == excludes
    assert ("do not tell the two apart" in said) == (not excludes)
    page.get_by_role("radio", name="3", exact=True).check()
    digits = 3 if mode == "curve" else 1
    assert f"{rows[2, 0]:.{digits}f}" in text(page, "score-plain")


def test_a_host_that_refuses_workers_trains_the_same_in_slices(open_page: Open) -> None:
    html = output(laboratory(seeds=2))
    page = open_page(html)
    train(page)
    refuse = "<script>window.Worker = class { constructor() { throw new Error('refused'); } };</script>"
    refused = open_page(refuse, html)
    train(refused)
    assert text(refused, "summary") == text(page, "summary")
    late = """<script>window.Worker = class {
        postMessage() { setTimeout(() => this.onerror(new Event("error"))); }
        terminate() {}
    };</script>"""
    later = open_page(late, html)
    train(later)
    assert text(later, "summary") == text(page, "summary")


def test_a_moved_handle_forgets_and_a_seed_more_adds(open_page: Open) -> None:
    page = open_page(output(laboratory()))
    train(page)
    one = text(page, "summary")
    move_slider(page, 2, "Seeds")
    assert text(page, "summary") == one
    train(page)
    assert text(page, "summary").startswith("Over 2 seeds")
    move_slider(page, 0.5, "Keep a hidden unit with p")
    assert text(page, "summary").startswith("Nothing is trained yet.")
    press(page, "Reset")
    assert text(page, "keep_hidden") == "0.90"
    assert text(page, "seeds") == "1"


def test_training_can_be_stopped_and_begun_anew(open_page: Open) -> None:
    page = open_page(output(laboratory(epochs=6000, seeds=10)))
    press(page, "Train")
    press(page, "Stop")
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_visible()
    assert page.locator("progress").evaluate("bar => getComputedStyle(bar).visibility") == "hidden"


def test_an_experiment_is_a_link(open_page: Open) -> None:
    widget = laboratory("moons")
    page = open_page(output(widget))
    assert "#" not in page.url
    move_slider(page, 0.35, "Keep a hidden unit with p")
    move_slider(page, 7, "Seeds")
    address = page.get_by_role("link", name="Link to this experiment").get_attribute("href") or ""
    assert page.url.endswith(address)
    assert "keep_hidden=0.35" in address
    page.reload()
    assert text(page, "keep_hidden") == "0.35"
    assert text(page, "seeds") == "7"
    assert text(page, "summary").startswith("Nothing is trained yet.")
    page.goto("about:blank")
    page = open_page(output(widget))
    page.evaluate("location.hash = '#laboratory-moons?keep_hidden=7&seeds=nonsense&examples=20'")
    page.reload()
    assert (text(page, "keep_hidden"), text(page, "seeds"), text(page, "examples")) == ("0.80", "1", "20")


def test_what_is_lost_without_a_unit_and_with_a_pair_is_what_torch_says(open_page: Open) -> None:
    page = open_page(output(laboratory("curve", width=8)))
    train(page)
    look_inside(page)
    # The same training, for its weights
    task = {**TASK, "mode": "curve", "seed": 1, "width": 8, "examples": 20, "noise": 0.25, "epochs": 500, "frames": 200}
    found = trained(page, {**task, "keepHidden": 1})
    network = network_of(found["trained"])
    x = torch.tensor(found["testX"], dtype=torch.float64).view(-1, 1)

    def loss(*gone: int) -> float:
        present = torch.ones(8, dtype=torch.float64)
        present[list(gone)] = 0
        h = network[1](network[0](x).relu()).relu() * present
        return loss_of(network[2](h), found["testY"], "curve").item()

    assert f"{loss():.3f}" in text(page, "score-plain")
    places = torch.linspace(-1.15, 1.15, 161, dtype=torch.float64)[:, None]  # of the picture
    sizes = (network[1](network[0](places).relu()).relu() * network[2].weight).square().sum(0)
    order = sizes.argsort(descending=True).tolist()
    labels = "all => all.map(each => Number(each.ariaLabel.match(/\\d+/)[0]) - 1)"
    assert page.locator(".dl-of-plain .dl-unit-button").evaluate_all(labels) == order
    third = order[2]
    assert removed(page, "plain") == [False] * 8
    page.locator(".dl-of-plain .dl-unit-button").nth(2).click()
    assert removed(page, "plain") == [False, False, True] + [False] * 5
    assert removed(page, "dropout") == [False] * 8
    said = re.search(r"curve (\d+\.\d+) to (\d+\.\d+), loss up by (-?\d+\.\d+)", text(page, "cost-plain"))
    assert said
    assert [float(each) for each in said.groups()] == pytest.approx(
        [loss(), loss(third), loss(third) - loss()], abs=0.00051
    )
    press(page, "See pairs interact")
    pairs = [(i, j) for i in range(8) for j in range(i)]
    interactions = [abs(loss(i) + loss(j) - loss(i, j) - loss()) for i, j in pairs]
    mean = re.search(r"interaction is ([\d.e-]+) with all units", text(page, "pairs"))
    assert mean
    assert float(mean[1]) == pytest.approx(np.mean(interactions), rel=0.06)
    press(page, "Remove half at random")
    assert sum(removed(page, "plain")) == sum(removed(page, "dropout")) == 4
    assert removed(page, "plain") == removed(page, "dropout")
    press(page, "Put all back")
    assert not any(removed(page, "plain"))


def test_it_says_which_units_are_shown_and_their_fit_stands_above_them(open_page: Open) -> None:
    page = open_page(output(laboratory("curve", width=64)), width=390)
    train(page)
    look_inside(page)
    expect(page.locator(".dl-of-plain .dl-unit-button")).to_have_count(24)
    assert text(page, "which-units").startswith("24 of 64 units of the second hidden layer, those that add the most")
    fit = page.locator(".dl-units-panel .dl-fit.dl-plain")
    upper = page.locator(".dl-fit.dl-plain").first
    whole = fit.get_attribute("d")
    assert whole == upper.get_attribute("d")
    first = page.locator(".dl-of-plain .dl-unit-button").first
    first.click()
    assert fit.get_attribute("d") == upper.get_attribute("d") != whole
    picture = page.locator(".dl-units-panel .dl-of-plain svg[role=img]")
    last = page.locator(".dl-of-plain .dl-unit-button").last.bounding_box()
    above = picture.bounding_box()
    assert last
    assert above
    assert last["y"] + last["height"] - above["y"] < 600  # both on a phone's screen
    assert picture.get_attribute("aria-label") == "The fit without 1 unit."


def test_pictures_stay_where_they_are_while_words_change_and_the_time_left_is_told(open_page: Open) -> None:
    page = open_page(output(laboratory("curve", seeds=3, epochs=1500)), width=390)
    places = """() => [...document.querySelectorAll("svg[role=img]")].filter((each) => !each.closest("details"))
        .map((each) => each.getBoundingClientRect().top)"""
    before = page.evaluate(places)
    assert len(before) == 3
    page.evaluate("""() => {
        window.told = new Set();
        const left = document.querySelector('[data-value="time-left"]');
        new MutationObserver(() => told.add(left.textContent)).observe(left, {childList: true});
    }""")
    press(page, "Train")
    page.wait_for_function("told.size > 1", timeout=60_000)
    assert page.evaluate(places) == before
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_visible(timeout=60_000)
    assert page.evaluate(places) == before
    told = [each for each in page.evaluate("[...told]") if each]
    assert told
    assert all(re.fullmatch(r"\d+ (s|min) left", each) for each in told)
    assert text(page, "time-left") == ""


def test_the_time_left_is_that_of_the_slower_arm_at_its_measured_speed(open_page: Open) -> None:
    with_experiment = NUMERICS + source("laboratory/experiment.js")
    left = """(source) => {
        const makeExperiment = new Function(`${source}; return makeExperiment;`)();
        const experiment = makeExperiment({}, () => {});
        const parts = new Map([["plain-1", 1], ["plain-2", 0.5], ["dropout-1", 0.5]]);
        Object.assign(experiment, {wanted: [1, 2], parts, begun: performance.now() - 10_000});
        return experiment.secondsLeft();
    }"""
    assert open_page().evaluate(left, with_experiment) == pytest.approx(
        30, abs=0.5
    )  # a quarter of its work in 10 seconds


def test_a_removed_unit_is_empty_with_a_dashed_outline_and_a_kept_one_is_filled(open_page: Open) -> None:
    page = open_page(output(laboratory("moons", width=8)))
    train(page)
    look_inside(page)
    first, second = page.locator(".dl-of-dropout .dl-unit-button").all()[:2]
    first.click()
    style = "button => { const s = getComputedStyle(button); return [s.borderTopStyle, s.backgroundColor]; }"
    assert first.evaluate(style) == ["dashed", "rgba(0, 0, 0, 0)"]
    assert second.evaluate(style) == ["solid", "rgb(0, 114, 178)"]


def test_digits_are_trained_in_the_page(open_page: Open) -> None:
    page = open_page(output(laboratory("digits", examples=200, epochs=5)))
    train(page)
    assert re.search(r"test error is [\d.]+% with all units and [\d.]+% with dropout", text(page, "summary"))
    found = trained(
        page,
        {**TASK, "mode": "digits", "seed": 1, "width": 16, "examples": 200, "noise": 0, "epochs": 5, "keepHidden": 1},
    )
    assert f"is {100 * found['test']['error']:.1f}% with all units" in text(page, "summary")
    look_inside(page)
    expect(page.locator(".dl-of-plain canvas.dl-feature")).to_have_count(16)


def test_pages_share_the_digits_in_a_script_also_from_a_file(browser: Browser, tmp_path: Path) -> None:
    write_digits_script(tmp_path / "digits.js")
    html = output(laboratory("digits", examples=100, epochs=5, digits_script="digits.js"))
    assert len(html) < 120_000
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset='utf-8'>{html}", encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert not page.evaluate("'dropoutLessonsDigits' in globalThis")  # not before it is asked for
    train(page)
    assert "test error is" in text(page, "summary")
    (tmp_path / "digits.js").unlink()
    page.reload()
    press(page, "Train")
    expect(page.locator("[data-value=summary]")).to_have_text("The digits could not be loaded from digits.js.")
    page.close()


def test_pages_of_the_book_take_the_digits_from_one_file(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("book_laboratory", ROOT / "book/_ext/laboratory.py")
    assert spec
    assert spec.loader
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    context = {"body": output(laboratory("digits", epochs=5)), "pathto": lambda name, resource: f"../{name}"}
    extension.share_digits(SimpleNamespace(outdir=tmp_path), "chapters/03", "page.html", context, None)
    assert '"digits_script": "../_static/digits.js"' in context["body"]
    assert len(context["body"]) < 120_000
    assert Laboratory("digits").data["digits"] in (tmp_path / "_static/digits.js").read_text(encoding="utf-8")


def test_a_kernel_gives_the_digits_when_they_are_asked_for(open_page: Open) -> None:
    widget = laboratory("digits", examples=100, epochs=5, digits_script="nowhere.js")
    assert widget.digits == ""
    page = open_page()
    page.evaluate(LIVE_HOST, [widget._esm, widget._state(), "wanted"])
    press(page, "Train")
    page.wait_for_function("saved.length > 0")
    widget.set_state({"wanted": True})  # what the message from the browser calls
    page.evaluate("(digits) => model.set('digits', digits)", widget.digits)
    expect(page.locator("[data-value=summary]")).to_contain_text("test error is", timeout=30_000)
    assert "#" not in page.url  # a notebook's address is its host's own
    page.evaluate("close_view()")


def test_the_landing_form_trains_by_itself_and_again_on_new_points(open_page: Open) -> None:
    page = open_page(output(laboratory(landing=True)))
    expect(page.locator("[data-value=summary]")).to_contain_text("One run is an anecdote", timeout=30_000)
    expect(page.locator(".dl-fit.dl-dropout")).not_to_have_attribute("d", "")
    press(page, "New points")
    expect(page.locator("[data-value=summary]")).to_contain_text("Over 2 seeds", timeout=30_000)


def test_reduced_motion_sees_the_end_state_and_a_play_button(browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    count = """<script>
        window.drawn = 0;
        const own = requestAnimationFrame;
        window.requestAnimationFrame = (draw) => { window.drawn++; return own(draw); };
    </script>"""
    page.set_content(f"<!doctype html>{count}{output(laboratory(landing=True))}")
    expect(page.locator("[data-value=score-dropout]")).to_contain_text("mean squared error", timeout=30_000)
    expect(page.locator("[data-value=summary]")).to_contain_text("anecdote", timeout=30_000)
    assert page.evaluate("drawn") == 0
    press(page, "Play")
    page.wait_for_function("drawn > 5")
    context.close()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Laboratory("words"), "mode must be one of"),
        (lambda: Laboratory("digits", landing=True), "landing must be False"),
        (lambda: Laboratory("curve", keep_inputs=0.5), "handles of 'curve' must be of .* got 'keep_inputs'"),
        (lambda: Laboratory("curve", keep_input=0.5), "handles of 'curve' must be of"),
    ],
)
def test_an_unknown_mode_or_handle_is_refused(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_a_handle_stays_in_its_range() -> None:
    with pytest.raises(traitlets.TraitError, match="seeds must be from 1 to 10, got 11"):
        Laboratory("curve", seeds=11)
    widget = Laboratory("moons")
    with pytest.raises(traitlets.TraitError, match="width must be from 8 to 96, got 4"):
        widget.width = 4
    assert widget.width == 48
