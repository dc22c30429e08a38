"""The frame of a page that needs nothing else, for a student or an instructor."""

from __future__ import annotations

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin: 0; }}
{style}
</style></head><body><main>
<h1>{title}</h1>
{body}
</main></body></html>
"""


def page(title: str, style: str, *body: str) -> str:
    """A page with a title, rules of style beside the common ones, and parts; all of them are HTML."""
    return _PAGE.format(title=title, style=style.strip(), body="\n".join(body))
