"""Publishing: an export without solutions, refused where one is found, and nothing lost."""

import base64
import gzip
import io
import json
import os
import tarfile
import zipfile
import zlib
from pathlib import Path

import nbformat
import pytest
import torch
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from repositories import commit, git, private_repository

from dropout_lessons.cli import main
from dropout_lessons.exercises import Coded, bank
from dropout_lessons.grading import publish
from dropout_lessons.grading.leaks import leaks
from dropout_lessons.grading.solutions import answers

CODE = """# %% reference
import torch

def shared_dropout(x, keep_prob):
    coins = torch.empty_like(x[0]).uniform_() < keep_prob
    return x.masked_fill(~coins, 0) / keep_prob

# %% correct: otherwise
shared_dropout = lambda x, keep_prob: torch.nn.functional.dropout1d(x.mT, 1 - keep_prob).mT

# %% wrong: unscaled: nothing is divided
shared_dropout = lambda x, keep_prob: x * (torch.rand(x.shape[1]) < keep_prob).to(x.dtype)
"""
PROSE = """# Reference

The first arm wins because its learning rate was tuned on the very images
on which it is judged afterwards. The other arm had no such luck.

# Correct: short

Whoever tunes on what is reported reports how well it was tuned.

# Wrong: beside the point

The second arm has fewer parameters than the first, and so it must be worse.

# Rubric

| points | what earns them |
| --- | --- |
| 4 | says that the images of tuning and of judging are the same |
"""
LINE = "coins = torch.empty_like(x[0]).uniform_() < keep_prob"


@pytest.fixture
def solutions(tmp_path):
    folder = tmp_path / "solutions"
    folder.mkdir()
    (folder / "training-1.py").write_text(CODE)
    (folder / "training-4.md").write_text(PROSE)
    return sorted(folder.iterdir())


def notebook(cell):
    return nbformat.writes(new_notebook(cells=[cell]))


def highlighted(line):
    return "<pre>" + " ".join(f'<span class="n">{word.replace("<", "&lt;")}</span>' for word in line.split()) + "</pre>"


ENCODED = base64.b64encode(LINE.encode()).decode()
LEAKS = {
    "as it is": ("src/layers.py", f"def f(x):\n    {LINE}\n"),
    "reformatted": (
        "src/layers.py",
        "coins = (\n    torch.empty_like(\n        x[0],\n    ).uniform_()\n    < keep_prob\n)\n",
    ),
    "in a comment": ("src/layers.py", f"# {LINE}\n"),
    "a whole function whose lines are short": (
        "src/layers.py",
        "import torch\ndef shared_dropout(x,keep_prob):\n  coins=torch.empty_like(x[0]).uniform_()<keep_prob",
    ),
    "the other right answer": (
        "src/layers.py",
        "return torch.nn.functional.dropout1d(x.mT, 1 - keep_prob).mT; shared_dropout = lambda x, keep_prob: "
        "torch.nn.functional.dropout1d(x.mT, 1-keep_prob).mT",
    ),
    "in a code cell": ("chapters/03.ipynb", notebook(new_code_cell(f"x = 1\n{LINE}"))),
    "in an output": ("chapters/03.ipynb", notebook(new_code_cell("1", outputs=[new_output("stream", text=LINE)]))),
    "in a notebook's metadata": ("chapters/03.ipynb", notebook(new_code_cell("1", metadata={"solution": LINE}))),
    "in an attachment": (
        "chapters/03.ipynb",
        notebook(new_markdown_cell("see", attachments={"a.txt": {"text/plain": ENCODED}})),
    ),
    "highlighted": ("html/page.html", highlighted(LINE)),
    "in an attribute": ("html/page.html", f'<div data-solution="{LINE.replace("<", "&lt;")}"></div>'),
    "in copied sources": ("html/_sources/03.ipynb", notebook(new_code_cell(LINE))),
    "in a script": ("html/searchindex.js", json.dumps({"text": f"a\n{LINE}\nb"})),
    "a line of prose": ("book/page.md", "The first arm wins because its learning rate was tuned on the very images"),
    "a sentence, broken elsewhere": (
        "book/page.md",
        "Whoever *tunes* on what is\nreported\nreports how well it was tuned!",
    ),
    "a sentence over two lines": (
        "book/page.md",
        "On\nthe first arm wins because its\nlearning rate was tuned on the very images on which it is judged afterwards.",
    ),
    "a rubric": ("html/page.html", "<td>says that the images of tuning and of judging are the <b>same</b></td>"),
}


RENAMED = (
    CODE.split("# %%")[1].split("\n", 1)[1].replace("coins", "kept").replace("keep_prob", "p").replace("x", "inputs")
)


def zipped(data, name="notes.txt"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def torch_file(text):
    buffer = io.BytesIO()
    torch.save({"note": text}, buffer)
    return buffer.getvalue()


def figure(kind, **options):
    buffer = io.BytesIO()
    drawn = Figure()
    drawn.text(0.1, 0.5, LINE, fontsize=6)
    drawn.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def tarred(data):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("notes.txt")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def compressed_comment(line):
    png = figure("png")
    body = b"Comment\0\0" + zlib.compress(line)
    chunk = len(body).to_bytes(4, "big") + b"zTXt" + body + zlib.crc32(b"zTXt" + body).to_bytes(4, "big")
    return png[:33] + chunk + png[33:]


SECRET = LINE.encode()
SHOWN = new_output("display_data", {"text/html": highlighted(LINE)})
PACKED = {
    "under other names": ("src/layers.py", RENAMED.encode()),
    "in a zip": ("data/a.zip", zipped(SECRET)),
    "in a zip in a zip": ("data/a.zip", zipped(zipped(SECRET), "b.zip")),
    "compressed": ("data/a.txt.gz", gzip.compress(SECRET)),
    "in a tar": ("data/a.tar.gz", tarred(SECRET)),
    "in saved tensors": ("data/a.pt", torch_file(LINE)),
    "in a PDF": ("book/a.pdf", figure("pdf")),
    "in a picture's metadata": ("book/a.png", figure("png", metadata={"Comment": LINE})),
    "in compressed metadata": ("book/a.png", compressed_comment(SECRET)),
    "as highlighted output": ("chapters/03.ipynb", notebook(new_code_cell("1", outputs=[SHOWN])).encode()),
    "escaped in a script": ("html/a.js", "".join(f"\\u{ord(c):04x}" for c in LINE).encode()),
    "escaped by bytes": ("html/a.js", "".join(f"\\x{ord(c):02x}" for c in LINE).encode()),
    "as UTF-16": ("book/a.txt", LINE.encode("utf-16")),
    "as UTF-16 without a mark": ("book/a.txt", LINE.encode("utf-16-le")),
    "as base64": ("html/a.html", b"<a href='data:text/plain;base64," + base64.b64encode(SECRET) + b"'>"),
    "compressed, as base64": ("html/a.html", base64.b64encode(gzip.compress(b"\n".join([SECRET] * 3)))),
    "compiled": ("src/__pycache__/a.pyc", b"\0\0"),
}


@pytest.mark.parametrize("leak", PACKED)
def test_a_leak_is_found_in_whatever_can_be_unpacked(tmp_path, solutions, leak):
    name, data = PACKED[leak]
    path = tmp_path / "tree" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert {str(one.file) for one in leaks(solutions, tmp_path / "tree")} == {name}


def test_a_short_line_that_gives_an_answer_its_value_is_a_leak(tmp_path):
    exercise = next(one for one in bank().values() if isinstance(one, Coded) and f"{one.answer} = " in one.stub)
    (tmp_path / f"{exercise.id}.py").write_text(f"# %% reference\n{exercise.answer} = 3 / 7\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "page.md").write_text(f"so `{exercise.answer} = 3/7` it is")
    assert len(leaks([tmp_path / f"{exercise.id}.py"], tmp_path / "tree")) == 1


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-1.4 stream\nxendstream", b"\x89PNG\r\n\x1a\n\0", b""]
)
def test_a_damaged_file_stops_nothing(tmp_path, solutions, data):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.bin").write_bytes(data)
    assert leaks(solutions, tmp_path / "tree") == []


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(tmp_path, solutions, leak):
    name, text = LEAKS[leak]
    path = tmp_path / "tree" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = leaks(solutions, tmp_path / "tree")
    assert found, leak
    assert {str(one.file) for one in found} == {name}


@pytest.mark.parametrize(
    "text",
    [
        "return x * mask / keep_prob",  # what everybody writes
        "import torch\n\ndef shared_dropout(x, keep_prob):\n    raise NotImplementedError",  # the stub
        "shared_dropout = lambda x, keep_prob: x * (torch.rand(x.shape[1]) < keep_prob).to(x.dtype)",  # wrong answers
        "The second arm has fewer parameters than the first, and so it must be worse.",
        "The first arm wins.",
    ],
)
def test_what_gives_nothing_away_may_be_published(tmp_path, solutions, text):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "page.md").write_text(text)
    assert leaks(solutions, tmp_path / "tree") == []


@pytest.fixture
def repository(tmp_path):
    contents = {"README.md": "Lessons\n", "src/old.py": "x = 1\n", "instructor/training-1.py": CODE}
    return private_repository(tmp_path / "private", contents)


def exported(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and ".git/" not in str(path)
    )


def test_an_export_has_everything_but_the_solutions(tmp_path, repository, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    assert main(["publish", "../public"]) == 0
    assert exported(tmp_path / "public") == [".gitattributes", ".gitignore", "README.md", "src/old.py"]
    assert "4 files in ../public, and no solution among them" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["private", "public"]  # nothing is left aside


def test_an_export_needs_no_newer_python_than_debians(tmp_path, repository, monkeypatch):
    unpack = tarfile.TarFile.extractall
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda tar, path: unpack(tar, path))
    assert publish(tmp_path / "public", root=repository) == 4


def test_a_leak_stops_publishing_and_names_the_place(tmp_path, repository, capsys, monkeypatch):
    (repository / "src/layers.py").write_text(f"{LINE}\n")
    (repository / "_build/html/page.html").write_text(highlighted(LINE))
    commit(repository)
    monkeypatch.chdir(repository)
    assert main(["publish", "../public"]) == 2
    said = capsys.readouterr().err
    assert "src/layers.py: has a line of the solution of training-1: coins = torch" in said
    assert "page.html: has a line of the solution of training-1" in said
    assert not (tmp_path / "public").exists()


def test_a_clone_follows_and_keeps_what_git_ignores(tmp_path, repository):
    clone = tmp_path / "public"
    publish(clone, root=repository)
    git(clone, "init", "-q")
    commit(clone)
    (clone / "_build").mkdir()
    (clone / "_build/kept.txt").write_text("ignored")
    (repository / "src/old.py").unlink()
    (repository / "new").mkdir()
    (repository / "new/file.py").write_text("y = 2\n")
    commit(repository)
    assert publish(clone, root=repository) == 4
    assert git(clone, "status", "--porcelain", "--untracked-files=all").split() == [
        "D",
        "src/old.py",
        "??",
        "new/file.py",
    ]
    assert not (clone / "src").exists()
    assert (clone / "_build/kept.txt").read_text() == "ignored"


def uncommitted(root):
    (root / "README.md").write_text("changed")


def unmarked(root):
    (root / ".gitattributes").write_text("")
    commit(root)


def unbuilt(root):
    (root / "_build/html/index.html").unlink()


def outdated(root):
    os.utime(root / "src/old.py", (2e9, 2e9))


def unsolved(root):
    (root / "instructor/training-1.py").unlink()
    commit(root)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (uncommitted, r"must have no changes.*commit these:\n.*README.md"),
        (unmarked, "must be marked export-ignore"),
        (unbuilt, "is not there; run `make book`"),
        (outdated, "older than src/old.py"),
        (unsolved, "an export has no solutions to hide"),
    ],
)
def test_a_repository_that_is_not_ready_is_refused(tmp_path, repository, spoil, message):
    spoil(repository)
    with pytest.raises(ValueError, match=message):
        publish(tmp_path / "public", root=repository)
    assert not (tmp_path / "public").exists()


def test_nothing_that_is_there_is_lost(tmp_path, repository):
    mine = tmp_path / "public" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(ValueError, match="must be new, empty or a clone"):
        publish(mine.parent, root=repository)
    git(mine.parent, "init", "-q")
    with pytest.raises(ValueError, match=r"has changes that would be lost; commit them:\n\?\? mine.txt"):
        publish(mine.parent, root=repository)
    with pytest.raises(ValueError, match="outside of the repository"):
        publish(repository / "public", root=repository)
    with pytest.raises(ValueError, match="at the top of the repository"):
        publish(tmp_path / "elsewhere", root=repository / "src")
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# %% reference\nx = 1\n# %% corect: y\n", "got 'corect: y'"),
        ("# %% correct: first\nx = 1\n", "must begin with its reference, got 'first'"),
        ("x = 1\n", "got 'no heading'"),
        ("# %% reference\nx = 1\n# %% wrong: code\n", "got 'wrong: code'"),
    ],
)
def test_a_file_of_answers_in_another_form_is_refused(tmp_path, text, message):
    path = Path(tmp_path, "training-1.py")
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        answers(path)
