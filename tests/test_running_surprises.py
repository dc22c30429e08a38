"""Networks that do more in a forward pass than compute: the right number comes out, or an error that says what was seen."""

import pytest
import torch
from torch import nn

from dropout_lessons.averaging import exact_average, monte_carlo_average


class Net(nn.Module):
    """Modules by name, and a function of them and the inputs."""

    def __init__(self, function, **modules: nn.Module):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.function = function

    def forward(self, *inputs):
        return self.function(self, *inputs)


def dense(drop: float = 0.5) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(drop), nn.Linear(6, 3))


@torch.no_grad()
def in_training_mode(network: nn.Module, x: torch.Tensor, calls: int = 20_000) -> torch.Tensor:
    """Mean probabilities of calls in training mode, one after the other."""
    network.train()
    torch.manual_seed(1)
    return sum(network(x).double().softmax(dim=1) for _ in range(calls)) / calls


# --- weights and inputs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("average", [exact_average, monte_carlo_average])
def test_a_network_that_begins_with_a_linear_layer_is_averaged_in_inference_mode(average):
    network, x = dense(), torch.randn(5, 4)
    said = {} if average is exact_average else {"samples": 20, "generator": torch.Generator()}
    with torch.inference_mode():
        inside = average(dense(), x * 1, progress=False, **said)
    said = {} if average is exact_average else {"samples": 20, "generator": torch.Generator()}
    torch.testing.assert_close(inside.probs, average(network, x, progress=False, **said).probs)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning", "ignore:.*spectral_norm.*:FutureWarning")
@pytest.mark.parametrize(
    ("norm", "name"), [(nn.utils.weight_norm, "weight_g"), (nn.utils.spectral_norm, "weight_orig")]
)
def test_an_output_layer_that_makes_its_weight_in_a_hook_is_averaged_with_the_weight_of_now(norm, name):
    network, x = dense(), torch.randn(5, 4)
    norm(network[3])
    exact_average(network, x, progress=False)
    with torch.no_grad():
        getattr(network[3], name)[0] *= 3
    average = exact_average(network, x, progress=False).probs
    network.eval()(x)  # refreshes the weight
    torch.testing.assert_close(average, exact_average(network, x, progress=False).probs)
    torch.testing.assert_close(
        average, in_training_mode(nn.Sequential(*network[:3], plain(network[3])), x), rtol=0, atol=0.02
    )


def plain(layer: nn.Linear) -> nn.Linear:
    """The layer with its weight as it is in evaluation mode."""
    copy = nn.Linear(layer.in_features, layer.out_features)
    copy.weight.data, copy.bias.data = layer.weight.detach().clone(), layer.bias.detach().clone()
    return copy
