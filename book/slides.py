"""Print slides for instructors, one deck for each session of the plans in book/teaching.md: `make slides`.

A deck has the questions of its chapters and, in the order of the pages, what to predict, the figures and the claims. All
of it comes from the built book, which is built first; nothing is written here that the book computes.
"""

from __future__ import annotations

import argparse
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import build
import pdf
import yaml
from bs4 import BeautifulSoup, Tag
from outputs import BUILD, ROOT

SLIDES = BUILD / "slides"
PLAN = ROOT / "book" / "teaching.md"
MINUTES = 3  # that a slide of the lecture stays, on average
KINDS = {"prediction": ".prediction", "figure": "figure[id]", "claims": ".claims"}
SIZE = {"width": "1280px", "height": "720px"}
STYLE = """
body { background: none; font-size: 24px; }
@page { size: 1280px 720px; margin: 0; }
.slide { box-sizing: border-box; width: 1280px; height: 720px; padding: 44px 80px; overflow: hidden; break-after: page;
  display: flex; flex-direction: column; justify-content: center; gap: 20px; }
.slide > * { margin: 0 !important; }
.slide > header { order: -1; font-size: 17px; color: #566b80; }
.slide h1 { font-size: 52px; }
.slide > p { font-size: 32px; }
.slide figure svg { max-width: none !important; width: 100% !important; height: 450px !important; }
.slide figure { width: 100%; text-align: center; }
.slide figcaption, .slide figcaption p { font-size: 20px; text-align: left; }
.slide .prediction { font-size: 28px; padding: 0 1.2em 0.8em; }
.slide .claims { font-size: 22px; }
.slide details { display: none; }
"""


@dataclass(frozen=True)
class Part:
    """What a session does with a chapter: by its number, in so many minutes if the plan says."""

    chapter: int
    text: str
    minutes: int | None = None


@dataclass(frozen=True)
class Session:
    """A session of a plan."""

    name: str
    title: str
    parts: Sequence[Part]


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its header."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def chapters(text: str) -> list[int]:
    """The chapters that a text names, each once, in order; what is only read does not count."""
    text = re.sub(r"chapter \d+ as reading", "", text)
    found = re.findall(r"\bchapters? (\d+(?:(?:, | and )\d+)*)", text)
    return sorted({int(number) for numbers in found for number in re.findall(r"\d+", numbers)})


def sessions(text: str) -> list[Session]:
    """The sessions of all plans."""
    lecture = []
    for minutes, what, link in rows(text, "One lecture"):
        (number,) = re.findall(r"^\[(\d+)\]", link)
        lecture.append(Part(int(number), what, int(minutes)))
    found = [Session("lecture", "One lecture", lecture)]
    for title, before, in_class, _ in rows(text, "One week"):
        number = title.partition(",")[0]
        parts = [Part(chapter, in_class) for chapter in chapters(f"{before}; {in_class}")]
        found.append(Session(f"week-{number}", f"Session {title}", parts))
    number = 0
    for week, in_class, _ in rows(text, "One month"):
        for each in in_class.split(";"):
            number += 1
            parts = [Part(chapter, each.strip()) for chapter in chapters(each)]
            found.append(Session(f"month-{number}", f"Week {week}, session {number}", parts))
    return found


def chosen(article: Tag, kinds: Sequence[str]) -> Iterator[Tag]:
    """The elements of a page that become slides, in their order."""
    yield from article.select(", ".join(KINDS[kind] for kind in kinds))


def opening(article: Tag) -> Iterator[Tag]:
    """A chapter's title, question and objectives."""
    yield article.find("h1")
    yield article.find("p")
    yield article.find("ul")


def slide(head: str, content: Sequence[Tag | str]) -> str:
    return f'<section class="slide"><header>{html.escape(head)}</header>{"".join(map(str, content))}</section>'


def written(text: str) -> str:
    """A text of the plan, whose Markdown is bold print, code and formulas."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(text, quote=False))
    return re.sub(r"\$(.+?)\$", r'<span class="math">\\(\1\\)</span>', re.sub(r"`(.+?)`", r"<code>\1</code>", text))


def deck(session: Session, articles: Mapping[int, Tag]) -> list[str]:
    """The slides of a session. In the lecture a chapter that comes again goes on where it was left."""
    in_class = "" if session.parts[0].minutes else f"<p>{written(session.parts[0].text)}</p>"
    slides = [slide("Dropout, measured", [f"<h1>{html.escape(session.title)}</h1>", in_class])]
    left: dict[int, Iterator[Tag]] = {}
    for part in session.parts:
        article = articles[part.chapter]
        title = article.find("h1").get_text().rstrip("#")
        if part.minutes is None:
            slides += [slide(session.title, [*opening(article)])]
            shown = chosen(article, [*KINDS])
        else:
            slides += [slide(f"{title}, {part.minutes} minutes", [f"<p>{written(part.text)}</p>"])]
            shown = left.setdefault(part.chapter, chosen(article, ["prediction", "figure"]))
            shown = islice(shown, part.minutes // MINUTES)
        slides += [slide(title, [element]) for element in shown]
    return slides


def page(session: Session, articles: Mapping[int, Tag], head: Sequence[str]) -> str:
    """A session as one page, a slide a sheet."""
    parts = [f"<title>{html.escape(session.title)}</title>", *head, f"<style>{STYLE}</style></head>"]
    top = '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light" data-content_root="./"><head>'
    return "\n".join([top, '<meta charset="utf-8">', *parts, "<body>", *deck(session, articles), "</body></html>\n"])


def main() -> None:
    every = sessions(PLAN.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[session.name for session in every], help="such as week-1")
    parser.add_argument("--out", type=Path, default=SLIDES)
    arguments = parser.parse_args()
    toc = build.pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    articles, head = {}, dict[str, None]()
    for name in toc:
        if found := re.match(r"chapters/(\d+)_", name):
            soup = BeautifulSoup((build.HTML / f"{name}.html").read_bytes(), "html.parser")
            head |= dict.fromkeys(pdf.needs(name, soup))
            articles[int(found[1])] = pdf.article(name, soup, ())
    arguments.out.mkdir(parents=True, exist_ok=True)
    for session in every:
        if session.name in arguments.names:
            with pdf.opened(page(session, articles, [*head])) as opened:
                opened.pdf(path=arguments.out / f"{session.name}.pdf", print_background=True, **SIZE)
            print(arguments.out / f"{session.name}.pdf")


if __name__ == "__main__":
    main()
