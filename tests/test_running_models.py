"""Models of other people's packages, with random weights: as they are called, with all the dropout that they have."""

import math

import pytest
import torch
from torch import nn

from dropout_lessons.averaging import compare_averaging, exact_average, monte_carlo_average
from dropout_lessons.running import MaskedNetwork, Outputs

pytestmark = [pytest.mark.optional, pytest.mark.filterwarnings("default")]  # their warnings are theirs


def library(name: str):
    return pytest.importorskip(name, exc_type=(ImportError, RuntimeError))


def large(network: nn.Module) -> nn.Module:
    """Weights large enough for masks to matter."""
    for i, parameter in enumerate(network.parameters()):
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.4, generator=torch.Generator().manual_seed(i))
    return network


def bert(attention: str, kind: str = "BertForSequenceClassification") -> nn.Module:
    transformers = library("transformers")
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(
        **shape,
        vocab_size=30,
        num_labels=3,
        attn_implementation=attention,
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.4,
    )
    return large(getattr(transformers, kind)(config))


def texts() -> dict[str, torch.Tensor]:
    ids = torch.randint(30, (3, 7), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": (torch.arange(7) < torch.tensor([[7], [5], [6]])).long()}


def vit() -> nn.Module:
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "num_heads": 2, "depth": 3, "num_classes": 5}
    rates = {"drop_path_rate": 0.3, "drop_rate": 0.1, "attn_drop_rate": 0.2, "proj_drop_rate": 0.1}
    return large(library("timm").create_model("vit_tiny_patch16_224", **shape, **rates))


MODELS = {
    "BERT, eager attention": lambda: (bert("eager"), texts(), lambda network, x: network(**x).logits),
    "BERT, sdpa attention": lambda: (bert("sdpa"), texts(), lambda network, x: network(**x).logits),
    "timm's ViT with DropPath": lambda: (vit(), torch.randn(3, 3, 32, 32), lambda network, x: network(x)),
}


@pytest.mark.parametrize("name", MODELS)
def test_monte_carlo_tells_as_much_as_passes_in_training_mode(name):
    network, x, call = MODELS[name]()
    k = 500
    average = monte_carlo_average(network, x, samples=k, generator=torch.Generator().manual_seed(0), progress=False)
    network.train()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        probs = torch.stack([call(network, x).double().softmax(-1) for _ in range(k)])
    information = (torch.special.xlogy(probs, probs) - torch.special.xlogy(probs, probs.mean(0))).sum(-1).mean(1)
    error = information.std().item() / math.sqrt(k)
    assert abs(average.mutual_information.mean().item() - information.mean().item()) < 3 * math.sqrt(2) * error


def test_eager_attention_is_masked_and_fused_attention_draws():
    kinds = {site.name: site.kind for site in MaskedNetwork(bert("eager")).sites(texts())}
    assert kinds["bert.encoder.layer.0.attention.self"] == "unit"
    assert "drawn" not in kinds.values()
    kinds = {site.name: site.kind for site in MaskedNetwork(bert("sdpa")).sites(texts())}
    assert kinds["bert.encoder.layer.0.attention.self"] == "drawn"


def test_a_tagger_is_scored_at_every_token():
    network = bert("eager", "BertForTokenClassification")
    y = torch.randint(3, (3, 7)).masked_fill(texts()["attention_mask"] == 0, -100)
    masked = MaskedNetwork(network, ["dropout"], Outputs(class_axis=-1))
    assert compare_averaging(masked, texts(), y, samples=(5,), progress=False)["nll"].notna().all()


def test_torchvision_s_resnet_with_a_dropout_head_in_five_lines():
    network = library("torchvision").models.resnet18(num_classes=4)
    network.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 4))
    x, y = torch.randn(4, 3, 32, 32), torch.arange(4)
    assert compare_averaging(network, x, y, samples=(3,), progress=False)["members"].tolist() == [1, 3]
    assert exact_average(MaskedNetwork(network, ["fc.3"]), x, progress=False).members == 2**8
