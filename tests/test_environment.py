"""Setting up: what is installed from where, and one line on what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import environment
import pytest

ROOT = Path(__file__).resolve().parents[1]
DEAD = ["--index-url", "http://127.0.0.1:9/simple", "--retries", "1", "--no-cache-dir"]


@pytest.fixture
def commands(monkeypatch):
    """What would be run, in order; nothing is, and no server is asked."""
    ran = []
    monkeypatch.setattr(
        environment, "run", lambda command, total=0, variables=None: ran.append(" ".join(map(str, command)))
    )
    monkeypatch.setattr(environment, "told", lambda python: {})
    monkeypatch.setattr(environment, "wants_cpu_build", lambda: False)
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    return ran


@pytest.fixture
def root(tmp_path):
    (tmp_path / "requirements.txt").write_text("# pins\nsix==1.17.0\ntorch==2.13.0\n")
    return tmp_path


@pytest.fixture
def failing(monkeypatch):
    """What would be run, in order, where each command with one of these words in it fails."""

    def fail(*words):
        ran = []

        def run(command, total=0, variables=None):
            ran.append(" ".join(map(str, command)))
            if set(words) & set(ran[-1].split()):
                raise environment.SetUpError("no such index")

        monkeypatch.setattr(environment, "run", run)
        return ran

    return fail


def test_uv_is_fetched_into_a_new_environment_and_installs_the_pins_and_then_pip_the_package(commands, root):
    venv = root / "venv"
    environment.install(venv, root)
    make, fetch, pins, bytecode, package = commands
    assert make == f"{sys.executable} -m venv {venv}"
    assert fetch == f"{venv}/bin/python -m pip install --no-compile --retries 1 uv"
    assert pins == f"{venv}/bin/uv pip install --python {venv}/bin/python -r {root}/requirements.txt"
    assert bytecode == f"{venv}/bin/python -m compileall -q -j 0 -x site-packages/.*/tests/ {venv}/lib"
    assert package.endswith(f"--no-deps --no-build-isolation --editable {root}")


def test_a_uv_that_is_there_is_used(commands, root, monkeypatch):
    monkeypatch.setattr(environment.shutil, "which", lambda name: "uv")
    environment.install(root / "venv", root)
    assert commands[0].startswith("uv venv --seed")
    assert commands[1] == f"uv pip install --python {root}/venv/bin/python -r {root}/requirements.txt"


@pytest.mark.parametrize("cpu", [False, True])
@pytest.mark.parametrize("word", ["--retries", "--python"], ids=["cannot be had", "fails"])
def test_where_uv_cannot_be_had_or_fails_a_line_says_so_and_pip_installs(
    commands, failing, root, monkeypatch, capsys, word, cpu
):
    monkeypatch.setattr(environment, "wants_cpu_build", lambda: cpu)
    ran = failing(word)
    environment.install(root / "venv", root)
    tried = 2 if word == "--retries" else 3
    install = f"{root}/venv/bin/python -m pip install --no-compile"
    first = [f"{install} --index-url {environment.CPU_BUILDS} torch==2.13.0"] if cpu else []
    assert ran[tried:-2] == [*first, f"{install} -r {root}/requirements.txt"]
    assert "compileall" in ran[-2]
    assert "--editable" in ran[-1]
    assert capsys.readouterr().out.splitlines()[1:] == ["Without uv (no such index); pip takes longer ..."]


def test_a_build_of_pytorch_without_cuda_is_taken_where_an_index_offers_one(commands, root, monkeypatch):
    monkeypatch.setattr(environment, "wants_cpu_build", lambda: True)
    environment.install(root / "venv", root)
    assert commands[2].endswith(f"--torch-backend cpu -r {root}/requirements.txt")


@pytest.mark.parametrize("cpu", [False, True])
def test_the_newest_pytorch_is_one_without_cuda_too(commands, root, monkeypatch, cpu):
    monkeypatch.setattr(environment, "wants_cpu_build", lambda: cpu)
    environment.upgrade(root / "venv", root)
    pip = f"{root}/venv/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager"
    first = [f"{pip} --index-url {environment.CPU_BUILDS} torch"] if cpu else []
    assert commands == [*first, f"{pip} --editable {root}[test]"]


def test_uv_is_told_what_pip_was_told_of_indexes_unless_it_was_told_itself(tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://of.the/house\nextra-index-url =\n  https://one/\n  https://two/\n"
        "find-links = /global\nno-color = true\n[install]\nfind-links = /install\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    settings = environment.told(Path(sys.executable))
    assert settings["UV_DEFAULT_INDEX"] == "https://of.the/house"
    assert settings["UV_INDEX"].split() == ["https://one/", "https://two/"]
    assert settings["UV_FIND_LINKS"] == "/install"
    assert settings["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    monkeypatch.setenv("PIP_FIND_LINKS", "/environment")
    assert environment.told(Path(sys.executable))["UV_FIND_LINKS"] == "/environment"
    monkeypatch.setenv("UV_FIND_LINKS", "uv's own")
    see = [
        sys.executable,
        "-c",
        "import os, sys; sys.exit('error: ' + os.environ['UV_FIND_LINKS'] + os.environ['TOLD'])",
    ]
    with pytest.raises(environment.SetUpError, match="uv's own, and more"):
        environment.run(see, variables={"UV_FIND_LINKS": "pip's", "TOLD": ", and more"})


@pytest.mark.parametrize(
    ("platform", "machine", "card", "answers", "wanted"),
    [
        ("linux", "x86_64", None, True, True),
        ("linux", "x86_64", None, False, False),
        ("linux", "x86_64", "/usr/bin/nvidia-smi", True, False),
        ("linux", "riscv64", None, True, False),
        ("darwin", "arm64", None, True, False),
    ],
)
def test_only_a_linux_without_a_card_wants_the_cpu_build(platform, machine, card, answers, wanted, monkeypatch):
    def urlopen(address, timeout):
        assert answers is True or pytest.fail("unreachable")
        return open(__file__)

    def refuses(address, timeout):
        raise OSError("no route to host")

    monkeypatch.setattr(environment.sys, "platform", platform)
    monkeypatch.setattr(environment.platform, "machine", lambda: machine)
    monkeypatch.setattr(environment.shutil, "which", lambda name: card)
    monkeypatch.setattr(environment.urllib.request, "urlopen", urlopen if answers else refuses)
    assert environment.wants_cpu_build() == wanted


@pytest.mark.parametrize(("cuda", "cpu", "size"), [(True, True, "1.8"), (True, False, "5.6"), (False, False, "1.8")])
def test_the_size_that_is_told_is_that_of_the_build_that_comes(commands, root, monkeypatch, capsys, cuda, cpu, size):
    monkeypatch.setattr(environment, "brings_cuda", lambda: cuda)
    monkeypatch.setattr(environment, "wants_cpu_build", lambda: cpu)
    environment.install(root / "venv", root)
    assert f"{size} GB on disk" in capsys.readouterr().out


def test_another_python_than_the_environments_is_said_to_be_another(tmp_path):
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    with pytest.raises(
        environment.SetUpError, match=r"has Python 3\.11, and you ask for 3\.12: add VENV=\S+312, or rem"
    ):
        environment.check_same(tmp_path, (3, 12))
    environment.check_same(tmp_path, (3, 11))
    environment.check_same(tmp_path / "new", (3, 12))
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9\nversion_info = 3.13.0\n")  # uv's
    assert environment.version_in(tmp_path) == (3, 13)


def test_make_says_so_although_the_environment_is_complete(tmp_path):
    """The fault was that make did nothing: the file it looks at was there."""
    (tmp_path / "pyvenv.cfg").write_text("version = 3.9.18\n")
    (tmp_path / ".complete").touch()
    command = ["make", "setup", f"VENV={tmp_path}"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=20, check=False).returncode == 0
    done = subprocess.run([*command, f"PYTHON={sys.executable}"], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.returncode
    assert f"{tmp_path} has Python 3.9, and you ask for {sys.version_info[0]}.{sys.version_info[1]}" in done.stderr


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_a_python_that_the_book_was_not_tested_with_is_refused(version):
    with pytest.raises(environment.SetUpError, match=r"3\.10 to 3\.13 is needed, and python3 is 3\.\d+: make PYTHON="):
        environment.check_version("python3", version)


def test_a_source_that_may_not_be_written_is_refused_before_anything_is_installed(monkeypatch, tmp_path, commands):
    monkeypatch.setattr(environment.os, "access", lambda place, mode: False)
    with pytest.raises(SystemExit, match=r"You may not write into .*: git clone it into a folder of your own"):
        environment.main([str(tmp_path / "venv")])
    assert commands == []


def test_every_place_names_the_same_pythons():
    oldest, newest = (f"3.{version[1]}" for version in (environment.OLDEST, environment.NEWEST))
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "book/reading.md")]
    assert all(f"Python {oldest} to {newest}" in text for text in texts)
    workflow = (ROOT / ".github/workflows/test.yml").read_text()
    tested = re.search(r"python: \[(.+)\]", workflow)[1].replace('"', "").split(", ")
    assert (tested[0], tested[-1], len(tested)) == (oldest, newest, environment.NEWEST[1] - environment.OLDEST[1] + 1)


def test_no_network_is_said_to_be_no_network_in_one_line():
    with pytest.raises(environment.SetUpError, match=r"^No network: [^\n]*$"):
        environment.run([sys.executable, "-m", "pip", "install", *DEAD, "a-package-that-is-nowhere"])


def test_another_failure_is_the_line_that_names_it():
    assert environment.reason("Collecting x\nERROR: No matching distribution found for x==9\nbye\n") == (
        "ERROR: No matching distribution found for x==9"
    )
    assert environment.reason("\n") == "it said nothing"


def test_an_interruption_and_an_error_end_with_one_line(monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "install", interrupted)
    with pytest.raises(SystemExit, match=r"Interrupted\. The same command goes on"):
        environment.main([str(tmp_path)])
