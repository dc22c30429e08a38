"""Pages that load fast: what they do not need is left out, what is not seen yet waits, what repeats comes once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import tables
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx


def smaller_pictures(app: Sphinx, doctree: nodes.document) -> None:
    """Put the pictures that cells draw on the page as WebP, which keeps every pixel in less than half of PNG's bytes."""
    for image in doctree.findall(nodes.image):
        drawn = Path(app.srcdir, image["uri"].lstrip("/"))
        if drawn.suffix != ".png" or "jupyter_execute" not in drawn.parts:
            continue
        smaller = drawn.with_suffix(".webp")
        if not smaller.exists():
            Image.open(drawn).convert("RGB").save(smaller, lossless=True, quality=50, method=1)
        image["uri"] = image["uri"].removesuffix(".png") + ".webp"


@cache
def size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture of pixels."""
    if path.suffix == ".svg":
        return None
    with Image.open(path) as picture:
        return picture.size


def waiting_pictures(app: Sphinx, body: str) -> str:
    """Give each picture its size, so that nothing moves when it comes, and let it come when it is near."""
    places = {name: Path(app.srcdir, path) for path, name in app.builder.images.items()}

    def one(found: re.Match[str]) -> str:
        path = places.get(found[1].rsplit("/", 1)[-1])
        attributes = ' loading="lazy" decoding="async"'
        if path and "width=" not in found[0] and (measured := size(path)):
            attributes += f' width="{measured[0]}" height="{measured[1]}"'
        return found[0].replace("<img", f"<img{attributes}", 1)

    return re.sub(r'<img(?![^>]*loading=)[^>]*\ssrc="([^"]+)"[^>]*>', one, body)


def share(app: Sphinx, body: str) -> tuple[str, list[str]]:
    """Take out of interactives what all of them begin with; also, the files that bring it once for all pages."""
    files = []
    for kind, palette in (("js", "const PALETTE = .*\n"), ("css", "")):
        base = (Path(app.confdir) / f"src/dropout_lessons/widgets/base.{kind}").read_text(encoding="utf-8")
        rule = re.compile(palette + re.escape(base))
        if found := rule.search(body):
            body = rule.sub("", body)
            files.append(f"interactive.{kind}")
            Path(app.outdir, "_static", files[-1]).write_text(found[0], encoding="utf-8")
    return body, files


def lighten(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Change a page that is about to be written."""
    scripts, body = context["script_files"], context.get("body", "")
    if 'class="math' not in body:
        scripts[:] = [script for script in scripts if "mathjax" not in f"{script.filename} {script.attributes}".lower()]
    if doctree is None:
        return
    body, shared = share(app, body)
    for file in shared:
        (app.add_css_file if file.endswith("css") else app.add_js_file)(file)
    if name.startswith("book/") and "<table" in body:
        app.add_js_file("tables.js")
    scripts[:] = [deferred(script) for script in scripts]
    body = body.replace(' id="exercise-content"', "")  # sphinx-exercise gives it to every exercise of a page
    body = body.replace('role="doc-biblioentry"', 'role="listitem"')  # docutils marks entries up as in 2020
    context["body"] = waiting_pictures(app, tables.prepared(body))


def deferred(script: Any) -> Any:
    """A script that holds nothing up. Only those in the page itself ask for what documentation_options.js sets."""
    if not script.filename or "documentation_options" in str(script.filename):
        return script
    attributes = {name: value for name, value in script.attributes.items() if name != "async"}
    return type(script)(script.filename, priority=script.priority, **{**attributes, "defer": "defer"})


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", smaller_pictures, priority=400)  # before Sphinx collects the pictures
    app.connect("html-page-context", lighten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
