"""Wrong shapes are noticed where examples run: with ``-p tests.shapes``, as `make test-examples` runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WRONG = {
    "network": "from dropout_lessons.networks import MLP; MLP([3, 2])(torch.ones(3))",
    "mask": "from dropout_lessons.layers import SpatialDropout; SpatialDropout().sample_mask(torch.ones(3))",
    "labels": "from dropout_lessons.calibration import reliability; "
    "reliability(torch.full((4, 2), 0.5), torch.zeros(3, dtype=torch.int64))",
}


def test_wrong_shapes_are_noticed_where_examples_run(tmp_path):
    for name, call in WRONG.items():
        (tmp_path / f"{name}.py").write_text(f'"""\n>>> import torch\n>>> {call}\n"""\n')
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.shapes",
        "-p",
        "no:cacheprovider",
        "-n",
        "1",
        "-c",
        ROOT / "pyproject.toml",
    ]
    done = subprocess.run(
        [*command, "--doctest-modules", tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert f"{len(WRONG)} failed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("TypeCheckError") >= len(WRONG)


def test_make_runs_the_examples_so():
    assert "--doctest-modules src -p tests.shapes" in (ROOT / "Makefile").read_text()
