"""Whatever stands where a number should stand, the error has the argument's name and the value."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
import torch

from dropout_lessons import (
    MLP,
    Recipe,
    averaging,
    calibration,
    claims,
    coadaptation,
    datasets,
    ensembles,
    layers,
    masks,
    networks,
    penalties,
    running,
    training,
)
from dropout_lessons.arguments import check_count, check_number, checked_counts, is_count
from dropout_lessons.datasets import Split

NETWORK = MLP([6, 8, 3], keep_prob=0.5)
X, Y = torch.rand(12, 6), torch.randint(3, (12,))
UNITS = coadaptation.LayerUnits(NETWORK, "hidden1", X, Y)
PROBS = torch.rand(12, 3).softmax(1)
ONE_EPOCH = {"data": Split(X, Y), "progress": False}

#: Calls that are right: of each, every argument that is a number, or several, is put wrong.
CALLS: list[tuple[Any, dict[str, Any]]] = [
    (masks.enumerate_masks, {"n_units": 3, "start": 0, "stop": 2}),
    (masks.expected_distinct_masks, {"n_units": 3, "keep_prob": 0.5, "draws": 10}),
    (masks.mask_log_prob, {"masks": torch.ones(2, 3, dtype=torch.bool), "keep_prob": 0.5}),
    (masks.sample_mask, {"shape": (3,), "keep_prob": 0.5}),
    (layers.ConcreteDropout, {}),
    (layers.DropBlock, {}),
    (layers.DropConnect, {"in_features": 3, "out_features": 2}),
    (layers.Dropout, {}),
    (layers.GaussianDropout, {}),
    (layers.ScheduledDropout, {"layer": layers.Dropout(0.5)}),
    (layers.SpatialDropout, {}),
    (penalties.max_norm_, {"network": NETWORK, "limit": 3.0}),
    (networks.ConvLayer, {"in_channels": 1, "out_channels": 2}),
    (networks.ConvNet, {"image_shape": (28, 28)}),
    (networks.HiddenLayer, {"in_features": 3, "out_features": 2}),
    (networks.MLP, {"sizes": [6, 8, 3]}),
    (networks.MLP, {"sizes": [6, 3]}),
    (networks.SmallTransformer, {"symbols": 4, "context": 8}),
    (datasets.load, {"name": "mnist_10k"}),
    (datasets.MarkovSource, {}),
    (Recipe, {}),
    (running.MaskedNetwork, {"network": NETWORK}),
    (running.Outputs, {}),
    (training.evaluate, {"network": NETWORK, "split": Split(X, Y)}),
    (training.fit, {"network": NETWORK, "recipe": Recipe(epochs=1), **ONE_EPOCH}),
    (training.predict, {"network": NETWORK, "x": X}),
    (ensembles.curve_points, {"seed": 0}),
    (ensembles.fit_ensemble, {"networks": [NETWORK], "recipes": Recipe(epochs=1), **ONE_EPOCH}),
    (calibration.conformal_threshold, {"probs": PROBS, "labels": Y}),
    (calibration.ece, {"probs": PROBS, "labels": Y}),
    (calibration.reliability, {"probs": PROBS, "labels": Y}),
    (averaging.compare_averaging, {"network": NETWORK, "x": X, "y": Y, "progress": False}),
    (averaging.monte_carlo_average, {"network": NETWORK, "x": X, "samples": 2, "progress": False}),
    (claims.exact, {"actual": [1.0], "expected": [1.0], "atol": 1e-9}),
    (coadaptation.Layer, {"name": "hidden1"}),
    (coadaptation.LayerUnits, {"network": NETWORK, "layer": "hidden1", "x": X, "y": Y}),
    (coadaptation.ablation_curve, {"units": UNITS, "progress": False}),
    (coadaptation.compensation, {"units": UNITS, "progress": False}),
    (coadaptation.interaction, {"units": UNITS, "progress": False}),
    (coadaptation.interaction_share, {"units": UNITS, "progress": False}),
    (coadaptation.keep_prob_for_damage, {"units": UNITS, "damage": 0.1}),
    (coadaptation.mean_damage, {"units": UNITS}),
    (coadaptation.reliance, {"units": UNITS, "progress": False}),
    (coadaptation.report, {"units": UNITS, "progress": False}),
    (coadaptation.robustness_curve, {"units": UNITS, "perturbation": "weight noise", "progress": False}),
    (coadaptation.share_at_equal_damage, {"units": UNITS}),
]
#: What no argument of the package takes where it wants a number, a probability, a step or several of them.
WRONG = ["a", "0.5", float("nan"), float("-inf"), [1, "b"], [[1], [2, 3]], {"a": 1}, object(), 1 + 2j, np.array("a")]


def numbers_of(function: Any) -> list[str]:
    """Its arguments whose type has a number in it."""
    parameters = inspect.signature(function).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if re.search(r"\b(int|float)\b", str(parameter.annotation)) and parameter.name not in ("actual", "expected")
    ]


@pytest.mark.parametrize(
    ("function", "right", "name"),
    [
        pytest.param(
            function, right, name, id=f"{function.__name__}-{name}{'-none hidden' * (right == {'sizes': [6, 3]})}"
        )
        for function, right in CALLS
        for name in numbers_of(function)
    ],
)
def test_what_is_no_number_is_refused_by_the_name_of_the_argument(function, right, name):
    for wrong in WRONG:
        if isinstance(wrong, str) and name == "at":
            continue  # it is a number or a name
        with pytest.raises((ValueError, TypeError)) as raised:
            function(**{**right, name: wrong})
        said = str(raised.value)
        assert re.search(rf"\b{name}\b", said), f"{name}={wrong!r}: {said}"
        assert re.search(r"\bmust (be|make|rise|satisfy)\b", said), f"{name}={wrong!r}: {said}"


#: Arguments that are objects of the package or of torch.
OBJECTS = {"network", "layers", "networks", "units", "layer", "data", "split", "recipe", "recipes", "generator"}


@pytest.mark.parametrize(
    ("function", "right", "name"),
    [
        pytest.param(function, right, name, id=f"{function.__name__}-{name}")
        for function, right in CALLS
        for name in inspect.signature(function).parameters
        if name in OBJECTS and right != {"sizes": [6, 3]}
    ],
)
def test_what_is_no_network_and_no_layer_is_refused_by_the_name_of_the_argument(function, right, name):
    """Such as a network where its units belong, the class for the object, or what makes it."""
    for wrong in ("a", 3, torch.nn.Module, [torch.nn.Module], lambda x: x, object()):
        if name == "layer" and wrong == "a":
            continue  # the name of a layer that there is not has an error of its own
        with pytest.raises((ValueError, TypeError)) as raised:
            function(**{**right, name: wrong})
        said = str(raised.value)
        assert re.search(rf"\b{name}\b.*\bmust\b", said), f"{name}={wrong!r}: {said}"


def test_every_public_function_of_numbers_is_called_here():
    """Or has none of its own to check: it hands all of them to one that is, or holds what was computed."""
    passed_on = {
        "train_arms",
        "train_curves",
        "study",
        "planted_study",
        "planted_data",
        "standard_arms",
        "sample_masks",
    }
    computed = {
        "Average",
        "ValueAverage",
        "Curve",
        "Estimate",
        "Interaction",
        "Report",
        "Study",
        "Evidence",
        "Judgement",
    }
    computed |= {"History", "Score", "Effort", "Compensation", "Reliability", "Site"}
    of_claims = {"check", "judge", "paired", "ranked", "sampled"}  # lists of values, in tests/test_claims.py
    called = {function.__name__ for function, _ in CALLS}
    rooms = [
        masks,
        layers,
        penalties,
        networks,
        running,
        training,
        ensembles,
        calibration,
        averaging,
        coadaptation,
        claims,
    ]
    for room in rooms:
        for name in set(room.__all__) - passed_on - computed - of_claims:
            public = getattr(room, name)
            if inspect.isfunction(public) or (inspect.isclass(public) and not issubclass(public, Exception)):
                assert name in called or not numbers_of(public), f"{room.__name__}.{name}"


def test_whole_numbers_of_other_libraries_are_whole_numbers():
    for value in (3, np.int64(3), np.uint8(3), torch.tensor(3)):
        assert is_count(value, at_least=3, at_most=3)
        check_count("n", value, at_least=1)
    assert checked_counts("n", np.array([3, 4]), "whole") == checked_counts("n", range(3, 5), "whole") == [3, 4]
    for value in (True, np.bool_(1), 3.0, np.float64(3), "3", None, torch.tensor(3.0)):
        assert not is_count(value)
    assert MLP([np.int64(6), np.int64(3)]).sizes == (6, 3)


def test_numbers_of_other_libraries_are_numbers_and_infinity_is_none():
    for value in (1, 0.5, np.float32(0.5), np.int64(1)):
        check_number("x", value, "positive", above=0)
    for value in (True, "1", None, float("inf"), float("nan"), 10**400):
        with pytest.raises(ValueError, match="x must be positive, got"):
            check_number("x", value, "positive", above=0)
