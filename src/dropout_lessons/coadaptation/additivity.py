"""Find out how far units only add: by running the network with random ones present, and looking at what it computes.

A sum over units is what toggling is cheap for: each unit's step to it is computed once, and a set of units needs an addition
where it would need a forward pass. So the best place to start from is the last sum above the layer, the cut; all that follows
it, and nothing before it, is run for each set. Where the logits themselves are sums, nothing is run at all.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dropout_lessons import runtime
from dropout_lessons.coadaptation.parts import Above, Part
from dropout_lessons.masks import sample_mask
from dropout_lessons.running.layer_passes import Operation

# Rounding of a sum of many terms, in units of the last place of the result, or of a usual one where the terms cancel.
_ROUNDING = 64
# In how many examples and members four sets of units are looked at, at least.
_PROBES = 32
# The same of fewer examples, where a limit that is overlooked would count for much; and the bytes that it may take.
_SURE = 512
_ROOM = 2**24


def look_above(part: Part, memory: int) -> Above:
    """Run a part with random units present, and find the operations after the layer whose results are additive."""
    dtype = part.passes.activations.dtype
    four = _quadruple(part, -(-_PROBES // part.n_examples)).to(dtype)
    with part.passes.active():
        seen = [[part.passes.results(part.present(own), memory // 4) for own in sets] for sets in four]
    results = [[dict(own) for own, _ in sets] for sets in seen]
    runs = [own for sets in results for own in sets]
    additive = {
        operation: result
        for operation, result in results[0][0].items()
        if all(operation in own and own[operation].shape == result.shape for own in runs)
        and _is_additive(_stacked([[own[operation] for own in sets] for sets in results]), dtype, varies=True)
    }
    largest = max([part.passes.activations.nbytes, *(result.nbytes for result in runs[0].values())])
    bytes_per_example = 3 * largest / part.n_examples
    complements = _complements(part, bytes_per_example)
    outputs = _stacked([[output for _, output in sets] for sets in seen])
    if _logits_add(part, outputs, dtype) and _logits_add(part, _predicted(part, complements), dtype):
        return Above(None, True, bytes_per_example)
    copies = 4 * part.n_units  # of what a cut returns, for an example
    for operation in list(additive)[:-9:-1]:
        bytes_of_copies = copies * additive[operation].nbytes / part.n_examples
        if bytes_of_copies > memory:
            continue
        try:
            with part.passes.active():
                output = part.passes.run(additive[operation].unsqueeze(0), resume=operation)[0]
            adds = _has_examples_first(part, operation)
            adds = adds and _is_additive(_predicted(part, complements, until=operation), dtype)
        except Exception:  # it is called otherwise where the layer is intact
            continue
        if adds and _is_close(output.double(), seen[0][0][1].double(), dtype):
            return Above(operation, False, bytes_per_example, int(memory // bytes_of_copies))
    return Above(None, False, bytes_per_example)


def _stacked(rows: list[list[Tensor]]) -> Float[Tensor, "4 times ..."]:
    return torch.stack([torch.stack(row) for row in rows])


def _has_examples_first(part: Part, operation: Operation) -> bool:
    """Whether what an operation returns has an entry for each example, as it has not where tokens come before them."""
    half = (part.n_examples + 1) // 2
    presence = torch.zeros(3, part.n_examples, part.n_units, device=part.passes.activations.device)
    presence[1, :half] = presence[2, half:] = 1
    none, first, last = part.predictions(presence, until=operation)
    same = torch.equal(first[half:], none[half:]) and torch.equal(last[:half], none[:half])
    return len(none) == part.n_examples and same


def agrees(part: Part, above: Above) -> bool:
    """Whether the results are additive for all the examples of this part too."""
    if above.cut is None and not above.additive:
        return True
    dtype = part.passes.activations.dtype
    adds = partial(_logits_add, part) if above.additive else _is_additive
    quadruples = _quadruple(part, -(-_PROBES // part.n_examples)), _complements(part, above.bytes_per_example)
    return all(adds(_predicted(part, four, until=above.cut), dtype) for four in quadruples)


def _predicted(part: Part, four: Tensor, *, until: Operation | None = None) -> Float[Tensor, "4 times ..."]:
    results: Tensor = part.predictions(four.flatten(0, 1), until=until).unflatten(0, four.shape[:2])
    return results


def _logits_add(part: Part, outputs: Float[Tensor, "4 times ..."], dtype: torch.dtype) -> bool:
    """Whether logits are additive up to what is the same for all classes, or the values of a regression are."""
    members = outputs.flatten(0, 1)
    counts = None if part.readout.is_regression else part.readout.counting(part.readout.logits(members))
    return _is_additive(part.readout.centered(members).unflatten(0, outputs.shape[:2]), dtype, counts=counts)


def _quadruple(part: Part, times: int) -> Bool[Tensor, "4 times examples units"]:
    """Sets of units, others, what they share, and what is in one of them: f(A) + f(B) = f(A and B) + f(A or B) if f adds."""
    generator = runtime.generator(0, stream="probes")
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


def _complements(part: Part, bytes_per_example: float) -> Bool[Tensor, "4 times examples units"]:
    """Some units, the others, none and all: each example is seen as it is, where a limit such as a clamp may be reached.

    Few examples are also seen in many more sets.
    """
    n = part.n_examples
    a = sample_mask((1, n, part.n_units), 0.5, generator=runtime.generator(0, stream="complements"))
    four = torch.stack([a, ~a, a & ~a, a | ~a]).to(part.passes.activations.device)
    more = min(_SURE // n, int(_ROOM // (bytes_per_example * n))) if n < _PROBES else 0
    return torch.cat([four, _quadruple(part, more)], dim=1) if more else four


def _is_additive(
    four: Float[Tensor, "4 times ..."], dtype: torch.dtype, *, varies: bool = False, counts: Tensor | None = None
) -> bool:
    a, b, both, either = four.double()
    if not _is_close(a + b, both + either, dtype, counts):
        return False
    return not (varies and _is_close(a, b, dtype))


def _is_close(a: Tensor, b: Tensor, dtype: torch.dtype, counts: Tensor | None = None) -> bool:
    """Whether two results differ by no more than rounding; never for infinite ones, or in half precision.

    An entry is compared with its own size, so that one that is large, as masked logits are, excuses no other; or with the median
    of those that count, for it may be small because large terms cancel.
    """
    eps = torch.finfo(dtype).eps
    if not a.numel():
        return True
    size = torch.maximum(a.abs(), b.abs())
    usual = size if counts is None else size[counts.expand_as(size)]
    return eps < 1e-5 and bool(((a - b).abs() <= _ROUNDING * eps * size.clamp(min=usual.median())).all())
