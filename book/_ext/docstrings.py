"""Sphinx's reading of the package's docstrings, in two points."""

from __future__ import annotations

from docutils import nodes
from sphinx.addnodes import literal_emphasis
from sphinx.application import Sphinx


def named_tuple_field(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out what Python says of the fields of a named tuple: the docstring says it better."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def whole_types(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Let a type be one element: Sphinx makes one of each of its words and brackets, a tenth of a page of the reference."""
    for part in list(doctree.findall(literal_emphasis)):
        before = part.parent[part.parent.index(part) - 1] if part.parent.index(part) else None
        if isinstance(before, literal_emphasis):
            before += part.children
            part.parent.remove(part)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-skip-member", named_tuple_field)
    app.connect("doctree-resolved", whole_types)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
