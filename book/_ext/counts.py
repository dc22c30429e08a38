"""``{measured} chapters``: a table of book/measured.py, made anew whenever the page is."""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.append(str(Path(__file__).resolve().parents[1]))


class MeasuredDirective(SphinxDirective):
    """One of the tables, by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        from measured import TABLES

        self.env.note_reread()
        return self.parse_text_to_nodes(TABLES[self.arguments[0]]())


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("measured", MeasuredDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
