"""What grades elsewhere: an autograder for Gradescope, and a workflow for repositories of GitHub Classroom."""

from __future__ import annotations

import zipfile
from importlib.metadata import version
from pathlib import Path

from dropout_lessons.runtime import replacing

REPOSITORY = "https://github.com/dropout-lessons/dropout-lessons"


def package() -> str:
    """What installs the package in the version that made an assignment."""
    return f"dropout-lessons @ git+{REPOSITORY}@v{version('dropout-lessons')}"


_SETUP_SH = """#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image.
set -euo pipefail
root="${{AUTOGRADER:-/autograder}}"
if [ "$(id -u)" = 0 ]; then
  apt-get update -q
  apt-get install -y -q python3 python3-venv python3-pip git bubblewrap
fi
python3 -m venv "$root/venv"
"$root/venv/bin/pip" install -q "${{DROPOUT_LESSONS_PACKAGE:-{package}}}"
"""

_RUN_AUTOGRADER = """#!/usr/bin/env bash
# Gradescope runs this for each submission, in a container of its own.
set -uo pipefail
root="${AUTOGRADER:-/autograder}"
grade=("$root/venv/bin/dropout-lessons" grade "$root/source/assignment.toml" "$root/submission")
grade+=(--gradescope "$root/results/results.json")
"${grade[@]}"
# Exit code 3: this container allows no sandbox. It holds one submission and is thrown away; --unsafe still keeps the
# answer in a process and under a user of its own.
[ $? -ne 3 ] || "${grade[@]}" --unsafe
"""


_WORKFLOW = """# Checks the notebook at each push, in a sandbox, to help whoever solves it. Points that count are computed from
# the cloned repositories with `dropout-lessons grade`: a repository may change its own workflow.
name: Check the answers
on: [push, workflow_dispatch]
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    steps:
      - uses: actions/checkout@v6
      - uses: actions/setup-python@v6
        with:
          python-version: "3.12"
      - name: Install
        run: |
          sudo apt-get update -q
          sudo apt-get install -y -q bubblewrap
          sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 || true
          pip install -q "{package}"
      - name: Check
        run: |
          dropout-lessons grade .github/classroom/assignment.toml {notebook} --out "$RUNNER_TEMP/graded"
          cat "$RUNNER_TEMP"/graded/feedback/*.md | tee -a "$GITHUB_STEP_SUMMARY"
"""


def gradescope_zip(assignment: str, path: Path) -> None:
    """Write the autograder to upload to Gradescope: ``setup.sh``, ``run_autograder``, ``assignment.toml``.

    Args:
        assignment: Text of ``assignment.toml``.
        path: The zip.
    """
    files = {
        "setup.sh": _SETUP_SH.format(package=package()),
        "run_autograder": _RUN_AUTOGRADER,
        "assignment.toml": assignment,
    }
    with replacing(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if not name.endswith(".toml") else 0o100644) << 16
            archive.writestr(entry, text)


def github_folder(assignment: str, notebook: str, name: str, folder: Path) -> None:
    """Write the repository that GitHub Classroom copies for each student: the notebook, and a workflow that checks it.

    Args:
        assignment: Text of ``assignment.toml``.
        notebook: Text of the students' notebook.
        name: Its file's name.
        folder: The repository; new.
    """
    files = {
        name: notebook,
        ".github/classroom/assignment.toml": assignment,
        ".github/workflows/classroom.yml": _WORKFLOW.format(package=package(), notebook=name),
    }
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
