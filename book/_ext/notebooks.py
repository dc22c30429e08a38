"""The buttons of a chapter: open its plain notebook on Colab or Kaggle, or take it along.

Both open the notebook of the release that the first cell installs, never that of a branch that goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).resolve().parents[1]))
from plain import on_colab, on_kaggle

KAGGLE = {"type": "link", "text": "Kaggle", "tooltip": "Launch on Kaggle", "icon": "fab fa-kaggle"}


def add_buttons(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    if doctree is None or not page.startswith("chapters/"):
        return
    chapter = page.removeprefix("chapters/")
    buttons = context["header_buttons"]
    for group in buttons:
        for button in list(group.get("buttons", [])):
            if "colab" in button["url"]:
                button["url"] = on_colab(chapter)
                group["buttons"].append({**KAGGLE, "url": on_kaggle(chapter)})
    buttons.append(
        {
            "type": "link",
            "url": f"{context['pathto']('notebooks', 1)}/{chapter}.ipynb",
            "tooltip": "Download this notebook",
            "icon": "fas fa-download",
            "label": "download-notebook-button",
        }
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", add_buttons, priority=600)  # after the theme's own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
