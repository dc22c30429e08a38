"""One offset moves every draw: of data, weights, order, masks and tuning, in the package, the experiments and the chapters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import torch

import dropout_lessons
from dropout_lessons import MLP, Recipe, datasets, experiments, fit, runtime
from dropout_lessons.coadaptation import planted_data, study
from dropout_lessons.ensembles import Arm
from dropout_lessons.experiments import store

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(dropout_lessons.__file__).parent
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
#: What is seeded with a draw of a generator that has moved, and the order of a file, which decides what the test set is.
NOT_MOVED = {"averaging/monte_carlo.py", "datasets/sources.py", "runtime.py"}


def seedings(code: str) -> Iterator[ast.Call]:
    """Where a generator is given its seed."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("manual_seed", "default_rng", "random.seed", "RandomState", "fork_rng")
        ):
            yield node
        if isinstance(node, ast.Call) and any(keyword.arg == "random_state" for keyword in node.keywords):
            yield node


def moved(call: ast.Call) -> bool:
    return any(isinstance(part, ast.Call) and ast.unparse(part.func) == "runtime.seed" for part in ast.walk(call))


#: Of experiments that are not recorded again yet; within each the sums do not meet.
SUMS = {
    "runtime.generator(10 * unit.seed + stream)",
    "runtime.generator(10 * unit.seed + number)",
}


def numbered(code: str) -> Iterator[ast.Call]:
    """Where a number becomes a seed or a generator."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("runtime.seed", "runtime.generator"):
            yield node


def code_of(chapter: Path) -> str:
    cells = [cell.source for cell in nbformat.read(chapter, as_version=4).cells if cell.cell_type == "code"]
    lines = "\n".join(cells).splitlines()
    return "\n".join("    pass" if line.lstrip().startswith(("%", "!")) else line for line in lines)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_seed_of_a_chapter_is_moved(chapter: Path) -> None:
    fixed = [ast.unparse(call) for call in seedings(code_of(chapter)) if not moved(call)]
    assert not fixed, f"not moved with all seeds: {fixed}; write runtime.generator(0)"


@pytest.mark.parametrize("folder", sorted({path.name for path in SOURCE.iterdir()} - {"exercises", "grading"}))
def test_every_seed_of_the_package_is_moved(folder: str) -> None:
    paths = (SOURCE / folder).rglob("*.py") if (SOURCE / folder).is_dir() else [SOURCE / folder]
    for path in paths:
        if path.suffix != ".py" or str(path.relative_to(SOURCE)) in NOT_MOVED:
            continue
        code = path.read_text(encoding="utf-8")
        for call in seedings(code):
            known = "seed = runtime.seed(seed)" in code and ast.unparse(call.args[0]) == "seed"
            assert moved(call) or known or "fork_rng" in ast.unparse(call.func), f"{path}: {ast.unparse(call)}"


def code_that_seeds() -> Iterator[str]:
    for path in SOURCE.rglob("*.py"):
        if "runtime." in (code := path.read_text(encoding="utf-8")):
            yield code
    yield from map(code_of, CHAPTERS)


def test_streams_are_named_and_no_constant_is_added_to_a_seed() -> None:
    calls = [call for code in code_that_seeds() for call in numbered(code)]
    sums = {ast.unparse(call) for call in calls if any(isinstance(part, ast.BinOp) for part in call.args)}
    sums -= SUMS
    assert len(calls) > 50
    assert not sums, f'{sums}: two such sums meet, or differ in bits that no generator reads; write stream="labels"'


def streams() -> set[str]:
    """All names of streams in the package and the chapters; of one with a number in it, ten."""
    found: set[str] = set()
    for code in code_that_seeds():
        calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
        names = [word.value for call in calls for word in call.keywords if word.arg == "stream"]
        found |= {name.value for name in names if isinstance(name, ast.Constant)}
        texts = [ast.unparse(name)[2:-1] for name in names if isinstance(name, ast.JoinedStr)]
        found |= {re.sub("{.*}", str(i), text) for text in texts for i in range(10)}
    return found


def test_no_two_streams_coincide(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["", *streams(), "order", "weights", "corpus"]  # some are passed on by functions
    assert {"labels", "measures", "repetition 3"} < set(names)
    for offset in ("0", "1", str(runtime.MOST_OFFSETS)):
        monkeypatch.setenv("DROPOUT_LESSONS_SEED_OFFSET", offset)
        low = [runtime.seed(number, name) % 2**32 for name in dict.fromkeys(names) for number in range(100)]
        assert len(set(low)) == len(low)


def test_different_streams_draw_different_numbers() -> None:
    names = ["", "labels", "measures", "masks"]
    draws = torch.stack([torch.rand(4000, generator=runtime.generator(3, stream=name)) for name in names])
    off_diagonal = torch.corrcoef(draws)[~torch.eye(len(names), dtype=torch.bool)]
    assert off_diagonal.abs().max() < 5 / 4000**0.5  # of independent numbers the standard error is 1 / sqrt(n)
    again = torch.rand(4000, generator=runtime.generator(3, stream="labels"))
    assert torch.equal(draws[1], again)


def test_labels_and_measures_do_not_share_the_stream_of_initial_weights() -> None:
    data = datasets.load("digits", train=50, seed=0)
    arm = Arm(lambda generator: MLP([64, 4, 10], generator=generator), shuffle_labels=True)
    _, shuffled, _ = arm.at(0, data)
    of_weights = torch.randperm(50, generator=runtime.generator(0))
    assert not torch.equal(shuffled.train.y, data.train.y[of_weights])
    states = []
    study(
        {"plain": [MLP([64, 4, 10]) for _ in range(5)]},
        data,
        ["hidden1"],
        seeds=range(5),
        measures={"state": lambda units, generator: states.append(generator.initial_seed()) or 0.0},
        progress=False,
        examples=5,
    )
    assert not {seed % 2**32 for seed in states} & {runtime.seed(seed) % 2**32 for seed in range(5)}


def drawn() -> dict[str, torch.Tensor]:
    """Something of each kind that is drawn."""
    data = datasets.load("mnist_10k", train=30, validation=10, label_noise=0.5, seed=1)
    still = MLP([784, 4, 10], keep_prob=0.5, generator=torch.Generator().manual_seed(0))
    fit(still, data, Recipe(epochs=1, batch_size=10, seed=3), progress=False)
    return {
        "data": data.train.x,
        "labels": data.train.y,
        "generators": runtime.generator(2).get_state(),
        "order and masks": next(still.parameters()).detach(),
        "text": datasets.MarkovSource(symbols=4, seed=0).next_probs,
        "planted": planted_data(0).test.x,
        "test": data.test.x,
    }


def test_an_offset_moves_all_that_is_drawn_and_none_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DROPOUT_LESSONS_SEED_OFFSET", raising=False)
    before = drawn()
    monkeypatch.setenv("DROPOUT_LESSONS_SEED_OFFSET", "0")
    same = drawn()
    monkeypatch.setenv("DROPOUT_LESSONS_SEED_OFFSET", "7")
    other = drawn()
    assert all(torch.equal(before[name], same[name]) for name in before)
    assert [name for name in before if torch.equal(before[name], other[name])] == ["test"]


def test_without_an_offset_a_seed_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DROPOUT_LESSONS_SEED_OFFSET", raising=False)
    assert [runtime.seed(number) for number in (0, 5, 2014)] == [0, 5, 2014]
    assert torch.equal(runtime.generator(5).get_state(), torch.Generator().manual_seed(5).get_state())


def test_no_two_offsets_share_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    low = []
    for offset in (0, 1, runtime.MOST_OFFSETS):
        monkeypatch.setenv("DROPOUT_LESSONS_SEED_OFFSET", str(offset))
        low += [runtime.seed(number) % 2**32 for number in (0, 9_999_999)]
    assert low == sorted(set(low))


@pytest.mark.parametrize("value", ["-1", "401", "1.5", "many", ""])
def test_an_impossible_offset_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPOUT_LESSONS_SEED_OFFSET", value)
    with pytest.raises(ValueError, match=r"DROPOUT_LESSONS_SEED_OFFSET must be an integer from 0 to 400, got"):
        runtime.seed(0)


def test_results_of_moved_seeds_are_kept_apart_and_never_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DROPOUT_LESSONS_SEED_OFFSET", raising=False)
    experiment = experiments.get("section9_ridge")
    own = store.Store(tmp_path, experiment, "lecture").folder
    result = experiments.recorded(experiment.name)
    monkeypatch.setenv("DROPOUT_LESSONS_SEED_OFFSET", "3")
    assert store.Store(tmp_path, experiment, "lecture").folder != own
    with pytest.raises(ValueError, match="SEED_OFFSET must be unset for a result to be recorded, got 3"):
        experiments.record(result)
