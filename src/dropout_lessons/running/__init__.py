"""A network under masks: how it is called, its dropout calls, and passes in which they are answered.

``Outputs`` says how any network is called and where its predictions are.
"""

from dropout_lessons.running.outputs import Outputs

__all__ = ["Outputs"]
