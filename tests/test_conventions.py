import json
import subprocess
import venv

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dropout_lessons.conventions import CONVENTIONS
from dropout_lessons.layers import Dropout

BY_LIBRARY = {convention.library: convention for convention in CONVENTIONS}


@given(keep_prob=st.floats(1e-6, 1.0))
def test_a_value_means_what_its_convention_says(keep_prob):
    for convention in CONVENTIONS:
        value = convention.value(keep_prob)
        assert (value if convention.meaning == "keep" else 1 - value) == pytest.approx(keep_prob, abs=1e-9)


def test_code_shows_round_numbers_and_the_librarys_own_argument():
    for convention in CONVENTIONS:
        for keep_prob in (0.1, 0.5, 0.8, 0.9, 1.0):
            code = convention.code(keep_prob)
            assert len(code) <= len(convention.template)  # no 0.19999999999999996
            assert convention.argument in code


@pytest.mark.parametrize("keep_prob", [0, 1.5])
def test_impossible_keep_probs_are_refused(keep_prob):
    with pytest.raises(ValueError, match="keep_prob must be in"):
        CONVENTIONS[0].code(keep_prob)


@pytest.mark.parametrize("library", ["dropout_lessons", "PyTorch"])
def test_the_lines_for_this_package_and_for_torch_keep_that_share(library):
    layer = eval(BY_LIBRARY[library].code(keep_prob=0.8), {"Dropout": Dropout, "torch": torch, "nn": nn})
    out = layer(torch.ones(100_000))
    assert torch.allclose(out.unique(), torch.tensor([0.0, 1.25]))
    assert abs((out > 0).double().mean().item() - 0.8) < 5 * (0.8 * 0.2 / 100_000) ** 0.5


# What the other rows say was read off the libraries themselves by this program, in an environment of its own.
PROGRAM = """
import json, sys
import equinox, flax.linen, jax, keras, numpy, tensorflow
x = numpy.ones((200, 500), "float32")
codes = json.loads(sys.argv[1])
layers = {name: eval(code, {**globals(), "tf": tensorflow.compat.v1}) for name, code in codes.items()}
random = {"key": jax.random.key(0)}
training = {
    "TensorFlow / Keras": lambda layer: layer(x, training=True),
    "TensorFlow 1": lambda out: out,
    "JAX with Flax": lambda layer: layer.apply({}, x, deterministic=False, rngs={"dropout": random["key"]}),
    "JAX with Equinox": lambda layer: layer(jax.numpy.asarray(x), **random),
}
test = {
    "TensorFlow / Keras": lambda layer: layer(x, training=False),
    "JAX with Flax": lambda layer: layer.apply({}, x, deterministic=True),
    "JAX with Equinox": lambda layer: layer(jax.numpy.asarray(x), inference=True),
}
values = lambda out: [sorted({round(float(v), 5) for v in numpy.asarray(out).ravel()}), float((numpy.asarray(out) > 0).mean())]
seen = {name: [values(training[name](layer)), name in test and values(test[name](layer))] for name, layer in layers.items()}
print(json.dumps(seen))
"""


@pytest.mark.optional
@pytest.mark.timeout(1800)
def test_the_lines_for_the_other_libraries_keep_that_share(tmp_path):
    """Installs TensorFlow, Keras, JAX, Flax and Equinox, about 2 GB: pytest -m optional tests/test_conventions.py."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = ["tensorflow-cpu", "keras", "jax", "flax", "equinox"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    here = ("The paper", "dropout_lessons", "PyTorch")
    codes = json.dumps({row.library: row.code(keep_prob=0.8) for row in CONVENTIONS if row.library not in here})
    done = subprocess.run([python, "-c", PROGRAM, codes], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for library, (training, test) in json.loads(done.stdout.splitlines()[-1]).items():
        values, share = training
        assert values == [0.0, 1.25], library
        assert abs(share - 0.8) < 5 * (0.8 * 0.2 / 100_000) ** 0.5, library
        assert test in (False, [[1.0], 1.0]), library
