"""What the README and its neighbors say is so."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.licenses import canonicalize_license_expression
from PIL import Image

from dropout_lessons import cli, experiments

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def test_the_package_in_ten_lines_runs_and_its_claim_holds(capsys):
    code, *_ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) == 10
    exec(compile(code, "README.md", "exec"), {})
    assert "Checked claim: Dropout lowers the test error." in capsys.readouterr().out


def test_the_five_lines_that_compare_averages_run(capsys):
    _, code, *_ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.splitlines()) == 5
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert re.search(r"weight scaling +1 ", printed)
    assert re.search(r"Monte Carlo +100 ", printed)


def test_the_five_lines_that_measure_a_layer_run(capsys):
    _, _, code, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.splitlines()) == 5
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert re.search(r"interaction share +0\.\d+", printed)
    assert re.search(r"zero clamp, area .* True ", printed)  # met in training


def test_the_heads_of_a_transformer_are_units(capsys):
    *_, code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert len(re.findall(r"\d\.\d+", capsys.readouterr().out)) == 16


def test_every_chapter_has_a_row_with_the_question_of_its_card():
    first_page = (ROOT / "book/index.md").read_text(encoding="utf-8")
    cards = re.findall(
        r"grid-item-card\} (.+)\n:link: \.\./(chapters/\w+)\n:link-type: doc\n\n\*\*(.+?)\*\*", first_page
    )
    rows = re.findall(r"^\| \[(.+)\]\(\S+/(chapters/\w+)\.html\) \| (.+) \|$", README, re.MULTILINE)
    assert rows == cards
    assert [name for _, name, _ in rows] == [f"chapters/{path.stem}" for path in sorted(ROOT.glob("chapters/*.ipynb"))]


def test_every_make_target_that_is_named_exists_and_can_be_made():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", README + CONTRIBUTING))
    assert {"book", "test", "serve", "help", "lock", "bench"} <= named <= targets
    dry = subprocess.run(["make", "--dry-run", *sorted(named)], cwd=ROOT, capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr


def test_make_help_lists_what_the_readme_names():
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) - {"help"} <= {line.split()[1] for line in shown.splitlines()}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_local_link_and_picture_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (ROOT / target).exists()]
    assert missing == []


def test_what_a_contributor_is_to_add_to_is_there():
    table = CONTRIBUTING.partition("## Add something new")[2].partition("\n## ")[0]
    named = {
        path
        for path in re.findall(r"`([\w./]+[/.]\w+)[ `]", table)
        if not re.search(r"/?[A-Z]{2}", path) and path[0] != "."
    }
    assert {"book/teaching.md", "exercises/exercise.py", "tests/interactives.py"} <= named
    missing = {
        path for path in named if not any((root / path).exists() for root in (ROOT, ROOT / "src/dropout_lessons"))
    }
    assert missing - {"instructor/tests"} == set()  # which a public clone lacks


COMMANDS = [
    line
    for page in ("README.md", "CONTRIBUTING.md", "book/reading.md", "book/assigning.md")
    for block in re.findall(r"```bash\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make ")])
def test_every_make_command_that_is_shown_can_be_made(line):
    dry = subprocess.run([*shlex.split(line, comments=True), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("dropout-lessons ")])
def test_every_command_that_is_shown_is_understood_and_those_that_look_or_run_experiments_are_run(
    line, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    # As if its units were done, as they are in the package: to compute them takes minutes.
    monkeypatch.setattr(experiments, "run", lambda experiment, *_, **__: experiments.recorded(experiment.name))
    arguments = shlex.split(line, comments=True)[1:]
    cli._parser().parse_args(arguments)
    if arguments[0] in ("exercises", "experiments"):
        assert cli.main(arguments) == 0
        assert capsys.readouterr().out


def test_the_readme_reads_the_same_on_an_index_as_in_the_repository():
    """An index shows it alone: a link leads to the site or the repository, and what it leads to is there."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    raw = ADDRESS.replace("github.com", "raw.githubusercontent.com")
    own = {
        f"{ADDRESS}/blob/main/": "",
        f"{raw}/main/": "",
        config["html"]["baseurl"]: "",
        f"{ADDRESS}/actions/": ".github/",
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:].replace("-", " ") in README.lower(), target
            continue
        assert target.startswith("https://"), f"{target} leads nowhere where an index shows the README"
        for address, folder in own.items():
            if target.startswith(address):
                path = target.removeprefix(address).removesuffix("/badge.svg")
                pages = [path, path.replace(".html", ".md"), path.replace(".html", ".ipynb")]
                assert not path or any((ROOT / folder / page).exists() for page in pages), target
                break
        else:
            assert ADDRESS.rsplit("/", 2)[1] not in target or "notebooks-v" in target, target


def test_the_laboratory_moves_in_the_readme_and_is_small_enough_for_it():
    films = re.findall(r"main/(book/_static/\S+\.gif)\)", README)
    assert len(films) == 1
    assert (ROOT / films[0]).stat().st_size < 1_000_000
    with Image.open(ROOT / films[0]) as film:
        assert film.n_frames > 20


def test_an_index_is_told_where_things_are_and_under_which_licenses():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]
    assert project["urls"]["Homepage"] == site
    assert {"Source", "Issues", "Changelog", "Documentation"} <= set(project["urls"])
    assert all(address.startswith((site, ADDRESS)) for address in project["urls"].values())
    data = (ROOT / "LICENSE-DATA.md").read_text(encoding="utf-8")
    assert canonicalize_license_expression(project["license"]) == "MIT AND CC-BY-SA-3.0"
    assert "by-sa/3.0" in data
    assert "MIT" in data


def test_the_layout_names_every_top_level_folder_and_module():
    layout = README.split("## Layout")[1].split("## Contribute")[0]
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    assert folders - {"build", "dist", "results", "data"} <= set(re.findall(r"^([a-z]+)/", layout, re.MULTILINE)) | {
        "src"
    }
    modules = {path.stem for path in (ROOT / "src" / "dropout_lessons").glob("*.py")} - {"__init__"}
    assert modules <= set(re.findall(r"[a-z]+", layout)), modules


def test_the_repository_has_one_address_and_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert citation["version"] == version
    assert citation["repository-code"] == ADDRESS
    for file in [*ROOT.glob("*.md"), *ROOT.glob("book/**/*.md")]:
        for address in re.findall(r"https://github\.com/[\w-]+/[\w-]+", file.read_text(encoding="utf-8")):
            assert address == ADDRESS, f"{file.name} names {address}"
