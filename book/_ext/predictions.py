"""A question that the reader answers before what follows is seen.

:::{prediction} shuffled labels
How many of these 1,000 labels can it learn?

- about 100, as by guessing
- all, or nearly all
:::

The list is what there is to choose from. A number is asked for with ``:number: 0 to 100 %``, a curve with
``:curve: 0.2, 0.5, 1`` (places on its axis, numbers or words), ``:axis: keep probability`` and ``:height: 0 to 40 %``.
On paper and without JavaScript it is this text. ``book/_static/predictions.js`` lets the reader answer;
``dropout_lessons.predictions.outcome`` says in a later cell, under the same name, what came out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

RANGE = re.compile(r"(\S+) to (\S+)(?:\s+(.+))?")
CHOICE = re.compile(r"^- (.+(?:\n  .+)*)", re.MULTILINE)

# Before the page is drawn: what follows an unanswered question is not seen, not even for a moment.
EARLY = """document.documentElement.classList.add("predicting");
addEventListener("load", () => document.documentElement.classList.remove("predicting"));"""


def scale(text: str) -> dict[str, Any]:
    """Read a scale, such as ``0 to 40 %``."""
    found = RANGE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"a scale is written like 0 to 40 %, got {text!r}")
    low, high = float(found[1]), float(found[2])
    if not low < high:
        raise ValueError(f"a scale goes from low to high, got {text!r}")
    return {"low": low, "high": high, "unit": found[3] or ""}


def places(text: str) -> list[str]:
    return [place.strip() for place in text.split(",")]


def asked(name: str, options: dict[str, Any], content: Iterable[str]) -> dict[str, Any]:
    """What the page's script must know of a prediction."""
    kinds = [kind for kind in ("number", "curve") if kind in options]
    choices = [" ".join(choice.split()) for choice in CHOICE.findall("\n".join(content))]
    if len(kinds) + bool(choices) != 1:
        raise ValueError(f"ask for one thing: a list of choices, :number: or :curve:, got {[*choices, *kinds]}")
    if choices:
        if not 2 <= len(choices) <= 5 or len(set(choices)) < len(choices):
            raise ValueError(f"give two to five different choices, got {choices}")
        if marked := [choice for choice in choices if re.search(r"[$`*_{]", choice)]:
            raise ValueError(f"choices are plain text, which is compared with what came out, got {marked}")
        return {"name": name, "kind": "choice", "choices": choices}
    if kinds == ["number"]:
        return {"name": name, "kind": "number", **options["number"]}
    if "height" not in options:
        raise ValueError("a curve has a scale: give :height:")
    axis = options.get("axis", "")
    return {"name": name, "kind": "curve", "places": options["curve"], "axis": axis, **options["height"]}


class Prediction(SphinxDirective):
    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {
        "number": scale,
        "curve": places,
        "axis": directives.unchanged_required,
        "height": scale,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        try:
            data = asked(name, self.options, self.content)
        except ValueError as error:
            raise self.error(f"prediction {name!r}: {error}") from error
        box = nodes.admonition(classes=["prediction"], ids=[nodes.make_id(f"predict-{name}")])
        box += nodes.title("", "", nodes.inline("", "Predict: "), nodes.Text(name))
        self.state.nested_parse(self.content, self.content_offset, box)
        if data["kind"] != "choice":
            box += nodes.paragraph("", sentence(data), classes=["prediction-scale"])
        text = json.dumps(data).replace("<", "\\u003c")
        box += nodes.raw("", f'<script type="application/json">{text}</script>', format="html")
        return [box]


def sentence(data: dict[str, Any]) -> str:
    """What the scale of an answer is, in words."""
    unit = data["unit"] if data["unit"] in ("", "%") else f" {data['unit']}"
    span = f"{data['low']:g} to {data['high']:g}{unit}"
    return f"A number from {span}." if data["kind"] == "number" else f"A curve over {data['axis']}, from {span}."


def add_script(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Load the script where there is a prediction."""
    if doctree is not None and any("prediction" in box["classes"] for box in doctree.findall(nodes.admonition)):
        app.add_js_file(None, body=EARLY)
        app.add_js_file("predictions.js", loading_method="defer")
        app.add_css_file("predictions.css")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("prediction", Prediction)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
