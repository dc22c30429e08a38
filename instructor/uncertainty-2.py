# %% reference
def doubts(probs):
    def entropy(q):
        return torch.special.entr(q).sum(dim=-1)

    together, alone = entropy(probs.mean(dim=0)), entropy(probs).mean(dim=0)
    return together, alone, together - alone

# %% correct: with torch.distributions
def doubts(probs):
    members = torch.distributions.Categorical(probs=probs)
    mixture = torch.distributions.Categorical(probs=probs.mean(0))
    a, b = mixture.entropy(), members.entropy().mean(0)
    return [a, b, a.sub(b)]

# %% correct: information as a divergence from the average
def doubts(probs):
    average = probs.mean(0)
    information = (torch.xlogy(probs, probs) - torch.xlogy(probs, average)).sum(-1).mean(0)
    own = torch.xlogy(probs, probs).sum(-1).mean(0).neg()
    return own + information, own, information

# %% wrong: not-finite: the logarithm of 0
def doubts(probs):
    mean = probs.mean(0)
    total = -(mean * mean.log()).sum(1)
    own = -(probs * probs.log()).sum(2).mean(0)
    return total, own, total - own

# %% wrong: bits: base 2
def doubts(probs):
    total, own = torch.special.entr(probs.mean(0)).sum(1), torch.special.entr(probs).sum(2).mean(0)
    return total / 0.6931472, own / 0.6931472, (total - own) / 0.6931472

# %% wrong: sign: the wrong way round
def doubts(probs):
    total, own = torch.special.entr(probs.mean(0)).sum(1), torch.special.entr(probs).sum(2).mean(0)
    return total, own, own - total

# %% wrong: swapped: in the wrong order
def doubts(probs):
    total, own = torch.special.entr(probs.mean(0)).sum(1), torch.special.entr(probs).sum(2).mean(0)
    return own, total, total - own

# %% wrong: votes: argmax averaged
def doubts(probs):
    votes = torch.nn.functional.one_hot(probs.argmax(2), probs.shape[2]).to(probs.dtype).mean(0)
    total, own = torch.special.entr(votes).sum(1), torch.special.entr(probs).sum(2).mean(0)
    return total, own, total - own

# %% wrong: negated: p log p
def doubts(probs):
    mean = probs.mean(0)
    total, own = torch.xlogy(mean, mean).sum(1), torch.xlogy(probs, probs).sum(2).mean(0)
    return total, own, total - own

# %% wrong: summed-over-members: sum for mean
def doubts(probs):
    total, own = torch.special.entr(probs.mean(0)).sum(1), torch.special.entr(probs).sum(2).sum(0)
    return total, own, total - own

# %% wrong: wrong-shape: the entropy over examples
def doubts(probs):
    total, own = torch.special.entr(probs.mean(0)).sum(0), torch.special.entr(probs).sum(1).mean(0)
    return total, own, total - own

# %% correct: in numpy, with a mask
import numpy as np


def doubts(probs):
    p = probs.numpy()

    def entropy(q):
        logs = np.zeros_like(q)
        np.log(q, out=logs, where=q > 0)
        return -(q * logs).sum(axis=-1)

    return entropy(p.mean(0)), entropy(p).mean(0), entropy(p.mean(0)) - entropy(p).mean(0)

# %% wrong: log-shifted: something small inside the logarithm
def doubts(probs):
    def entropy(p):
        return -(p * (p + 1e-6).log()).sum(-1)

    total, own = entropy(probs.mean(0)), entropy(probs).mean(0)
    return total, own, total - own

# %% wrong: geometric: logarithms averaged
def doubts(probs):
    mixed = probs.clamp(min=1e-300).log().mean(0).softmax(1)
    total, own = torch.special.entr(mixed).sum(1), torch.special.entr(probs).sum(2).mean(0)
    return total, own, total - own

# %% correct: loops over members and examples
def doubts(probs):
    import math

    def entropy(row):
        return -sum(share * math.log(share) for share in row if share > 0)

    members, examples, _ = probs.shape
    mean = probs.sum(0) / members
    total = [entropy(mean[i].tolist()) for i in range(examples)]
    own = [sum(entropy(probs[k, i].tolist()) for k in range(members)) / members for i in range(examples)]
    return torch.tensor(total), torch.tensor(own), torch.tensor(total) - torch.tensor(own)

# %% wrong: clamped: no probability below a millionth
def doubts(probs):
    def entropy(p):
        p = p.clamp(min=1e-6)
        return -(p * p.log()).sum(-1)

    total, own = entropy(probs.mean(0)), entropy(probs).mean(0)
    return total, own, total - own
