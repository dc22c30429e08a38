"""How fast is Dropout, and how far from the least that it can take? Forward plus backward, in one thread's CPU time.

The rival is ``F.dropout``. The floor is the product with a fixed mask of floats, which draws nothing. What is in one row
is timed in turns and given as medians and their ratios. "draw" is what PyTorch's generator takes, relative to the floor, for
a random byte an entry: what no layer with these masks can do without.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from timing import medians, one_thread
from torch import Tensor

from dropout_lessons.layers import DropBlock, Dropout, GaussianDropout, SpatialDropout

SHAPES = [(1,), (32, 32), (64, 256), (128, 1024), (1000, 4096)]
KEEP_PROBS = [0.5, 0.8, 0.9]
DTYPES = [torch.float32, torch.bfloat16, torch.float64]
SECONDS = 0.5  # for each row, and at least 7 turns

Layer = Callable[[Tensor], Tensor]


def forward_backward(layer: Layer, x: Tensor) -> Callable[[], None]:
    x = x.detach().clone().requires_grad_()
    gradient = torch.randn_like(x)

    def run() -> None:
        x.grad = None
        layer(x).backward(gradient)

    return run


def print_row(title: str, x: Tensor, keep_prob: float) -> None:
    fixed = (torch.rand(x.shape) < keep_prob).to(x.dtype) / keep_prob
    layers: dict[str, Layer] = {
        "torch": lambda h: F.dropout(h, 1 - keep_prob),
        "floor": lambda h: h * fixed,
        "Dropout": Dropout(keep_prob),
        "standard": Dropout(keep_prob, scaling="standard"),
    }
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64)
    runs: dict[str, Callable[[], object]] = {name: forward_backward(layer, x) for name, layer in layers.items()}
    runs["draw"] = lambda: words.random_(-(2**63), None)
    calls = max(1, min(50, 200_000 // x.numel()))
    seconds = medians(runs, repeats=7, warm=2, calls=calls, at_least=SECONDS)
    torchs, floor, own = seconds["torch"], seconds["floor"], seconds["Dropout"]
    print(
        f"{title:32s}{keep_prob:5.1f}{torchs * 1e6:12.0f}{floor * 1e6:10.0f}{own * 1e6:10.0f}{own / torchs:10.2f}"
        f"{own / floor:9.2f}{seconds['standard'] / floor:10.2f}{torchs / floor:11.2f}{seconds['draw'] / floor:7.2f}"
    )


def print_grid() -> None:
    print(f"{'':32s} keep  F.dropout     floor   Dropout  Dropout/  Dropout/ standard/ F.dropout/  draw/")
    print(f"{'':32s} prob         us        us        us F.dropout     floor     floor      floor  floor")
    for dtype in DTYPES:
        for shape in SHAPES:
            for keep_prob in KEEP_PROBS:
                print_row(f"{shape}, {str(dtype).removeprefix('torch.')}", torch.randn(shape, dtype=dtype), keep_prob)
    for keep_prob in KEEP_PROBS:
        print_row("(128, 1024), transposed", torch.randn(1024, 128).T, keep_prob)
        images = torch.randn(128, 16, 8, 8).to(memory_format=torch.channels_last)
        print_row("(128, 16, 8, 8), channels last", images, keep_prob)


def print_relatives(keep_prob: float = 0.8) -> None:
    images = torch.randn(128, 16, 8, 8)
    layers: dict[str, Layer] = {
        "F.dropout": lambda h: F.dropout(h, 1 - keep_prob),
        "GaussianDropout": GaussianDropout(keep_prob),
        "SpatialDropout": SpatialDropout(keep_prob),
        "DropBlock, block 3": DropBlock(keep_prob, block_size=3),
    }
    seconds = medians({name: forward_backward(layer, images) for name, layer in layers.items()}, repeats=31)
    print(f"\n{tuple(images.shape)}, float32, keep_prob {keep_prob}, relative to F.dropout")
    for name, value in seconds.items():
        print(f"  {name:20s}{value * 1e6:10.0f} us{value / seconds['F.dropout']:8.2f}")


def main() -> None:
    with one_thread():
        print_grid()
        print_relatives()


if __name__ == "__main__":
    main()
