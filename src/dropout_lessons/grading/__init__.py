"""The instructor's side: assignments, safe grading of what comes back, and publishing without solutions."""

__all__: list[str] = []
