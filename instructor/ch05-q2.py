# %% reference
import torch


def monte_carlo(network, x, samples):
    before = [(module, module.training) for module in network.modules()]
    for module, _ in before:
        if isinstance(module, torch.nn.Dropout):
            module.training = True
    try:
        with torch.no_grad():
            total = sum(torch.softmax(network(x), dim=-1) for _ in range(samples))
    finally:
        for module, mode in before:
            module.training = mode
    return total.div(samples)


# %% correct: a copy of the network
import copy

import torch


def monte_carlo(network, x, samples):
    noisy = copy.deepcopy(network).train()
    return torch.stack([noisy(x).softmax(1).detach() for _ in range(samples)]).mean(dim=0)


# %% correct: all samples in one batch
import torch


def monte_carlo(network, x, samples):
    network.train()
    logits = network(x.repeat(samples, 1)).detach()
    network.eval()
    return logits.softmax(-1).unflatten(0, (samples, len(x))).mean(0)


# %% wrong: mode-not-restored: the network stays in training mode
import torch


def monte_carlo(network, x, samples):
    network.train()
    return torch.stack([network(x).softmax(1) for _ in range(samples)]).mean(0)


# %% wrong: nothing-dropped: dropout is off
import torch


def monte_carlo(network, x, samples):
    network.eval()
    return torch.stack([network(x).softmax(1) for _ in range(samples)]).mean(0)


# %% wrong: mean-of-logits: the softmax comes last
import torch


def monte_carlo(network, x, samples):
    network.train()
    logits = torch.stack([network(x) for _ in range(samples)]).mean(0)
    network.eval()
    return logits.softmax(1)


# %% wrong: still-logits: no softmax
import torch


def monte_carlo(network, x, samples):
    network.train()
    logits = torch.stack([network(x) for _ in range(samples)]).mean(0)
    network.eval()
    return logits


# %% wrong: summed: not divided
def monte_carlo(network, x, samples):
    network.train()
    total = sum(network(x).softmax(1) for _ in range(samples))
    network.eval()
    return total


# %% wrong: votes: classes are counted
import torch


def monte_carlo(network, x, samples):
    network.train()
    votes = torch.stack([torch.nn.functional.one_hot(network(x).argmax(1), 4).float() for _ in range(samples)])
    network.eval()
    return votes.mean(0)


# %% wrong: wrong-shape: averaged over examples
import torch


def monte_carlo(network, x, samples):
    network.train()
    probs = torch.stack([network(x).softmax(1) for _ in range(samples)])
    network.eval()
    return probs.mean(1)
