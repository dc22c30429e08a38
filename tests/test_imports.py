"""What is not needed is not loaded: starting takes no longer than it must."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import dropout_lessons

# What takes long to load: a tenth of a second and more, each.
SLOW = {
    "IPython",
    "anywidget",
    "ipywidgets",
    "joblib",
    "matplotlib",
    "nbformat",
    "pandas",
    "pooch",
    "requests",
    "scipy",
    "sklearn",
    "torch.export",
    "torch._dynamo",
    "torch._inductor",
}


@cache
def loaded(program: str) -> set[str]:
    """The slow modules that a program has loaded when it ends, other than those of PyTorch itself."""
    show = f"import sys; print(*({SLOW!r} & set(sys.modules)))"
    run = [sys.executable, "-c", f"{program}\n{show}"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.parametrize(
    "program",
    [
        "import dropout_lessons",
        "from dropout_lessons import MLP, Dropout, Recipe, datasets, evaluate, fit, fit_ensemble, predict, train_arms",
        "from dropout_lessons import MLP, Recipe, datasets, fit\n"
        "fit(MLP([784, 8, 10]), datasets.load(train=20), Recipe(epochs=1))",
    ],
    ids=["the package", "the trainer", "a fit"],
)
def test_training_loads_nothing_slow(program):
    # To train is to make an optimizer of PyTorch, which loads its compiler.
    optimizer = "; torch.optim.SGD([torch.zeros(1, requires_grad=True)])" if "\nfit(" in program else ""
    assert loaded(program) <= loaded(f"import torch, numpy{optimizer}")


@pytest.mark.parametrize(
    "program",
    ["import dropout_lessons", "from dropout_lessons import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass"],
    ids=["the package", "the command's help"],
)
def test_what_needs_no_pytorch_does_not_load_it(program):
    run = [sys.executable, "-c", f"{program}\nimport sys\nassert 'torch' not in sys.modules"]
    subprocess.run(run, timeout=120, check=True, capture_output=True)


def test_scipys_distributions_wait_for_the_function_that_needs_them():
    """They take a quarter of a second of every kernel, command and worker that would load them with the claims."""
    for path in Path(dropout_lessons.__file__).parent.rglob("*.py"):
        found = re.findall(
            r"^(?:from|import) scipy(?:\.stats| import .*stats).*", path.read_text(encoding="utf-8"), re.M
        )
        assert found == [], path


def test_names_of_the_package_are_found_listed_and_refused():
    assert set(dropout_lessons.__all__) <= set(dir(dropout_lessons))
    assert dropout_lessons.fit is dropout_lessons.training.fit
    with pytest.raises(AttributeError, match="module 'dropout_lessons' has no attribute 'fitt'"):
        _ = dropout_lessons.fitt
    listed = {name for names in dropout_lessons._MODULES.values() for name in names} | {"datasets"}
    assert listed == set(dropout_lessons.__all__)
