"""Make plain notebooks of the chapters, as any host of notebooks shows them: `make notebooks`.

A chapter is written in MyST, which Colab, JupyterLab, GitHub and nbviewer show as raw text. A plain notebook has the
same code, ids and outputs, and Markdown that all of them know: exercises are headings, predictions are quotes, citations and
cross-references are links. The code that its first cell installs is that of a release, and so is the notebook: it
belongs on the branch `notebooks-vVERSION`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import urljoin, urlsplit

import nbformat
import outputs
import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from outputs import BUILD, ROOT
from pybtex.database import Entry, parse_file

PLAIN = BUILD / "notebooks"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
BRANCH = f"notebooks-v{VERSION}"

# How a block of MyST begins in plain Markdown, by its directive.
BOXES = {"admonition": "{title}", "note": "Note.", "tip": "Tip.", "important": "Important.", "warning": "Warning."}
HIDDEN = {"hide-input", "hide-cell", "remove-input"}
WIDGET = "application/vnd.jupyter.widget-view+json"  # needs a kernel; the HTML form of an interactive does not


def on_colab(chapter: str) -> str:
    """The address at which Colab opens the plain notebook of a chapter."""
    repository = urlsplit(CONFIG["repository"]["url"]).path
    return f"{CONFIG['launch_buttons']['colab_url']}/github{repository}/blob/{BRANCH}/{chapter}.ipynb"


def on_kaggle(chapter: str) -> str:
    """The address at which Kaggle copies the plain notebook of a chapter into one of its own."""
    notebook = f"{CONFIG['repository']['url']}/blob/{BRANCH}/{chapter}.ipynb"
    return f"https://www.kaggle.com/kernels/welcome?src={notebook}"


def in_book(address: str, page: str = "") -> str:
    """The address in the published book of what a page links to."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return address
    path = normpath(str(PurePosixPath(page).parent / parts.path)) if parts.path else page
    path = re.sub(r"(\.ipynb|\.md)?$", ".html", path, count=1)
    return urljoin(CONFIG["html"]["baseurl"], path) + (f"#{parts.fragment}" if parts.fragment else "")


@lru_cache
def parser() -> MarkdownIt:
    """The book's own parser of MyST."""
    return create_md_parser(MdParserConfig(enable_extensions=CONFIG["parse"]["myst_enable_extensions"]), RendererHTML)


@lru_cache
def references() -> dict[str, Entry]:
    return dict(parse_file(str(ROOT / CONFIG["bibtex_bibfiles"][0])).entries)


def cited(keys: str, *, in_text: bool) -> str:
    """References as links to what they refer to: ([Hinton et al., 2012](...)), or [Hinton et al. (2012)](...) in a text."""
    links = []
    for key in keys.split(","):
        entry = references()[key.strip()]
        names = [" ".join(person.last_names).strip("{}") for person in entry.persons["author"]]
        who = names[0] + ("" if len(names) == 1 else f" and {names[1]}" if len(names) == 2 else " et al.")
        year = entry.fields["year"]
        where = entry.fields.get("url") or in_book("book/bibliography.md")
        links.append(f"[{who} ({year})]({where})" if in_text else f"[{who}, {year}]({where})")
    return ", ".join(links) if in_text else f"({'; '.join(links)})"


def role(name: str, content: str, page: str) -> str:
    """A role in plain Markdown."""
    text, target = re.fullmatch(r"(.*?)(?:\s*<(.+)>)?", content, re.DOTALL).groups()
    if name in ("cite", "cite:p", "cite:t"):
        return cited(content, in_text=name == "cite:t")
    if name == "term":
        return text
    if name == "doc":
        return f"[{text}]({in_book(target or text, page)})"
    raise ValueError(f"{page}: the role {name} has no plain form; give it one in book/plain.py")


def quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def block(info: str, content: str, page: str) -> str:
    """A directive in plain Markdown."""
    name, _, title = info.partition(" ")
    name = name.strip("{}")
    options = dict(re.findall(r"^:([\w-]+): *(.*)$", (re.match(r"(?::.*\n)*", content) or [""])[0], re.MULTILINE))
    body = markdown(re.sub(r"\A(?::.*(?:\n|\Z))*", "", content).strip("\n"), page)
    if name == "prediction":
        wanted = f"*A number from {options['number']}.*" if "number" in options else ""
        if "curve" in options:
            wanted = f"*A curve over {options['axis']} ({options['curve']}), from {options['height']}.*"
        wanted = wanted.replace(" %", "%")
        ask = "*Answer before you go on; what came out stands below.*"
        return quoted("\n\n".join(filter(None, [f"**Predict: {title}**", body, wanted, ask])))
    if name == "exercise":
        return f"### Exercise {title}\n\n{body}"
    if name == "prf:theorem":
        return quoted(f"**Theorem ({title}).** {body}")
    if name == "prf:proof":
        return quoted(f"**Proof.** {body} ∎")
    if name in BOXES:
        return quoted(f"**{BOXES[name].format(title=title)}**\n\n{body}")
    raise ValueError(f"{page}: the directive {name} has no plain form; give it one in book/plain.py")


def inline(token: Token, text: str, page: str) -> str:
    """The lines of a paragraph, a heading or a table's cell, with roles and links in plain form."""
    for child in token.children or []:
        if child.type == "myst_role":
            name = child.meta["name"]
            pattern = rf"\{{{re.escape(name)}\}}(`+){re.escape(child.content)}\1"
            pattern = pattern.replace(r"\ ", r"\s+").replace("\\\n", r"\s+")
            plain = role(name, child.content, page)
            text = re.sub(pattern, lambda _, plain=plain: plain, text)
        elif child.type in ("link_open", "image"):
            address = str(child.attrs.get("href", child.attrs.get("src")))
            text = text.replace(f"]({address}", f"]({in_book(address, page)}")
    return text


def markdown(source: str, page: str) -> str:
    """MyST as plain Markdown. Math, tables and code stay as they are."""
    lines = source.splitlines()
    edits: list[tuple[int, int, str]] = []
    cells: dict[tuple[int, int], str] = {}  # cells of a table share their lines
    for token in parser().parse(source):
        if token.map is None:
            continue
        start, end = token.map
        if token.type in ("colon_fence", "fence") and token.info.startswith("{"):
            edits.append((start, end, block(token.info.strip(), token.content, page)))
        elif token.type in ("myst_target", "myst_line_comment", "myst_block_break"):
            edits.append((start, end, ""))
        elif token.type == "math_block_label":
            edits.append((end - 1, end, re.sub(r"\$\$\s*\(.+\)\s*$", "$$", lines[end - 1])))
        elif token.type == "inline":
            cells[start, end] = inline(token, cells.get((start, end), "\n".join(lines[start:end])), page)
    edits += [(start, end, text) for (start, end), text in cells.items()]
    for start, end, text in sorted(edits, reverse=True):
        lines[start:end] = text.splitlines()
    return "\n".join(lines)


def pictured(html: str) -> str:
    """Drawings as pictures that say the same: a host that does not trust a notebook leaves out what is drawn in place."""

    def picture(found: re.Match[str]) -> str:
        head = dict(re.findall(r'([\w-]+)="([^"]*)"', found[1]))
        drawing = found[0].replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" color="#808080"', 1)
        drawing = drawing.replace('font-family="inherit"', 'font-family="sans-serif"')
        width, height = head["viewBox"].split()[2:]
        source = b64encode(drawing.encode()).decode()
        size = f'width="{width}" height="{height}" style="{head["style"]}"'
        return f'<img alt="{head["aria-label"]}" {size} src="data:image/svg+xml;base64,{source}">'

    return html if "<script" in html else re.sub(r'<svg (role="img"[^>]*)>.*?</svg>', picture, html, flags=re.DOTALL)


def output(found: NotebookNode, count: int | None = None) -> NotebookNode:
    """What needs no kernel to be seen, under the number of its cell; of a figure, the picture that every host shows."""
    data = found.get("data", {})
    data.pop(WIDGET, None)
    if "image/png" in data:
        data.pop("text/html", None)
    if "text/html" in data:
        data["text/html"] = pictured(data["text/html"])
    if found.output_type == "execute_result":
        found.execution_count = count
    return found


def plain(chapter: NotebookNode, page: str) -> NotebookNode:
    """A chapter that was run, as a plain notebook; ``page`` is its name in the book."""
    captioned = []
    for number, cell in enumerate(chapter.cells):
        captioned.append(cell)
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown":
            cell.source = markdown(cell.source, page)
            if number == 0:
                book = f"[{CONFIG['title']}]({in_book(f'{page}.ipynb')})"
                cell.source += f"\n\n*From the book {book}, version {VERSION}.*"
            continue
        cell.outputs = [] if "remove-output" in tags else [output(each, cell.execution_count) for each in cell.outputs]
        if tags & HIDDEN and "%pip" not in cell.source:  # what must be run first is to be seen
            cell.metadata["jupyter"] = {"source_hidden": True}
        if caption := cell.metadata.get("mystnb", {}).get("figure", {}).get("caption"):
            captioned.append(new_markdown_cell(f"*Figure.* {markdown(caption, page)}", id=f"{cell.id}-caption"))
    chapter.cells = captioned
    chapter.metadata.pop("widgets", None)
    nbformat.validate(chapter)
    return chapter


def chapters() -> Iterator[Path]:
    yield from sorted(ROOT.glob("chapters/*.ipynb"))


def write(folder: Path) -> None:
    """Write the plain notebook of every chapter, which has been run, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in chapters():
        run = outputs.executed(path)
        if run is None:
            raise LookupError(f"{path.name} was not run: make book runs it")
        nbformat.write(plain(run, f"chapters/{path.stem}"), folder / path.name)


def main() -> None:
    from build import execute

    outputs.refresh()
    execute([path for path in chapters() if outputs.executed(path) is None])
    write(PLAIN)
    print(f"Plain notebooks of version {VERSION} are in {PLAIN.relative_to(ROOT)}, to be put on the branch {BRANCH}.")


if __name__ == "__main__":
    main()
