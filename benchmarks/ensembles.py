"""How fast are fit and fit_ensemble, next to what a user would write, and how far from the arithmetic limit? One thread.

The rivals are a plain PyTorch loop over networks with nn.Dropout, and torch.func.vmap of the same step; like fit, both end
with one evaluation. Everything in a row is timed in turns, in processor time, and given as the median relative to the loop.
The floor is the time of the matrix products alone, at the rate of a large one that is timed between the turns.
"""

from __future__ import annotations

import copy
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from timing import one_thread
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from dropout_lessons.datasets import Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.networks import MLP, ConvNet, SmallTransformer
from dropout_lessons.running import Outputs
from dropout_lessons.training import Recipe, fit

REPEATS = 5
FLOPS = 1e10  # of a fit, or what two steps of an epoch take
EPOCHS = 2
RATE, MOMENTUM = 0.01, 0.9
# What the course does and what is promised of it, then a grid; with --named only the former.
NAMED = [
    (1, [784, 256, 256, 10], 100),
    (8, [784, 256, 256, 10], 100),
    (32, [64, 64, 64, 10], 32),
    (1, [64, 64, 64, 10], 32),
    (8, [784, 1024, 1024, 10], 100),
]
GRID = [
    (networks, [inputs, width, width, 10], 100)
    for networks, width, inputs in itertools.product((1, 2, 8, 32), (64, 256, 1024), (64, 784))
]

Networks = list[nn.Module]


def plain(sizes: list[int]) -> nn.Module:
    """What a user would write: no layer of this package in it."""
    layers: list[nn.Module] = [nn.Dropout(0.2)]
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def ours(sizes: list[int]) -> nn.Module:
    return MLP(sizes, keep_prob=0.5, input_keep_prob=0.8)


def loss_of(output: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, -2), y.flatten())


def evaluate(networks: Networks, x: Tensor, y: Tensor) -> None:
    with torch.no_grad():
        for network in networks:
            network.eval()
            output = network(x)
            loss_of(output, y).item(), (output.argmax(-1) != y).double().mean().item()


def train_by_loop(networks: Networks, x: Tensor, y: Tensor, batch_size: int) -> None:
    for network in networks:
        optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(y)).split(batch_size):
                loss = loss_of(network(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    evaluate(networks, x, y)


def train_by_vmap(networks: Networks, x: Tensor, y: Tensor, batch_size: int) -> None:
    parameters, buffers = stack_module_state(networks)
    base = copy.deepcopy(networks[0])
    optimizer = torch.optim.SGD(parameters.values(), lr=RATE, momentum=MOMENTUM)

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss_of(functional_call(base, (parameters, buffers), (x,)), y)

    gradients_of = vmap(grad(loss), randomness="different")
    for _ in range(EPOCHS):
        orders = torch.stack([torch.randperm(len(y)) for _ in networks])
        for batch in orders.split(batch_size, dim=1):
            gradients = gradients_of(parameters, buffers, x[batch], y[batch])
            for name, parameter in parameters.items():
                parameter.grad = gradients[name]
            optimizer.step()
    with torch.no_grad():
        for k, network in enumerate(networks):
            for name, parameter in network.named_parameters():
                parameter.copy_(parameters[name][k])
    evaluate(networks, x, y)


def seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def medians(runs: dict[str, Callable[[], Callable[[], object]]]) -> dict[str, float]:
    """Seconds of each run, which is set up before its time is taken."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, prepare in runs.items():
            taken[name].append(seconds(prepare()))
    return {name: statistics.median(values) for name, values in taken.items()}


def recipes(number: int, batch_size: int) -> list[Recipe]:
    return [Recipe(epochs=EPOCHS, batch_size=batch_size, seed=k, learning_rate=RATE) for k in range(number)]


def print_networks() -> None:
    square = torch.randn(1024, 1024)
    print("networks  sizes             batch  steps   loop: ms/step      fit  fit_ensemble     vmap    floor")
    for number, sizes, batch_size in NAMED if "--named" in sys.argv else [*NAMED, *GRID]:
        products = [inputs * outputs for inputs, outputs in itertools.pairwise(sizes)]
        # Forward, and backward to weights and to activations, but not to the input; two operations a product.
        flops = 2 * number * batch_size * (3 * sum(products) - products[0])
        steps = max(2, min(30, round(FLOPS / (flops * EPOCHS))))
        x = torch.rand(steps * batch_size, sizes[0])
        data, each = Split(x, torch.randint(10, (len(x),))), recipes(number, batch_size)

        def loop(
            train: Callable[..., None], number: int = number, sizes: list[int] = sizes, data: Split = data
        ) -> Callable[[], object]:
            networks = [plain(sizes) for _ in range(number)]
            return lambda: train(networks, *data, batch_size)  # noqa: B023

        def fits(number: int = number, sizes: list[int] = sizes, data: Split = data) -> Callable[[], object]:
            networks = [ours(sizes) for _ in range(number)]
            return lambda: [fit(network, data, own) for network, own in zip(networks, each, strict=True)]  # noqa: B023

        def ensemble(number: int = number, sizes: list[int] = sizes, data: Split = data) -> Callable[[], object]:
            networks = [ours(sizes) for _ in range(number)]
            return lambda: fit_ensemble(networks, data, each)  # noqa: B023

        median = medians(
            {
                "loop": lambda: loop(train_by_loop),
                "fit": fits,
                "product": lambda: lambda: square @ square,
                "fit_ensemble": ensemble,
                "vmap": lambda: loop(train_by_vmap),
            }
        )
        evaluation = 2 * number * len(x) * sum(products)
        floor = median["product"] / (2 * 1024**3) * (EPOCHS * steps * flops + evaluation)
        base = median["loop"]
        print(
            f"{number:8d}  {'-'.join(map(str, sizes)):18s}{batch_size:5d}{steps:7d}"
            f"{1e3 * base / number / EPOCHS / steps:16.2f}{median['fit'] / base:9.2f}{median['fit_ensemble'] / base:14.2f}"
            f"{median['vmap'] / base:9.2f}{floor / base:9.2f}",
            flush=True,
        )


def other_kinds(batch_size: int, steps: int = 5) -> Iterator[tuple[str, Callable[[], nn.Module], Split, Outputs]]:
    """Networks that are no MLP, with data for them."""
    images, text = torch.rand(steps * batch_size, 196), torch.randint(8, (steps * batch_size, 16))
    yield (
        "conv",
        lambda: ConvNet((14, 14), channels=(8, 16), hidden=(64,), keep_prob=0.5),
        Split(images, torch.randint(10, (len(images),))),
        Outputs(),
    )
    yield (
        "transformer",
        lambda: SmallTransformer(symbols=8, context=16, keep_prob=0.9),
        Split(text, torch.randint(8, text.shape)),
        Outputs(class_axis=-1),
    )


def print_other_kinds(number: int = 8) -> None:
    print(f'\n{number} networks of other kinds, relative to the loop           method="loop"  method="vmap"     vmap')
    for batch_size in (4, 16, 64):
        for name, make, data, outputs in other_kinds(batch_size):
            each = recipes(number, batch_size)

            def fits(
                method: str, make: Callable[[], nn.Module] = make, data: Split = data, outputs: Outputs = outputs
            ) -> Callable[[], object]:
                networks = [make() for _ in range(number)]
                return lambda: fit_ensemble(networks, data, each, outputs=outputs, method=method)  # type: ignore[arg-type]  # noqa: B023

            def loop(
                train: Callable[..., None], make: Callable[[], nn.Module] = make, data: Split = data
            ) -> Callable[[], object]:
                networks = [make() for _ in range(number)]
                return lambda: train(networks, *data, batch_size)  # noqa: B023

            median = medians(
                {
                    "loop": lambda: loop(train_by_loop),
                    "fits": lambda: fits("loop"),
                    "mapped": lambda: fits("vmap"),
                    "vmap": lambda: loop(train_by_vmap),
                }
            )
            base = median["loop"]
            print(
                f"  {name:14s} batch {batch_size:3d}, loop {1e3 * base / number / EPOCHS / 5:6.2f} ms/step"
                f"{median['fits'] / base:28.2f}{median['mapped'] / base:15.2f}{median['vmap'] / base:9.2f}",
                flush=True,
            )


def main() -> None:
    with one_thread():
        print_networks()
        print_other_kinds()


if __name__ == "__main__":
    main()
