"""`dropout-lessons doctor`: each thing that can be wrong is said, with what to do about it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from dropout_lessons import cli, runtime
from dropout_lessons.cli import doctor
from dropout_lessons.grading import sandbox


def found(topic):
    return next(finding for finding in doctor.findings() if finding.topic == topic)


def test_a_machine_that_passes_the_tests_is_well(capsys, monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: None)
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    topics = [line.split()[1] for line in lines if not line.lstrip().startswith("->")]
    assert topics == ["versions", "threads", "device", "data", "sandbox", "browser", "disk"]
    assert torch.__version__ in lines[0]


def old_numpy(monkeypatch):
    known = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: "1.20.0" if name == "numpy" else known(name))


def no_pooch(monkeypatch):
    known = doctor.version

    def version(name):
        if name == "pooch":
            raise doctor.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(doctor, "version", version)


def damaged_data(monkeypatch):
    def load(name, train):
        raise ValueError("mnist_10k.npz is damaged")

    monkeypatch.setattr(doctor.datasets, "load", load)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(old_numpy, "numpy 1.20.0 (needs >=1.26)"), (no_pooch, "pooch none (needs >=1.8)"), (damaged_data, "is damaged")],
)
def test_what_keeps_the_package_from_working_is_bad_and_the_command_fails(spoil, said, monkeypatch, capsys):
    monkeypatch.setattr(sandbox, "available", lambda: None)
    spoil(monkeypatch)
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    bad, advice = next(pair for pair in pairwise(lines) if pair[0].startswith("bad"))
    assert said in bad
    assert advice.lstrip().startswith("-> ")


def test_what_is_optional_is_a_note_with_what_it_is_for(monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: "There is no bubblewrap: install it.")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.torch, "get_num_threads", lambda: 10_000)
    notes = {each.topic: each.advice for each in doctor.findings() if each.state == "note"}
    assert notes["sandbox"] == "install it. Only `dropout-lessons grade` needs it."
    assert "make pdf" in notes["browser"]
    assert "OMP_NUM_THREADS=" in notes["threads"]


def test_a_gpu_is_named_and_apples_is_said_not_to_be_used(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert "MPS) is not used" in found("device").found
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A Card")
    assert found("device").found.startswith("A Card")


@pytest.mark.parametrize(
    ("card", "gpu", "said"),
    [
        (True, True, "device A Card, scale"),
        (True, False, "device CPU (this notebook leaves A Card idle), scale"),
        (False, True, "device CPU, scale"),
        (False, False, "device CPU, scale"),
    ],
)
def test_a_notebook_says_which_device_it_uses(card, gpu, said, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: card)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A Card")
    runtime.describe(gpu=gpu)
    assert said in capsys.readouterr().out
