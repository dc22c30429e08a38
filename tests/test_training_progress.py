"""The bar that shows how far a fit is."""

import io
import subprocess
import sys

from torch import nn

from dropout_lessons import datasets
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, fit


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_in_a_terminal_and_is_silent_elsewhere(monkeypatch):
    def slow(x):
        __import__("time").sleep(0.05)
        return x

    network = nn.Sequential(MLP([64, 32, 16, 10]))
    network.register_forward_pre_hook(lambda _module, inputs: slow(inputs[0]))
    digits = datasets.load("digits", train=200)
    written = {}
    for kind, stream in (("terminal", Terminal()), ("log", io.StringIO()), ("off", Terminal())):
        monkeypatch.setattr(sys, "stderr", stream)
        fit(network, digits, Recipe(epochs=6, batch_size=50), progress=kind != "off")
        written[kind] = stream.getvalue()
    assert "training" in written["terminal"]
    assert written["terminal"].endswith("\r")  # it wipes itself away
    assert written["log"] == ""
    assert written["off"] == ""


def test_nothing_is_printed_to_a_ci_log():
    program = (
        "from dropout_lessons import MLP, Recipe, datasets, fit\n"
        "fit(MLP([64, 8, 10]), datasets.load('digits', train=100), Recipe(epochs=3))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout + done.stderr == ""
