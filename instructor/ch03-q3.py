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
