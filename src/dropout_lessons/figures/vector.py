"""Matplotlib's SVG, made fit for a page: colors that know dark pages, the page's own letters, no size but that of its box."""

from __future__ import annotations

import hashlib
import io
import re

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dropout_lessons.figures.palette import COLORS, NEUTRALS, palette_css, variable

FIGURE_CLASS = "dropout-lessons-figure"

#: The style of a figure in HTML: it stands in every output, since a notebook has no other place for it.
FIGURE_CSS = (
    palette_css(f".{FIGURE_CLASS}")
    + f""".{FIGURE_CLASS} svg {{
  display: block;
  width: 100%;
  height: auto;
  margin: 0 auto;
}}
.{FIGURE_CLASS} .dl-narrow {{
  display: none;
}}
@media (max-width: 600px) {{
  .{FIGURE_CLASS} .dl-wide {{
    display: none;
  }}
  .{FIGURE_CLASS} .dl-narrow {{
    display: block;
  }}
}}
/* The book's theme puts HTML outputs on a light panel in dark mode; a figure is drawn for both. */
html[data-theme="dark"] .bd-content div.cell_output .text_html:not(:has(table.dataframe)):has(.{FIGURE_CLASS}) {{
  padding: 0;
  background: none;
  color: inherit;
}}
"""
)
_VARIABLES = {color.lower(): variable(name) for name, color in {**COLORS, **NEUTRALS}.items()}


def svg_of(figure: Figure) -> str:
    """Return a figure as an SVG element for a page, with its colors as variables of the palette.

    Its names begin with a hash of what it shows, so that several can stand in one page.
    """
    buffer = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "dropout-lessons"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", text)
    prefix = "f" + hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'(url\(#|href="#| id=")(?=[^)"])', rf"\g<1>{prefix}-", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda match: _in_the_palette(match[0]), text)
    width = float(re.search(r'width="([\d.]+)pt"', text)[1])  # type: ignore[index]
    head = f'<svg role="img" aria-label="Figure" style="max-width: {round(width * 4 / 3)}px"'
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"([^>]*?)height="[^"]*"', rf"{head} \1\2", text, count=1)
    text = re.sub(r"(?:font: |font-family: )([^;\"]*)", _font, text)
    return re.sub(r"\n\s*", "\n", text).strip()


def _in_the_palette(color: str) -> str:
    return f"var({_VARIABLES[color]}, {color})" if color in _VARIABLES else color


def _font(match: re.Match[str]) -> str:
    """The page's letters at Matplotlib's size."""
    size = re.search(r"[\d.]+px", match[0])
    weight = re.search(r"\b(?:bold|[6-9]00)\b", match[0])
    if not size:
        return "font-family: inherit"
    return f"font-family: inherit; font-size: {size[0]}" + ("; font-weight: 700" if weight else "")
