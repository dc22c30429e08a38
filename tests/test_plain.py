"""Plain notebooks of the chapters: as any host shows them, with the same code, and with links that lead somewhere."""

from __future__ import annotations

import re
import runpy
from base64 import b64decode
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import plain
import pytest
from docutils.utils import new_document
from markdown_it import MarkdownIt
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from dropout_lessons.claims import Anatomy, Claims, check, sampled

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def pair(request: pytest.FixtureRequest) -> tuple[NotebookNode, NotebookNode]:
    """A chapter, and its plain notebook."""
    chapter = nbformat.read(request.param, as_version=4)
    return chapter, plain.plain(nbformat.read(request.param, as_version=4), f"chapters/{request.param.stem}")


def prose(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_no_markup_of_the_book_is_left(pair):
    text = re.sub(r"```.*?```|`[^`\n]+`", "", prose(pair[1]), flags=re.DOTALL)
    left = re.findall(r":::|\{[\w:-]+\}`|\{\{.*?\}\}|^\([\w-]+\)=|^:[\w-]+:.*|^%.*|\{[.#]\w+\}", text, re.MULTILINE)
    assert left == []
    assert not re.search(r"\{[\w:]+\}`", prose(pair[1])), "a role is left"


def test_code_and_the_order_of_cells_are_those_of_the_chapter(pair):
    chapter, notebook = pair
    kept = [cell for cell in notebook.cells if not cell.id.endswith("-caption")]
    assert [(cell.id, cell.cell_type) for cell in kept] == [(cell.id, cell.cell_type) for cell in chapter.cells]
    for before, after in zip(chapter.cells, kept, strict=True):
        if before.cell_type == "code":
            assert after.source == before.source


def test_a_figure_is_a_picture_with_its_caption_below(pair):
    for cell, below in pairwise(pair[1].cells):
        caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
        assert (below.cell_type == "markdown" and below.source.startswith("*Figure.* ")) == bool(caption)
    picture = new_output("display_data", data={"text/html": "<svg></svg>", "image/png": "iVBO"})
    assert plain.output(picture).data == {"image/png": "iVBO"}


def test_math_is_left_as_it_is(pair):
    chapter, notebook = (re.sub(r"\[[^\]]*\]\([^)]*\)", "", prose(each)) for each in pair)
    math = re.compile(r"\$\$.*?\$\$", re.DOTALL)
    blocks = [re.sub(r"\s+", "", each) for each in math.findall(chapter)]
    assert [re.sub(r"[\s>]+", "", each) for each in math.findall(notebook)] == [
        each.replace(">", "") for each in blocks
    ]
    assert notebook.count("$") == chapter.count("$")


def anchors(page: Path) -> set[str]:
    """What a link into a page may name: headings and labels."""
    text = prose(nbformat.read(page, as_version=4)) if page.suffix == ".ipynb" else page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)", text, re.MULTILINE)
    slugs = [re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings]
    return {*slugs, *re.findall(r"^\((.+)\)=$", text, re.MULTILINE), *re.findall(r"^:label: (\S+)", text, re.MULTILINE)}


def test_every_link_leads_to_a_page_of_the_book_or_to_a_reference(pair):
    base = plain.CONFIG["html"]["baseurl"]
    references = {entry.fields.get("url") for entry in plain.references().values()}
    found = [
        str(child.attrs["href"])
        for token in MarkdownIt("commonmark").enable("table").parse(prose(pair[1]))
        for child in token.children or []
        if child.type == "link_open"
    ]
    assert found
    for address in found:
        if not address.startswith(base):
            assert address in references, f"{address} leads nowhere that is known"
            continue
        page, _, anchor = address.removeprefix(base).partition("#")
        sources = [path for suffix in (".md", ".ipynb") if (path := ROOT / page.replace(".html", suffix)).exists()]
        assert sources, f"{address} is no page of the book"
        assert not anchor or anchor in anchors(sources[0]), f"{address} names no heading or label"


def test_predictions_exercises_citations_and_proofs_are_what_any_host_knows():
    text = """:::{prediction} a sweep
:curve: 0.2, 1
:axis: p
:height: 0 to 40 %

Draw *it*, says {cite:t}`srivastava2014dropout`.
:::

:::{exercise} x-1, core: an exercise
:label: x-1
See [the chapter](03_training_with_dropout.ipynb#summary) {cite}`hinton2012improving,
srivastava2014dropout`.
:::

| a | b |
| --- | --- |
| {cite}`hinton2012improving` | [ledger](../book/ledger.md) |
"""
    base = plain.CONFIG["html"]["baseurl"]
    hinton = "[Hinton et al., 2012](https://arxiv.org/abs/1207.0580)"
    paper = "https://jmlr.org/papers/v15/srivastava14a.html"
    assert (
        plain.markdown(text, "chapters/01_x")
        == f"""> **Predict: a sweep**
>
> Draw *it*, says [Srivastava et al. (2014)]({paper}).
>
> *A curve over p (0.2, 1), from 0 to 40%.*
>
> *Answer before you go on; what came out stands below.*

### Exercise x-1, core: an exercise

See [the chapter]({base}chapters/03_training_with_dropout.html#summary) ({hinton}; [Srivastava et al., 2014]({paper})).

| a | b |
| --- | --- |
| ({hinton}) | [ledger]({base}book/ledger.html) |"""
    )


@pytest.mark.parametrize("text", [":::{mystery} box\n:::", "See {mystery}`this`."])
def test_what_has_no_plain_form_stops_the_making(text):
    with pytest.raises(ValueError, match="mystery has no plain form"):
        plain.markdown(text, "chapters/01_x")


def test_the_cell_that_must_be_run_first_is_open(pair):
    first = next(cell for cell in pair[1].cells if cell.cell_type == "code")
    assert "%pip" in first.source
    assert "source_hidden" not in first.metadata.get("jupyter", {})


def test_outputs_stay_without_what_needs_a_kernel():
    data = {"text/plain": "a widget", "text/html": "<script>1</script>", plain.WIDGET: {"model_id": "1"}}
    shown = new_code_cell(
        "show", metadata={"tags": ["remove-input"]}, outputs=[new_output("display_data", data=dict(data))]
    )
    silent = new_code_cell("check", metadata={"tags": ["remove-output"]}, outputs=[new_output("stream", text="no")])
    notebook = new_notebook(cells=[new_markdown_cell("# T"), shown, silent], metadata={"widgets": {"state": {}}})
    _, shown, silent = plain.plain(notebook, "chapters/01_x").cells
    assert shown.outputs[0].data == {"text/plain": "a widget", "text/html": "<script>1</script>"}
    assert shown.metadata.jupyter.source_hidden
    assert silent.outputs == []
    assert "widgets" not in notebook.metadata


def test_what_a_claim_draws_is_a_picture_that_also_untrusting_hosts_show():
    judged = check("The mean is above 0", sampled([0.2, 0.1, 0.3, 0.2, 0.1]), above=0)
    for shown in (judged, Claims([judged, judged]), Anatomy(judged)):
        html = shown._repr_html_()
        data = {"text/html": html}
        made = plain.output(new_output("display_data", data))["data"]["text/html"]
        pictures = re.findall(r'<img alt="([^"]+)"[^>]* src="data:image/svg\+xml;base64,([^"]+)">', made)
        assert "<svg" not in made
        assert [alt for alt, _ in pictures] == re.findall(r'<svg role="img"[^>]* aria-label="([^"]+)"', html)
        for _, source in pictures:
            assert ElementTree.fromstring(b64decode(source)).tag == "{http://www.w3.org/2000/svg}svg"


def test_an_interactive_keeps_the_drawings_that_its_script_moves():
    html = '<svg role="img" aria-label="a" width="1"></svg><script>move()</script>'
    assert plain.pictured(html) == html


def test_a_chapter_has_a_button_for_colab_one_for_kaggle_and_one_to_take_it_along():
    add_buttons = runpy.run_path(str(ROOT / "book/_ext/notebooks.py"))["add_buttons"]
    launch = [{"url": "https://colab.research.google.com/github/o/n/blob/main/01_x.ipynb"}, {"url": "https://b.org"}]
    context = {"header_buttons": [{"buttons": launch}], "pathto": lambda name, _: name}
    add_buttons(None, "chapters/01_x", "", context, new_document("x"))
    group, download = context["header_buttons"]
    address = f"{plain.CONFIG['repository']['url']}/blob/{plain.BRANCH}/01_x.ipynb"
    assert [button["url"] for button in group["buttons"]] == [
        plain.on_colab("01_x"),
        "https://b.org",
        f"https://www.kaggle.com/kernels/welcome?src={address}",
    ]
    assert download["url"] == "notebooks/01_x.ipynb"


def test_colab_opens_the_release_that_the_first_cell_installs(pair):
    installed = re.search(r"@v([\d.]+)", pair[1].cells[1].source)[1]
    assert f"notebooks-v{installed}" == plain.BRANCH
    assert f"/blob/{plain.BRANCH}/01_x.ipynb" in plain.on_colab("01_x")
