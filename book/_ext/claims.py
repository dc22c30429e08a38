"""Put the code that checks a claim into the claim's own fold, where the claim asks for it."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from dropout_lessons.claims.showing import CODE


class FoldCode(SphinxPostTransform):
    """Of a cell with its input hidden, move the input into the fold of what it shows."""

    default_priority = 198  # before MyST-NB folds the input into a box of its own
    formats = ("html",)

    def run(self, **options: object) -> None:
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") == "cell_code" and cell.get("hide_mode") == "input":
                fold_code(cell)


def fold_code(cell: nodes.container) -> None:
    code = cell.children[0]
    for shown in cell.findall(nodes.raw):
        before, marker, after = shown.astext().partition(CODE)
        if marker and code.get("nb_element") == "cell_code_source":
            cell.remove(code)
            parts = (nodes.raw("", text, format="html") for text in (before, after))
            shown.parent.replace(shown, [next(parts), code, next(parts)])
            cell["hide_mode"] = ""
            return


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(FoldCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
