"""The shapes and types in the annotations are those that the examples in the docstrings have."""

import subprocess
import sys
import textwrap

HOOK = """
    import sys, types
    from beartype import BeartypeConf, beartype
    from jaxtyping import install_import_hook

    checker = types.ModuleType("checker")
    checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int may stand for a float
    sys.modules["checker"] = checker
    install_import_hook("dropout_lessons", "checker.check")
"""

EXAMPLES = """
    import doctest, importlib, pkgutil
    import dropout_lessons

    tried = 0
    for module in pkgutil.walk_packages(dropout_lessons.__path__, "dropout_lessons."):
        result = doctest.testmod(importlib.import_module(module.name))
        assert result.failed == 0, module.name
        tried += result.attempted
    assert tried > 50, tried
"""

WRONG_SHAPE = """
    import torch
    from dropout_lessons.calibration import reliability
    from dropout_lessons.layers import SpatialDropout
    from dropout_lessons.networks import MLP
    from jaxtyping import TypeCheckError

    for call in (
        lambda: MLP([3, 2])(torch.ones(3)),
        lambda: SpatialDropout().sample_mask(torch.ones(3)),
        lambda: reliability(torch.full((4, 2), 0.5), torch.zeros(3, dtype=torch.int64)),
    ):
        try:
            call()
        except TypeCheckError:
            continue
        raise AssertionError("a wrong shape was not noticed")
"""


def run(*parts: str) -> None:
    program = "\n".join(textwrap.dedent(part) for part in parts)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_example_has_the_annotated_shapes():
    run(HOOK, EXAMPLES)


def test_wrong_shapes_are_noticed():
    run(HOOK, WRONG_SHAPE)
