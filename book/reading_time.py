"""How long a chapter takes to read, counted: what its first cell and the teaching guide say (tests/test_guide.py).

Words are read at 238 a minute, the mean that Brysbaert (2019) found for English non-fiction. To that come half a minute for
each figure, each formula on a line of its own and each prediction, two minutes for each interactive, and a minute for twenty
lines of open code. Exercises are not counted: the guide says what they take.
"""

from __future__ import annotations

import ast
import re

from nbformat import NotebookNode

WORDS, LINES = 238, 20  # a minute
FIGURE, FORMULA, PREDICTION, INTERACTIVE = 0.5, 0.5, 0.5, 2.0  # minutes


def minutes(chapter: NotebookNode, interactives: set[str]) -> int:
    """Minutes in steps of five, given the names of what is interactive."""
    words = lines = 0
    others = 0.0
    read = True
    for cell in chapter.cells:
        if cell.cell_type == "markdown":
            read = (read and not cell.source.startswith("## Exercises")) or cell.source.startswith("## Summary")
            if read:
                words += len(re.findall(r"[A-Za-z0-9$\\]\S*", re.sub(r":::.*|```", "", cell.source)))
                others += PREDICTION * cell.source.count("{prediction}") + FORMULA * cell.source.count("$$") / 2
        elif read:
            caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
            words += len(" ".join([caption, *claims(cell.source)]).split())
            others += FIGURE * bool(caption)
            others += INTERACTIVE * sum(f"{name}(" in cell.source for name in interactives)
            lines += 0 if cell.metadata.get("tags") else len(cell.source.splitlines())
    return max(5, 5 * round((words / WORDS + lines / LINES + others) / 5))


def claims(source: str) -> list[str]:
    """The sentences of a cell's claims, as its code has them."""
    plain = re.sub(r"^(\s*)[%!].*", r"\1pass", source, flags=re.MULTILINE)
    calls = [node for node in ast.walk(ast.parse(plain)) if isinstance(node, ast.Call)]
    checks = [call.args[0] for call in calls if ast.unparse(call.func) == "check"]
    return [" ".join(each.value.split()) for each in checks if isinstance(each, ast.Constant)]
