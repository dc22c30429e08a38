"""The book's colors, each for one idea, in figures, interactives and pages alike."""

from __future__ import annotations

# For each idea its color on a light page and on a dark one. Kept units are filled blue; dropped ones are empty, with a
# dashed outline of dropout's orange.
_IDEAS = {
    "kept": ("#0072B2", "#4AA8E0"),
    "plain": ("#566B80", "#A3B8CB"),
    "L2": ("#A86A00", "#DBA848"),
    "L1": ("#6B4A2B", "#BC9067"),
    "max-norm": ("#6A4BD0", "#AE97F2"),
    "dropout": ("#D55E00", "#F28A3D"),
    "Gaussian dropout": ("#9E2A2B", "#E67D7E"),
    "shuffled labels": ("#B03A88", "#E58AC5"),
    "ensemble": ("#3A7D22", "#8CC56B"),
    "stopped early": ("#008080", "#45C4C4"),
    "dropout boosting": ("#7A7A00", "#C2C250"),
    "synergy": ("#2E9E5B", "#2E9E5B"),
    "redundancy": ("#9B59B6", "#9B59B6"),
    "reference": ("#555555", "#A8ADB5"),
}
# What stands for no idea: words, wide lines and areas behind the data, the paper, and what is written on a kept unit.
_NEUTRALS = {
    "text": ("#222222", "#CED6DD"),
    "ground": ("#DAD7D0", "#474D56"),
    "paper": ("#FCFCFA", "#14181E"),
    "on-kept": ("#FFFFFF", "#0B1620"),
}

#: The color of each idea, through the whole book.
COLORS = {idea: light for idea, (light, _) in _IDEAS.items()}
#: The same ideas on a dark page.
DARK = {idea: dark for idea, (_, dark) in _IDEAS.items()}
#: Colors that stand for no idea.
NEUTRALS = {name: light for name, (light, _) in _NEUTRALS.items()}
#: The idea whose color each average of subnetworks has, its mark and its line, in Matplotlib's words.
AVERAGES = {
    "arithmetic": ("dropout", "o", "-"),
    "geometric": ("reference", "D", "--"),
    "weight scaling": ("reference", "s", ":"),
}

# The book, JupyterLab, Colab and VS Code each say in their own way that a page is dark.
_DARK_PAGES = ('html[data-theme="dark"]', 'body[data-jp-theme-light="false"]', "html[theme=dark]", "body.vscode-dark")


def variable(name: str) -> str:
    """Return the CSS variable of an idea or a neutral color, such as ``--dl-max-norm``."""
    return "--dl-" + name.lower().replace(" ", "-")


def palette_css(selector: str) -> str:
    """Return CSS that declares every color as a variable within a selector, for light and for dark pages.

    Args:
        selector: A CSS selector of what uses the colors, such as ``".figure"``.

    Example:
        >>> "--dl-dropout: #d55e00;" in palette_css(".figure")
        True
    """
    both = {**_IDEAS, **_NEUTRALS}
    light, dark = (
        "".join(f"\n  {variable(name)}: {shades[shade].lower()};" for name, shades in both.items()) for shade in (0, 1)
    )
    pages = ",\n".join(f"{page} {selector}" for page in _DARK_PAGES)
    return f"{selector} {{{light}\n}}\n{pages} {{{dark}\n}}\n"
