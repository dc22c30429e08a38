"""The laboratory: what it offers in each mode, and the digits that it needs."""

from __future__ import annotations

import base64
import functools
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from scipy.special import stdtrit

from dropout_lessons import datasets
from dropout_lessons.widgets.base import Interactive, KeepProb, script, style

_EXAMPLES = 1000  # for training, and as many for testing
_MOST_SEEDS = 10
_FRAMES = 200  # of a small world's training that are shown


class _Range(NamedTuple):
    """What a handle can be, and where it stands at first."""

    least: float
    most: float
    step: float
    default: float


_KEEP = (0.1, 1.0, 0.05)
_COMMON = {
    "l2": _Range(0, 0.02, 0.0005, 0),
    "max_norm": _Range(0, 5, 0.5, 0),
    "seed": _Range(1, _MOST_SEEDS, 1, 1),
    "seeds": _Range(1, _MOST_SEEDS, 1, 1),
}
_RANGES: dict[str, dict[str, _Range]] = {
    "digits": {
        "keep_hidden": _Range(*_KEEP, 0.5),
        "keep_input": _Range(*_KEEP, 0.8),
        "width": _Range(16, 256, 16, 128),
        "examples": _Range(100, _EXAMPLES, 100, _EXAMPLES),
        "noise": _Range(0, 0.6, 0.05, 0),
        "epochs": _Range(5, 100, 5, 30),
    },
    "curve": {
        "keep_hidden": _Range(*_KEEP, 0.9),
        "width": _Range(8, 96, 8, 64),
        "examples": _Range(8, 60, 1, 20),
        "noise": _Range(0, 0.6, 0.05, 0.25),
        "epochs": _Range(500, 6000, 500, 4000),
    },
    "moons": {
        "keep_hidden": _Range(*_KEEP, 0.8),
        "width": _Range(8, 96, 8, 48),
        "examples": _Range(10, 120, 2, 60),
        "noise": _Range(0, 0.6, 0.05, 0.3),
        "epochs": _Range(500, 4000, 500, 1500),
    },
}
_SOURCES = ("network", "worlds", "training", "running", "experiment", "pictures", "results", "units", "laboratory")
_PUBLIC = ("keep_hidden", "keep_input", "width", "examples", "noise", "l2", "max_norm", "epochs", "seeds", "seed")


class Laboratory(Interactive):
    r"""Train two networks side by side in the browser, one of them with dropout, with no kernel and no network.

    Both arms have the same first weights, examples and batches at a seed, and two hidden ReLU layers; the dropout arm
    keeps each hidden unit with probability ``keep_hidden`` and each input with ``keep_input``, with inverted scaling.
    The browser shows both while they learn, then the errors and losses of each seed with the 95% interval of their
    paired difference :math:`\bar d \pm t s_d / \sqrt n`, and lets the reader remove units and see pairs interact. All
    draws belong to the seed, so a run comes out the same again; in the book the settings stand in the page's address.

    Args:
        mode: ``"digits"``: 1,000 digits of MNIST at 14 x 14 pixels, trained like
            :class:`~dropout_lessons.training.Recipe` says by default, with as many for testing. ``"curve"``: noisy points
            of :math:`y = 0.8 \sin 3x`. ``"moons"``: two classes in the plane. The last two take all examples in each
            step of Adam.
        landing: Whether training starts by itself, with one handle only; small worlds only.
        digits_script: Address, from the page, of a file that :func:`write_digits_script` wrote and several pages
            share; None puts the digits (180 kB) into the output.
        **handles: Where handles stand at first: ``keep_hidden``, ``keep_input`` (digits only), ``width`` (units in each
            hidden layer), ``examples``, ``noise`` (digits: the share of random labels; else the standard deviation of
            the points' noise), ``l2`` (:math:`\lambda` of :math:`\frac{\lambda}{2} \sum w^2`), ``max_norm`` (0 for
            none), ``epochs`` (steps in the small worlds), ``seeds`` (how many, 1 to 10), ``seed`` (the one shown).

    Raises:
        ValueError: If ``mode`` or a handle's name is unknown, or ``landing`` is asked for with the digits.
        TraitError: If a handle is out of its range, now or later.

    Example:
        >>> laboratory = Laboratory("curve", keep_hidden=0.8, seeds=5)
        >>> laboratory.seeds
        5

    Source: Srivastava et al. 2014, Section 4.
    """

    _name = "laboratory"
    _esm = script(*(f"laboratory/{name}.js" for name in _SOURCES))
    _css = style("laboratory/laboratory.css")

    keep_hidden = KeepProb(0.5).tag(sync=True)
    keep_input = KeepProb(1.0).tag(sync=True)
    width = traitlets.Int(64).tag(sync=True)
    examples = traitlets.Int(20).tag(sync=True)
    noise = traitlets.Float(0.0).tag(sync=True)
    l2 = traitlets.Float(0.0).tag(sync=True)
    max_norm = traitlets.Float(0.0).tag(sync=True)
    epochs = traitlets.Int(1000).tag(sync=True)
    seeds = traitlets.Int(1).tag(sync=True)
    seed = traitlets.Int(1).tag(sync=True)
    # The page of a kernel asks for the digits with the one and gets them with the other.
    wanted = traitlets.Bool(False).tag(sync=True)
    digits = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self, mode: str = "digits", *, landing: bool = False, digits_script: str | None = None, **handles: float
    ) -> None:
        if mode not in _RANGES:
            raise ValueError(f"mode must be one of {list(_RANGES)}, got {mode!r}")
        if landing and mode == "digits":
            raise ValueError('landing must be False for "digits", which take too long to start by themselves')
        ranges = {**_RANGES[mode], **_COMMON}
        unknown = sorted(set(handles) - set(ranges))
        if unknown:
            raise ValueError(f"handles of {mode!r} must be of {sorted(ranges)}, got {unknown[0]!r}")
        defaults = {name: each.default for name, each in ranges.items()}
        if landing:
            defaults["seeds"] = _MOST_SEEDS
        super().__init__(
            data={
                "mode": mode,
                "landing": landing,
                "frames": _FRAMES,
                "ranges": {name: [each.least, each.most, each.step] for name, each in ranges.items()},
                "defaults": defaults,
                "quantiles": stdtrit(np.arange(1, _MOST_SEEDS), 0.975).tolist(),  # of Student's t for 2 seeds or more
                "digits": _packed_digits() if mode == "digits" and digits_script is None else "",
                "digits_script": digits_script or "",
            },
            **{**defaults, **handles},
        )

    @traitlets.validate(*_PUBLIC)
    def _in_its_range(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if name in self.data.get("ranges", {}):
            least, most, _ = self.data["ranges"][name]
            if not least <= value <= most:
                raise traitlets.TraitError(f"{name} must be from {least:g} to {most:g}, got {value:g}")
        return value

    @traitlets.observe("wanted")
    def _give_the_digits(self, change: Any) -> None:
        if change["new"] and not self.digits:
            self.digits = _packed_digits()

    def _state(self) -> dict[str, Any]:
        return {name: value for name, value in super()._state().items() if name not in ("wanted", "digits")}

    def _sentence(self) -> str:
        what = {"digits": "digits", "curve": "points of a curve", "moons": "points of two classes"}[self.data["mode"]]
        inputs = f" and each pixel with keep_input = {self.keep_input:g}" if self.data["mode"] == "digits" else ""
        return (
            f"Interactive: train two networks on the same {self.examples} {what} in the browser, one with all of its "
            f"units, one that keeps each hidden unit with probability keep_hidden = {self.keep_hidden:g}{inputs} at each "
            "step; compare their errors over seeds, remove units, and see pairs interact."
        )


def write_digits_script(path: str | Path) -> None:
    """Write the script that laboratories of several pages share, for ``Laboratory(digits_script=...)``.

    Args:
        path: Where to, such as ``"_static/digits.js"``; the folder must exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_digits_script(f"{folder}/digits.js")
    """
    Path(path).write_text(
        "// Digits of MNIST at 14 x 14 pixels (LeCun and Cortes, CC BY-SA 3.0), for the laboratory.\n"
        f'globalThis.dropoutLessonsDigits = "{_packed_digits()}";\n',
        encoding="utf-8",
    )


@functools.cache
def _packed_digits() -> str:
    """Return training and test digits, a byte for each pixel, then their labels, compressed, as base64 text."""
    data = datasets.load("mnist_10k", train=_EXAMPLES)
    x = torch.cat([data.train.x, data.test.x[:_EXAMPLES]])
    y = torch.cat([data.train.y, data.test.y[:_EXAMPLES]])
    pixels = F.avg_pool2d(x.view(-1, 1, *data.image_shape), 2).mul(255).round()
    packed = pixels.to(torch.uint8).numpy().tobytes() + y.to(torch.uint8).numpy().tobytes()
    return base64.b64encode(zlib.compress(packed, 9)).decode()
