"""Create the environment in a folder, with all that the book needs: `make setup`. Plain Python: it runs before all else.

PyTorch is taken from its index of CPU builds where there is no NVIDIA card: the build on PyPI brings gigabytes of CUDA
along on Linux. uv installs in a quarter of pip's time; where it is not, pip fetches it into the environment, and where it
cannot be had or fails, pip installs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST, NEWEST = (3, 10), (3, 13)
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
# What pip was told of indexes, and the variables that tell uv.
TOLD = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
}
NO_NETWORK = re.compile(
    "name resolution|nodename nor servname|getaddrinfo|Network is unreachable|Connection refused|ProxyError"
    "|ConnectTimeout|NewConnectionError|dns error|error sending request|No route to host",
    re.IGNORECASE,
)


class SetUpError(RuntimeError):
    """What keeps the environment from being made, and what to do about it, in a line."""


def check_version(asked: str, version: tuple[int, int] = sys.version_info[:2]) -> None:
    if not OLDEST <= version <= NEWEST:
        allowed, got = f"3.{OLDEST[1]} to 3.{NEWEST[1]}", ".".join(map(str, version))
        raise SetUpError(f"Python {allowed} is needed, and {asked} is {got}: make PYTHON=python3.12")


def check_writable(root: Path = ROOT) -> None:
    if not os.access(root, os.W_OK):
        raise SetUpError(f"You may not write into {root}: git clone it into a folder of your own, and make setup there")


def version_in(venv: Path) -> tuple[int, int] | None:
    """The Python that an environment was made with."""
    try:
        found = re.search(r"^version(?:_info)? *= *(\d+)\.(\d+)", (venv / "pyvenv.cfg").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return None
    return (int(found[1]), int(found[2])) if found else None


def check_same(venv: Path, version: tuple[int, int] = sys.version_info[:2]) -> None:
    """Refuse to go on in an environment of another Python than the one that was asked for."""
    if (there := version_in(venv)) not in (None, version):
        asked, has = (".".join(map(str, each)) for each in (version, there))
        aside = f"{venv}{version[0]}{version[1]}"
        raise SetUpError(f"{venv} has Python {has}, and you ask for {asked}: add VENV={aside}, or remove {venv}")


def brings_cuda() -> bool:
    """Whether PyPI's PyTorch for this platform is the build for CUDA."""
    return sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")


def wants_cpu_build() -> bool:
    """Whether PyPI's PyTorch would bring CUDA along for nothing, and the index of CPU builds answers."""
    if not brings_cuda() or shutil.which("nvidia-smi"):
        return False
    try:
        with urllib.request.urlopen(f"{CPU_BUILDS}/torch/", timeout=5):
            return True
    except OSError:
        return False


def run(command: Sequence[str | Path], total: int = 0, variables: Mapping[str, str] | None = None) -> None:
    """Run a command; say in one line what went wrong. On a terminal, count what it collects out of a total."""
    live = total and sys.stdout.isatty()
    said: list[str] = []
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**(variables or {}), **os.environ},
    ) as process:
        collected = 0
        for line in process.stdout:
            said.append(line)
            if live and line.startswith("Downloading "):  # uv, which names what is large
                print(f"\r\033[K{line.strip()}", end="", flush=True)
            elif live and (name := re.match(r"Collecting ([\w.-]+)", line)):
                collected += 1
                print(f"\r\033[K{collected} of about {total}: {name[1]}", end="", flush=True)
    if live:
        print("\r\033[K", end="", flush=True)
    if process.returncode:
        raise SetUpError(reason("".join(said)))


def reason(said: str) -> str:
    """In one line, why an installation failed."""
    if NO_NETWORK.search(said):
        return "No network: the package index could not be reached. Once it can, the same command goes on from here."
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if line.lower().startswith("error")), lines[-1] if lines else "it said nothing")


def create(venv: Path, uv: str | None) -> None:
    if uv:
        run([uv, "venv", "--seed", "--allow-existing", "--python", sys.executable, venv])
        return
    try:
        run([sys.executable, "-m", "venv", venv])
    except SetUpError:  # Debian's Python has no ensurepip; its pip can put one into another environment
        run([sys.executable, "-m", "venv", "--clear", "--without-pip", venv])
        run([sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", "--quiet", "pip"])


def told(python: Path) -> dict[str, str]:
    """What pip is configured to, as uv reads it; where a name is in several indexes, the best version is taken, as pip does."""
    said = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)='(.*)'$", said, re.MULTILINE)
    found.sort(key=lambda line: ("global", "install", ":env:").index(line[0]))  # the last counts
    values = {TOLD[name]: value.replace("\\n", " ") for _, name, value in found if name in TOLD}
    return {**values, "UV_INDEX_STRATEGY": "unsafe-best-match"}


def install(venv: Path, root: Path = ROOT) -> None:
    """Create the environment and install what requirements.txt pins, and the package itself, editable."""
    uv = shutil.which("uv")
    if version_in(venv) is None:
        create(venv, uv)
    python = venv / "bin/python"
    pip = [python, "-m", "pip", "install", "--no-compile"]
    pins = re.findall(r"^[\w.-]+==.+", (root / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = ["-r", root / "requirements.txt"]
    has_cpu_build = wants_cpu_build()
    size = "up to 5.6 GB on disk, with CUDA" if brings_cuda() and not has_cpu_build else "1.8 GB on disk"
    print(f"Installing {len(pins)} packages into {venv}, {size}; this takes some minutes ...", flush=True)
    try:
        if uv is None:
            run([*pip, "--retries", "1", "uv"])
        backend = ["--torch-backend", "cpu"] if has_cpu_build else []
        run([uv or venv / "bin/uv", "pip", "install", "--python", python, *backend, *pinned], len(pins), told(python))
    except SetUpError as error:
        print(f"Without uv ({error}); pip takes longer ...", flush=True)
        if has_cpu_build:
            torch = next(pin for pin in pins if pin.startswith("torch=="))
            run([*pip, "--index-url", CPU_BUILDS, torch])
        run([*pip, *pinned], len(pins))
    # On all cores, where pip takes one, and but what is imported. Some package ships a file that no Python compiles.
    with contextlib.suppress(SetUpError):
        run([python, "-m", "compileall", "-q", "-j", "0", "-x", "site-packages/.*/tests/", venv / "lib"])
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", root])


def upgrade(venv: Path, root: Path = ROOT) -> None:
    """Install the newest of everything that pyproject.toml allows; of PyTorch, where there is no card, still the CPU build."""
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--upgrade", "--upgrade-strategy", "eager"]
    if wants_cpu_build():  # 2.13.0+cpu is above 2.13.0, so that PyPI's does not replace it
        run([*pip, "--index-url", CPU_BUILDS, "torch"])
    run([*pip, "--editable", f"{root}[test]"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path)
    parser.add_argument("--asked", default="", help="the Python that was asked for, as it was written")
    parser.add_argument("--check", action="store_true", help="only see that the environment is not of another Python")
    parser.add_argument("--newest", action="store_true", help="upgrade the environment that is there")
    options = parser.parse_args(arguments)
    try:
        if options.asked:
            check_same(options.venv)
        if options.newest:
            upgrade(options.venv)
        elif not options.check:
            check_version(options.asked or sys.executable)
            check_writable()
            install(options.venv)
    except SetUpError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command goes on from here.")


if __name__ == "__main__":
    main()
