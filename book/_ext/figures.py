"""Figures on the pages: what a picture shows, for who cannot see it, in the picture's own markup.

A cell's metadata hold its caption and its alternative text, ``mystnb.figure`` and ``mystnb.image.alt``. MyST-NB knows
where both go, except the alternative text of a figure that is drawn in HTML.
"""

from __future__ import annotations

import html

from docutils import nodes
from sphinx.application import Sphinx

MADE = "dropout-lessons-figure"
UNNAMED = 'role="img" aria-label="Figure"'


def name_pictures(app: Sphinx, doctree: nodes.document) -> None:
    for cell in doctree.findall(nodes.container):
        image = cell.get("cell_metadata", {}).get("mystnb", {}).get("image", {})
        if "alt" not in image:
            continue
        named = f'role="img" aria-label="{html.escape(" ".join(image["alt"].split()))}"'
        for raw in cell.findall(nodes.raw):
            if MADE in raw.astext():
                raw.children = [nodes.Text(raw.astext().replace(UNNAMED, named))]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", name_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
