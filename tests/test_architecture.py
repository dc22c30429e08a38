import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import dropout_lessons
from dropout_lessons import runtime

SOURCE = Path(dropout_lessons.__file__).parent
# Ground floor first: a module imports only from floors below its own.
FLOORS = [
    {"arguments", "runtime"},
    {"masks"},
    {"layers", "conventions"},
    {"penalties"},
    {"networks"},
    {"datasets"},
    {"running"},
    {"training"},
    {"ensembles"},
    {"calibration"},
    {"averaging"},
    {"claims", "predictions"},
    {"coadaptation"},
    {"figures"},
    {"experiments", "widgets"},
    {"exercises"},
    {"grading"},
    {"cli"},
]
FLOOR_OF = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}


def module_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_the_floors(path):
    module = module_of(path)
    if module == "__init__":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dropout_lessons"):
            parts = (node.module or "").split(".")[1:]
            imported = {parts[0]} if parts else {alias.name for alias in node.names}
            for other in imported - {module}:
                assert FLOOR_OF[other] < FLOOR_OF[module], f"{module} imports {other}, which is not below it"


def test_the_readme_lists_the_floors_in_their_order():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    layout = readme.split("the package, ground floor first:\n")[1].split("\ninstructor/")[0]
    rows = [re.split(r" {2,}", line.strip())[0] for line in layout.splitlines() if line.startswith("  ")]
    listed = [re.findall(r"[a-z]+", row)[: len(floor)] for row, floor in zip(rows, FLOORS, strict=True)]
    assert [set(row) for row in listed] == FLOORS


@pytest.mark.parametrize(
    "package", sorted({path.parent for path in SOURCE.rglob("*/__init__.py")}), ids=lambda p: p.name
)
def test_no_submodule_is_shadowed_by_a_function(package):
    """``package.name`` is one thing: a module of its own, or what the package offers under that name."""
    name = f"dropout_lessons.{package.relative_to(SOURCE)}".replace("/", ".")
    imported = importlib.import_module(name)
    modules = {path.stem for path in package.glob("*.py")}
    assert not {own for own in getattr(imported, "__all__", ()) if own in modules}


# The functions of the fields have few arguments; a value object carries the rest. A progress bar is asked for by all.
@pytest.mark.parametrize("module", ["running", "averaging", "coadaptation"])
def test_public_functions_take_at_most_six_arguments(module):
    imported = importlib.import_module(f"dropout_lessons.{module}")
    for name in imported.__all__:
        member = getattr(imported, name)
        if inspect.isfunction(member):
            arguments = set(inspect.signature(member).parameters) - {"progress"}
            most = 9 if name == "study" else 6  # a study is a design, each part of which has a name
            assert len(arguments) <= most, f"{module}.{name} takes {sorted(arguments)}"


@pytest.mark.parametrize("module", sorted(FLOOR_OF))
def test_every_public_name_exists_and_is_documented(module):
    imported = importlib.import_module(f"dropout_lessons.{module}")
    assert imported.__doc__
    for name in imported.__all__:
        member = getattr(imported, name)
        if inspect.isclass(member) or inspect.isfunction(member):
            assert inspect.getdoc(member), f"{module}.{name} has no docstring"


def test_the_most_used_names_are_importable_from_the_package():
    for name in dropout_lessons.__all__:
        assert hasattr(dropout_lessons, name)


def test_the_package_never_seeds_or_draws_from_numpy_globally():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "np.random.seed" not in text
        assert "torch.manual_seed(" not in text
        assert "default_generator.manual_seed(" not in text or path.parent.name == "training"  # there in a fork


def test_an_unknown_scale_is_refused(monkeypatch):
    monkeypatch.setenv("DROPOUT_LESSONS_SCALE", "planet")
    with pytest.raises(ValueError, match=r"one of \['lecture', 'workstation'\], got 'planet'"):
        runtime.seeds()
    monkeypatch.setenv("DROPOUT_LESSONS_SCALE", "workstation")
    assert len(runtime.seeds()) == 20
