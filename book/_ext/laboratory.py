"""The laboratory on the pages: ``{laboratory}`` in Markdown, and one file of digits that all pages share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from dropout_lessons.widgets import Laboratory, write_digits_script

DIGITS = "_static/digits.js"
# An output brings its digits along, for notebooks; on the site they would stand in every page.
BROUGHT_ALONG = re.compile(r'"digits": "[A-Za-z0-9+/=]{1000,}", "digits_script": ""')


class LaboratoryDirective(SphinxDirective):
    """A laboratory of a mode, with its handles as options; ``:landing:`` trains by itself."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Callable[[str], object]]] = {
        "landing": directives.flag,
        **dict.fromkeys(("keep_hidden", "keep_input", "noise", "l2", "max_norm"), float),
        **dict.fromkeys(("width", "examples", "epochs", "seeds", "seed"), int),
    }

    def run(self) -> list[nodes.Node]:
        handles = {name: value for name, value in self.options.items() if name != "landing"}
        laboratory = Laboratory(self.arguments[0], landing="landing" in self.options, **handles)
        bundle, _ = laboratory._repr_mimebundle_()
        return [nodes.raw("", bundle["text/html"], format="html")]


def share_digits(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Let a page take the digits from the file, which is written when a page first needs it."""
    address = context["pathto"](DIGITS, resource=True)
    body, count = BROUGHT_ALONG.subn(f'"digits": "", "digits_script": "{address}"', context.get("body") or "")
    if count:
        context["body"] = body
        path = Path(app.outdir) / DIGITS
        path.parent.mkdir(parents=True, exist_ok=True)
        write_digits_script(path)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("laboratory", LaboratoryDirective)
    app.connect("html-page-context", share_digits)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
