"""A plugin that checks the shapes and types in the package's annotations while tests run: ``pytest -p tests.shapes``."""

from __future__ import annotations

import sys
from types import ModuleType

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

if "dropout_lessons" in sys.modules:
    raise RuntimeError("dropout_lessons is imported already, and would go unchecked")
_checker = ModuleType("shape_checker")
_checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]  # an int may stand for a float
sys.modules["shape_checker"] = _checker
install_import_hook("dropout_lessons", "shape_checker.check")
