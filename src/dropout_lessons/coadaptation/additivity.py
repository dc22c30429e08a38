"""Find out how far units only add: by running the network with random ones present, and looking at what it computes."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from dropout_lessons.coadaptation.parts import Above, Part
from dropout_lessons.masks import sample_mask

# Rounding of a sum of many terms, in units of the last place of the largest result.
_ROUNDING = 64


def look_above(part: Part, memory: int) -> Above:
    """Run a part with random units present, and find the calls after the layer whose results are additive."""
    dtype = part.passes.activations.dtype
    with part.passes.active():
        seen = [part.passes.results(part.present(own), memory // 4) for own in _quadruple(part, 1)[:, 0].to(dtype)]
        results = [dict(own) for own, _ in seen]
        calls = {
            call: result
            for call, result in results[0].items()
            if all(call in own and own[call].shape == result.shape for own in results)
            and _is_additive(torch.stack([own[call] for own in results]), dtype, varies=True)
        }
        largest = max([part.passes.activations.nbytes, *(result.nbytes for result in results[0].values())])
        bytes_per_example = 3 * largest / part.n_examples
        if _is_additive(part.readout.centered(torch.stack([output for _, output in seen])), dtype):
            return Above(None, True, bytes_per_example)
        copies = 4 * part.n_units  # of what a cut returns, for an example
        for call in list(calls)[:-9:-1]:
            if copies * calls[call].nbytes / part.n_examples > memory:
                continue
            try:
                output = part.passes.run(calls[call].unsqueeze(0), above=call)[0]
            except Exception:  # it is called otherwise where the layer is intact
                continue
            if _is_close(output, seen[0][1], dtype):
                at_once = memory // int(copies * calls[call].nbytes / part.n_examples)
                return Above(call, False, bytes_per_example, at_once)
    return Above(None, False, bytes_per_example)


def agrees(part: Part, above: Above) -> bool:
    """Whether the results are additive for all the examples of this part too."""
    if above.cut is None and not above.additive:
        return True
    four = _quadruple(part, -(-32 // part.n_examples))
    results = part.outputs(four.flatten(0, 1), until=above.cut)
    if above.additive:
        results = part.readout.centered(results)
    return _is_additive(results.unflatten(0, four.shape[:2]), part.passes.activations.dtype)


def _quadruple(part: Part, times: int) -> Bool[Tensor, "4 times examples units"]:
    """Sets of units, others, what they share, and what is in one of them: f(A) + f(B) = f(A and B) + f(A or B) if f adds."""
    generator = torch.Generator().manual_seed(0)
    shape = (times, part.n_examples, part.n_units)
    sets = []
    for keep_prob in (0.5, 0.2, 0.8):
        a = sample_mask(shape, keep_prob, generator=generator)
        sets.append((a, sample_mask(shape, keep_prob, generator=generator)))
    sets.append((sets[0][0], ~sets[0][0]))
    # Each example has sets of another size, and in another member again.
    kind = (torch.arange(shape[0])[:, None, None] + torch.arange(shape[1])[:, None]) % len(sets)
    a, b = (torch.stack(own).take_along_dim(kind.expand(shape).unsqueeze(0), 0)[0] for own in zip(*sets, strict=True))
    return torch.stack([a, b, a & b, a | b]).to(part.passes.activations.device)


def _is_additive(four: Tensor, dtype: torch.dtype, *, varies: bool = False) -> bool:
    a, b, both, either = four.double()
    return _is_close(a + b, both + either, dtype) and not (varies and _is_close(a, b, dtype))


def _is_close(a: Tensor, b: Tensor, dtype: torch.dtype) -> bool:
    """Whether two results differ by no more than rounding; never for infinite ones, or in half precision."""
    eps = torch.finfo(dtype).eps
    if not a.numel():
        return True
    size = torch.stack([a.abs().max(), b.abs().max()]).max()
    return eps < 1e-5 and bool((a - b).abs().max() <= _ROUNDING * eps * size)
