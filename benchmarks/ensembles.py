"""How much faster is fit_ensemble than a loop over fit, and how far from the arithmetic limit? One thread.

Everything is timed in one run, interleaved, in processor time, and reported as the median. The limit is the time that
the matrix products alone would take at the rate of a large one, measured between the fits.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import torch

from dropout_lessons.datasets import Split
from dropout_lessons.ensembles.fitting import Method, _members, _plan, fit_ensemble
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe

REPEATS = 3
EPOCHS = 2
FLOPS = 1e10  # of a fit, or what two steps of an epoch take
# The cases that the package makes claims about, then a grid.
NAMED = [(32, [64, 64, 10], 32), (32, [64, 64, 64, 10], 32), (32, [784, 256, 256, 10], 100)]
GRID = list(itertools.product((2, 5, 10, 32), (64, 256, 512, 1024), (64, 784)))


def cases() -> Iterator[tuple[int, list[int], int]]:
    yield from NAMED
    for n_networks, width, inputs in GRID:
        yield n_networks, [inputs, width, width, 10], 100


def seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def networks(number: int, sizes: list[int]) -> list[MLP]:
    generators = [torch.Generator().manual_seed(k) for k in range(number)]
    return [MLP(sizes, keep_prob=0.5, input_keep_prob=0.8, generator=generator) for generator in generators]


def main() -> None:
    torch.set_num_threads(1)
    square = torch.randn(1024, 1024)
    print("networks  sizes             batch   loop: ms/step   auto: stacks   times as fast   of the arithmetic limit")
    for number, sizes, batch_size in cases():
        products = [inputs * outputs for inputs, outputs in itertools.pairwise(sizes)]
        # Forward, and backward to weights and to activations, but not to the input; two operations a product.
        flops = 2 * number * batch_size * (3 * sum(products) - products[0])
        steps = max(2, min(30, round(FLOPS / (flops * EPOCHS))))
        evaluation_flops = 2 * number * batch_size * sum(products)  # for each step's examples, after the last epoch
        x = torch.rand(steps * batch_size, sizes[0])
        data = Split(x, torch.randint(10, (len(x),)))
        recipes = [Recipe(epochs=EPOCHS, batch_size=batch_size, seed=k, learning_rate=0.01) for k in range(number)]
        stacks, alone = _plan(_members(networks(number, sizes), data, recipes), "auto")

        def fitting(method: Method) -> Callable[[], object]:
            ensemble = networks(number, sizes)  # noqa: B023
            return lambda: fit_ensemble(ensemble, data, recipes, evaluate_every=EPOCHS, method=method)  # noqa: B023

        taken: dict[str, list[float]] = {"loop": [], "auto": [], "gflop": []}
        for _ in range(REPEATS):
            taken["loop"].append(seconds(fitting("loop")))
            taken["gflop"].append(seconds(lambda: square @ square) / (2 * 1.024**3))
            taken["auto"].append(seconds(fitting("auto")))
        median = {name: statistics.median(values) for name, values in taken.items()}
        limit = median["gflop"] * steps * (EPOCHS * flops + evaluation_flops) / 1e9
        chosen = "loop" if alone else f"{len(stacks)} of {max(map(len, stacks))}"
        print(
            f"{number:8d}  {'-'.join(map(str, sizes)):18s}{batch_size:5d}{1e3 * median['loop'] / EPOCHS / steps:16.2f}"
            f"{chosen:>15s}{median['loop'] / median['auto']:16.2f}{median['auto'] / limit:26.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
