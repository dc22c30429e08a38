"""How fast is Dropout, and how far from the memory limit? Forward plus backward, float32, one thread.

Everything is timed in one run, interleaved, and reported as the median and as a ratio to F.dropout.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from dropout_lessons.layers import DropBlock, Dropout, GaussianDropout, SpatialDropout

SHAPES = [(128, 1024), (1000, 4096)]
KEEP_PROBS = [0.5, 0.8]
REPEATS = 21


def forward_backward(layer: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...]) -> Callable[[], None]:
    x = torch.randn(shape, requires_grad=True)
    gradient = torch.randn(shape)

    def run() -> None:
        x.grad = None
        layer(x).backward(gradient)

    return run


def clone(shape: tuple[int, ...]) -> Callable[[], None]:
    x = torch.randn(shape)
    return lambda: (x.clone(), x.clone())  # one for the forward pass, one for the backward pass


def median_seconds(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(REPEATS + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if repeat >= 2:  # the first two warm up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    # Drawing is serial, so more threads show how busy the machine is and little else.
    torch.set_num_threads(1)
    for shape in SHAPES:
        images = (shape[0], shape[1] // 64, 8, 8)
        for keep_prob in KEEP_PROBS:
            runs = {
                "torch F.dropout": forward_backward(lambda x, q=1 - keep_prob: F.dropout(x, q), shape),
                "Dropout": forward_backward(Dropout(keep_prob), shape),
                "Dropout, standard scaling": forward_backward(Dropout(keep_prob, scaling="standard"), shape),
                "GaussianDropout": forward_backward(GaussianDropout(keep_prob), shape),
                "SpatialDropout": forward_backward(SpatialDropout(keep_prob), images),
                "DropBlock, block 3": forward_backward(DropBlock(keep_prob, block_size=3), images),
                "two plain copies": clone(shape),
            }
            medians = median_seconds(runs)
            print(f"\n{shape}, keep_prob {keep_prob}")
            for name, seconds in medians.items():
                ratio = seconds / medians["torch F.dropout"]
                copies = seconds / medians["two plain copies"]
                print(f"  {name:27s}{seconds * 1e3:9.3f} ms {ratio:7.2f} of F.dropout {copies:7.1f} x copies")


if __name__ == "__main__":
    main()
