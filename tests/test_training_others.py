"""Networks and losses that others wrote: they are evaluated without noise, whatever the batches, or refused in words."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropout_lessons.datasets import Split
from dropout_lessons.training import Recipe, evaluate, fit, predict


def examples(n: int = 100) -> Split:
    generator = torch.Generator().manual_seed(0)
    return Split(torch.randn(n, 4, generator=generator), torch.randint(3, (n,), generator=generator))


class AlwaysOn(nn.Linear):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.5))


def test_functional_dropout_that_is_always_on_is_off_in_scores_and_draws_nothing():
    network, split = AlwaysOn(4, 3), examples()
    state = torch.get_rng_state()
    score = evaluate(network, split)
    assert torch.equal(torch.get_rng_state(), state)
    assert score == evaluate(network, split)
    assert score.loss == pytest.approx(F.cross_entropy(predict(network, split.x), split.y).item(), rel=1e-6)
    history = fit(network, split, Recipe(epochs=1))
    assert history.train_loss == [evaluate(network, split).loss]


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 5.0, 0.1])])
@pytest.mark.parametrize("ignored", [0, 60])
def test_a_loss_that_weighs_labels_is_the_same_whatever_the_batches(weight, ignored):
    network, (x, y), loss = nn.Linear(4, 3), examples(), nn.CrossEntropyLoss(weight, label_smoothing=0.1)
    y = y.masked_fill(torch.arange(len(y)) < ignored, -100)
    expected = loss(predict(network, x), y).item()
    for size in (7, 100):
        assert evaluate(network, Split(x, y), loss=loss, batch_size=size).loss == pytest.approx(expected, rel=1e-5)


def test_a_network_with_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match=r"network must have a parameter to train, got only frozen ones"):
        fit(nn.Linear(4, 3).requires_grad_(False), examples(), Recipe(epochs=1))


def test_a_loader_is_no_split():
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*examples()))
    with pytest.raises(TypeError, match=r"split must be a Split, got DataLoader; Split\(x, y\) makes one"):
        evaluate(nn.Linear(4, 3), loader)


def test_a_network_that_squeezes_what_it_returns_is_evaluated_and_trained():
    class Squeezed(nn.Linear):
        def forward(self, x):
            return super().forward(x).squeeze()

    network, split = Squeezed(4, 3), examples()
    assert evaluate(network, split).loss == pytest.approx(F.cross_entropy(network(split.x), split.y).item(), rel=1e-6)
    assert len(fit(network, split, Recipe(epochs=1, batch_size=50)).train_loss) == 1
