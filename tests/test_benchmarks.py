"""The command for a machine with a GPU, rehearsed on a processor."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu", ROOT / "benchmarks/gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_ratios_of_a_gpu_are_taken_against_what_a_user_would_write(gpu, capsys):
    gpu.ratios(torch.device("cpu"), width=8, networks=2, steps=1, repeats=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip().split(":")[0] for line in lines] == [
        "a layer of dropout",
        "2 networks 784-8-8-8-10, 1 steps",
        "a Monte Carlo average of 100",
    ]
    for line, base in zip(lines, ("nn.Dropout", "loop", "passes"), strict=True):
        assert f"{base} 1.00" in line


def test_rows_end_with_their_time_and_lose_nothing_that_is_finished(gpu, tmp_path, capfd):
    started = time.monotonic()
    gpu.rows(("table2_mnist",), "workstation", "cpu", seconds=1, folder=tmp_path)
    assert time.monotonic() - started < 30
    assert "Traceback" not in capfd.readouterr().err


def test_the_command_says_so_where_there_is_no_gpu(gpu, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 1
    assert "REHEARSE=1" in capsys.readouterr().err
