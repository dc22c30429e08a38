"""What every interactive shares: one ES module, shown live by Jupyter and alone in a static page."""

from __future__ import annotations

import hashlib
import html
import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from dropout_lessons.arguments import check_keep_prob
from dropout_lessons.figures.palette import COLORS, palette_css, variable


def source(*names: str) -> str:
    """Return the text of these files of this folder, one after another."""
    return "\n".join(files(__package__).joinpath(name).read_text(encoding="utf-8") for name in names)


def script(*names: str) -> str:
    """Return the palette and what every interactive shares, then these scripts of this folder."""
    palette = {variable(name).removeprefix("--dl-"): bytes.fromhex(color[1:]) for name, color in COLORS.items()}
    colors = json.dumps({name: list(color) for name, color in palette.items()})
    return f"const PALETTE = {colors}; // red, green, blue\n" + source("base.js", *names)


def style(*names: str) -> str:
    """Return the palette and the style that every interactive has, then these style sheets of this folder."""
    return palette_css(".dropout-lessons-interactive") + source("base.css", *names)


def finite_array(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """Return ``values`` (array, list or tensor) as float64 numbers of this shape, where None allows any length."""
    detach = getattr(values, "detach", None)
    array = np.asarray(detach().cpu() if detach else values, dtype=np.float64)
    if len(array.shape) != len(shape) or any(
        length == 0 or wanted not in (None, length) for length, wanted in zip(array.shape, shape, strict=True)
    ):
        wanted_shape = tuple("any" if wanted is None else wanted for wanted in shape)
        raise ValueError(f"{name} must have shape {wanted_shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def hex_images(name: str, images: ArrayLike, shape: tuple[int | None, ...]) -> dict[str, Any]:
    """Return images in [0, 1], pixels on the last two axes, as text with a hexadecimal digit (16 grays) for each pixel."""
    array = finite_array(name, images, shape)
    if array.min() < 0 or array.max() > 1:
        raise ValueError(f"{name} must be in [0, 1], got {array.min():g} to {array.max():g}; divide bytes by 255")
    *leading, height, width = array.shape
    rows = np.rint(array * 15).astype(int).reshape(-1, height * width)
    text = np.array(["".join(map("0123456789abcdef".__getitem__, row)) for row in rows])
    return {"height": height, "width": width, "pixels": text.reshape(leading).tolist()}


def class_labels(labels: ArrayLike, examples: int, classes: int, name: str = "labels") -> list[int]:
    """Return one class, from 0 to classes - 1, for each example."""
    array = finite_array(name, labels, (examples,))
    wrong = array[(array % 1 != 0) | (array < 0) | (array >= classes)]
    if wrong.size:
        raise ValueError(f"{name} must be classes from 0 to {classes - 1}, got {wrong[0]:g}")
    return [int(label) for label in array]


def names_of(argument: str, names: Sequence[str] | None, count: int) -> list[str]:
    """Return these names as text, or "0", "1", ... if None."""
    if names is not None and len(names) != count:
        raise ValueError(f"{argument} must be {count} names, got {len(names)}")
    return [str(name) for name in (range(count) if names is None else names)]


def check_colors(colors: Sequence[str], count: int, what: str) -> None:
    """Say what is wrong with colors that are no ideas of the palette, one for each of so many things."""
    if len(colors) < count or not set(colors) <= set(COLORS):
        raise ValueError(f"colors must be one of {list(COLORS)} for each of {count} {what}, got {tuple(colors)}")


def nice_step(at_least: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is at least ``at_least``."""
    power = math.floor(math.log10(at_least))
    steps = (float(f"{factor}e{power}") for factor in (1, 2, 5, 10))
    return next(step for step in steps if step >= at_least * (1 - 1e-9))


class KeepProb(traitlets.Float):  # type: ignore[type-arg]
    """A trait for keep_prob, in (0, 1]."""

    def validate(self, obj: Any, value: Any) -> float:
        try:
            return check_keep_prob(value)
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(str(error)) from error


class OneOf(traitlets.TraitType[Any, Any]):
    """A trait for one of what the interactive's data list under a key: entries with names, or values themselves."""

    def __init__(self, key: str) -> None:
        super().__init__(None)
        self.key = key

    def validate(self, obj: Any, value: Any) -> Any:
        allowed = [each["name"] if isinstance(each, dict) else each for each in obj.data[self.key]]
        if value not in allowed:
            raise traitlets.TraitError(f"{self.name} must be one of {allowed}, got {value!r}")
        return value


class Index(traitlets.Int):  # type: ignore[type-arg]
    """A trait for the place of one of so many things, from 0; the interactive's data tell how many there are."""

    def __init__(self, count: Callable[[Mapping[str, Any]], int]) -> None:
        super().__init__(0)
        self.count = count

    def validate(self, obj: Any, value: Any) -> int:
        index, count = super().validate(obj, value), self.count(obj.data)
        if index not in range(count):
            raise traitlets.TraitError(f"{self.name} must be from 0 to {count - 1}, got {value}")
        return int(index)


class Interactive(anywidget.AnyWidget):
    """An interactive figure whose arithmetic runs in the browser, with a kernel or without one.

    A subclass names itself, gives its module, puts what it computed into ``data``, declares what the reader moves as
    synced traits, and says in a sentence what it shows. The module defines ``render({model, el})``. Jupyter and Colab
    show the widget. Where there is no kernel (the book, an exported notebook) the output's HTML form holds the same
    module and runs it on a stand-in for the model, so it needs no widget manager and no network.
    """

    _name: ClassVar[str]
    _css = style()
    # ipywidgets 7, which Colab has, displays through this method and would never ask for the HTML form.
    _ipython_display_ = None

    data = traitlets.Dict().tag(sync=True)

    def _sentence(self) -> str:
        """Return what the interactive shows, for plain text and for pages whose scripts do not run."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**bundle, "text/plain": self._sentence(), "text/html": self._static_html()}, metadata

    def _state(self) -> dict[str, Any]:
        """Return what the module reads of the model: the data and the handles."""
        own = set(self.trait_names(sync=True)) - set(anywidget.AnyWidget.class_trait_names())
        return {name: getattr(self, name) for name in sorted(own) if not name.startswith("_")}

    def _static_html(self) -> str:
        # In a script, "</script" or "<!--" within a string would end or swallow the rest of the page.
        state = json.dumps(self._state(), allow_nan=False).replace("<", "\\u003c")
        # The key is no id: two outputs with one key have one state, and either script may start both.
        key = f"{self._name}-{hashlib.sha256(state.encode()).hexdigest()[:16]}"
        # The module stands in the page as it is: `export` is allowed in an inline module, and `render` is in scope for
        # the line after it. A blob or data address to import it from would be refused by stricter content policies.
        return (
            f'<div data-dropout-lessons-state="{key}">'
            f'<div class="dropout-lessons-interactive" data-interactive="{self._name}">'
            f"<p>{html.escape(self._sentence())}</p></div></div>\n"
            f"<style>\n{self._css}</style>\n"
            f'<script type="module">\n{self._esm}\nstartStatic("{key}", {state}, render);\n</script>\n'
        )
