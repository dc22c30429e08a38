"""A language that is known exactly, and a transformer that reads it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dropout_lessons.datasets import MarkovSource
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import SmallTransformer


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# The language


@settings(max_examples=30)
@given(symbols=st.integers(2, 9), concentration=st.floats(0.05, 20), seed=st.integers(0, 10_000))
def test_the_pair_probs_are_stationary(symbols, concentration, seed):
    source = MarkovSource(symbols, concentration=concentration, seed=seed)
    after = torch.einsum("ab,abc->bc", source.pair_probs, source.next_probs)
    assert torch.allclose(after, source.pair_probs, atol=1e-10)
    assert source.pair_probs.sum().item() == pytest.approx(1, abs=1e-10)
    assert source.pair_probs.min() > -1e-10


def test_the_entropy_rate_is_the_mean_surprise_of_a_long_text():
    source = MarkovSource(6, concentration=0.5, seed=3)
    text = source.sample(4000, 12, generator=generator())
    surprise = -source.next_probs[text[:, :-2], text[:, 1:-1], text[:, 2:]].log().mean(dim=1)
    error = surprise.std().item() / math.sqrt(len(surprise))  # texts are independent, symbols of one are not
    assert source.entropy_rate == pytest.approx(surprise.mean().item(), abs=5 * error)
    assert error < 0.01


def test_a_language_of_equal_probabilities_has_the_largest_entropy_rate():
    assert MarkovSource(5, concentration=1e6).entropy_rate == pytest.approx(math.log(5), abs=1e-4)
    rates = [MarkovSource(5, concentration=concentration).entropy_rate for concentration in (0.05, 0.5, 5.0, 50.0)]
    assert rates == sorted(rates)


def test_triples_are_as_frequent_as_the_language_says_at_every_place():
    source = MarkovSource(3, concentration=1.0, seed=1)
    text = source.sample(30_000, 6, generator=generator())
    expected = (source.pair_probs[:, :, None] * source.next_probs).flatten()
    for place in range(4):
        triple = (text[:, place] * 3 + text[:, place + 1]) * 3 + text[:, place + 2]
        share = torch.bincount(triple, minlength=27) / len(text)
        deviation = (share - expected) / (expected * (1 - expected) / len(text)).sqrt()
        assert deviation.abs().max() < 5  # standard errors


def test_texts_are_independent_of_each_other_and_follow_the_generator():
    source = MarkovSource(4, seed=2)
    first = source.sample(50, 9, generator=generator(1))
    assert torch.equal(first, source.sample(50, 9, generator=generator(1)))
    assert not torch.equal(first, source.sample(50, 9, generator=generator(2)))
    assert len({tuple(row) for row in first.tolist()}) > 45
    assert not torch.equal(source.next_probs, MarkovSource(4, seed=3).next_probs)


def test_the_excess_loss_is_zero_for_who_knows_the_language_and_log_n_less_the_entropy_for_who_knows_nothing():
    source = MarkovSource(7, seed=5)
    text = source.sample(300, 10, generator=generator())
    known = source.next_probs[text[:, :-1], text[:, 1:]].log()
    first = torch.zeros(300, 1, 7, dtype=torch.float64)  # nobody can know the second symbol's law from one symbol
    assert source.excess_loss(torch.cat([first, known], dim=1), text) == pytest.approx(0, abs=1e-12)
    entropies = -(known.exp() * known).sum(dim=2)
    expected = (math.log(7) - entropies).mean().item()
    assert source.excess_loss(torch.zeros(300, 10, 7), text) == pytest.approx(expected, abs=1e-12)


def test_the_excess_loss_is_the_expected_cross_entropy_above_the_entropy():
    source = MarkovSource(4, seed=7)
    text = source.sample(20_000, 5, generator=generator())
    logits = torch.randn(4, 4, 4, generator=generator(1))[text[:, :-1], text[:, 1:]]
    padded = torch.cat([torch.zeros(20_000, 1, 4), logits], dim=1)
    probs = source.next_probs[text[:, :-2], text[:, 1:-1]]
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), text[:, 2:].flatten(), reduction="none").double()
    above = losses.view(20_000, 3) + torch.special.xlogy(probs, probs).sum(dim=2)
    error = above.mean(dim=1).std().item() / math.sqrt(20_000)
    assert source.excess_loss(padded[:, :-1], text[:, :-1]) == pytest.approx(above.mean().item(), abs=5 * error)


def test_an_impossible_symbol_adds_nothing_where_it_is_not_expected():
    source = MarkovSource(3)
    source.next_probs = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64).expand(3, 3, 3)
    text = torch.zeros(1, 4, dtype=torch.int64)
    logits = torch.tensor([0.0, 0.0, -math.inf]).expand(1, 4, 3)
    assert source.excess_loss(logits, text) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": 1}, "symbols must be a whole number of at least 2, got 1"),
        ({"symbols": 2.5}, "symbols must be a whole number of at least 2, got 2.5"),
        ({"concentration": 0}, "concentration must be a positive number, got 0"),
        ({"concentration": math.inf}, "concentration must be a positive number, got inf"),
    ],
)
def test_an_impossible_language_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        MarkovSource(**changes)


def test_a_text_needs_the_two_symbols_that_the_third_depends_on():
    with pytest.raises(ValueError, match=r"length must be at least 2, .* got 1"):
        MarkovSource(3).sample(5, 1)


# The transformer


def transformer(**changes) -> SmallTransformer:
    return SmallTransformer(
        **{"symbols": 5, "context": 9, "width": 12, "heads": 3, "generator": generator(), **changes}
    )


def test_no_symbol_sees_what_comes_after_it():
    network, text = transformer(), torch.randint(5, (4, 9), generator=generator(1))
    logits = network(text)
    assert logits.shape == (4, 9, 5)
    for place in range(1, 9):
        changed = text.clone()
        changed[:, place] = (changed[:, place] + 1) % 5
        after = network(changed)
        assert torch.equal(after[:, :place], logits[:, :place])
        assert not torch.allclose(after[:, place:], logits[:, place:])


def test_attention_is_that_of_pytorch():
    attention = transformer().block1.attention
    x = torch.randn(2, 9, 12, generator=generator(2))
    heads = [layer(x).view(2, 9, 3, 4).transpose(1, 2) for layer in (attention.query, attention.key, attention.value)]
    mixed = F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).reshape(2, 9, 12)
    assert torch.allclose(attention(x), attention.output(mixed), atol=1e-6)


def test_attention_at_the_first_place_is_its_own_value():
    attention = transformer().block1.attention
    x = torch.randn(2, 9, 12, generator=generator(2))
    assert torch.allclose(attention(x)[:, 0], attention.output(attention.value(x[:, 0])), atol=1e-6)


def test_dropout_acts_on_embeddings_attention_weights_and_both_sublayers():
    network = transformer(keep_prob=0.6, depth=2)
    names = {name for name, module in network.named_modules() if isinstance(module, Dropout)}
    in_block = ("attention.weight_dropout", "attention_dropout", "hidden_dropout")
    assert names == {"embedding_dropout", *(f"block{i}.{name}" for i in (1, 2) for name in in_block)}
    assert {network.get_submodule(name).keep_prob for name in names} == {0.6}
    text = torch.randint(5, (2, 9), generator=generator(1))
    evaluated = network.eval()(text)
    network.train()
    for name in names:  # each of them alone changes what comes out, and only in training mode
        for other in names:
            network.get_submodule(other).train(other == name)
        assert not torch.allclose(network(text), evaluated), name
    assert torch.equal(network.eval()(text), evaluated)
    assert torch.equal(transformer().train()(text), evaluated)  # the same weights, with nothing dropped


def test_a_dropped_sublayer_leaves_the_residual_stream_as_it_is():
    block = transformer().block1
    block.attention_dropout.keep_prob = block.hidden_dropout.keep_prob = 1e-30
    x = torch.randn(2, 9, 12, generator=generator(2))
    assert torch.equal(block.train()(x), x)


def test_the_generator_decides_the_weights_and_the_global_one_is_left_alone():
    before = torch.get_rng_state()
    first, second, other = transformer(), transformer(), transformer(generator=generator(1))
    assert torch.equal(before, torch.get_rng_state())
    for one, same, different in zip(first.parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)
        if one.std() > 0:  # not a bias or a norm
            assert not torch.equal(one, different)


def test_its_logits_start_small():
    text = torch.randint(5, (200, 9), generator=generator(1))
    loss = F.cross_entropy(transformer(width=32, heads=2)(text)[:, :-1].flatten(0, 1), text[:, 1:].flatten())
    assert loss.item() < math.log(5) + 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0}, "depth must be a whole number of at least 1, got 0"),
        ({"context": 2.5}, "context must be a whole number of at least 1, got 2.5"),
        ({"symbols": True}, "symbols must be a whole number of at least 1, got True"),
        ({"heads": 5}, "width must be a multiple of heads=5, got 12"),
        ({"keep_prob": 0.0}, r"keep_prob must be in \(0, 1\], got 0.0"),
    ],
)
def test_an_impossible_transformer_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        transformer(**changes)


def test_a_text_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="text must have at most context=9 symbols, got 10"):
        transformer()(torch.zeros(1, 10, dtype=torch.int64))


def test_it_learns_a_language_to_near_its_entropy():
    source = MarkovSource(3, concentration=0.3, seed=1)
    network = SmallTransformer(3, 8, width=16, heads=1, depth=1, generator=generator())
    optimizer, stream = torch.optim.Adam(network.parameters(), lr=0.01), generator(1)
    for _ in range(200):
        text = source.sample(32, 8, generator=stream)
        loss = F.cross_entropy(network(text)[:, 1:-1].flatten(0, 1), text[:, 2:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    test = source.sample(300, 8, generator=generator(2))
    # What a predictor loses that looks at one symbol only: a transformer that cannot attend does no better.
    of_pair = source.pair_probs[:, :, None] * source.next_probs
    given_one = of_pair.sum(0) / of_pair.sum((0, 2))[:, None]
    first_order = source.excess_loss(given_one[test].log(), test)
    assert source.excess_loss(network(test).detach(), test) < 0.3 * first_order


def test_a_dialect_differs_in_as_many_pairs_as_it_says_and_is_a_language_like_others():
    source = MarkovSource(5, seed=4)
    dialect = source.dialect(7, seed=1)
    assert int((dialect.next_probs != source.next_probs).any(dim=2).sum()) == 7
    torch.testing.assert_close(dialect.next_probs.sum(2), torch.ones(5, 5, dtype=torch.float64))
    moved = torch.einsum("ab,abc->bc", dialect.pair_probs, dialect.next_probs)
    torch.testing.assert_close(moved, dialect.pair_probs)
    assert dialect.entropy_rate != source.entropy_rate
    assert torch.equal(source.dialect(0, seed=1).next_probs, source.next_probs)
    assert torch.equal(source.dialect(7, seed=1).next_probs, dialect.next_probs)


@pytest.mark.parametrize("pairs", [-1, 26, 1.0])
def test_a_dialect_of_pairs_that_there_are_not_is_refused(pairs):
    with pytest.raises(ValueError, match="pairs must be an integer from 0 to 25"):
        MarkovSource(5).dialect(pairs, seed=0)
