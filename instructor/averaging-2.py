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
    votes = torch.stack([(lambda z: (z == z.amax(1, keepdim=True)).float())(network(x)) for _ in range(samples)])
    network.eval()
    return votes.mean(0)


# %% wrong: wrong-shape: averaged over examples
import torch


def monte_carlo(network, x, samples):
    network.train()
    probs = torch.stack([network(x).softmax(1) for _ in range(samples)])
    network.eval()
    return probs.mean(1)

# %% correct: a copy of the network
import copy

import torch


def monte_carlo(network, x, samples):
    noisy = copy.deepcopy(network)
    for module in noisy.modules():
        if isinstance(module, torch.nn.Dropout):
            module.train()
    return torch.stack([noisy(x).softmax(1).detach() for _ in range(samples)]).mean(dim=0)


# %% correct: all samples in one batch
import torch


def monte_carlo(network, x, samples):
    layers = [module for module in network.modules() if type(module) is torch.nn.Dropout]
    [layer.train() for layer in layers]
    logits = network(x.repeat(samples, 1)).detach()
    [layer.eval() for layer in layers]
    return logits.softmax(-1).unflatten(0, (samples, len(x))).mean(0)


# %% correct: every layer without statistics in training mode
import torch


def monte_carlo(network, x, samples):
    network.train()
    for module in network.modules():
        if hasattr(module, "running_mean"):
            module.eval()
    total = 0
    with torch.inference_mode():
        for _ in range(samples):
            total = total + network(x).softmax(dim=-1).numpy() / samples
    network.eval()
    return total


# %% correct: by hooks, in eval mode
import torch
from torch.nn import functional as F


def monte_carlo(network, x, samples):
    handles = [
        module.register_forward_hook(lambda layer, given, _: F.dropout(given[0], layer.p, training=True))
        for module in network.modules()
        if isinstance(module, torch.nn.Dropout)
    ]
    with torch.no_grad():
        probs = torch.stack([F.softmax(network(x), -1) for _ in range(samples)])
    for handle in handles:
        handle.remove()
    return probs.mean(0)


# %% wrong: mode-not-restored: dropout stays on
import torch


def monte_carlo(network, x, samples):
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.train()
    return torch.stack([network(x).softmax(1) for _ in range(samples)]).mean(0)


# %% wrong: batchnorm-in-training: everything in training mode
import torch


def monte_carlo(network, x, samples):
    network.train()
    probs = torch.stack([network(x).softmax(1) for _ in range(samples)])
    network.eval()
    return probs.mean(0)


# %% wrong: batchnorm-in-training: a copy in training mode
import copy

import torch


def monte_carlo(network, x, samples):
    noisy = copy.deepcopy(network).train()
    return torch.stack([noisy(x).softmax(1).detach() for _ in range(samples)]).mean(dim=0)


# %% wrong: wrong-number-of-samples: fifty
def monte_carlo(network, x, samples):
    network.train()
    total = sum(network(x).softmax(1).detach() for _ in range(50))
    network.eval()
    return total / 50


# %% wrong: wrong-number-of-samples: one too few
def monte_carlo(network, x, samples):
    network.train()
    total = sum(network(x).softmax(1).detach() for _ in range(1, samples))
    network.eval()
    return total / (samples - 1)


# %% wrong: off: one too few, divided by all
def monte_carlo(network, x, samples):
    network.train()
    total = sum(network(x).softmax(1).detach() for _ in range(1, samples))
    network.eval()
    return total / samples


# %% wrong: scaled-network-included: starts from the pass without dropout
def monte_carlo(network, x, samples):
    total = network(x).softmax(1).detach()
    network.train()
    for _ in range(samples):
        total = total + network(x).softmax(1).detach()
    network.eval()
    return total / (samples + 1)


# %% wrong: still-logarithms: log_softmax
import torch


def monte_carlo(network, x, samples):
    network.train()
    logs = torch.stack([network(x).log_softmax(1) for _ in range(samples)])
    network.eval()
    return logs.mean(0)


# %% wrong: network-changed: weights are scaled and left
import torch


def monte_carlo(network, x, samples):
    layers = [module for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    for layer in layers:
        layer.train()
    probs = torch.stack([network(x).softmax(1).detach() for _ in range(samples)])
    for layer in layers:
        layer.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False).mul_(0.9)
    return probs.mean(0)


# %% wrong: raises: layers taken out one by one
import torch


def monte_carlo(network, x, samples):
    first, relu, drop, last = network
    with torch.no_grad():
        out = sum(last(torch.dropout(relu(first(x)), drop.p, True)).softmax(1) for _ in range(samples))
    return out / samples


# %% wrong: off: the logarithms' mean, exponentiated
import torch


def monte_carlo(network, x, samples):
    network.train()
    logs = torch.stack([network(x).log_softmax(1) for _ in range(samples)])
    network.eval()
    return logs.mean(0).exp()

# %% wrong: same-mask-again: seeded for each sample
import torch


def monte_carlo(network, x, samples):
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.train()
    total = 0
    for _ in range(samples):
        torch.manual_seed(0)
        total = total + network(x).softmax(1).detach()
    network.eval()
    return total / samples


# %% wrong: reseeds: seeded once, to repeat itself
import torch


def monte_carlo(network, x, samples):
    torch.manual_seed(20140601)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.train()
    probs = torch.stack([network(x).softmax(1).detach() for _ in range(samples)])
    network.eval()
    return probs.mean(0)


# %% wrong: wrong-rate: a probability of its own
import torch


def monte_carlo(network, x, samples):
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.train()
            module.p = 0.5
    probs = torch.stack([network(x).softmax(1).detach() for _ in range(samples)])
    network.eval()
    return probs.mean(0)


# %% wrong: nothing-dropped: looks for layers on the surface alone
import torch


def monte_carlo(network, x, samples):
    for module in network.children():
        if isinstance(module, torch.nn.Dropout):
            module.train()
    probs = torch.stack([network(x).softmax(1).detach() for _ in range(samples)])
    network.eval()
    return probs.mean(0)


# %% wrong: one-layer-alone: the first dropout layer that it finds
import torch


def monte_carlo(network, x, samples):
    layer = next(module for module in network.modules() if isinstance(module, torch.nn.Dropout))
    layer.train()
    probs = torch.stack([network(x).softmax(1).detach() for _ in range(samples)])
    layer.eval()
    return probs.mean(0)


# %% correct: every module is asked by name, and put back after each pass
import torch


def monte_carlo(network, x, samples):
    mean = None
    for k in range(samples):
        for name, part in network.named_modules():
            part.training = type(part).__name__ == "Dropout"
        with torch.no_grad():
            sample = torch.nn.functional.softmax(network(x), dim=1)
        mean = sample if mean is None else mean + (sample - mean) / (k + 1)
        network.eval()
    return mean
