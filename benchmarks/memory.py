"""How much memory do the averages, the diagnostics, the stack and the layer take, beside what is promised? On Linux.

Each row runs in a process of its own. What is given is how far the memory of the process rises above where it was with
everything imported and a small network run: inputs, networks, tensors, and what the allocator takes for them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

START = """
import torch
from pathlib import Path
from dropout_lessons import MLP, Recipe, fit_ensemble
from dropout_lessons.averaging import exact_average, monte_carlo_average, subnetworks
from dropout_lessons.coadaptation import LayerUnits, ablation_curve, interaction
from dropout_lessons.datasets import Split
from dropout_lessons.layers import Dropout
from dropout_lessons.running import MaskedNetwork

torch.set_num_threads(1)

def kib(name):
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if name in line).split()[1])

def masked(sizes, memory):
    return MaskedNetwork(MLP(sizes, keep_prob=0.5), memory=memory * 2**20)
"""
MEASURE = """
small, few = MLP([4, 3, 3], keep_prob=0.5), torch.randn(8, 4)
fit_ensemble([small], Split(few, torch.arange(8) % 3), Recipe(epochs=1, batch_size=4))
exact_average(small, few), monte_carlo_average(small, few, samples=2), interaction(LayerUnits(small, "hidden1", few))
Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
before = kib("VmRSS")
run()
print((kib("VmHWM") - before) / 2**10)
"""
LARGE = [784, 512, 512, 10]


def average(call: str, sizes: list[int], memory: int) -> str:
    return f"""
network = masked({sizes}, {memory})
def run():
    x = torch.randn(n, {sizes[0]})
    {call}
"""


def units(call: str) -> str:
    return f"""
network = MLP([64, 256, 256, 10])
def run():
    units = LayerUnits(network, "hidden2", torch.randn(n, 64), torch.randint(10, (n,)))
    {call}
"""


def layer(call: str) -> str:
    return f"""
def run():
    x = torch.ones(n, 4096, requires_grad=True)
    y = {call}
"""


STACK = """
def run():
    networks = [MLP([784, 256, 256, 10], keep_prob=0.5) for _ in range(8)]
    fit_ensemble(networks, Split(torch.rand(n, 784), torch.randint(10, (n,))), Recipe(epochs=2, batch_size=100))
"""
PARAMETERS = sum(a * b + b for a, b in ((784, 256), (256, 256), (256, 10)))
# What is measured, on how many examples, and what is promised in MiB, with what makes it.
ROWS: list[tuple[str, str, int, float, str]] = [
    *(
        (f"{name}, memory {memory} MiB", average(call, sizes, memory), examples, memory, "memory")
        for name, call, sizes, examples in (
            ("exact_average, 2^20, last layer", "exact_average(network, x, progress=False)", [10, 20, 10], 100),
            ("exact_average, 2^20, two layers", "exact_average(network, x, progress=False)", [10, 10, 10, 10], 100),
            ("subnetworks, 2^16", "for chunk in subnetworks(network, x): pass", [10, 8, 8, 10], 100),
            (
                "monte_carlo_average, k = 200",
                "monte_carlo_average(network, x, samples=200, progress=False)",
                LARGE,
                500,
            ),
        )
        for memory in (32, 256)
    ),
    ("interaction, 256 units", units("interaction(units, contexts=2, progress=False)"), 500, 256, "memory"),
    ("ablation_curve, 256 units", units("ablation_curve(units, orders=2, progress=False)"), 500, 256, "memory"),
    (
        "fit_ensemble, 8 x 784-256-256-10",
        STACK,
        1000,
        3 * 4 * 8 * PARAMETERS / 2**20 + 3,
        "weights twice, velocities, x",
    ),
    ("F.dropout, 1000 x 4096", layer("torch.nn.functional.dropout(x, 0.5)"), 1000, 48, "x, output, noise"),
    ("Dropout, 1000 x 4096", layer("Dropout(0.5)(x)"), 1000, 48, "x, output, mask"),
]


def peak(program: str, examples: int) -> float:
    """How far memory rises, in MiB."""
    code = f"n = {examples}" + START + program + MEASURE
    quiet = {**os.environ, "TQDM_DISABLE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=quiet)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout)


def main() -> None:
    if not Path("/proc/self/clear_refs").exists():
        print("The peaks are read from Linux's /proc, which is not here.")
        return
    print(f"{'':52s} promised      peak   what is promised")
    for name, program, examples, promised, why in ROWS:
        print(f"{name:52s}{promised:9.0f}{peak(program, examples):10.0f}   {why}", flush=True)


if __name__ == "__main__":
    main()
