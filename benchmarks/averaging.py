"""How fast are averages over subnetworks, and how far from the arithmetic limit? Seconds of one thread's CPU time.

The ways that are compared are timed in one run, interleaved, and reported as the median and as ratios.
"""

import subprocess
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from timing import medians, one_thread
from torch import nn

from dropout_lessons.averaging import exact_average, monte_carlo_average
from dropout_lessons.masks import enumerate_masks, sample_mask


def report(seconds: dict[str, float], fast: str) -> None:
    for name, value in seconds.items():
        print(f"  {name:44s}{value * 1e3:11.1f} ms {value / seconds[fast]:8.1f} x {fast}")


def softmax_layer(n_units: int = 16, examples: int = 20, classes: int = 10) -> None:
    """All 2^n subnetworks of a softmax layer."""
    layer = nn.Linear(n_units, classes)
    network = nn.Sequential(nn.Dropout(0.5), layer)
    x = torch.randn(examples, n_units)
    masks = enumerate_masks(n_units)

    @torch.no_grad()
    def loop(count: int = 2048) -> torch.Tensor:
        total = torch.zeros(examples, classes)
        for mask in masks[:count]:
            total += layer(x * mask * 2).softmax(dim=1)
        return total / len(masks)

    @torch.no_grad()
    def batched() -> torch.Tensor:
        # A column for each example and class: all logits of all masks in one matrix product.
        columns = (x[:, :, None] * layer.weight.T * 2).permute(1, 0, 2).reshape(n_units, -1)
        logits = (masks.float() @ columns).view(len(masks), examples, classes) + layer.bias
        return logits.softmax(dim=2).mean(dim=0)

    def factorized() -> torch.Tensor:
        return exact_average(network, x, progress=False).probs

    torch.testing.assert_close(factorized(), batched().double(), atol=1e-6, rtol=1e-4)
    runs: dict[str, Callable[[], object]] = {
        "loop over subnetworks": loop,  # over a part of them, scaled up below
        "one batched matrix product": batched,
        "exact_average": factorized,
    }
    seconds = medians(runs, repeats=15)
    seconds["loop over subnetworks"] *= len(masks) / 2048
    print(f"\nall 2^{n_units} subnetworks of a softmax layer, {examples} examples, {classes} classes")
    report(seconds, "exact_average")


def limit(n_units: int, examples: int = 20, classes: int = 10) -> None:
    """exact_average of a softmax layer against the arithmetic that no way around is known for.

    For each of the 2^n normalizers it takes 4 operations a class in two products, a reciprocal for the mean of the
    probabilities, and a logarithm for the members' mean log-probability, which every Average has.
    """
    network, x = nn.Sequential(nn.Dropout(0.5), nn.Linear(n_units, classes)), torch.randn(examples, n_units)
    half, block = 2 ** (n_units // 2), 128  # blocks of so many rows stay in the cache
    a, b = torch.rand(examples, classes, half), torch.rand(examples, classes, half)
    z, means = torch.rand(block, half) + 0.5, torch.empty(classes, half)
    logs = torch.empty_like(z)

    def products() -> None:
        for own, other in zip(a, b, strict=True):
            for rows in other.split(block, dim=1):
                torch.mm(rows.T, own, out=z)
                torch.addmm(means, rows, z, out=means)

    def each_block(run: Callable[[], object]) -> Callable[[], object]:
        return lambda: [run() for _ in range(examples * half // block)]

    seconds = medians(
        {
            "products": products,
            "reciprocals": each_block(z.reciprocal_),
            "logarithms": each_block(lambda: torch.log(z, out=logs)),
            "exact_average": lambda: exact_average(network, x, progress=False),
        },
        repeats=15,
    )
    own = seconds.pop("exact_average")
    print(f"\nlimit at 2^{n_units}: exact_average takes {own * 1e3:.1f} ms, which is", end=" ")
    print(
        f"{own / seconds['products']:.1f} times its products, {own / sum(seconds.values()):.1f} times all of", end=" "
    )
    print(", ".join(f"{name} {value * 1e3:.1f} ms" for name, value in seconds.items()))


def large(n_units: int = 20, examples: int = 20) -> None:
    """2^20 subnetworks, in a process of its own, so that its peak of memory is its own."""
    for sizes in ([10, n_units, 10], [10, n_units // 2, n_units // 2, 10]):
        program = f"""
import resource, time, torch
from dropout_lessons.averaging import exact_average
from dropout_lessons.networks import MLP
torch.set_num_threads(1)
network = MLP({sizes}, keep_prob=0.5)
x = torch.randn({examples}, 10)
exact_average(MLP([10, 4, 10], keep_prob=0.5), x, progress=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
members = exact_average(network, x, progress=False).members
seconds = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{{members:,}} subnetworks: {{seconds:.2f}} s, peak {{peak / 2**10:.0f}} MiB, {{before / 2**10:.0f}} MiB before")
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        print(f"\nall masks of the hidden layers of {sizes}, {examples} examples\n  {done.stdout.strip()}")


def monte_carlo(samples: int, examples: int = 100) -> None:
    """k samples against k calls of the network in training mode."""
    x = torch.randn(examples, 784)
    for drops in ((0.5, 0.5), (0.0, 0.5)):
        network = nn.Sequential(
            nn.Linear(784, 512),
            nn.ReLU(),
            nn.Dropout(drops[0]),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Dropout(drops[1]),
            nn.Linear(512, 10),
        )
        if not drops[0]:
            del network[2]

        @torch.no_grad()
        def calls(network: nn.Module = network) -> torch.Tensor:
            total = torch.zeros(examples, 10, dtype=torch.float64)
            for _ in range(samples):
                total += network(x).softmax(dim=1)
            return total / samples

        def ours(network: nn.Module = network) -> torch.Tensor:
            return monte_carlo_average(network, x, samples=samples, progress=False).probs

        widths = [(512, 512), (512, 10)] if drops[0] else [(512, 10)]
        layers = [(torch.randn(examples, a), torch.randn(b, a)) for a, b in widths]

        def draws(layers: list[tuple[torch.Tensor, torch.Tensor]] = layers) -> None:
            for _ in range(samples):
                for h, _ in layers:
                    sample_mask(h.shape, 0.5)

        @torch.no_grad()
        def products(layers: list[tuple[torch.Tensor, torch.Tensor]] = layers) -> None:
            for _ in range(samples):
                for h, weight in layers:
                    F.linear(h, weight)

        runs: dict[str, Callable[[], object]] = {"calls of the network": calls, "monte_carlo_average": ours}
        runs |= {"  its draws of masks alone": draws, "  its matrix products alone": products}
        seconds = medians(runs, repeats=max(3, 200 // samples))
        where = "each hidden layer" if drops[0] else "the last hidden layer"
        print(f"\nMonte Carlo, k = {samples}, 784-512-512-10, {examples} examples, masks on {where}")
        report(seconds, "monte_carlo_average")
        plain, own, *alone = seconds.values()
        print(f"  {own / plain:.3f} of the calls; {sum(alone) / plain:.3f} is the limit of its draws and products")


def main() -> None:
    with one_thread():
        softmax_layer()
        limit(16)
        limit(20)
        large()
        for samples in (1, 2, 10, 1000):
            monte_carlo(samples)


if __name__ == "__main__":
    main()
