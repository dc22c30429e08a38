"""Fit an ensemble: what is stacked, and what is trained alone."""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import nn

from dropout_lessons.arguments import check_kind
from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.ensembles.mapped import Mapped, groups_of
from dropout_lessons.ensembles.stack import Member, Stack
from dropout_lessons.layers import Dropout, GaussianDropout
from dropout_lessons.networks import MLP, HiddenLayer
from dropout_lessons.running import Outputs
from dropout_lessons.running.examples import device_of
from dropout_lessons.runtime import progress_bar
from dropout_lessons.training import History, Recipe, fit
from dropout_lessons.training.fitting import checked_interval, checked_parts
from dropout_lessons.training.objective import Loss, Objective, Said
from dropout_lessons.training.run import own_generators

Method = Literal["auto", "stacked", "loop", "vmap"]

# Weights in a stack. On a CPU they should fit its cache; a GPU needs large stacks to be busy.
STACK_VALUES = {"cpu": 2**20, "gpu": 2**27}


def fit_ensemble(
    networks: Sequence[nn.Module],
    data: Dataset | Split | Sequence[Dataset | Split],
    recipes: Recipe | Sequence[Recipe] | None = None,
    *,
    outputs: Said = "logits",
    loss: Loss | None = None,
    evaluate_every: int | None = None,
    method: Method = "auto",
    stop_on_divergence: bool = True,
    progress: bool = True,
) -> list[History]:
    r"""Train networks in place, each as :func:`~dropout_lessons.training.fit` would train it alone.

    A step of network :math:`k`, on its own batch, with its own masks and rates, is one slice of

    .. math:: h^{(l)}_k = \max(0, \tilde h^{(l-1)}_k W^{(l)\top}_k + b^{(l)}_k), \qquad
              \tilde h^{(l)}_k = m^{(l)}_k \odot h^{(l)}_k / p_{kl}

    Each network draws its masks and the order of its examples from streams of its own, those of ``fit``. On the CPU it
    ends with the weights that ``fit`` gives it, to floating-point accuracy. On a GPU one stream, which depends on all
    of their seeds, draws the masks of a stack, and the steps of SGD are recorded once and replayed. After an error or an
    interruption the networks have the weights that they had reached, perhaps in the middle of a step.

    Args:
        networks: Modules as ``fit`` takes them, none twice. Those that are :class:`~dropout_lessons.networks.MLP` with
            :class:`~dropout_lessons.layers.Dropout`, or with ``GaussianDropout`` throughout, can be stacked, whatever
            their keep probabilities and scalings, if they learn labels by cross-entropy.
        data: One data set for all, or one for each.
        recipes: One for all, its seed included, or one for each; the course's default when None. Networks in one
            stack agree in shape, number of examples, ``epochs``, ``batch_size``, ``optimizer`` and ``decay``; others
            are put in other stacks.
        outputs: As in ``fit``, and the same for all.
        loss: As in ``fit``, and the same for all.
        evaluate_every: As in ``fit``.
        method: ``"stacked"`` or ``"loop"`` over ``fit``; ``"auto"`` stacks the networks for which it is faster. ``"vmap"`` trains
            networks of any one kind in one ``torch.func.vmap``, which for small batches is faster than the loop; what
            they draw is not what ``fit`` draws, but for the order of the examples.
        stop_on_divergence: Whether to stop when a network's loss is no longer finite. Otherwise the others are trained to
            the end, and the last losses in its history are not finite.
        progress: Whether to show a bar.

    Returns:
        The history of each network. ``seconds`` is its share of the time, so that the sum is the time of the call.

    Raises:
        ValueError: As in ``fit``; if the arguments are not as many as the networks; if a network is given twice; if
            ``method="stacked"`` and a network cannot be stacked, or ``"vmap"`` and its steps do not go through ``vmap``.
        FloatingPointError: If a network's loss is no longer finite; it names the network.

    Example:
        >>> from dropout_lessons import datasets
        >>> digits = datasets.load("digits", train=200)
        >>> networks = [MLP([64, 32, 10], keep_prob=0.5, generator=torch.Generator().manual_seed(k)) for k in range(10)]
        >>> recipes = [Recipe(epochs=5, seed=k) for k in range(10)]
        >>> histories = fit_ensemble(networks, digits, recipes, evaluate_every=1)
        >>> all(history.train_error[-1] < history.train_error[0] for history in histories)
        True

    Source: Srivastava et al. 2014, Section 1, compares dropout with such ensembles.
    """
    objective = Objective.of(outputs, loss)
    checked_interval(evaluate_every, epochs=1)
    if method not in get_args(Method):
        raise ValueError(f'method must be "auto", "stacked", "loop" or "vmap", got {method!r}')
    if not isinstance(networks, Iterable):
        raise TypeError(f"networks must be a sequence of networks, got {networks!r}")
    members = _members(list(networks), data, recipes, objective)
    stacks, alone = (groups_of(members), []) if method == "vmap" else _plan(members, method, objective)
    total = sum(member.recipe.epochs for member in members)
    kind = partial(Mapped, objective=objective) if method == "vmap" else Stack
    side_by_side = [partial(kind, stack, stop_on_divergence=stop_on_divergence) for stack in stacks]
    with closing(_epochs(side_by_side, alone, objective, evaluate_every, stop_on_divergence)) as epochs:
        for _ in progress_bar(range(total), "training", unit="epoch", show=progress):
            next(epochs)
    return [member.history for member in members]


def _members(
    networks: Sequence[nn.Module],
    data: Dataset | Split | Sequence[Dataset | Split],
    recipes: Recipe | Sequence[Recipe] | None,
    objective: Objective,
) -> list[Member]:
    def one_each(values: Any, single: type | tuple[type, ...], name: str, what: str) -> list[Any]:
        if isinstance(values, single):
            return [values] * len(networks)
        if not isinstance(values, Sequence):
            raise TypeError(
                f"{name} must be {what}, or a sequence with one for each network, got {type(values).__name__}"
            )
        if len(values) != len(networks):
            raise ValueError(
                f"{name} must be one for all or one for each of {len(networks)} networks, got {len(values)}"
            )
        for k, value in enumerate(values):
            if not isinstance(value, single):
                raise TypeError(f"{name}[{k}] must be {what}, got {type(value).__name__}")
        return list(values)

    owner: dict[int, int] = {}
    for k, network in enumerate(networks):
        check_kind(f"networks[{k}]", network, nn.Module, "give the networks themselves")
        for part in (network, *network.parameters()):
            first = owner.setdefault(id(part), k)
            if first != k:
                raise ValueError(f"networks must share no parameters, but {first} and {k} do; make one for each seed")
    data = one_each(data, (Dataset, Split), "data", "a Dataset or a Split")
    recipes = one_each(Recipe() if recipes is None else recipes, Recipe, "recipes", "a Recipe")
    members = []
    for k, (network, examples, recipe) in enumerate(zip(networks, data, recipes, strict=True)):
        try:
            parts = checked_parts(network, examples, recipe, objective)
        except (TypeError, ValueError) as error:
            raise type(error)(f"networks[{k}]: {error}") from error
        members.append(Member(k, network, examples, parts, recipe, History()))
    return members


def _plan(members: Sequence[Member], method: Method, objective: Objective) -> tuple[list[list[Member]], list[Member]]:
    """Divide the networks into stacks and those that are trained alone."""
    if method == "loop":
        return [], list(members)
    owners: dict[torch.Generator, set[int]] = defaultdict(set)
    for member in members:
        for generator in own_generators(member.network):
            if generator is not torch.default_generator:  # which fit seeds for each network
                owners[generator].add(member.index)
    groups: dict[tuple[Any, ...], list[Member]] = defaultdict(list)
    alone = []
    for member in members:
        network, recipe = member.network, member.recipe
        others = [sharing - {member.index} for sharing in owners.values() if member.index in sharing]
        reason = _obstacle(network) or _obstacle_in_task(member, objective)
        if reason is None and any(others):
            reason = f"it shares a generator with networks {sorted(set().union(*others))}, which draw from it in turn"
        if reason is None:
            assert isinstance(network, MLP)
            shape = (network.sizes, type(network.input_dropout), network.output.weight.dtype, device_of(network))
            examples = tuple(len(part.y) for part in member.parts.values())
            groups[shape, examples, recipe.epochs, recipe.batch_size, recipe.optimizer, recipe.decay].append(member)
        elif method == "stacked":
            raise ValueError(f'networks[{member.index}] cannot be stacked: {reason}; use method="auto"')
        else:
            alone.append(member)
    stacks = []
    for group in groups.values():
        values = sum(parameter.numel() for parameter in group[0].network.parameters())
        limit = STACK_VALUES["cpu" if device_of(group[0].network).type == "cpu" else "gpu"]
        n_stacks = min(math.ceil(len(group) * values / limit), len(group))
        ends = [len(group) * i // n_stacks for i in range(n_stacks + 1)]
        stacks += [group[start:end] for start, end in itertools.pairwise(ends)]
    return stacks, alone


def _obstacle(network: nn.Module) -> str | None:
    """Why a network cannot be stacked, or None."""
    if type(network) is not MLP:
        return f"it is a {type(network).__name__}, not an MLP"
    dropout = GaussianDropout if type(network.input_dropout) is GaussianDropout else Dropout
    types: dict[str, type] = {"input_dropout": dropout, "output": nn.Linear}
    for name in network.hidden_names:
        types |= {name: HiddenLayer, f"{name}_dropout": dropout}
    shapes = []
    for inputs, outputs in itertools.pairwise(network.sizes):
        shapes += [(outputs, inputs), (outputs,)]
    modules = dict(network.named_modules())
    del modules[""]
    for name, module in modules.items():
        if type(module) is not types.get(name):
            return f"its {name} is a {type(module).__name__}"
    if [tuple(parameter.shape) for parameter in network.parameters()] != shapes or len(modules) != len(types):
        return f"its layers were changed, and are no longer those of an MLP of sizes {list(network.sizes)}"
    if any(not parameter.requires_grad for parameter in network.parameters()):
        return "some of its parameters are frozen"
    kinds = {(parameter.dtype, parameter.device) for parameter in network.parameters()}
    if len(kinds) > 1 or network.output.weight.dtype not in (torch.float32, torch.float64):
        return "its parameters are not all float32, or all float64, on one device"
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(getattr(module, kind) for module in network.modules() for kind in hooks):
        return "it has hooks"
    if any(parameter._backward_hooks or parameter._post_accumulate_grad_hooks for parameter in network.parameters()):
        return "its parameters have hooks"
    if any("forward" in vars(module) for module in network.modules()):
        return "a forward method was replaced"
    return None


def _obstacle_in_task(member: Member, objective: Objective) -> str | None:
    """Why a network cannot be stacked for what it is to learn, or None."""
    if member.recipe.precision != "float32":
        return f"its recipe has precision={member.recipe.precision!r}, which only fit has"
    if objective.own_loss is not None:
        return "it has a loss of its own"
    if objective.outputs != Outputs():
        return f"it returns {objective.outputs}, not logits as they are"
    for part in member.parts.values():
        if part.y.is_floating_point() or int(part.y.min()) < 0:
            return "its labels are soft, or some are ignored"
    return None


def _epochs(
    side_by_side: Sequence[Callable[[], Stack | Mapped]],
    alone: Sequence[Member],
    objective: Objective,
    evaluate_every: int | None,
    stop_on_divergence: bool,
) -> Generator[None, None, None]:
    """Train everything, and yield once for each epoch of each network."""
    for made in side_by_side:
        stack = made()
        members, recipe = stack.members, stack.members[0].recipe
        every = checked_interval(evaluate_every, recipe.epochs)
        started = time.perf_counter()
        try:
            for epoch in range(1, recipe.epochs + 1):
                stack.train_one_epoch()
                if epoch % every == 0 or epoch == recipe.epochs:
                    stack.evaluate()
                for member in members:
                    member.history.seconds = (time.perf_counter() - started) / len(members)
                yield from itertools.repeat(None, len(members))
        finally:
            stack.write_back()
    for member in alone:
        try:
            member.history = fit(
                member.network,
                member.data,
                member.recipe,
                outputs=objective.outputs,
                loss=objective.own_loss,
                evaluate_every=evaluate_every,
                progress=False,
            )
        except FloatingPointError as error:
            if stop_on_divergence:
                raise FloatingPointError(f"networks[{member.index}]: {error}") from error
            member.history = History(epoch=[member.recipe.epochs])
            for name in member.parts:
                for kind in ("loss", "error"):
                    getattr(member.history, f"{name}_{kind}").append(math.nan)
        yield from itertools.repeat(None, member.recipe.epochs)
