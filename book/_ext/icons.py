"""The icons that the pages show, and no other, in one style sheet.

The theme brings all of Font Awesome: a script that holds up every page, and three fonts. Of these icons.css takes the
few pictures that some page or style sheet names; Font Awesome's fonts are under the SIL Open Font License 1.1.
"""

from __future__ import annotations

import base64
import io
import logging
import re
import shutil
from pathlib import Path

import pydata_sphinx_theme
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of each table that it copies
AWESOME = next(Path(pydata_sphinx_theme.__file__).parent.glob("theme/*/static/vendor/fontawesome/*"))
FONTS = {"solid": ("Free", 900, "fas"), "brands": ("Brands", 400, "fab")}
"""Family and weight, by the class of an icon, and its older class."""

HEAD = "/* Made when the book is built, by book/_ext/icons.py. Font Awesome Free 6, SIL Open Font License 1.1. */"
COMMON = """\
.fa-solid, .fas, .fa-brands, .fab { display: inline-block; font-style: normal; font-variant: normal; line-height: 1;
  text-rendering: auto; -webkit-font-smoothing: antialiased }
.fa-lg { font-size: 1.25em; line-height: 0.05em; vertical-align: -0.075em }"""


def codes() -> dict[str, int]:
    """The place in the font of every icon that Font Awesome names."""
    style = (AWESOME / "css" / "all.min.css").read_text(encoding="utf-8")
    found = re.findall(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\?([^"]+)"\}', style)
    return {
        name: int(code, 16) if len(code) > 1 else ord(code)
        for names, code in found
        for name in re.findall(r"\.(fa-[\w-]+):before", names)
    }


def font(kind: str, used: set[int]) -> str:
    """A font with these pictures, as an address that holds it."""
    whole = TTFont(AWESOME / "webfonts" / f"fa-{kind}-{FONTS[kind][1]}.ttf", recalcTimestamp=False)
    subsetter = subset.Subsetter(subset.Options(layout_features=[], hinting=False, notdef_outline=False))
    subsetter.populate(unicodes=used)
    subsetter.subset(whole)
    whole.flavor = "woff"
    kept = io.BytesIO()
    whole.save(kept)
    return f"data:font/woff;base64,{base64.b64encode(kept.getvalue()).decode()}"


def icons(pages: str, styles: str) -> str:
    """The style sheet for the icons that these pages and style sheets name."""
    known = codes()
    named = sorted(set(re.findall(r"\bfa-[\w-]+", pages)) & known.keys())
    used = {known[name] for name in named}
    used |= {int(code, 16) for code in re.findall(r"\\(f[0-9a-f]{3})\b", styles)}
    used |= {ord(sign) for sign in re.findall("[\uf000-\uf8ff]", styles)}
    lines = [HEAD]
    for kind, (family, weight, older) in FONTS.items():
        face = f'font-family: "Font Awesome 6 {family}"; font-weight: {weight}'
        lines += [f"@font-face {{ {face}; src: url({font(kind, used)}) }}", f".fa-{kind}, .{older} {{ {face} }}"]
        # By this name the theme's own style sheets take the font for what stands before a title.
        lines += [f':root {{ --fa-font-{kind}: normal {weight} 1em/1 "Font Awesome 6 {family}" }}']
    return "\n".join([*lines, COMMON, *(f'.{name}::before {{ content: "\\{known[name]:x}" }}' for name in named), ""])


def write(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    shutil.rmtree(out / "_static" / "vendor" / "fontawesome", ignore_errors=True)
    pages = "\n".join(page.read_text(encoding="utf-8") for page in out.rglob("*.html"))
    sheets = [sheet for sheet in (out / "_static").rglob("*.css") if sheet.name != "icons.css"]
    styles = "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    (out / "_static" / "icons.css").write_text(icons(pages, styles), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", write, priority=900)  # after extensions have copied their style sheets
    return {"parallel_read_safe": True, "parallel_write_safe": True}
