"""What a page says of itself to search engines and to those who pass its address on; the site's map, its 404 page."""

from __future__ import annotations

import html
import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import cards
from docutils import nodes
from sphinx.application import Sphinx

LONGEST = 300
"""Letters of a description: what search engines show, and some more."""

_ARTIST = ThreadPoolExecutor(max_workers=1)
_BEING_DRAWN: list[Future[None]] = []


def description(app: Sphinx, name: str, doctree: nodes.document) -> str:
    """What the page's card on the first page says, else the sentences with which the page begins, if there is room."""
    first = Path(app.srcdir, app.config.root_doc).with_suffix(".md").read_text(encoding="utf-8")
    if card := re.search(rf"^:link: \S*{name}\n:link-type: doc\n\n(.+?)\n\+\+\+", first, re.MULTILINE | re.DOTALL):
        return " ".join(card[1].replace("*", "").split())
    text = ""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section):  # in a box, a list or a table
            continue
        for sentence in re.split(r"(?<=[.?]) ", plain(paragraph)):
            if text and len(text) + len(sentence) >= LONGEST:
                return text
            text = f"{text} {sentence}".strip()
    return text or plain(doctree.next_node(nodes.title))


def plain(node: nodes.Node) -> str:
    """The text of a node as one line."""
    return " ".join(node.astext().split())


def describe(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Describe a page in its head."""
    if doctree is None:
        context["metatags"] = context.get("metatags", "") + '\n<meta name="robots" content="noindex" />'
        return
    title = app.env.titles[name].astext()
    picture = Path("_static", "cards", f"{name.replace('/', '_')}.png")
    draw(app, picture, title)
    about = context.get("meta", {}).get("description") or description(app, name, doctree)
    facts = {
        "og:site_name": app.config.html_title,
        "og:type": "website" if name == app.config.root_doc else "article",
        "og:title": title,
        "og:description": about,
        "og:url": context["pageurl"],
        "og:image": urljoin(app.config.html_baseurl, picture.as_posix()),
        "og:image:alt": f"{title}. Beside it a small network, with two units dropped.",
    }
    head = [f'<meta name="description" content="{html.escape(about)}" />']
    head += [f'<meta property="{key}" content="{html.escape(value)}" />' for key, value in facts.items()]
    head += ['<meta name="twitter:card" content="summary_large_image" />']
    context["metatags"] = "\n".join([context["metatags"], *head])


def draw(app: Sphinx, picture: Path, title: str) -> None:
    path = Path(app.outdir, picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    logo = Path(app.confdir, "book/_static/logo.svg")
    # In a thread beside Sphinx, which has another core for itself.
    drawn = _ARTIST.submit(lambda: cards.card(title, app.config.html_title, logo).save(path, optimize=True))
    _BEING_DRAWN.append(drawn)


def finish_drawing(app: Sphinx, exception: Exception | None) -> None:
    """Wait for the cards, and pass on what went wrong with one."""
    while _BEING_DRAWN:
        _BEING_DRAWN.pop().result()


def write_site(app: Sphinx, exception: Exception | None) -> None:
    """Write what belongs to the whole site."""
    if exception or app.builder.format != "html":
        return
    out, base = Path(app.outdir), app.config.html_baseurl
    addresses = [urljoin(base, f"{name}.html") for name in sorted(app.env.found_docs)]
    urls = "\n".join(f"<url><loc>{html.escape(address)}</loc></url>" for address in addresses)
    (out / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}\n</urlset>\n'
    )
    (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {urljoin(base, 'sitemap.xml')}\n")
    template = Path(app.confdir, "book/_templates/404.html").read_text(encoding="utf-8")
    page = template.replace("{{ title }}", app.config.html_title).replace("{{ home }}", base)
    (out / "404.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", describe)
    app.connect("build-finished", finish_drawing)
    app.connect("build-finished", write_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
