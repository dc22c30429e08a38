"""How fast are the measures of co-adaptation, against plain loops of forward passes? Seconds of one thread's CPU time.

The ways that are compared are timed in one run, interleaved, and reported as the median and as ratios. The loops are what
one would write first: a hook that multiplies the layer's output by a mask, and a forward pass for each set of units. They
run over a part of the sets, and are scaled up.
"""

import itertools
from collections.abc import Callable

import torch
from timing import medians, one_thread
from torch import Tensor, nn

from dropout_lessons import MLP, Recipe, datasets, fit
from dropout_lessons.coadaptation import LayerUnits, ablation_curve, interaction, interaction_share, reliance
from dropout_lessons.masks import sample_mask

EXAMPLES = 100


class Loop:
    """Forward passes with some units of a layer present, one set at a time."""

    def __init__(self, network: nn.Module, layer: str, x: Tensor, y: Tensor) -> None:
        self.network, self.x, self.y = network.eval(), x, y
        network.get_submodule(layer).register_forward_hook(lambda module, args, output: output * self.mask)

    @torch.no_grad()
    def value(self, mask: Tensor) -> Tensor:
        self.mask = mask
        return self.network(self.x).log_softmax(1).gather(1, self.y[:, None])[:, 0]

    def pairs(self, context: Tensor, count: int) -> Tensor:
        """The first interactions, by four forward passes a pair."""
        found = []
        for i, j in itertools.islice(itertools.combinations(range(context.shape[1]), 2), count):
            values = []
            for one, two in ((True, True), (True, False), (False, True), (False, False)):
                mask = context.clone()
                mask[:, i], mask[:, j] = one, two
                values.append(self.value(mask))
            found.append((values[0] - values[1] - values[2] + values[3]).abs().mean())
        return torch.stack(found)


def network_and_examples(n_units: int) -> tuple[nn.Module, Tensor, Tensor]:
    data = datasets.load("mnist_10k", train=1000)
    network = MLP([784, n_units, n_units, 10], generator=torch.Generator().manual_seed(0))
    fit(network, data, Recipe(epochs=10), progress=False)
    return network, data.test.x[:EXAMPLES], data.test.y[:EXAMPLES]


def all_pairs(n_units: int, layer: str, count: int, repeats: int) -> None:
    """All pairwise interactions of a layer in one context of each example."""
    network, x, y = network_and_examples(n_units)
    n_pairs = n_units * (n_units - 1) // 2
    context = sample_mask((EXAMPLES, n_units), 0.5, generator=torch.Generator().manual_seed(0))
    loop = Loop(network_and_examples(n_units)[0], layer, x, y)

    def ours(network: nn.Module = network) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        found = interaction(LayerUnits(network, layer, x, y), contexts=1, generator=generator, progress=False)
        return found.strength

    i, j = torch.combinations(torch.arange(n_units))[:count].T
    plain, fast = loop.pairs(context, count).double(), ours()[i, j]
    print(f"\nall {n_pairs} pairs of {layer} of 784-{n_units}-{n_units}-10, {EXAMPLES} examples, one context each")
    print(f"  largest difference between the two ways {(plain - fast).abs().max():.1e}, mean {fast.mean():.1e} nats")
    seconds = medians({"loop": lambda: loop.pairs(context, count), "ours": ours}, repeats=repeats)
    report("four forward passes a pair", seconds["loop"] * n_pairs / count, "interaction", seconds["ours"])
    units = LayerUnits(network.double(), layer, x.double(), y)
    double = interaction(units, contexts=1, generator=torch.Generator().manual_seed(0))
    network.float()
    error = (ours() - double.strength)[~torch.eye(n_units, dtype=torch.bool)].abs()
    print(f"  single against double precision: largest difference {error.max():.1e}, mean {error.mean():.1e} nats")


def shares(n_units: int, layer: str, repeats: int) -> None:
    """interaction_share and reliance, each against a loop of as many forward passes as they need."""
    network, x, y = network_and_examples(n_units)
    loop = Loop(network_and_examples(n_units)[0], layer, x, y)
    masks = sample_mask((1024, n_units), 0.5, generator=torch.Generator().manual_seed(0))
    context = sample_mask((EXAMPLES, n_units), 0.5, generator=torch.Generator().manual_seed(0))

    def toggled() -> None:
        loop.value(context)
        for i in range(n_units):
            mask = context.clone()
            mask[:, i] = ~mask[:, i]
            loop.value(mask)

    print(f"\n{layer} of 784-{n_units}-{n_units}-10, {EXAMPLES} examples")
    runs: dict[str, Callable[[], object]] = {
        "masks": lambda: [loop.value(mask) for mask in masks],
        "share": lambda: interaction_share(LayerUnits(network, layer, x, y), samples=1024, progress=False),
        "contexts": toggled,
        "reliance": lambda: reliance(LayerUnits(network, layer, x, y), contexts=32, progress=False),
    }
    seconds = medians(runs, repeats=repeats)
    report("1024 forward passes", seconds["masks"], "interaction_share", seconds["share"])
    report(f"32 x {n_units + 1} forward passes", 32 * seconds["contexts"], "reliance", seconds["reliance"])


def removal(n_units: int, repeats: int) -> None:
    """ablation_curve of the last hidden layer against what its logits allow: subtracting unit after unit, or cumulative sums."""
    network, x, y = network_and_examples(n_units)
    with torch.no_grad():
        h = network.hidden2(network.hidden1(x))
        contributions = (h[:, :, None] * network.output.weight.T).double()
        intact = network(x).double()

    def downdate() -> None:
        for _ in range(20):
            logits = intact.clone()
            for unit in torch.randperm(n_units):
                logits -= contributions[:, unit]
                (logits.argmax(1) == y).double().mean()

    def accumulate() -> None:
        for _ in range(20):
            removed = -contributions[:, torch.randperm(n_units)].transpose(0, 1)
            logits = torch.cat([intact.unsqueeze(0), removed]).cumsum(0)
            (logits.argmax(2) == y).double().mean(1)

    print(f"\nhidden2 of 784-{n_units}-{n_units}-10, {EXAMPLES} examples, 20 orders")
    runs: dict[str, Callable[[], object]] = {
        "downdate": downdate,
        "accumulate": accumulate,
        "curve": lambda: ablation_curve(LayerUnits(network, "hidden2", x, y), orders=20, progress=False),
    }
    seconds = medians(runs, repeats=repeats)
    report("downdates in a loop", seconds["downdate"], "ablation_curve", seconds["curve"])
    report("cumulative sums", seconds["accumulate"], "ablation_curve", seconds["curve"])


def products(n_units: int, repeats: int) -> None:
    """interaction of the last hidden layer against its products, the units' factors with themselves, and their logarithms.

    A logarithm of each pair and example is what the log-probability takes; it is a half of those of the full products. Each
    is then read a few times: for its sign, its absolute value, and two sums.
    """
    network, x, y = network_and_examples(n_units)
    units = LayerUnits(network, "hidden2", x, y)
    factors = torch.rand(EXAMPLES, n_units, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    out = torch.empty(EXAMPLES, n_units, n_units, dtype=torch.float64)

    def alone() -> None:
        for _ in range(8):
            torch.bmm(factors, factors.transpose(1, 2), out=out)

    some = torch.rand(8, n_units, n_units, dtype=torch.float64)
    logs = torch.empty_like(some)

    def logarithms() -> None:
        for _ in range(8 * EXAMPLES // len(some) // 2):
            torch.log(some, out=logs)

    print(f"\nhidden2 of 784-{n_units}-{n_units}-10, {EXAMPLES} examples, 8 contexts, all pairs")
    runs: dict[str, Callable[[], object]] = {
        "products": alone,
        "logarithms": logarithms,
        "interaction": lambda: interaction(units, contexts=8, progress=False),
        "with units": lambda: interaction(LayerUnits(network, "hidden2", x, y), contexts=8, progress=False),
    }
    seconds = medians(runs, repeats=repeats)
    report("interaction", seconds["interaction"], "its products alone", seconds["products"])
    report("interaction, units made", seconds["with units"], "its products alone", seconds["products"])
    both = seconds["products"] + seconds["logarithms"]
    report("interaction", seconds["interaction"], "its products and logarithms", both)


def report(plain: str, slow: float, name: str, fast: float) -> None:
    print(f"  {plain:32s}{slow * 1e3:11.1f} ms")
    print(f"  {name:32s}{fast * 1e3:11.1f} ms {slow / fast:8.1f} times as fast")


def main() -> None:
    with one_thread():
        for layer in ("hidden2", "hidden1"):
            all_pairs(64, layer, count=100, repeats=9)
        for layer in ("hidden2", "hidden1"):
            all_pairs(256, layer, count=100, repeats=3)
        for layer in ("hidden2", "hidden1"):
            shares(256, layer, repeats=3)
        for n_units in (64, 256):
            removal(n_units, repeats=9)
            products(n_units, repeats=9)


if __name__ == "__main__":
    main()
