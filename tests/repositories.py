"""Small repositories as instructors have them: with solutions, and a built book."""

import os
import subprocess

BOOK = "_build/html/index.html"


def git(folder, *arguments):
    identity = ["-c", "user.name=A Teacher", "-c", "user.email=teacher@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "A change")
    if (folder / BOOK).exists():
        os.utime(folder / BOOK)  # as if the book had just been built


def private_repository(root, contents):
    """A repository with these files by name, whose folder ``instructor`` is not for export."""
    fixed = {".gitattributes": "instructor export-ignore\n", ".gitignore": "_build\n", BOOK: "<p>Lessons</p>"}
    for name, text in {**fixed, **contents}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    git(root.parent, "init", "-q", str(root))
    commit(root)
    return root
