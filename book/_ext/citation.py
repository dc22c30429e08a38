"""How to cite the book, from CITATION.cff: the first page ends with it, and the directive `how-to-cite` says it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pybtex.plugin
import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

BIBTEX = """\
@misc{{{key},
  author = {{{{{authors}}}}},
  title  = {{{title}}},
  note   = {{Version {version}}},
  url    = {{{url}}}
}}"""


class HowToCite(SphinxDirective):
    """A sentence and a BibTeX entry, with a button to copy it."""

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.app.confdir, "CITATION.cff")
        self.env.note_dependency(str(path))
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
        facts["authors"] = " and ".join(author["name"] for author in facts["authors"])
        facts.update(url=self.config.html_baseurl, key=facts["repository-code"].rsplit("/", 1)[-1])
        sentence = "{authors}. {title}. Version {version}. {url}".format_map(facts)
        entry = BIBTEX.format_map(facts)
        return [nodes.paragraph("", sentence), nodes.literal_block(entry, entry, language="bibtex")]


SECTION = """

## Cite this book

:::{how-to-cite}
:::

Cite the papers that the chapters name, too; they are in the [bibliography](bibliography).
"""


def end_first_page(app: Sphinx, name: str, source: list[str]) -> None:
    if name == app.config.root_doc:
        source[0] = source[0].rstrip() + SECTION


# For each citation pybtex would look through what every installed package registers: two seconds of a book.
pybtex.plugin.entry_points = cache(pybtex.plugin.entry_points)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("how-to-cite", HowToCite)
    app.connect("source-read", end_first_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
