"""Look for solutions in what becomes public: pieces of them, however they are formatted, packed, encoded or renamed."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dropout_lessons.exercises import Coded, Exercise, bank
from dropout_lessons.grading.contents import texts
from dropout_lessons.grading.similar import nameless
from dropout_lessons.grading.solutions import answers

SHORTEST = 8  # tokens or words; shorter lines say what everybody would
SHORTEST_ANSWER = 5  # tokens of a line that gives the answer its value
SHORTEST_RENAMED = 24  # tokens of a piece that is found under other names
_VARIANTS = 10  # of an exercise's constants that are looked for
_IGNORED = re.compile(r"[\s,()'\"`\\“”‘’]+")  # what formatters and typesetters add, drop or change
_COMPILED = (".pyc", ".pyo", ".so", ".pyd")
_KEPT = {
    *keyword.kwlist,
    *dir(builtins),
    *["torch", "nn", "F", "np", "numpy", "math", "self"],
}  # names that nobody changes


@dataclass(frozen=True)
class Leak:
    """A piece of a solution that stands in a public file."""

    file: Path
    exercise: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: has a line of the solution of {self.exercise}: {self.text}"


@dataclass(frozen=True)
class _Piece:
    """A part of a solution.

    Attributes:
        exercise: Whose solution.
        tokens: What is compared.
        text: As it reads.
        renamed: Whether names stand for any others.
    """

    exercise: str
    tokens: tuple[str, ...]
    text: str
    renamed: bool = False

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """The tokens, without their names where these stand for any others."""
        return _nameless(self.tokens) if self.renamed else self.tokens

    def has_names_of(self, tokens: tuple[str, ...]) -> bool:
        """Whether tokens that compare alike have the same names or, each always for the same one, others."""
        if not self.renamed:
            return True
        pairs = {pair for pair in zip(self.tokens, tokens, strict=True) if pair[0].isidentifier()}
        return len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)


def leaks(solutions: Iterable[Path], tree: Path) -> list[Leak]:
    """Pieces of solutions in the files of a folder: each line, statement and whole answer, however it is formatted.

    Read are the texts of files and of what can be unpacked: archives, PDF, comments of pictures, base64; with and without
    markup and escapes; and longer pieces also under other names. What an exercise itself says in public, in its prompt or
    its stub, is no leak. Compiled code cannot be searched, so it counts as one.

    Args:
        solutions: Files of ``instructor/``.
        tree: A source tree or a built book.
    """
    solutions = list(solutions)
    wanted = {code: _index(_pieces(solutions, code=code)) for code in (True, False)}
    found: dict[Leak, None] = {}
    for path in sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(tree)
        if path.suffix in _COMPILED:
            found[Leak(name, "any exercise", "compiled code, which cannot be searched")] = None
            continue
        seen: set[str] = set()
        for text in texts(path):
            if text in seen:
                continue
            seen.add(text)
            for code, index in wanted.items():
                for piece in _search(_tokens(text, code=code), index, renamed=code):
                    found[Leak(name, piece.exercise, piece.text)] = None
    return list(found)


def _pieces(solutions: Iterable[Path], *, code: bool) -> Iterator[_Piece]:
    for path in solutions:
        if (path.suffix == ".py") != code:
            continue
        exercise = bank().get(path.stem)
        public = _tokens(_public(exercise), code=code) if exercise else ()
        said = " ".join(public)
        said_nameless = " ".join(_nameless(public))
        for answer in answers(path):
            if not answer.is_solution:
                continue
            text = re.sub(r"(?m)(^|\s)#\s.*$", "", answer.text) if code else answer.text
            fillings = [exercise.fill(text, variant) for variant in range(_VARIANTS)] if exercise else [text]
            for filled in dict.fromkeys(fillings):
                for part in dict.fromkeys(_parts(filled, code=code)):
                    tokens = _tokens(part, code=code)
                    shown = " ".join(part.split())[:100]
                    if len(tokens) >= _shortest(exercise, tokens) and " ".join(tokens) not in said:
                        yield _Piece(path.stem, tokens, shown)
                    if code and len(tokens) >= SHORTEST_RENAMED and " ".join(_nameless(tokens)) not in said_nameless:
                        yield _Piece(path.stem, tokens, shown, renamed=True)


def _shortest(exercise: Exercise | None, tokens: tuple[str, ...]) -> int:
    """A line that gives the answer its value is one at any length."""
    is_answer = isinstance(exercise, Coded) and tokens[:2] == (exercise.answer, "=")
    return SHORTEST_ANSWER if is_answer else SHORTEST


def _parts(text: str, *, code: bool) -> Iterator[str]:
    """Lines, what is longer than a line and belongs together, and (of code) the whole."""
    yield from text.splitlines()
    if code:
        yield from re.split(r"\n(?!\s|[)\]}])", text)  # statements of the outermost level
        yield text
    else:
        for paragraph in re.split(r"\n\s*\n|\|", text):
            yield from re.split(r"(?<=[.?!:])\s", paragraph)


def _public(exercise: Exercise) -> str:
    parts = [exercise.prompt, *((exercise.given, exercise.stub) if isinstance(exercise, Coded) else ())]
    return "\n".join(exercise.fill(part, variant) for variant in range(_VARIANTS) for part in parts)


def _tokens(text: str, *, code: bool) -> tuple[str, ...]:
    text = _IGNORED.sub(" ", text)
    return tuple(re.findall(r"\w+|[^\w\s]", text) if code else re.findall(r"\w+", text.lower()))


def _nameless(tokens: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(nameless(tokens, kept=_KEPT))


def _index(pieces: Iterable[_Piece]) -> dict[bool, dict[tuple[str, ...], list[_Piece]]]:
    index: dict[bool, dict[tuple[str, ...], list[_Piece]]] = {False: {}, True: {}}
    for piece in pieces:
        index[piece.renamed].setdefault(piece.compared[:SHORTEST_ANSWER], []).append(piece)
    return index


def _search(
    tokens: tuple[str, ...], index: dict[bool, dict[tuple[str, ...], list[_Piece]]], *, renamed: bool
) -> Iterator[_Piece]:
    for kind in (False, True) if renamed else (False,):
        compared = _nameless(tokens) if kind else tokens
        firsts = {head[0] for head in index[kind]}
        for start, token in enumerate(compared):
            if token in firsts:
                for piece in index[kind].get(compared[start : start + SHORTEST_ANSWER], ()):
                    place = slice(start, start + len(piece.tokens))
                    if compared[place] == piece.compared and piece.has_names_of(tokens[place]):
                        yield piece
