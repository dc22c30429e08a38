import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from dropout_lessons.arguments import own_generator
from dropout_lessons.masks import (
    enumerate_masks,
    expected_distinct_masks,
    mask_log_prob,
    sample_mask,
    sample_masks,
    sampling,
)
from dropout_lessons.masks.sampling import mask_stream, sample_factor

keep_probs = st.floats(0.0, 1.0, exclude_min=True)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_count_is_binomial(count: int, n: int, prob: float, alpha: float = 1e-9) -> None:
    """Accept a count k of n when n KL(k/n || prob) <= ln(2/alpha), Chernoff's bound for every n and prob."""
    share = count / n
    terms = [(share, prob), (1 - share, 1 - prob)]
    kl = sum(a * math.log(a / b) if b else math.inf for a, b in terms if a)
    assert n * kl <= math.log(2 / alpha), f"{count} of {n} kept, expected a share of {prob}"


# 1/256 and its neighborhood are where a byte-wise draw would be wrong if its ties were not refined.
@pytest.mark.parametrize("keep_prob", [1e-4, 1 / 512, 1 / 256, 0.1, 0.3, 0.5, 0.8, 0.9, 1 - 1 / 512, 0.9999])
def test_share_of_kept_units_is_keep_prob(keep_prob):
    n = 4_000_000
    mask = sample_mask((n,), keep_prob, generator=seeded(1))
    assert_count_is_binomial(int(mask.sum()), n, keep_prob)


def test_kept_counts_follow_the_binomial_distribution():
    n_units, draws, keep_prob = 12, 200_000, 0.7
    kept = sample_mask((draws, n_units), keep_prob, generator=seeded(2)).sum(1)
    observed = torch.bincount(kept, minlength=n_units + 1)
    for count, prob in zip(observed.tolist(), binom.pmf(range(n_units + 1), n_units, keep_prob), strict=True):
        assert_count_is_binomial(count, draws, prob)


def test_every_mask_appears_as_often_as_its_probability_says():
    # Independence of all units at once: the joint distribution, not only the marginals.
    n_units, draws, keep_prob = 6, 400_000, 0.3
    mask = sample_mask((draws, n_units), keep_prob, generator=seeded(3))
    index = (mask.long() << torch.arange(n_units)).sum(1)
    observed = torch.bincount(index, minlength=2**n_units)
    expected = mask_log_prob(enumerate_masks(n_units), keep_prob).exp()
    for count, prob in zip(observed.tolist(), expected.tolist(), strict=True):
        assert_count_is_binomial(count, draws, prob)


def test_entries_of_the_same_random_word_are_uncorrelated():
    # Eight entries come from one 64-bit word: correlations at lags 1 to 16 stay within 5 sigma of 0.
    n = 2_000_000
    centered = sample_mask((n,), 0.6, generator=seeded(4)).double() - 0.6
    for lag in range(1, 17):
        correlation = (centered[:-lag] * centered[lag:]).mean().item() / (0.6 * 0.4)
        assert abs(correlation) < 5 / math.sqrt(n)


@given(keep_prob=keep_probs, shape=st.lists(st.integers(0, 5), max_size=4))
def test_masks_have_the_asked_shape_and_are_a_function_of_the_generator(keep_prob, shape):
    mask = sample_mask(shape, keep_prob, generator=seeded(5))
    assert mask.shape == torch.Size(shape)
    assert mask.dtype == torch.bool
    assert torch.equal(mask, sample_mask(shape, keep_prob, generator=seeded(5)))


@pytest.mark.parametrize("keep_prob", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("entries", [7, 2**12 + 1, 2**16 + 3], ids=["few", "many", "more than a chunk"])
def test_a_stream_of_masks_holds_what_is_drawn_one_by_one(entries, keep_prob):
    one_by_one, shape = seeded(5), torch.Size((entries,))
    stream = mask_stream(shape, keep_prob, seeded(5))
    for mask in [next(stream) for _ in range(3)]:  # of which none is written over by the next
        assert torch.equal(mask.bool(), sample_mask(shape, keep_prob, generator=one_by_one))


def test_the_default_source_is_torchs_global_generator():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        first, second = sample_mask((64,), 0.5), sample_mask((64,), 0.5)
        torch.manual_seed(7)
        assert torch.equal(first, sample_mask((64,), 0.5))
        assert not torch.equal(first, second)


def test_a_generator_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    sample_mask((1000,), 0.3, generator=seeded())
    assert torch.equal(state, torch.get_rng_state())


def test_masks_are_drawn_on_the_device_of_the_generator_or_as_asked():
    assert sample_mask((3,), 0.5, device="meta").device.type == "meta"
    assert sample_mask((3,), 0.5, generator=seeded()).device.type == "cpu"


def test_what_is_no_generator_is_refused_with_one_that_is():
    for wrong, fix in [(0, 0), (7, 7), ("seed", 0), (np.random.default_rng(), 0), (torch.tensor(3), 0)]:
        way_out = rf"generator must be a torch.Generator.*got .*; write torch.Generator\(\).manual_seed\({fix}\)"
        for draw in (
            lambda wrong=wrong: sample_mask((3,), 0.5, generator=wrong),
            lambda wrong=wrong: sample_mask((3,), 1.0, generator=wrong),
            lambda wrong=wrong: sample_masks((3,), [0.5, 0.5], generators=[seeded(), wrong]),
            lambda wrong=wrong: own_generator(wrong),
        ):
            with pytest.raises(ValueError, match=way_out):
                draw()


def test_a_generator_of_another_device_draws_there_and_the_mask_is_moved(monkeypatch):
    # There may be no GPU here: see what would be moved, and where to.
    moves = []
    monkeypatch.setattr(torch.Tensor, "to", lambda mask, device: moves.append((mask.device.type, device.type)) or mask)
    drawn = sample_mask((300,), 0.3, generator=seeded(), device="cuda")
    sampling.sample_noise(torch.empty(3, device="cpu"), generator=seeded())
    assert moves == [("cpu", "cuda")]
    assert torch.equal(drawn, sample_mask((300,), 0.3, generator=seeded()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_a_generator_of_the_cpu_draws_what_it_draws_on_the_cpu():
    drawn = sample_mask((300,), 0.3, generator=seeded(), device="cuda")
    assert torch.equal(drawn.cpu(), sample_mask((300,), 0.3, generator=seeded()))


@pytest.mark.parametrize("entries", [1, 7, 4096, 4097, 65536, 65543, 131073])
def test_a_mask_is_one_comparison_of_random_bytes_in_however_many_pieces_it_is_drawn(entries):
    for keep_prob, dtype in ((0.7, torch.float32), (0.8, torch.bfloat16)):
        source, again, third = (torch.Generator().manual_seed(3) for _ in range(3))
        words = torch.empty(-(-entries // 8), dtype=torch.int64).random_(-(2**63), None, generator=source)
        values = words.view(torch.uint8)[:entries].double()
        tie = values == math.floor(256 * keep_prob)
        values[tie] += torch.rand(int(tie.sum()), dtype=torch.float64, generator=source)  # undecided: refined
        expected = values < 256 * keep_prob
        assert torch.equal(sample_mask((entries,), keep_prob, generator=again), expected)
        x = torch.ones(entries, dtype=dtype)
        factor = sample_factor(x, keep_prob, scale=1 / keep_prob, generator=third)
        assert torch.equal(factor, expected.to(dtype) * (1 / keep_prob))
        assert torch.equal(source.get_state(), again.get_state())
        assert torch.equal(source.get_state(), third.get_state())


def test_masks_without_entries_to_draw_leave_the_generator_where_it_is():
    generator = seeded()
    sample_mask((10**12,), 0.5, generator=generator, device="meta")
    assert torch.equal(generator.get_state(), seeded().get_state())


class _OnMPS(torch.Tensor):
    device = torch.device("mps")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_log_probabilities_are_double_where_the_device_has_no_doubles():
    # There may be no such device here: pretend that the CPU's masks are on one, and see that they are moved away first.
    on_mps = enumerate_masks(3).as_subclass(_OnMPS)
    for keep_prob in (0.5, torch.tensor([0.5, 0.3, 1.0])):
        torch.testing.assert_close(mask_log_prob(on_mps, keep_prob), mask_log_prob(enumerate_masks(3), keep_prob))


def test_vmap_draws_a_mask_for_each_member():
    draw = torch.vmap(lambda x: x * sample_mask(x.shape, 0.5), randomness="different")
    rows = draw(torch.ones(2, 256))
    assert not torch.equal(rows[0], rows[1])
    with pytest.raises(RuntimeError, match="randomness"):
        torch.vmap(lambda x: x * sample_mask(x.shape, 0.5))(torch.ones(2, 256))


@pytest.mark.parametrize("keep_prob", [0, -0.1, 1.3, float("nan"), float("inf")])
def test_impossible_keep_probs_are_refused(keep_prob):
    for call in (
        lambda: sample_mask((2,), keep_prob),
        lambda: mask_log_prob(enumerate_masks(2), keep_prob),
        lambda: expected_distinct_masks(2, keep_prob, 3),
    ):
        with pytest.raises(ValueError, match=r"keep_prob must be in \(0, 1\].*PyTorch's p=0.2 is keep_prob=0.8"):
            call()


@pytest.mark.parametrize("n_units", range(9))
def test_enumeration_lists_every_mask_once(n_units):
    rows = enumerate_masks(n_units).tolist()
    assert len(rows) == 2**n_units
    assert sorted(rows) == sorted(list(row) for row in itertools.product([False, True], repeat=n_units))


def test_chunks_of_the_enumeration_join_to_the_whole():
    chunks = [enumerate_masks(7, start=start, stop=min(start + 50, 128)) for start in range(0, 128, 50)]
    assert torch.equal(torch.cat(chunks), enumerate_masks(7))
    assert enumerate_masks(62, start=2**62 - 1).all()


def test_enumerations_that_do_not_fit_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match=r"n_units=40 asks for 1,099,511,627,776 masks.*start and stop"):
        enumerate_masks(40)
    with pytest.raises(ValueError, match="from 0 to 62"):
        enumerate_masks(63)
    with pytest.raises(ValueError, match="0 <= start <= stop <= 8"):
        enumerate_masks(3, start=5, stop=4)


@given(keep_prob=keep_probs, n_units=st.integers(0, 8))
def test_mask_probabilities_sum_to_one(keep_prob, n_units):
    log_probs = mask_log_prob(enumerate_masks(n_units), keep_prob)
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-12)


@given(keep=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5))
def test_mask_probability_is_the_product_over_units(keep):
    masks = enumerate_masks(len(keep))
    expected = [math.prod(k if kept else 1 - k for k, kept in zip(keep, row, strict=True)) for row in masks.tolist()]
    probs = mask_log_prob(masks, torch.tensor(keep, dtype=torch.float64)).exp()
    np.testing.assert_allclose(probs, expected, rtol=1e-12, atol=1e-300)


def test_mask_log_prob_refuses_what_is_no_mask():
    with pytest.raises(ValueError, match=r"convert with masks.bool\(\)"):
        mask_log_prob(torch.ones(2, 2), 0.5)
    with pytest.raises(ValueError, match="every unit"):
        mask_log_prob(enumerate_masks(2), torch.tensor([0.5, 0.0]))


@settings(max_examples=50)
@given(n_units=st.integers(0, 8), keep_prob=keep_probs, draws=st.integers(0, 10**6))
def test_expected_distinct_masks_is_the_sum_over_all_masks(n_units, keep_prob, draws):
    probs = mask_log_prob(enumerate_masks(n_units), keep_prob).exp().numpy()
    with np.errstate(divide="ignore"):
        oracle = -np.expm1(draws * np.log1p(-probs)) if draws else 0 * probs
    assert expected_distinct_masks(n_units, keep_prob, draws) == pytest.approx(oracle.sum(), rel=1e-9)


def test_expected_distinct_masks_agrees_with_counting():
    n_units, keep_prob, draws, runs = 8, 0.5, 300, 400
    masks = sample_mask((runs, draws, n_units), keep_prob, generator=seeded(8))
    index = (masks.long() << torch.arange(n_units)).sum(-1)
    distinct = np.array([len(row.unique()) for row in index], dtype=float)
    sigma = distinct.std(ddof=1) / math.sqrt(runs)
    assert abs(distinct.mean() - expected_distinct_masks(n_units, keep_prob, draws)) < 5 * sigma


def test_a_real_layer_never_repeats_a_mask():
    # Also where single masks are too improbable for a double: 0.5**3000 underflows.
    for n_units in (512, 3000):
        assert expected_distinct_masks(n_units, 0.5, 10**6) == pytest.approx(10**6, rel=1e-6)


def test_expected_distinct_masks_refuses_negative_counts():
    with pytest.raises(ValueError, match="n_units must be a whole number of at least 0, got -1"):
        expected_distinct_masks(-1, 0.5, 3)
    with pytest.raises(ValueError, match="draws must be a whole number of at least 0, got -1"):
        expected_distinct_masks(3, 0.5, -1)


# --- stacks of masks ------------------------------------------------------------------------------------------


# 1/512, 0.3 and 0.999 have ties, 0.5 has none, and 1 draws nothing.
@given(
    st.lists(st.one_of(keep_probs, st.sampled_from([1 / 512, 0.3, 0.5, 0.999, 1.0])), min_size=1, max_size=5),
    st.lists(st.integers(0, 60), max_size=2),
)
def test_each_slice_of_a_stack_is_the_mask_of_its_stream_and_leaves_it_where_that_does(keeps, shape):
    stacked, alone = ([seeded(k) for k in range(len(keeps))] for _ in range(2))
    for _ in range(2):
        drawn = sample_masks(shape, keeps, generators=stacked)
        expected = [sample_mask(shape, keep, generator=source) for keep, source in zip(keeps, alone, strict=True)]
        assert torch.equal(drawn, torch.stack(expected))
    for one, other in zip(stacked, alone, strict=True):
        assert torch.equal(one.get_state(), other.get_state())


@pytest.mark.parametrize("entries", [sampling._MAX_STACKED_MASK, sampling._MAX_STACKED_MASK + 1])
def test_small_and_large_masks_are_stacked_alike(entries):
    keeps = [0.8, 1.0, 0.5, 1 / 512]
    drawn = sample_masks((entries,), keeps, generators=[seeded(k) for k in range(4)])
    for k, keep in enumerate(keeps):
        assert torch.equal(drawn[k], sample_mask((entries,), keep, generator=seeded(k)))


def test_a_stack_needs_a_keep_prob_and_a_generator_for_each_mask():
    with pytest.raises(ValueError, match="must be one for each mask, got 2 and 1"):
        sample_masks((3,), [0.5, 0.5], generators=[seeded()])
    with pytest.raises(ValueError, match="must be one for each mask, got 0 and 0"):
        sample_masks((3,), [], generators=[])
    with pytest.raises(ValueError, match=r"keep_probs must be in \(0, 1\], got 1.3"):
        sample_masks((3,), [1.3], generators=[seeded()])
