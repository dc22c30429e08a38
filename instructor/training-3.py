# %% reference
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        factor = torch.bernoulli(torch.full_like(x, keep_prob)).div_(keep_prob)
        ctx.save_for_backward(factor)
        return x * factor

    @staticmethod
    def backward(ctx, gradient):
        (factor,) = ctx.saved_tensors
        return gradient * factor, None


# %% correct: the mask on the context
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob, ctx.kept = keep_prob, torch.rand(x.shape) <= keep_prob
        return torch.where(ctx.kept, x / ctx.keep_prob, torch.zeros(()))

    @staticmethod
    def backward(ctx, gradient):
        return (gradient / ctx.keep_prob).masked_fill(~ctx.kept, 0.0), None


# %% correct: no backward pass of its own
import torch


class DropoutFunction:
    @staticmethod
    def apply(x, keep_prob):
        return x * torch.distributions.Bernoulli(probs=keep_prob).sample(x.size()) / keep_prob


# %% wrong: mask-resampled: the bug itself
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        mask = torch.rand_like(x) < keep_prob
        return x * mask / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        mask = torch.rand_like(gradient) < ctx.keep_prob
        return gradient * mask / ctx.keep_prob, None


# %% wrong: gradient-everywhere: no mask in the backward pass
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        mask = torch.rand_like(x) < keep_prob
        return x * mask / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        return gradient / ctx.keep_prob, None


# %% wrong: gradient-unscaled: the mask alone is kept
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.mask = torch.rand_like(x) < keep_prob
        return x * ctx.mask / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.mask, None


# %% wrong: gradient-scaled-twice: scaled mask, and scaled again
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        ctx.mask = (torch.rand_like(x) < keep_prob) / keep_prob
        return x * ctx.mask

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.mask / ctx.keep_prob, None


# %% wrong: wrong-gradient: multiplied by the output
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        y = x * (torch.rand_like(x) < keep_prob) / keep_prob
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return gradient * y, None


# %% wrong: same-mask-again: both passes start from one seed
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        torch.manual_seed(0)
        return x * (torch.rand_like(x) < keep_prob) / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        torch.manual_seed(0)
        return gradient * (torch.rand_like(gradient) < ctx.keep_prob) / ctx.keep_prob, None


# %% wrong: unscaled: the division is gone
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.mask = torch.rand_like(x) < keep_prob
        return x * ctx.mask

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.mask, None

# %% correct: the generator's state instead of the mask
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.state, ctx.keep_prob = torch.get_rng_state(), keep_prob
        return x * (torch.rand_like(x) < keep_prob) / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        with torch.random.fork_rng([]):
            torch.set_rng_state(ctx.state)
            kept = torch.rand_like(gradient) < ctx.keep_prob
        return gradient * kept / ctx.keep_prob, None


# %% correct: indices of what is dropped
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        lost = (torch.rand(x.shape) >= keep_prob).nonzero(as_tuple=True)
        ctx.lost, ctx.scale = lost, 1 / keep_prob
        y = x * ctx.scale
        y[lost] = 0
        return y

    @staticmethod
    def backward(ctx, gradient):
        passed = gradient * ctx.scale
        passed[ctx.lost] = 0
        return passed, None


# %% wrong: mask-resampled: the mask of the class, not of the call
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        DropoutFunction.mask = torch.rand_like(x) < keep_prob
        return x * DropoutFunction.mask / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        return gradient * DropoutFunction.mask / ctx.keep_prob, None


# %% wrong: mask-resampled: the mask in a global
import torch

masks = []


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        masks.append(torch.rand_like(x) < keep_prob)
        return x * masks[-1] / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        return gradient * masks[-1] / ctx.keep_prob, None


# %% wrong: zero-taken-for-dropped: the mask guessed from the output
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        y = x * (torch.rand_like(x) < keep_prob) / keep_prob
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return gradient * (y != 0) / ctx.keep_prob, None


# %% wrong: reseeds: one of a hundred seeds, for both passes
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob, ctx.seed = keep_prob, int(torch.randint(0, 2**31, ()))
        torch.manual_seed(ctx.seed)
        return x * (torch.rand_like(x) < keep_prob) / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        torch.manual_seed(ctx.seed)
        return gradient * (torch.rand_like(gradient) < ctx.keep_prob) / ctx.keep_prob, None


# %% wrong: reseeds: the generator is turned back and left there
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.state, ctx.keep_prob = torch.get_rng_state(), keep_prob
        return x * (torch.rand_like(x) < keep_prob) / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        torch.set_rng_state(ctx.state)
        return gradient * (torch.rand_like(gradient) < ctx.keep_prob) / ctx.keep_prob, None


# %% wrong: wrong-gradient: the probability of the class
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        DropoutFunction.keep_prob = keep_prob
        ctx.mask = torch.rand_like(x) < keep_prob
        return x * ctx.mask / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.mask / DropoutFunction.keep_prob, None


# %% wrong: no-gradient: no gradient at all
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        return x * (torch.rand_like(x) < keep_prob) / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        return None, None


# %% wrong: units-share-coins: a row and its mirror image
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        coins = torch.rand_like(x)[:, : (x.shape[1] + 1) // 2]
        ctx.mask = (torch.cat([coins, coins.flip(1)], 1)[:, : x.shape[1]] < keep_prob) / keep_prob
        return x * ctx.mask

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.mask, None


# %% wrong: rows-share-coins: two rows at a time
import torch


class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        coins = torch.rand((x.shape[0] + 1) // 2, x.shape[1]).repeat_interleave(2, 0)[: x.shape[0]]
        ctx.mask = (coins < keep_prob) / keep_prob
        return x * ctx.mask

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.mask, None
