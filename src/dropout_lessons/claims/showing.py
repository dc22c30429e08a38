"""Judgements on a page: for each a line of text, with its interval drawn against what was required.

The styles are inline and the colors the page's own or of middle lightness, so that the same HTML reads on a light page, a
dark one, on paper and in a notebook, without a script.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from dropout_lessons.claims.natural import Natural, in_natural_units, typeset

__all__ = ["BACK", "CODE", "Anatomy", "Claims", "as_html", "key_of"]

if TYPE_CHECKING:
    from dropout_lessons.claims.judging import Judgement

#: Stands at the end of the fold, where a book puts the code of the cell.
CODE = "<!-- code of the cell -->"
#: Stands after the numbers of a claim, where a book says how often it came back with fresh seeds.
BACK = "<!-- came back: {key} -->"
WIDTH, HEIGHT = 120, 20
HOLDS, FORBIDDEN, UNDECIDED = "#2a8f6a", "#c8503c", "#a8811f"
LIVE = "Computed by this code when the page was made; had it failed, there would be no page."
RECORDED = (
    "From recorded results of an experiment, judged when the page was made; had it failed, there would be no page."
)
THREAD = "By a thread: the interval ends within a tenth of its half width of the bound."
FIRST_WORDS = 5  # of a claim, by which its fold names it
LINE = "rgba(128, 128, 128, 0.3)"
BESIDE = "gap: 0.5em; align-items: center; max-width: 100%; line-height: 1.3; font-size: 0.92em"


@dataclass(frozen=True, repr=False)
class Claims:
    """Several judgements as one figure: a line each, on one axis where they share a unit.

    Attributes:
        judgements: Made by ``check`` or ``judge``. In a mapping each goes by its key instead of its statement.

    Example:
        >>> from dropout_lessons.claims import check, sampled
        >>> sums = [check("The mean is positive", sampled([0.2, 0.1, 0.3, 0.2, 0.1]), above=0)]
        >>> Claims(sums)
        Checked claim: The mean is positive (effect 0.18, 95% interval [0.08, 0.28], 5 draws; required: above 0)
    """

    judgements: Sequence[Judgement] | Mapping[str, Judgement]

    def __post_init__(self) -> None:
        if not self.judgements:
            raise ValueError(f"judgements must hold at least one, got {self.judgements!r}")

    def __repr__(self) -> str:
        found = self.judgements.values() if isinstance(self.judgements, Mapping) else self.judgements
        return "\n".join(map(repr, found))

    def _repr_html_(self) -> str:
        if isinstance(self.judgements, Mapping):
            return as_html(list(self.judgements.values()), list(self.judgements))
        return as_html(self.judgements)


@dataclass(frozen=True, repr=False)
class Anatomy:
    """The drawing of a claim, larger, with its parts named: for the first one that a reader meets.

    Attributes:
        judgement: Made by ``check`` or ``judge``, with an interval and one bound.
    """

    judgement: Judgement

    def __post_init__(self) -> None:
        if self.judgement.evidence.atol is not None or not any(map(math.isinf, self.judgement.limits)):
            raise ValueError(f"judgement must have an interval and one bound, got {self.judgement!r}")

    def __repr__(self) -> str:
        return repr(self.judgement)

    def _repr_html_(self) -> str:
        words = in_natural_units(self.judgement.evidence, self.judgement.limits, self.judgement.holds)
        low, high = _range(self.judgement)
        bound = next(filter(math.isfinite, self.judgement.limits))
        mean, tick = (round(340 * (value - low) / (high - low), 1) for value in (self.judgement.effect, bound))
        left = tick < mean  # where the forbidden side is
        edge, anchor = (0, "start") if left else (340, "end")
        drawing = _drawing(self.judgement, words, (low, high), (340, 36))
        inner = drawing[drawing.index(">") + 1 : drawing.rindex("</svg>")]
        label = '<text x="{}" y="{}" text-anchor="{}" fill="currentColor">{}</text>'
        at = min(max(mean, 95), 245)
        return (
            '<svg role="img" viewBox="0 0 340 92" font-size="12.5" font-family="inherit" '
            f'aria-label="The same drawing, larger. {escape(_spoken(words))}" '
            'style="display: block; width: 100%; max-width: 30em; height: auto; margin: 0.5em 0">'
            f"{label.format(at, 14, 'middle', f'bar: 95% interval {escape(words.interval)}')}"
            f'<path d="M{mean} 18V40" stroke="currentColor" stroke-opacity="0.5"/>'
            f'<g transform="translate(0 26)">{inner}</g>'
            f'<path d="M{mean} 50V66" stroke="currentColor" stroke-opacity="0.5"/>'
            f"{label.format(at, 78, 'middle', f'dot: {self.judgement.evidence.center}, {escape(words.effect)}')}"
            f"{label.format(edge, 22, anchor, 'shaded: forbidden')}"
            f'<path d="M{tick} 60V78" stroke="currentColor" stroke-opacity="0.5"/>'
            f"{label.format(edge, 90, anchor, f'line: {escape(words.required)}')}</svg>"
        )


def as_html(judgements: Sequence[Judgement], names: Sequence[str] | None = None) -> str:
    """A claim as a line of text, or several as a figure with a line each, and a fold with what they rest on."""
    said = [in_natural_units(each.evidence, each.limits, each.holds) for each in judgements]
    ranges = [_range(each) for each in judgements]
    if _share_a_unit(judgements, ranges):
        ranges = [_common(ranges)] * len(ranges)
    rest = [
        words.n + (", recorded" if each.evidence.recorded else "") for each, words in zip(judgements, said, strict=True)
    ]
    apart = len(judgements) == 1 or len(set(rest)) > 1
    lines = []
    for i, (each, words) in enumerate(zip(judgements, said, strict=True)):
        name = names[i] if names else each.statement
        numbers = " ".join(filter(None, (words.effect, words.interval)))
        if apart:
            numbers += f", {rest[i]}"
        line = _inline if len(judgements) == 1 else _row
        lines.append(line(each, name, _drawing(each, words, ranges[i]), numbers))
    summary = "How this was checked" if apart else f"How this was checked: {rest[0]}"
    heading = "Checked claim" if len(judgements) == 1 else f"{len(judgements)} checked claims"
    color = HOLDS if all(each.holds for each in judgements) else FORBIDDEN
    return (
        f'<div class="claims" role="note" aria-label="{heading}" style="margin: 0.8em 0; padding: 0 0 0 0.9em; '
        f'border-left: 3px solid {color}; color: inherit; line-height: 1.5">{"".join(lines)}'
        f'<details style="font-size: 0.85em; margin: 0.1em 0 0"><summary style="cursor: pointer">{summary}</summary>'
        f"{_fold(judgements, said, names or [each.statement for each in judgements])}{CODE}</details></div>"
    )


def key_of(statement: str, required: str) -> str:
    """What a claim is known by in a chapter: its sentence and its bound."""
    return hashlib.sha256(f"{statement} Required: {required}".encode()).hexdigest()[:12]


def _back(judgement: Judgement) -> str:
    return "" if judgement.evidence.recorded else BACK.format(key=key_of(judgement.statement, judgement.words.required))


def _verdict(judgement: Judgement) -> tuple[str, str]:
    mark, word = {True: ("✓", ""), False: ("✗", "Does not hold: "), None: ("?", "Undecided: ")}[judgement.holds]
    return f'<span aria-hidden="true" style="font-weight: bold">{mark}</span>', word


def _kind(judgement: Judgement) -> str:
    return "checked-claim" if judgement.holds else "judged-claim"


def _inline(judgement: Judgement, name: str, drawing: str, numbers: str) -> str:
    mark, word = _verdict(judgement)
    return (
        f'<p class="{_kind(judgement)}" style="margin: 0">{mark} {word}{escape(typeset(name))} '
        f'<span style="display: inline-flex; vertical-align: middle; {BESIDE}">{drawing}'
        f"<span>{escape(numbers)}{_back(judgement)}</span></span></p>"
    )


def _row(judgement: Judgement, name: str, drawing: str, numbers: str) -> str:
    mark, word = _verdict(judgement)
    return (
        f'<div class="{_kind(judgement)}" style="display: flex; flex-wrap: wrap; align-items: center; gap: 0 1em; '
        f'padding: 0.15em 0; border-bottom: 1px solid {LINE}">'
        f'<div style="flex: 1 1 13em; display: flex; gap: 0.35em">{mark}<span>{word}{escape(typeset(name))}</span></div>'
        f'<div style="flex: 0 1 23.5em; display: flex; {BESIDE}">{drawing}'
        f"<span>{escape(numbers)}{_back(judgement)}</span></div></div>"
    )


def _fold(judgements: Sequence[Judgement], said: Sequence[Natural], names: Sequence[str]) -> str:
    """What was compared, required and why; said once where it is the same for all, else by the first words of each."""
    notes = []
    for each, words in zip(judgements, said, strict=True):
        whole = "" if each.evidence.atol is not None else "the whole 95% interval "
        why = each.reason or ("Any effect in that direction counts." if 0 in each.limits and whole else "")
        said_of_it = (f"{words.arms} Required: {whole}{words.required}.", why, THREAD if each.by_a_thread else "")
        notes.append(escape(typeset(" ".join(filter(None, (*said_of_it, each.evidence.note))))))
    made = [RECORDED if each.evidence.recorded else LIVE for each in judgements]
    if len(set(made)) > 1:
        notes, made = [f"{note} {how}" for note, how in zip(notes, made, strict=True)], [""]
    if len(set(notes)) == 1:
        return f'<p style="margin: 0.3em 0">{notes[0]} {made[0]}</p>'
    first = [" ".join(name.split()[:FIRST_WORDS]) + ("…" if len(name.split()) > FIRST_WORDS else "") for name in names]
    items = "".join(
        f"<li><i>{escape(typeset(words.rstrip('.')))}:</i> {note}</li>"
        for words, note in zip(first, notes, strict=True)
    )
    return f'<ul style="margin: 0.3em 0; padding-left: 1.2em">{items}</ul><p style="margin: 0.3em 0">{made[0]}</p>'


def _range(judgement: Judgement) -> tuple[float, float]:
    """What the axis shows: the interval and the limits, with room at both ends; of an identity, from 0."""
    ends = [end for end in (*judgement.interval, *judgement.limits) if math.isfinite(end)]
    if judgement.evidence.atol is not None:
        ends.append(0.0)
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    room = 0.2 * (high - low) or max(abs(high), 1e-300)
    return low - room, high + room


def _spoken(words: Natural) -> str:
    found = f"{words.effect}, 95% interval {words.interval}" if words.interval else words.effect
    return f"{found}; required: {words.required}"


def _common(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _share_a_unit(judgements: Sequence[Judgement], ranges: Sequence[tuple[float, float]]) -> bool:
    """Whether one axis serves all. Numbers without a unit may count different things, and have to be alike in size."""
    if len({each.unit for each in judgements}) > 1 or any(each.evidence.atol is not None for each in judgements):
        return False
    low, high = _common(ranges)
    return bool(judgements[0].unit) or all(10 * (end - start) >= high - low for start, end in ranges)


def _drawing(
    judgement: Judgement, words: Natural, shown: tuple[float, float], size: tuple[int, int] = (WIDTH, HEIGHT)
) -> str:
    """Axis, interval, mean, bounds as ticks, and what was forbidden shaded."""
    width, height = size
    middle, bar = height / 2, 0.3 * height

    def x(value: float) -> float:
        inside = min(max(value, shown[0]), shown[1])
        return round(width * (inside - shown[0]) / (shown[1] - shown[0]), 1)

    low, high = judgement.limits
    sides = [(0.0, x(low), x(low))] if math.isfinite(low) else []
    if math.isfinite(high):
        # Where nothing is allowed and nothing was found, the dot stands before the line and not on it.
        line = x(high) + (0.3 * width if judgement.evidence.atol == judgement.effect else 0)
        sides.append((line, float(width), line))
    shaded = "".join(
        f'<rect x="{start}" y="2" width="{round(end - start, 1)}" height="{height - 4}" fill="{FORBIDDEN}" '
        f'fill-opacity="0.22"/><path d="M{tick} 2V{height - 2}" stroke="{FORBIDDEN}" stroke-width="1.5"/>'
        for start, end, tick in sides
    )
    color = {True: HOLDS, False: FORBIDDEN, None: UNDECIDED}[judgement.holds]
    found = ""
    if all(map(math.isfinite, (*judgement.interval, judgement.effect))):
        if judgement.evidence.atol is None:
            start, end = map(x, judgement.interval)
            found = (
                f'<rect x="{start}" y="{middle - bar / 2:g}" width="{round(max(end - start, 0.5), 1)}" '
                f'height="{bar:g}" rx="{bar / 2:g}" fill="{color}" fill-opacity="0.6"/>'
            )
        found += f'<circle cx="{x(judgement.effect)}" cy="{middle:g}" r="{0.175 * height:g}" fill="{color}"/>'
    return (
        f'<svg role="img" aria-label="{escape(_spoken(words))}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="flex: none">{shaded}'
        f'<path d="M0 {middle:g}H{width}" stroke="currentColor" stroke-opacity="0.35"/>{found}</svg>'
    )
