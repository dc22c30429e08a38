"""Ask every page that the book, the README and the bibliography link to whether it is still there: `make links`."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import requests
from outputs import ROOT

PAGES = ("*.md", "*.cff", "book/**/*.md", "book/*.bib", "chapters/*.ipynb", "src/dropout_lessons/**/*.py")
ADDRESS = re.compile(r"https?://[^\s\"'<>\\`{}\[\]|]+")
GONE = (404, 410)  # others, such as 403, say that a program may not look


def addresses(pages: Iterable[str] = PAGES) -> Mapping[str, set[str]]:
    """Every address that is named, and by which files."""
    named: dict[str, set[str]] = defaultdict(set)
    for path in (path for pattern in pages for path in ROOT.glob(pattern)):
        for found in ADDRESS.findall(path.read_text(encoding="utf-8")):
            address = found.rstrip(".,;:!*")
            while address.endswith(")") and address.count("(") < address.count(")"):
                address = address[:-1].rstrip(".,;:")
            if not re.match(r"https?://(localhost|127\.|[^/]*\.?example\.)", address):
                named[address.split("#")[0]].add(str(path.relative_to(ROOT)))
    return named


def trouble(address: str) -> str:
    """Why a page is not there, or an empty string."""
    asking = {"headers": {"User-Agent": "Mozilla/5.0 (link check)"}, "timeout": 20, "allow_redirects": True}
    try:
        status = requests.head(address, **asking).status_code
        if status >= 400:  # some answer only to those who want the page
            with requests.get(address, stream=True, **asking) as answer:
                status = answer.status_code
    except requests.RequestException as error:
        return type(error).__name__
    return str(status) if status in GONE else ""


def main() -> None:
    named = addresses()
    with ThreadPoolExecutor(16) as pool:
        found = dict(zip(named, pool.map(trouble, named), strict=True))
    if set(found.values()) <= {"ConnectionError", "ConnectTimeout"}:
        sys.exit("No network: none of the pages could be asked for.")
    broken = [f"{why}: {address} ({', '.join(sorted(named[address]))})" for address, why in found.items() if why]
    print("\n".join([f"{len(named)} pages were asked for, and {len(broken)} are not there.", *sorted(broken)]))
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
