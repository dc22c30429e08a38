"""The browser that the book is printed, measured, filmed and tested in."""

from __future__ import annotations

import shutil

from playwright.sync_api import Browser, Playwright

# The first is Chromium without a window's machinery: it opens a page in a quarter of the processor's time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
MISSING = f"no browser: none of {', '.join(NAMES)} is installed"


def installed() -> str | None:
    """Where the browser of this machine is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright) -> Browser:
    """Start the browser that is installed, else the one that Playwright may have downloaded."""
    return playwright.chromium.launch(executable_path=installed())
