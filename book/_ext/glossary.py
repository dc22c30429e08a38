"""Terms of the glossary: where a page first uses one, it becomes a link that shows what the term means.

book/glossary.md is an ordinary glossary. A term with the same meaning as the one above it stands under it; the first
link to a chapter in a meaning is where the term is explained, and the search puts that page first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

GLOSSARY = "book/glossary"
MARKED = ("chapters/", "book/teaching")
UNMARKED = (nodes.title, nodes.admonition, nodes.reference, nodes.literal, nodes.math, nodes.term, nodes.caption)
SEVERAL = "(?:s|es)?"


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Keep what each term means, where it stands in the glossary, and which page explains it."""
    if app.env.docname != GLOSSARY:
        return
    app.env.glossary_terms = {}
    for item in doctree.findall(nodes.definition_list_item):
        names = [term.astext() for term in item.findall(nodes.term)]
        ids = [term["ids"][0] for term in item.findall(nodes.term)]
        meaning = next(item.findall(nodes.definition))
        links = [link["reftarget"] for link in meaning.findall(addnodes.pending_xref)]
        pages = [link.lstrip("/").removesuffix(".ipynb") for link in links if "chapters/" in link]
        page = pages[0].split("../")[-1] if pages else GLOSSARY
        first = next(meaning.findall(nodes.paragraph)).astext()
        said = {"names": names, "meaning": " ".join(first.split()), "page": page, "glossary": GLOSSARY}
        app.env.glossary_terms[ids[0]] = said


def mark(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Link the first use of each term on a page to the glossary."""
    if not name.startswith(MARKED):
        return
    terms = getattr(app.env, "glossary_terms", {})
    target = app.builder.get_relative_uri(name, GLOSSARY)
    left = {key: re.compile(pattern(said["names"]), re.IGNORECASE) for key, said in terms.items()}
    for text in list(places(doctree)):
        while found := min(
            ((f.start(), -f.end(), key) for key, rule in left.items() if (f := rule.search(text))), default=None
        ):
            start, end, key = found[0], -found[1], found[2]
            del left[key]
            link = nodes.reference("", text[start:end], refuri=f"{target}#{key}", internal=True, classes=["term"])
            rest = nodes.Text(text[end:])
            text.parent.replace(text, [nodes.Text(text[:start]), link, rest])
            text = rest


def pattern(names: list[str]) -> str:
    written = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in sorted(names, key=len, reverse=True))
    return rf"(?<![\w-])(?:{written}){SEVERAL}(?![\w-])"


def places(doctree: nodes.document) -> Iterator[nodes.Text]:
    """Running text in which a term may be marked."""
    for paragraph in doctree.findall(nodes.paragraph):
        for text in paragraph.findall(nodes.Text):
            if not any(isinstance(node, UNMARKED) for node in above(text)):
                yield text


def above(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write what the terms mean, for book.js to show and for search.js to search."""
    if exception or app.builder.format != "html":
        return
    terms = json.dumps(getattr(app.env, "glossary_terms", {}), ensure_ascii=False, indent=1)
    Path(app.outdir, "_static", "terms.js").write_text(f"const TERMS = {terms};\n", encoding="utf-8")


def merge(app: Sphinx, env: BuildEnvironment, names: set[str], other: Any) -> None:
    if GLOSSARY in names:
        env.glossary_terms = other.glossary_terms


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", collect)
    app.connect("doctree-resolved", mark)
    app.connect("env-merge-info", merge)
    app.connect("build-finished", write)
    app.add_js_file("terms.js", defer="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
