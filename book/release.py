"""Set what a release is called and where it is, everywhere, and tag it: `make release VERSION=0.2.0`.

`pyproject.toml` has the version; `_config.yml` has the repository, the site, and whom to ask. Everything else that names
one of them is a copy, and is written anew. Plain Python: it runs without the environment.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDS = "src/dropout_lessons/experiments/results/"  # what was measured, by the version that measured it
MOST_COLUMNS = 79  # of the set-up cell

# A place that names a fact, and the fact in it.
ADDRESS = re.compile(r"(github\.com/|githubusercontent\.com/|colab\.research\.google\.com/github/)([\w.-]+/[\w-]+)")
SITE = re.compile(r"https://[\w-]+\.github\.io/(?:[\w.-]+/)?")
VERSION = re.compile(r'(?:(?<=^version = ")|(?<=^version: )|(?<=@v)|(?<=notebooks-v))\d+\.\d+\.\d+', re.MULTILINE)
OTHERS = ("zalandoresearch/fashion-mnist", "fgnt/mnist")  # repositories of others that files name
RELEASE = re.compile(r"\d+\.\d+\.\d+")
GITHUB = "https://github.com/"
NOBODY = (("user.name", "A rehearsal"), ("user.email", "rehearsal@example.org"), ("commit.gpgsign", "false"))


@dataclass(frozen=True)
class Facts:
    """What a release is: its version, the repository's owner/name, the site's address, whom to ask for solutions."""

    version: str
    slug: str
    site: str
    contact: str

    @property
    def repository(self) -> str:
        return GITHUB + self.slug


class ReleaseError(ValueError):
    """What keeps a release from being made; nothing was changed."""


def facts(root: Path = ROOT) -> Facts:
    """The facts, from the one place that holds each."""
    project, config = ((root / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "_config.yml"))
    lines = [rf"^  url: {GITHUB}(\S+)$", r"^  baseurl: (\S+)", r'^    solutions_contact: "(.+)"$']
    version = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)[0]
    return Facts(version, *(re.findall(line, config, re.MULTILINE)[0] for line in lines))


def git(root: Path, *arguments: str, **options: object) -> str:
    """What git prints, or an error that says what it said."""
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise ReleaseError(f"git {shlex.join(arguments)} failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    """Every tracked file of text but records."""
    for name in git(root, "ls-files", "-z").split("\0"):
        path = root / name
        if not name or name.startswith(RECORDS) or not path.is_file():
            continue
        try:
            yield path, path.read_bytes().decode()
        except UnicodeDecodeError:
            continue


def strays(root: Path = ROOT) -> list[str]:
    """What names another address or version than the release has, as FILE: WHAT."""
    now, found = facts(root), []
    for path, text in texts(root):
        name = path.relative_to(root)
        if name.parts[0] in ("tests", "CHANGELOG.md"):  # examples; what was
            continue
        slugs = {match[2] for match in ADDRESS.finditer(text)} - {now.slug, *OTHERS}
        sites = {match[0] for match in SITE.finditer(text)} - {now.site}
        versions = {match[0] for match in VERSION.finditer(text) if name.name != "_config.yml"} - {now.version}
        versions = set() if name.parts[0] == ".github" else versions
        found += [f"{name}: {what}" for what in sorted(slugs | sites | versions)]
    return found


def rewritten(name: str, text: str, old: Facts, new: Facts) -> str:
    """A file as it is in the new release."""
    if name == "_config.yml" and new.contact != old.contact:
        text = text.replace(f'solutions_contact: "{old.contact}"', f'solutions_contact: "{new.contact}"')
    text = ADDRESS.sub(lambda match: match[1] + (new.slug if match[2] == old.slug else match[2]), text)
    text = text.replace(old.site, new.site)
    if name == "CHANGELOG.md":
        return re.sub(
            r"^## Unreleased$", f"## Unreleased\n\n## {new.version}, {date.today()}", text, count=1, flags=re.M
        )
    return VERSION.sub(lambda match: new.version if match[0] == old.version else match[0], text)


def write(root: Path, new: Facts) -> list[str]:
    """Write the new facts everywhere; return the names of the files that changed."""
    old, changed = facts(root), []
    for path, text in texts(root):
        name = str(path.relative_to(root))
        if name.startswith("tests/"):
            continue
        if (after := rewritten(name, text, old, new)) != text:
            path.write_bytes(after.encode())
            changed.append(name)
    return changed


def intended(options: argparse.Namespace, now: Facts) -> Facts:
    """The facts of the release that is asked for, or an error that says what is wrong with it."""
    if not RELEASE.fullmatch(options.version):
        raise ReleaseError(f"VERSION must be three numbers, such as 0.2.0, got {options.version!r}")
    if tuple(map(int, options.version.split("."))) < tuple(map(int, now.version.split("."))):
        raise ReleaseError(f"VERSION must not be below {now.version}, got {options.version}")
    address = (options.repository or now.repository).removesuffix("/").removesuffix(".git")
    if not re.fullmatch(rf"{GITHUB}[\w.-]+/[\w-]+", address):
        raise ReleaseError(f"REPOSITORY must be like {GITHUB}OWNER/NAME, where Colab finds it, got {address!r}")
    slug = address.removeprefix(GITHUB)
    if len(line := f'    release = "git+{address}@v{options.version}"') > MOST_COLUMNS:
        raise ReleaseError(
            f"REPOSITORY must fit the {MOST_COLUMNS} columns of the set-up cell; its line has {len(line)}"
        )
    owner, name = slug.split("/")
    site = now.site if slug == now.slug else f"https://{owner.lower()}.github.io/{name}/"
    contact = options.contact or now.contact.replace(now.repository, address)
    return Facts(options.version, slug, (options.site or site).rstrip("/") + "/", contact)


def refuse_changes(root: Path) -> None:
    if changes := git(root, "status", "--porcelain").strip():
        raise ReleaseError(f"A release is made of what is committed; commit these or remove them:\n{changes}")


def refuse_solutions(root: Path) -> None:
    if git(root, "ls-files", "instructor"):
        raise ReleaseError(
            "This repository has solutions, in instructor/, and in its history; what is pushed is public. Export without "
            "them: dropout-lessons publish FOLDER, in a clone of the public repository; commit, and make release there"
        )


def refuse_old_news(root: Path, new: Facts) -> None:
    if git(root, "tag", "--list", f"v{new.version}").strip():
        raise ReleaseError(f"There is a release v{new.version}; give another VERSION")
    log = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(r"^## Unreleased\n\n+(?!## )\S", log, re.MULTILINE):
        raise ReleaseError("CHANGELOG.md says nothing under `## Unreleased`: say what a reader will notice")


def prepare(root: Path, new: Facts, check: Sequence[str]) -> list[str]:
    """Write the release, check it, commit and tag it; where any of these fails all is as it was."""
    refuse_changes(root)
    for role in ("AUTHOR", "COMMITTER"):
        git(root, "var", f"GIT_{role}_IDENT")  # fails where git knows no name, before what takes long
    before = git(root, "rev-parse", "HEAD").strip()
    try:
        changed = write(root, new)
        if found := strays(root):
            raise ReleaseError("\n".join(["These name another release:", *found]))
        if subprocess.run(check, cwd=root, check=False).returncode:
            raise ReleaseError(f"Nothing was released: this failed: {shlex.join(check)}")
        git(root, "commit", "--quiet", "--all", "--message", f"Release {new.version}")
        git(root, "tag", "--annotate", f"v{new.version}", "--message", f"Version {new.version}")
    except BaseException:
        git(root, "reset", "--quiet", "--hard", before)
        raise
    return changed


def rehearse(root: Path, new: Facts, check: Sequence[str]) -> None:
    """Make the release in a clone that is thrown away."""
    refuse_changes(root)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        git(root, "clone", "--quiet", "--no-tags", str(root), str(clone))
        for key, value in NOBODY:
            git(clone, "config", key, value)
        changed = prepare(clone, new, check)
        print(git(clone, "show", "--stat", "--format=%s", f"v{new.version}").strip())
    public = ", in a clone of the public repository" if git(root, "ls-files", "instructor") else ""
    print(f"Rehearsed: {len(changed)} files change, and nothing did here. Without REHEARSE=1{public} it is done.")


def tagged(root: Path) -> str:
    """The tag of what is checked out, which is that of its version."""
    wanted, there = f"v{facts(root).version}", git(root, "tag", "--points-at", "HEAD").split()
    if wanted not in there:
        raise ReleaseError(
            f"The version is {wanted[1:]}, and there is no tag {wanted} here, but {', '.join(there) or 'none'}: "
            "make release sets both"
        )
    return wanted


def push_notebooks(root: Path, folder: Path, remote: str) -> str:
    """Put the plain notebooks on the release's own branch of the remote, and leave this checkout as it is."""
    if not sorted(folder.glob("*.ipynb")):
        raise ReleaseError(f"There are no notebooks in {folder}: make book makes them")
    version = facts(root).version
    with tempfile.TemporaryDirectory() as aside:
        index = {**os.environ, "GIT_INDEX_FILE": str(Path(aside, "index"))}
        git(root, f"--work-tree={folder}", "add", "--all", "--force", ".", env=index, cwd=folder)
        tree = git(root, "write-tree", env=index).strip()
    someone = ["-c", "user.name=Notebooks", "-c", "user.email=noreply@example.org"]  # a runner has no name
    commit = git(root, *someone, "commit-tree", tree, "-m", f"The notebooks of version {version}").strip()
    git(root, "push", "--quiet", "--force", remote, f"{commit}:refs/heads/notebooks-v{version}")
    return f"notebooks-v{version}"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="")
    for name in ("repository", "site", "contact"):
        parser.add_argument(f"--{name}", default="", help="default: what it is now")
    parser.add_argument("--check", default="make test", help="what must pass before the tag (default: %(default)s)")
    parser.add_argument("--rehearse", action="store_true", help="do it in a clone that is thrown away")
    parser.add_argument(
        "--push-notebooks", metavar="REMOTE", help="only put the notebooks of a built book on their branch"
    )
    parser.add_argument("--tagged", action="store_true", help="only see that what is checked out has its version's tag")
    options = parser.parse_args(arguments)
    try:
        if options.tagged:
            print(tagged(root))
            return
        if options.push_notebooks:
            print(push_notebooks(root, root / "_build/html/notebooks", options.push_notebooks))
            return
        new, check = intended(options, facts(root)), shlex.split(options.check)
        refuse_old_news(root, new)
        if options.rehearse:
            rehearse(root, new, check)
            return
        refuse_solutions(root)
        prepare(root, new, check)
        print(f"Tagged v{new.version}. To publish it: git push --follow-tags {new.repository} HEAD:main")
    except ReleaseError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
