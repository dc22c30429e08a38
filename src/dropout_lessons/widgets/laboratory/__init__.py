"""Two networks, one of them with dropout, that learn in the reader's browser."""

from dropout_lessons.widgets.laboratory.laboratory import Laboratory, write_digits_script

__all__ = ["Laboratory", "write_digits_script"]
