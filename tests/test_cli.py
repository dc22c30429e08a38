"""The command: what it prints, and what it says of bad input: one line, and exit code 2."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "toys"))

import toy

from dropout_lessons import cli, experiments
from dropout_lessons.experiments import catalog, records


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy is all there is in the catalog, nothing is recorded, and the working folder is empty."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog").mkdir()
    shutil.copy(Path(toy.__file__), tmp_path / "catalog")
    monkeypatch.setattr(catalog, "__path__", [str(tmp_path / "catalog")])
    monkeypatch.setitem(sys.modules, f"{catalog.__name__}.toy", toy)
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    return tmp_path


def test_list_shows_scales_and_what_came_out(folder, capsys):
    assert cli.main(["experiments", "list"]) == 0
    assert capsys.readouterr().out.split()[:4] == ["toy", "lecture,", "workstation", "not"]
    cli.main(["experiments", "run", "toy", "--scale", "workstation", "--jobs", "1", "--record"])
    capsys.readouterr()
    cli.main(["experiments", "list"])
    assert capsys.readouterr().out.split()[:4] == ["toy", "lecture,", "workstation", "reproduced"]


def test_run_prints_the_verdict_with_its_evidence_and_where_it_is_kept(folder, capsys):
    assert cli.main(["experiments", "run", "toy", "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("toy, lecture: reproduced\n  Dropout lowers the error. (primary)\n    effect -")
    assert "95% interval [" in printed
    assert "5 seeds; required: below 0" in printed
    assert "kept in results/toy/lecture" in printed
    assert (folder / "results/toy/lecture/table.csv").exists()
    assert not (folder / "records").exists()


def test_all_takes_each_experiment_that_has_the_scale(folder, capsys):
    assert cli.main(["experiments", "run", "--all", "--jobs", "1", "--folder", "kept"]) == 0
    assert (folder / "kept/toy/lecture/table.csv").exists()
    assert cli.main(["experiments", "run", "--all", "--scale", "paper"]) == 0
    assert "toy, paper" not in capsys.readouterr().out


def test_a_record_is_what_show_and_the_ledger_show(folder, capsys):
    cli.main(["experiments", "run", "toy", "--scale", "workstation", "--jobs", "1", "--record"])
    run = capsys.readouterr().out
    effect = next(line for line in run.splitlines() if "effect" in line)
    assert cli.main(["experiments", "show", "toy", "--figure", "figure.png"]) == 0
    shown = capsys.readouterr().out
    assert effect in shown
    assert "error: 1.05% (Table 0)" in shown
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    scales = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[-2:]}
    assert scales["workstation"][0] == "20"
    assert scales["workstation"][2] == "measured"
    assert scales["lecture"][0] == "11"
    assert scales["lecture"][2] == "estimated"
    assert cli.main(["experiments", "ledger"]) == 0
    ledger = capsys.readouterr().out
    assert effect.split("effect ")[1].split(";")[0] in ledger
    assert "agrees if below 0" in ledger
    assert "not run here" in ledger
    assert cli.main(["experiments", "ledger", "--out", "page.md"]) == 0
    assert (folder / "page.md").read_text() == experiments.ledger_page()


def test_show_shows_a_run_of_a_folder(folder, capsys):
    cli.main(["experiments", "run", "toy", "--jobs", "1", "--folder", "kept"])
    assert cli.main(["experiments", "show", "toy", "--scale", "lecture", "--folder", "kept"]) == 0
    assert "toy, lecture: reproduced" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run nothing", "name must be one of toy, got 'nothing'"),
        ("run", "give the names of experiments, or --all; `dropout-lessons experiments list` lists them"),
        ("run toy --all", "give the names of experiments, or --all"),
        ("run toy --scale paper", "scale must be one of ['lecture', 'workstation'] for 'toy', got 'paper'"),
        ("run --all --scale galaxy", "--scale must be one of ['lecture', 'workstation', 'paper'], got 'galaxy'"),
        ("run toy --jobs 0", "jobs must be an integer of at least 1, got 0"),
        ("run toy --record", "--record takes --scale workstation or paper"),
        ("run toy --folder catalog/toy.py", "cannot be written: Not a directory"),
        ("show nothing", "name must be one of toy, got 'nothing'"),
        ("show toy --figure figure.png", "there is no result of 'toy': `dropout-lessons experiments run toy "),
        (
            "show toy --scale lecture",
            "there is no result of 'toy': `dropout-lessons experiments run toy --scale lecture --folder results`",
        ),
        ("show toy --scale paper", "scale must be one of ['lecture', 'workstation'] for 'toy', got 'paper'"),
        ("show toy --figure figure.xyz", "--figure must be a file that ends in one of ."),
        ("show toy --figure figure", ".png, "),
        ("run toy --jobs 2 --scheduler tcp://127.0.0.1:9", "jobs must be left out with a scheduler"),
        ("ledger --out missing/page.md", "missing/page.md cannot be written: No such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, folder, capsys):
    assert cli.main(["experiments", *arguments.split()]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("dropout-lessons: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not (folder / "results").exists()


@pytest.mark.parametrize("arguments", ["", "experiments", "experiments run --jobs x"])
def test_what_the_parser_refuses_is_exit_code_2_with_its_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments.split())
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: dropout-lessons")


def test_a_figure_that_cannot_be_written_is_named(folder, capsys):
    cli.main(["experiments", "run", "toy", "--jobs", "1"])
    capsys.readouterr()
    assert cli.main(["experiments", "show", "toy", "--scale", "lecture", "--figure", "none/figure.png"]) == 2
    assert "--figure none/figure.png cannot be written: No such file or directory" in capsys.readouterr().err


def test_list_goes_on_where_a_record_is_damaged_and_show_says_why(folder, capsys):
    cli.main(["experiments", "run", "toy", "--scale", "workstation", "--jobs", "1", "--record"])
    (folder / "records" / "toy.csv").write_text("arm\n")
    capsys.readouterr()
    assert cli.main(["experiments", "list"]) == 0
    assert "to be run again" in capsys.readouterr().out
    assert cli.main(["experiments", "show", "toy"]) == 2
    assert "'toy' was changed after it was written" in capsys.readouterr().err


def test_a_scheduler_that_is_not_there_is_one_line_until_the_very_end(tmp_path):
    code = "import sys, toy; from dropout_lessons.experiments import pools; pools.PATIENCE = 1; sys.exit(toy.command())"
    command = [sys.executable, "-c", code, "experiments", "run", "toy", "--scheduler", "tcp://127.0.0.1:9"]
    env = {**os.environ, "PYTHONPATH": str(Path(toy.__file__).parent)}
    ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        "dropout-lessons: no Dask scheduler answers at 'tcp://127.0.0.1:9'; `dask scheduler`"
    )
    assert ended.stderr.count("\n") == 1


def test_a_unit_that_fails_is_exit_code_1_and_names_it(folder, told, capsys):
    (told / "fails").write_text("report-1")
    assert cli.main(["experiments", "run", "toy", "--jobs", "1"]) == 1
    assert "1 of 5 units of 'toy' failed; the others are done and kept:\n" in capsys.readouterr().err


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_damaged_file_is_named_in_a_line(folder, capsys):
    cli.main(["experiments", "run", "toy", "--jobs", "1"])
    path = next((folder / "results/toy/lecture/units").glob("*.json"))
    path.write_text("{")
    capsys.readouterr()
    assert cli.main(["experiments", "run", "toy", "--jobs", "1"]) == 0
    errors = capsys.readouterr().err
    assert errors.startswith(f"warning: results/toy/lecture/units/{path.name} is no result of a unit")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["assign", "training-1", "--title", "Homework", "--out", "file/homework"],
        ["experiments", "run", "toy", "--jobs", "1", "--folder", "file"],
        ["experiments", "ledger", "--out", "file/page.md"],
    ],
)
def test_a_place_that_may_not_be_written_is_named_in_a_line(folder, capsys, arguments):
    (folder / "file").write_text("mine")
    assert cli.main(arguments) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "file" in said
    assert "folder" in said
    assert (folder / "file").read_text() == "mine"


def test_an_interruption_is_exit_code_130(folder, capsys, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "run", interrupted)
    assert cli.main(["experiments", "run", "toy", "--jobs", "1"]) == 130
    message = capsys.readouterr().err
    assert "0 finished units of toy are kept in results/toy/lecture/units" in message
    assert "To go on: dropout-lessons experiments run toy --jobs 1" in message


def test_an_interruption_waits_until_what_is_imported_is_there(folder, capsys, monkeypatch):
    imported = []

    def interrupted(name: str) -> object:
        signal.raise_signal(signal.SIGINT)  # here a compiled module would raise an ImportError
        imported.append(name)
        return importlib.import_module(name)

    monkeypatch.setattr(cli, "import_module", interrupted)
    before = signal.getsignal(signal.SIGINT)
    assert cli.main(["experiments", "list"]) == 130
    assert imported == ["dropout_lessons.cli.experiments"]
    assert capsys.readouterr().err.startswith("\ndropout-lessons: interrupted. To go on:")
    assert signal.getsignal(signal.SIGINT) is before


def test_the_installed_command_answers_and_does_not_mind_a_closed_pipe():
    command = Path(sys.executable).with_name("dropout-lessons")
    process = subprocess.Popen([command, "experiments", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()
