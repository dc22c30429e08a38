"""Exercises: definitions, variants, what a check says, and that it disturbs nothing. Solutions are tested elsewhere."""

import itertools
import random
import re
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropout_lessons import exercises
from dropout_lessons.exercises import CheckFailed, Coded, Written, bank
from dropout_lessons.exercises.checking import attempt, inputs_of, judged
from dropout_lessons.exercises.exercise import KINDS, LEVELS, Examiner, Problem
from dropout_lessons.exercises.judges import comparing, drawing
from dropout_lessons.exercises.judges.masks import masks
from dropout_lessons.exercises.notebook import ANSWER_HERE, cells, marker
from dropout_lessons.exercises.trials import try_layer

ROOT = Path(__file__).resolve().parents[1]
BANK = list(bank().values())
CODED = [exercise for exercise in BANK if isinstance(exercise, Coded)]
WRITTEN = [exercise for exercise in BANK if isinstance(exercise, Written)]


def named(exercise):
    return exercise.id


def shared_dropout(x, keep_prob):
    return torch.where(torch.rand(x.shape[1]) < keep_prob, x / keep_prob, 0)


def echo(**changes):
    """An exercise whose judge accepts whatever equals x."""

    def judge(inputs, outputs):
        if not np.array_equal(outputs["y"], inputs["x"]):
            yield Problem("different", "It is not x.")

    settings = {
        "id": "training-9",
        "title": "echo",
        "level": "core",
        "kind": "implement",
        "minutes": 1,
        "points": 1,
        "objectives": (1,),
        "prompt": "Return x.",
        "answer": "echo",
        "stub": "def echo(x):\n    raise NotImplementedError",
        "use": lambda answer, inputs: {"y": answer(inputs["x"])},
        "examiner": Examiner(judge, lambda rng: {"x": drawing.away_from_zero(rng, 4, 4)}),
    }
    return Coded(**{**settings, **changes})


def problems(answer, **changes):
    exercise = echo(**changes)
    inputs = inputs_of(exercise, seed=1)
    outputs = attempt(exercise, answer, inputs, seed=1)
    return (outputs,) if isinstance(outputs, Problem) else judged(exercise, inputs, outputs)


def codes(answer, **changes):
    return [problem.code for problem in problems(answer, **changes)]


# --- the bank


@pytest.mark.parametrize("exercise", BANK, ids=named)
def test_an_exercise_names_an_objective_of_its_chapter(exercise):
    (path,) = ROOT.glob(f"chapters/{exercise.chapter:02d}_*.ipynb")
    opening = nbformat.read(path, as_version=4).cells[0].source
    objectives = opening.count("\n- ")
    assert all(1 <= objective <= objectives for objective in exercise.objectives)


@pytest.mark.parametrize("exercise", CODED, ids=named)
@pytest.mark.parametrize("variant", [0, 1, 7])
def test_a_stub_runs_and_is_told_to_be_unsolved_or_wrong(exercise, variant):
    namespace = {}
    exec(exercise.code(variant), namespace)
    feedback = exercises.check(exercise.id, namespace[exercise.answer], variant=variant, seed=0)
    assert not feedback.passed
    if exercise.kind != "find the bug":  # where the stub is the code with the bug
        assert "is not solved yet" in repr(feedback)


@pytest.mark.parametrize("exercise", BANK, ids=named)
def test_every_variant_has_a_text_without_holes(exercise):
    for variant in range(5):
        for cell in cells(exercise, variant, heading="### An exercise"):
            assert "{{" not in cell.source
    assert exercise.values() == {name: allowed[0] for name, allowed in exercise.constants.items()}


@pytest.mark.parametrize("exercise", BANK, ids=named)
def test_as_many_variants_differ_as_there_are(exercise):
    drawn = [exercise.values(variant) for variant in range(2 * exercise.variants)]
    assert len({tuple(values.items()) for values in drawn}) == exercise.variants
    assert exercise.variants >= (6 if exercise.constants else 1)
    if (
        isinstance(exercise, Coded)
        and exercise.kind in ("predict", "read a figure")
        and not exercise.stub.startswith("\ndef")
    ):
        assert exercise.constants, "a value to hand in differs between sections"


def test_the_bank_covers_levels_and_kinds():
    assert {exercise.level for exercise in BANK} == set(LEVELS)
    assert {exercise.kind for exercise in BANK} <= set(KINDS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": "hard"}, r"level of training-9 must be one of \['warm-up', 'core', 'stretch'\], got 'hard'"),
        ({"kind": "guess"}, "kind of training-9 must be one of"),
        ({"id": "q9"}, "id must be a topic and a number, such as 'training-1', with one of .* got 'q9'"),
        ({"id": "ch03-q9"}, "id must be a topic and a number"),
        ({"points": 0}, "at least one minute, one point and one objective"),
        ({"prompt": "Take {{n}} units."}, r"must give values for \['n'\]"),
        ({"answer": "other"}, "must define 'other'"),
    ],
)
def test_a_definition_with_a_fault_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        echo(**changes)


def test_an_exercise_without_a_judge_says_which_function_to_add_and_where():
    with pytest.raises(
        AttributeError, match=r"training-9 has no judge: add judge_echo\(.+ to exercises/judges/training\.py"
    ):
        inputs_of(echo(examiner=None), seed=1)


def test_an_unknown_exercise_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="got 'training-22'; did you mean 'training-2'"):
        exercises.get("training-22")


def test_chapters_show_what_the_bank_says():
    outcome = subprocess.run(
        [sys.executable, ROOT / "book" / "exercises.py", "--check"], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, f"{outcome.stdout}{outcome.stderr}\nRun: make exercises"


# --- what a check says


def test_a_right_answer_passes_and_the_seed_repeats_it():
    feedback = exercises.check("training-1", shared_dropout)
    assert feedback.passed
    assert feedback.share == 1
    assert exercises.check("training-1", shared_dropout, seed=feedback.seed) == feedback


def test_feedback_names_the_mistake_and_the_seed_and_not_the_solution():
    feedback = exercises.check("training-1", lambda x, keep_prob: shared_dropout(x, keep_prob) * keep_prob, seed=5)
    assert [problem.code for problem in feedback.problems] == ["unscaled"]
    assert "add seed=5" in repr(feedback)
    assert "on average too little arrives" in feedback._repr_html_()


def test_strict_checks_raise(monkeypatch):
    with pytest.raises(CheckFailed, match="is not solved yet"):
        exercises.check("training-2", None, strict=True)
    monkeypatch.setenv("DROPOUT_LESSONS_STRICT", "1")
    with pytest.raises(CheckFailed, match="looks at the input alone"):
        exercises.check("training-2", (0.8, 0.5))
    assert not exercises.check("training-2", (0.8, 0.5), strict=False).passed


def test_a_written_exercise_has_no_check():
    with pytest.raises(ValueError, match="which is marked by hand"):
        exercises.check(WRITTEN[0].id, "my answer")


def test_the_text_of_a_student_is_escaped_in_html():
    def answer(x, keep_prob):
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in exercises.check("training-1", answer)._repr_html_()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda x: x.clone(), None),
        (lambda x: x.numpy().copy(), None),
        (lambda x: x.tolist(), None),
        (lambda x: x.clone().requires_grad_(), None),
        (lambda x: x.numpy().astype(object), None),
        (lambda x: [[Fraction(value) for value in row] for row in x.tolist()], None),
        (lambda x: tuple(tuple(Decimal(value) for value in row) for row in x.tolist()), None),
        (lambda x: pd.DataFrame(x.numpy()), None),
        (lambda x: x + torch.zeros(4, dtype=torch.float64), None),
        (lambda x: x + 1, "different"),
        (lambda x: x[0], "different"),
        (lambda x: None, "wrong-type"),
        (lambda x: {"y": x}, "wrong-type"),
        (lambda x: np.array([object()]), "wrong-type"),
        (lambda x: [[1.0], [1.0, 2.0]], "wrong-type"),
        (lambda x: x * torch.nan, "not-finite"),
        (lambda x: torch.zeros(1).expand(20_000_000), "wrong-type"),
        (lambda x: 1 / 0, "raises"),
        (lambda x: x.mul_(1.5), "in-place"),
        (None, "unsolved"),
        (..., "unsolved"),
    ],
)
def test_whatever_an_answer_returns_has_a_diagnosis(answer, code):
    assert codes(answer)[:1] == ([code] if code else [])


def test_an_answer_of_another_form_is_told_so_and_not_that_it_raises():
    def codes_of(answer):
        return [problem.code for problem in exercises.check("choosing-2", answer, seed=1, strict=False).problems]

    assert codes_of(lambda validation_error, test_error: None) == ["wrong-type"]
    assert codes_of(lambda validation_error, test_error: test_error.mean()) == ["wrong-type"]
    assert codes_of(lambda validation_error, test_error: list(None)) == ["raises"]


def test_two_arguments_changed_in_place_are_one_mistake():
    def answer(arm, control, quantile):
        arm -= control
        control.zero_()
        half = quantile * arm.std() / len(arm) ** 0.5
        return arm.mean(), arm.mean() - half, arm.mean() + half

    feedback = exercises.check("verdict-1", answer, seed=1, strict=False)
    assert [problem.code for problem in feedback.problems] == ["in-place"]
    assert "its arguments arm and control in place" in feedback.problems[0].message
    assert feedback.share == 0.5


CODED = [exercise for exercise in exercises.bank().values() if isinstance(exercise, Coded)]


@pytest.mark.parametrize("exercise", CODED, ids=lambda exercise: exercise.id)
def test_a_remark_on_a_change_in_place_names_arguments_as_the_stub_does(exercise):
    inputs = inputs_of(exercise, 1)
    arrays = {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}
    for name, value in arrays.items():
        problem = judged(exercise, inputs, {f"after {name}": value + 1})[0]
        assert problem.code == "in-place"
        if named := re.search("its arguments? (.+) in place", problem.message):
            assert named[1] in re.findall(r"\w+", exercise.stub)


def test_a_change_in_place_is_told_by_the_student_s_names():
    def answer(differences, bound):
        differences -= bound
        return "agrees"

    problem = exercises.check("reproduction-2", answer, seed=1, strict=False).problems[0]
    assert "changes its argument differences in place" in problem.message


def masks_in_a_generator(hidden, weight, bias, keep_prob):
    def term(mask):
        m = torch.tensor(mask)
        chance = torch.where(m == 1, keep_prob, 1 - keep_prob).prod()
        return chance * torch.softmax(hidden * m / keep_prob @ weight.T + bias, 1)

    return sum(term(mask) for mask in itertools.product((0.0, 1.0), repeat=hidden.shape[1]))


def logits_of_all_masks(hidden, weight, bias, keep_prob):
    # Masks from a comprehension within another: no subnetwork has a computation of its own.
    units = range(len(weight[0]))
    masks = torch.tensor([[code >> unit & 1 for unit in units] for code in range(2 ** len(units))], dtype=torch.float64)
    chances = (keep_prob**masks * (1 - keep_prob) ** (1 - masks)).prod(1)
    logits = (masks[:, None] * hidden / keep_prob) @ weight.T.double() + bias
    return torch.tensordot(chances, logits.softmax(2), 1)


def test_the_mean_of_all_subnetworks_earns_all_points_without_a_loop_over_them_and_three_of_five_with_one():
    before = sys.getprofile()
    looped, whole = (
        exercises.check("averaging-4", answer, seed=1) for answer in (masks_in_a_generator, logits_of_all_masks)
    )
    assert [problem.code for problem in looped.problems] == ["one-by-one"]
    assert looped.share * looped.exercise.points == pytest.approx(3)
    assert whole.passed
    assert sys.getprofile() is before


def test_an_answer_may_be_written_for_either_precision():
    assert codes(lambda x: x @ torch.eye(4, dtype=torch.float64)) == []
    assert codes(lambda x: x @ torch.eye(4)) == []
    assert codes(lambda x: x.mul_(2) @ torch.eye(4, dtype=torch.float64)) == ["in-place", "different"]


def test_an_object_that_claims_to_equal_everything_is_no_answer():
    class Equal(np.ndarray):
        def __eq__(self, other):
            return np.True_

        def __array_function__(self, *_):
            return True

    assert codes(lambda x: np.zeros(1).view(Equal)) == ["wrong-type"]


def test_missing_outputs_are_a_problem_and_no_crash():
    assert [problem.code for problem in judged(echo(), inputs_of(echo(), 1), {})] == ["unreadable"]


def columns(x, keep_prob):
    return x[:, torch.rand(x.shape[1]) < keep_prob]


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("training-1", columns, "another shape in each call: a dropped unit sends zero, and keeps its place"),
        ("training-1", lambda x, keep_prob: (x, x), "It returns a tuple, where one tensor is asked for"),
        ("training-1", lambda x, keep_prob: None, r"It returns nothing \(is a return missing\?\), where one tensor"),
        ("scaling-3", lambda weight, bias, keep_prob: weight, "It returns a Tensor, where 2 values are asked for"),
        ("scaling-3", lambda weight, bias, keep_prob: {"weight": weight}, "It returns a dict, where 2 values"),
        ("subnetworks-2", lambda weight1, bias1, *_: (weight1, bias1), "It returns 2 values, where 3 are asked for"),
        ("subnetworks-3", lambda n, keep_prob: None, "It returns nothing: is a return missing"),
        ("coadaptation-3", lambda value, units: None, "It returns nothing: is a return missing"),
        ("scaling-3", lambda weight, bias, keep_prob: (weight, None), "returns as bias is None, where a number or a"),
        ("scaling-3", lambda weight, bias, keep_prob: ("0.5", bias), r"returns as weight has text in it \('0.5'\)"),
        ("verdict-1", lambda *_: (0.1, None, 0.2), r"What it returns holds None at \[1\], where a number"),
        ("verdict-1", lambda *_: (0.1, {"low": 0}, 0.2), r"What it returns holds a dict at \[1\], where a number"),
        ("choosing-2", lambda *_: {"best": 1}, "It returns a dict, where 2 values are asked for"),
        ("today-1", lambda *_: None, r"It returns nothing \(is a return missing\?\), where one tensor"),
        ("placement-3", lambda *_: ["a"], "It returns a list, where one tensor is asked for"),
        ("choosing-1", (None, 10000), r"^noise holds None at \[0\], where a number or a tensor is asked for"),
        ("choosing-1", ("0.3", 10000), r"^noise has text in it \('0.3'\), where numbers alone are asked for"),
        ("choosing-1", {"noise": 0.3}, "^noise is a dict, where a number"),
        ("choosing-1", [[1, 2], [3]], r"^noise has parts of different shapes in it: \(2,\), \(1,\)"),
        ("choosing-1", [], "^noise is an empty list"),
    ],
)
def test_an_answer_that_returns_something_else_is_told_what_is_asked_for(exercise, answer, words):
    (problem,) = exercises.check(exercise, answer, seed=1).problems
    assert problem.code == "wrong-type"
    assert re.search(words, problem.message)


def test_a_check_says_how_many_numbers_are_wrong_and_where_the_first_is():
    def said(value):
        (problem,) = comparing.values(np.array(value), [[1.0, 2.0], [3.0, 4.0]], {}, what="the matrix")
        return problem.message

    assert said([[1.0, 2.0], [5.0, 4.0]]).startswith("1 of the 4 numbers in the matrix is not right, at [1, 0];")
    assert said([[1.0, 0.0], [5.0, 4.0]]).startswith(
        "2 of the 4 numbers in the matrix are not right, the first at [0, 1];"
    )
    assert said([[0.0, 0.0], [5.0, 0.0]]).startswith("None of the numbers in the matrix is right")


def test_an_error_names_the_line_of_the_answer(tmp_path):
    source = tmp_path / "answer.py"
    source.write_text("def answer(x):\n    return x.no_such_method()\n")
    namespace = {}
    exec(compile(source.read_text(), source, "exec"), namespace)
    (problem,) = problems(namespace["answer"])
    assert "AttributeError" in problem.message
    assert "return x.no_such_method()" in problem.message


def test_a_check_leaves_all_generators_as_they_were():
    def answer(x):
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)
        torch.rand(5), np.random.rand(5), random.random()  # noqa: NPY002
        return x

    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    problems(answer)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


# --- statistics


@given(st.integers(10, 10_000), st.floats(0.01, 0.99))
def test_the_counts_that_are_refused_are_rare(n, prob):
    from scipy.stats import binom

    counts = np.arange(n + 1)
    refused = [count for count in counts if not comparing.plausible(int(count), n, prob)] if n <= 300 else None
    if refused is None:  # the ends of the refused range, by bisection
        low = max((k for k in counts[: int(n * prob)] if not comparing.plausible(int(k), n, prob)), default=-1)
        high = min((k for k in counts[int(n * prob) + 1 :] if not comparing.plausible(int(k), n, prob)), default=n + 1)
        chance = binom.cdf(low, n, prob) + binom.sf(high - 1, n, prob)
    else:
        chance = binom.pmf(refused, n, prob).sum()
    assert chance <= comparing.FALSE_ALARM


def test_a_wrong_rate_is_refused():
    assert not comparing.plausible(500, 1000, 0.65)
    assert not comparing.plausible(0, 1000, 0.2)


@given(st.integers(0, 2**32))
def test_drawn_numbers_are_away_from_zero_and_keep_probabilities_from_one_half(seed):
    rng = np.random.default_rng(seed)
    x = drawing.away_from_zero(rng, 8, 8)
    assert (np.abs(x) >= 0.5).all()
    assert x.dtype == np.float32
    keep_prob = drawing.band(rng)
    assert 0.15 <= abs(keep_prob - 0.5) <= 0.35
    assert abs(keep_prob - round(keep_prob, 1)) > 0.025


CALLS, ROWS, UNITS = 4, 512, 128
UNIFORM = np.random.default_rng(0).random((CALLS, ROWS, UNITS))
BERNOULLI = UNIFORM < 0.3
PER_UNIT, PER_CALL = np.linspace(0.2, 0.4, UNITS), np.array([0.25, 0.28, 0.32, 0.35])[:, None, None]


@pytest.mark.parametrize(
    ("kept", "code"),
    [
        (BERNOULLI, None),
        (np.ones_like(BERNOULLI), "nothing-dropped"),
        (np.zeros_like(BERNOULLI), "nothing-kept"),
        (BERNOULLI[:1].repeat(CALLS, 0), "same-mask-again"),
        (BERNOULLI[:, :, :1].repeat(UNITS, 2), "mask-per-row"),
        (BERNOULLI[:, :1].repeat(ROWS, 1), "mask-per-batch"),
        (UNIFORM.argsort(2).argsort(2) < 38, "exact-count"),
        (UNIFORM.argsort(2).argsort(2) < 38 + np.arange(ROWS)[:, None] % 2, "exact-count"),
        (np.repeat(BERNOULLI[:, :, ::2], 2, 2), "units-share-coins"),
        (np.concatenate([BERNOULLI[:, :, :64]] * 2, 2), "units-share-coins"),
        (np.concatenate([BERNOULLI[:, :, :64], BERNOULLI[:, :, 63::-1]], 2), "units-share-coins"),
        (np.concatenate([UNIFORM[:, :, :64], 1 - UNIFORM[:, :, :64]], 2) < 0.3, "units-share-coins"),
        (np.concatenate([BERNOULLI[:, :, :127], BERNOULLI[:, :, :1]], 2), "units-share-coins"),
        (np.repeat(BERNOULLI[:, ::2], 2, 1), "rows-share-coins"),
        (np.concatenate([UNIFORM[:, :256], 1 - UNIFORM[:, :256]], 1) < 0.3, "rows-share-coins"),
        (np.repeat(BERNOULLI[::2], 2, 0), "mask-reused"),
        (np.concatenate([UNIFORM[::2], 1 - UNIFORM[::2]]) < 0.3, "mask-reused"),
        (np.sort(UNIFORM, 2) < 0.3, "unequal-rates"),
        (BERNOULLI | (np.arange(UNITS) == 5), "unequal-rates"),
        (BERNOULLI | (np.arange(ROWS)[:, None] == 0), "unequal-rates"),
        (UNIFORM < PER_UNIT, "unequal-rates"),
        (UNIFORM < PER_CALL, "rates-vary"),
        (~BERNOULLI, "keep-and-drop-swapped"),
        (UNIFORM < 0.5, "hard-coded-half"),
        (UNIFORM < 0.31, "wrong-rate"),
        (UNIFORM < 0.29, "wrong-rate"),
    ],
)
def test_masks_get_the_right_diagnosis(kept, code):
    assert [problem.code for problem in masks(kept, 0.3)] == ([code] if code else [])


@given(st.integers(0, 2**32), st.sampled_from([0.15, 0.25, 0.35, 0.65, 0.85]))
@settings(max_examples=15, deadline=None)
def test_masks_of_independent_coins_are_right(seed, keep_prob):
    rng = np.random.default_rng(seed)
    assert not list(masks(rng.random((CALLS, ROWS, UNITS)) < keep_prob, keep_prob))
    shared = (rng.random((256, 1, 1024)) < keep_prob).repeat(2, 1)
    assert not list(masks(shared, keep_prob, rows_share=True))


def test_a_trial_tells_a_layer_that_seeds_from_one_that_turns_the_generator_back():
    inputs = {name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in LAYER.items()}

    def seeding(x):
        torch.manual_seed(int(torch.randint(0, 2**31, ())))
        return x * (torch.rand_like(x) < 0.3)

    def honest(x):
        return x * (torch.rand_like(x) < 0.3)

    with torch.random.fork_rng(devices=[]):
        assert try_layer(seeding, seeding, inputs)["reseeds"]
        found = try_layer(honest, honest, inputs)
    assert not found["reseeds"]
    assert found["trainable"]
    assert found["resizable"]
    assert not found["rewinds"]


LAYER = drawing.layer(np.random.default_rng(3))


@pytest.mark.parametrize("exercise", CODED, ids=named)
def test_a_mistake_is_more_than_two_tolerances_away_from_the_truth(exercise, monkeypatch):
    near = []

    def number(value, truth, mistakes, *, rtol=0.01, atol=0.0, **_):
        allowed = max(atol, rtol * abs(truth))
        near.extend(code for code, (wrong, _) in mistakes.items() if abs(wrong - truth) <= 2 * allowed)
        return iter(())

    def values(value, truth, mistakes, *, rtol=1e-3, atol=1e-5, **_):
        allowed = max(atol, rtol * np.abs(truth).max())
        same = {code: wrong for code, (wrong, _) in mistakes.items() if np.shape(wrong) == np.shape(truth)}
        near.extend(code for code, wrong in same.items() if np.abs(wrong - truth).max() <= 2 * allowed)
        return iter(())

    for name, stand_in in (("number", number), ("values", values), ("numbers", values)):
        monkeypatch.setattr(comparing, name, stand_in)
    sizes = {"left": 2, "numbers": 4 if exercise.topic == "scaling" else 2}
    outputs = defaultdict(lambda: np.zeros(2), answer=np.zeros(sizes.get(exercise.answer, 2)))
    for variant in range(exercise.variants):
        for seed in range(1 if exercise.constants else 20):
            judged(exercise, inputs_of(exercise, seed, variant), outputs)
    assert near == []


def test_the_folder_of_judges_is_not_needed_to_work_on_an_answer():
    script = """
import sys
sys.modules["dropout_lessons.exercises.judges"] = None  # as if the folder were not there
from dropout_lessons import exercises
found = exercises.check("training-1", lambda x, keep_prob: x, seed=1)
print([problem.code for problem in found.problems], [name for name in sys.modules if ".judges." in name])
"""
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "['not-judged'] []"


@pytest.mark.parametrize(
    ("value", "code"), [(0.401, None), (0.6, "flipped"), (0.5, "off"), ([0.4, 0.4], "wrong-type"), ("a", "wrong-type")]
)
def test_a_number_gets_the_right_diagnosis(value, code):
    found = comparing.number(np.asarray(value), 0.4, {"flipped": (0.6, "The other way round.")})
    assert [problem.code for problem in found] == ([code] if code else [])


# --- cells


def test_an_assignment_has_a_place_for_a_written_answer_and_the_book_has_none():
    written = WRITTEN[0]
    prompt, answer = cells(written, heading="### 1")
    assert answer.source == f"{marker(written.id)}\n\n{ANSWER_HERE}"
    assert prompt.source.startswith("### 1\n")
    assert len(cells(written)) == 1


@pytest.mark.parametrize("exercise", exercises.bank().values(), ids=lambda exercise: exercise.id)
def test_an_assigned_prompt_has_no_role_that_only_the_book_knows(exercise):
    text = "\n".join(cell.source for cell in cells(exercise, heading="## 1"))
    assert not re.search(r"{\w+(:\w+)?}`", text)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([1.0, 2.0], None),
        ([1.0, 2.0009], None),
        ([1.0, 2.1], "off"),
        ([2.0, 1.0], "swapped"),
        ([[1.0, 2.0]], "wrong-shape"),
        (["1", "2"], "wrong-type"),
    ],
)
def test_an_array_is_right_known_to_be_wrong_or_off(value, code):
    mistakes = {"other-shape": (np.zeros(3), ""), "swapped": (np.array([2.0, 1.0]), "The order is wrong.")}
    problems = list(comparing.values(np.array(value), np.array([1.0, 2.0]), mistakes))
    assert [problem.code for problem in problems] == ([] if code is None else [code])
