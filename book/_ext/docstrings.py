"""Sphinx's reading of the package's docstrings, in one point."""

from __future__ import annotations

from sphinx.application import Sphinx


def named_tuple_field(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out what Python says of the fields of a named tuple: the docstring says it better."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-skip-member", named_tuple_field)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
