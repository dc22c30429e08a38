"""What a machine with a GPU is for, in a few minutes: tests on it, ratios, and rows of the paper at its own scale.

`make gpu` runs it with the images in the folder `data` (in `mnist` and `fashion_mnist`, see README), and stops when its minutes
are over. Units of the paper's rows are written with the package as they are finished, most worth knowing first; what was
stopped goes on when it is run again. On an H100 the ratios were: a layer 1.17 of PyTorch's; `fit` 1.05 and `fit_ensemble` .40
of a loop over ten networks of three layers of 1,024. On an H200 a Monte Carlo average of 100 networks took .22 of the time
of passes in training mode with masks that are drawn there, and 2.9 times as long with those of a processor's generator.
`--rehearse` does the same on a processor, at a tiny size, and keeps nothing.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from dropout_lessons.averaging import monte_carlo_average
from dropout_lessons.datasets import Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, fit

ROOT = Path(__file__).resolve().parents[1]
# Most worth knowing first.
ROWS = (
    "table2_mnist",
    "ensemble_of_ten",
    "table10_gaussian",
    "fig10_data_size",
    "fig11_monte_carlo",
    "fig4_architectures",
    "table9_regularizers",
    "fig9b_keep_prob_times_width",
    "fig9a_keep_prob",
)
PARTS = ("tests", "ratios", "rows")
LEAST = 30  # seconds left under which no rows are begun
Work = Callable[[], object]


def tests() -> int:
    """Run the tests of what is computed on a device, and return 0 if they pass."""
    print("== tests", flush=True)
    # With nothing of the tests' own setting, which asks for browsers and kernels that a machine with a GPU may not have.
    alone = ["-c", os.devnull, "--rootdir", str(ROOT), "--noconftest", "-q", "-p", "no:cacheprovider"]
    run = [sys.executable, "-m", "pytest", *alone, str(ROOT / "tests/test_on_a_device.py")]
    return subprocess.run(run, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}).returncode


def ratios(device: torch.device, width: int, networks: int, steps: int, repeats: int = 5) -> None:
    """Print how long things take relative to what a user would write, each the median of turns taken one after the other."""

    def seconds(work: Work) -> float:
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def compare(what: str, base: str, **works: Work) -> None:
        for work in works.values():
            work()  # once to warm up
        turns = [[seconds(work) for work in works.values()] for _ in range(repeats)]
        medians = dict(zip(works, map(statistics.median, zip(*turns, strict=True)), strict=True))
        found = ", ".join(f"{name} {median / medians[base]:.2f}" for name, median in medians.items())
        print(f"  {what}: {found} ({base} takes {1e3 * medians[base]:.2f} ms)", flush=True)

    h = torch.rand(128, width, device=device)
    ours, theirs = Dropout(0.5), nn.Dropout(0.5)
    compare("a layer of dropout", "nn.Dropout", **{"nn.Dropout": lambda: theirs(h), "Dropout": lambda: ours(h)})

    sizes = [784, width, width, width, 10]
    x, y = torch.rand(128 * steps, 784, device=device), torch.randint(10, (128 * steps,), device=device)
    recipes = [Recipe(epochs=1, batch_size=128, seed=k) for k in range(networks)]

    def made() -> list[nn.Module]:
        return [MLP(sizes, keep_prob=0.5, input_keep_prob=0.8).to(device) for _ in recipes]

    def loop() -> None:
        for network in made():
            optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
            for batch in torch.randperm(len(y), device=device).split(128):
                optimizer.zero_grad()
                F.cross_entropy(network(x[batch]), y[batch]).backward()
                optimizer.step()

    compare(
        f"{networks} networks {'-'.join(map(str, sizes))}, {steps} steps",
        "loop",
        loop=loop,
        fit=lambda: [
            fit(network, Split(x, y), recipe, progress=False) for network, recipe in zip(made(), recipes, strict=True)
        ],
        fit_ensemble=lambda: fit_ensemble(made(), Split(x, y), recipes, progress=False),
    )

    network, few = made()[0].train(), x[:100]

    def passes() -> None:
        with torch.no_grad():
            torch.stack([network(few).softmax(-1) for _ in range(100)]).mean(0)

    def average(place: torch.device) -> Work:
        generator = torch.Generator(place)
        return lambda: monte_carlo_average(network, few, samples=100, generator=generator.manual_seed(0))

    ours_and_theirs = {
        "passes": passes,
        "drawn on the processor": average(torch.device("cpu")),
        "drawn here": average(device),
    }
    compare("a Monte Carlo average of 100", "passes", **ours_and_theirs)


def rows(names: tuple[str, ...], scale: str, device: str, seconds: float, folder: Path | None) -> None:
    """Run experiments for so many seconds; what is finished by then is kept."""
    where = ["--record"] if folder is None else ["--folder", str(folder)]
    command = "import sys; from dropout_lessons.cli import main; sys.exit(main())"
    run = [sys.executable, "-c", command, "experiments", "run", *names, "--scale", scale, "--device", device, *where]
    with subprocess.Popen(run) as process:
        # An interruption ends it with one line; one that was started in the background may not hear of it. Nothing is lost.
        for stop in (lambda: process.send_signal(signal.SIGINT), process.terminate):
            try:
                process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                stop()
                seconds = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="for all of it (default: %(default)s)")
    parser.add_argument("--rehearse", action="store_true", help="on a processor, at a tiny size, keeping nothing")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts, such as rows, to go on")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    if not (options.rehearse or torch.cuda.is_available()):
        print("PyTorch finds no GPU here. To rehearse on a processor: make gpu REHEARSE=1", file=sys.stderr)
        return 1
    device = torch.device("cpu" if options.rehearse else "cuda")
    os.environ.setdefault("DROPOUT_LESSONS_DATA", str(ROOT / "data"))
    os.environ["DROPOUT_LESSONS_DEVICE"] = device.type  # for the tests
    torch.set_float32_matmul_precision("high")
    failed = tests() if "tests" in options.only else 0
    if "ratios" in options.only:
        print("== ratios", flush=True)
        ratios(device, *((32, 2, 2) if options.rehearse else (1024, 10, 50)))
    left = end - time.monotonic()
    if "rows" in options.only:
        print(f"== rows of the paper, {left:.0f} seconds", flush=True)
        if options.rehearse:
            with tempfile.TemporaryDirectory() as folder:
                rows(ROWS[:1], "lecture", "cpu", min(left, 20), Path(folder))
        elif left > LEAST:
            rows(ROWS, "paper", "cuda", left, None)
    return failed


if __name__ == "__main__":
    sys.exit(main())
