"""The picture that a social network or a messenger shows of a page: the logo, the page's title, the book's."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
from PIL import Image, ImageColor, ImageDraw, ImageFont

WIDTH, HEIGHT = 1200, 630
INK, PAPER, MUTED = "#222832", "#fcfcfa", "#555f6b"
FINER = 2
"""Drawn so many times as large, for smooth edges."""

Number = float | int


@cache
def letters(size: Number, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of the book's figures."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), round(size))


def lines(text: str, font: ImageFont.FreeTypeFont, width: Number) -> list[str]:
    """The text, broken between words where it would get wider."""
    broken = [""]
    for word in text.split():
        longer = f"{broken[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            broken[-1] = longer
        else:
            broken.append(word)
    return broken


@cache
def logo(path: Path, size: int) -> Image.Image:
    """The logo in so many pixels. It is made of groups of straight lines and circles, and more is not understood."""
    root = ElementTree.parse(path).getroot()
    scale = size * FINER / float(root.get("viewBox", "").split()[2])
    picture = Image.new("RGB", (size * FINER, size * FINER), PAPER)
    draw = ImageDraw.Draw(picture)
    for group in root:
        paint = group.attrib
        width = round(float(paint.get("stroke-width", 0)) * scale)
        for shape in group:
            if shape.tag.endswith("path"):
                points = [float(number) * scale for number in re.findall(r"[\d.]+", shape.get("d", ""))]
                draw.line(points, fill=faded(paint), width=width)
                continue
            x, y, r = (float(shape.get(name, 0)) * scale for name in ("cx", "cy", "r"))
            if "stroke-dasharray" not in paint:
                draw.ellipse((x - r, y - r, x + r, y + r), fill=paint["fill"])
                continue
            drawn, gap = (float(length) * scale * 180 / 3.1416 / r for length in paint["stroke-dasharray"].split())
            for dash in range(round(360 / (drawn + gap))):
                start = dash * 360 / round(360 / (drawn + gap))
                outer = r + width / 2
                draw.arc((x - outer, y - outer, x + outer, y + outer), start, start + drawn, paint["stroke"], width)
    return picture


def faded(paint: dict[str, str]) -> tuple[int, ...]:
    """A stroke's color with its opacity on the card's paper."""
    opacity = float(paint.get("stroke-opacity", 1))
    stroke, paper = (ImageColor.getrgb(color) for color in (paint["stroke"], PAPER))
    return tuple(round(opacity * ink + (1 - opacity) * under) for ink, under in zip(stroke, paper, strict=True))


def card(title: str, book: str, logo_path: Path) -> Image.Image:
    """A page's card."""
    whole = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), PAPER)
    draw = ImageDraw.Draw(whole)
    margin, side = 80 * FINER, 380
    whole.paste(logo(logo_path, side), ((WIDTH - side - 50) * FINER, (HEIGHT - side) // 2 * FINER))
    room = (WIDTH - side - 60) * FINER - 2 * margin + 80 * FINER
    size = next(size for size in range(84, 30, -4) if fits(title, letters(size * FINER, bold=True), room))
    broken = lines(title, letters(size * FINER, bold=True), room)
    y = HEIGHT * FINER / 2 - len(broken) * size * FINER * 0.6 - 40 * FINER
    for line in broken:
        draw.text((margin, y), line, INK, letters(size * FINER, bold=True))
        y += size * FINER * 1.2
    if title != book:
        draw.text((margin, y + 30 * FINER), book, MUTED, letters(36 * FINER))
    return whole.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).quantize(64)


def fits(title: str, font: ImageFont.FreeTypeFont, room: Number) -> bool:
    broken = lines(title, font, room)
    return len(broken) <= 3 and all(font.getlength(line) <= room for line in broken)
