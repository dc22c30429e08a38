"""Measure co-adaptation: how much the units of a layer rely on each other."""

__all__: list[str] = []
