"""A release: one place for each fact, copies that follow it, and nothing changed where something is wrong."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from urllib.error import HTTPError

import environment
import links
import pytest
import rehearse
import release
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from repositories import commit, git

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "https://github.com/someone/lessons"

FILES = {
    "pyproject.toml": '[project]\nname = "lessons"\nversion = "0.1.0"\n[tool.other]\npython_version = "3.10"\n',
    "_config.yml": "repository:\n  url: https://github.com/someone/lessons\nhtml:\n"
    "  baseurl: https://someone.github.io/lessons/ # where\nparse:\n  myst_substitutions:\n"
    '    solutions_contact: "[an issue](https://github.com/someone/lessons/issues/new)"\n',
    "CITATION.cff": "cff-version: 1.2.0\nversion: 0.1.0\nrepository-code: https://github.com/someone/lessons\n",
    "README.md": "[book](https://someone.github.io/lessons/index.html) ![](https://raw.githubusercontent.com/someone/lessons/main/a.png)\n",
    "CHANGELOG.md": "# Changes\n\n## Unreleased\n\nIt is faster.\n",
    "chapters/01.ipynb": '"    release = \\"git+https://github.com/someone/lessons@v0.1.0\\"\\n",\n',
    "src/data/NOTICE.txt": "https://github.com/zalandoresearch/fashion-mnist\n",
}


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A machine that does not know who works at it, as a runner of continuous integration is."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "strict").write_text("[user]\n\tuseConfigOnly = true\n")  # nor guesses it of its own name
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(tmp_path / "strict"))


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(tmp_path, "init", "-q", str(root))
    for key, value in (("user.name", "A Teacher"), ("user.email", "teacher@example.org"), ("commit.gpgsign", "false")):
        git(root, "config", key, value)
    commit(root)
    return root


def make(root, *arguments, check="true"):
    release.main([*arguments, "--check", check], root)


def test_no_file_names_another_address_or_version():
    assert release.strays() == []


def test_the_facts_are_those_of_the_configuration():
    now, config = release.facts(), yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert now.repository == config["repository"]["url"]
    assert now.site == config["html"]["baseurl"]
    assert now.contact == config["parse"]["myst_substitutions"]["solutions_contact"]


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("README.md", "https://github.com/other/lessons", "other/lessons"),
        ("README.md", "https://colab.research.google.com/github/other/lessons/blob/main/a.ipynb", "other/lessons"),
        ("a.md", "https://other.github.io/lessons/", "https://other.github.io/lessons/"),
        ("chapters/01.ipynb", "git+{address}@v0.0.9", "0.0.9"),
        ("CITATION.cff", "version: 0.2.0", "0.2.0"),
    ],
)
def test_a_file_that_names_another_is_found(repository, name, text, what):
    assert release.strays(repository) == []
    (repository / name).write_text(text)
    git(repository, "add", "--all")
    assert release.strays(repository) == [f"{name}: {what}"]


def test_a_release_sets_every_copy_and_is_tagged(repository, capsys):
    make(repository, "--version", "0.2.0", "--repository", "https://github.com/Uni/dropout.git")
    text = {name: (repository / name).read_text() for name in FILES}
    assert release.facts(repository) == release.Facts(
        "0.2.0",
        "Uni/dropout",
        "https://uni.github.io/dropout/",
        "[an issue](https://github.com/Uni/dropout/issues/new)",
    )
    assert "git+https://github.com/Uni/dropout@v0.2.0" in text["chapters/01.ipynb"]
    assert "githubusercontent.com/Uni/dropout/main" in text["README.md"]
    assert "https://uni.github.io/dropout/index.html" in text["README.md"]
    assert "version: 0.2.0\nrepository-code: https://github.com/Uni/dropout\n" in text["CITATION.cff"]
    assert re.search(r"## Unreleased\n\n## 0\.2\.0, \d{4}-\d\d-\d\d\n\nIt is faster", text["CHANGELOG.md"])
    assert text["src/data/NOTICE.txt"] == FILES["src/data/NOTICE.txt"]
    assert 'python_version = "3.10"' in text["pyproject.toml"]
    assert release.strays(repository) == []
    assert git(repository, "describe", "--exact-match").strip() == "v0.2.0"
    assert git(repository, "status", "--porcelain") == ""
    assert "git push --follow-tags https://github.com/Uni/dropout HEAD:main" in capsys.readouterr().out


def test_what_is_published_has_the_tag_of_its_version(repository, capsys):
    with pytest.raises(SystemExit, match=r"The version is 0\.1\.0, and there is no tag v0\.1\.0 here, but none"):
        release.main(["--tagged"], repository)
    git(repository, "tag", "v0.2.0")
    with pytest.raises(SystemExit, match=r"no tag v0\.1\.0 here, but v0\.2\.0: make release sets both"):
        release.main(["--tagged"], repository)
    make(repository, "--version", "0.1.0")
    capsys.readouterr()
    release.main(["--tagged"], repository)
    assert capsys.readouterr().out == "v0.1.0\n"


def test_the_contact_is_changed_in_its_one_place(repository):
    make(repository, "--version", "0.2.0", "--contact", "teacher@example.org")
    assert release.facts(repository).contact == "teacher@example.org"
    assert release.facts(repository).slug == "someone/lessons"


def test_a_check_that_fails_leaves_everything_as_it_was(repository):
    before = git(repository, "rev-parse", "HEAD")
    with pytest.raises(SystemExit, match="Nothing was released: this failed: false"):
        make(repository, "--version", "0.2.0", check="false")
    assert git(repository, "rev-parse", "HEAD") == before
    assert git(repository, "status", "--porcelain") == git(repository, "tag") == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--version", "next"], "VERSION must be three numbers"),
        (["--version", ""], "VERSION must be three numbers"),
        (["--version", "0.0.9"], "must not be below 0.1.0"),
        (["--version", "0.2.0", "--repository", "https://gitlab.com/a/b"], "REPOSITORY must be like"),
        (
            ["--version", "0.2.0", "--repository", f"https://github.com/{'a' * 39}/{'b' * 39}"],
            "must fit the 79 columns",
        ),
    ],
)
def test_what_cannot_be_released_is_refused_with_what_is_allowed(repository, arguments, message):
    with pytest.raises(SystemExit, match=message):
        make(repository, *arguments)


@pytest.mark.parametrize("how", [[], ["--rehearse"]])
def test_a_tree_with_changes_is_refused(repository, how):
    (repository / "README.md").write_text("changed")
    with pytest.raises(SystemExit, match=r"commit these or remove them:\n *M README.md"):
        make(repository, "--version", "0.2.0", *how)


def test_a_release_that_is_there_or_has_no_news_is_refused(repository):
    make(repository, "--version", "0.1.0")
    with pytest.raises(SystemExit, match=r"There is a release v0\.1\.0"):
        make(repository, "--version", "0.1.0")
    with pytest.raises(SystemExit, match="says nothing under `## Unreleased`"):
        make(repository, "--version", "0.2.0")


def test_a_rehearsal_refuses_a_release_that_is_there(repository):
    make(repository, "--version", "0.1.0")
    (repository / "CHANGELOG.md").write_text(FILES["CHANGELOG.md"])
    commit(repository)
    with pytest.raises(SystemExit, match=r"There is a release v0\.1\.0"):
        make(repository, "--version", "0.1.0", "--rehearse")


def test_every_push_can_be_rehearsed_right_after_a_release(repository, tmp_path, monkeypatch):
    make(repository, "--version", "0.1.0")
    monkeypatch.setattr(rehearse, "ROOT", repository)
    clone = rehearse.tagged_clone(tmp_path)
    assert git(clone, "describe", "--exact-match").strip() == "v0.1.1"
    assert release.strays(clone) == []


@pytest.mark.parametrize("hook", ["pre-commit", "reference-transaction"])
def test_a_commit_or_tag_that_git_refuses_leaves_everything_as_it_was(repository, hook):
    before = git(repository, "rev-parse", "HEAD")
    refuses = {"pre-commit": "exit 1", "reference-transaction": "! grep -q refs/tags/ || [ $1 != prepared ]"}
    path = repository / ".git/hooks" / hook
    path.write_text(f"#!/bin/sh\n{refuses[hook]}\n")
    path.chmod(0o755)
    with pytest.raises(SystemExit, match=r"git (commit|tag) .* failed:"):
        make(repository, "--version", "0.2.0")
    assert git(repository, "rev-parse", "HEAD") == before
    assert git(repository, "status", "--porcelain") == git(repository, "tag") == ""


def test_who_releases_is_asked_before_the_check(repository, nobody, tmp_path):
    for key in ("user.name", "user.email"):
        git(repository, "config", "--unset", key)
    with pytest.raises(SystemExit, match=r"git config --global user\.email"):
        make(repository, "--version", "0.2.0", check=f"touch {tmp_path / 'checked'}")
    assert not (tmp_path / "checked").exists()
    assert git(repository, "status", "--porcelain") == ""


def test_a_rehearsal_says_what_would_change_and_changes_nothing(repository, capsys):
    make(repository, "--version", "0.2.0", "--rehearse")
    printed = capsys.readouterr().out
    assert re.search(r"Release 0\.2\.0\n[^~]*\bpyproject\.toml +\| +2 \+-", printed), printed
    assert "Rehearsed: 4 files change" in printed
    assert git(repository, "tag") == ""
    assert release.facts(repository).version == "0.1.0"


def test_a_repository_with_solutions_is_rehearsed_and_not_released(repository, capsys):
    (repository / "instructor").mkdir()
    (repository / "instructor/training-1.py").write_text("# the answer")
    commit(repository)
    with pytest.raises(SystemExit, match=r"This repository has solutions.*: dropout-lessons publish"):
        make(repository, "--version", "0.2.0")
    assert git(repository, "tag") == git(repository, "status", "--porcelain") == ""
    make(repository, "--version", "0.2.0", "--rehearse")
    assert "in a clone of the public repository it is done" in capsys.readouterr().out


def test_notebooks_go_to_a_branch_of_their_own_and_the_checkout_stays(repository, tmp_path, capsys):
    remote, folder = tmp_path / "remote.git", repository / "_build/html/notebooks"
    git(tmp_path, "init", "-q", "--bare", str(remote))
    with pytest.raises(SystemExit, match="make book makes them"):
        release.main(["--push-notebooks", str(remote)], repository)
    folder.mkdir(parents=True)
    (folder / "01_x.ipynb").write_text("{}")
    before = git(repository, "status", "--porcelain", "--branch")
    release.main(["--push-notebooks", str(remote)], repository)
    assert capsys.readouterr().out == "notebooks-v0.1.0\n"
    assert git(remote, "ls-tree", "--name-only", "-r", "notebooks-v0.1.0").split() == ["01_x.ipynb"]
    assert git(repository, "status", "--porcelain", "--branch") == before


def test_notebooks_are_pushed_where_nobody_has_a_name(repository, tmp_path, nobody):
    for key in ("user.name", "user.email"):
        git(repository, "config", "--unset", key)
    with pytest.raises(release.ReleaseError, match="ident"):
        release.git(repository, "commit", "--allow-empty", "-m", "by nobody")
    remote, folder = tmp_path / "remote.git", repository / "_build/html/notebooks"
    git(tmp_path, "init", "-q", "--bare", str(remote))
    folder.mkdir(parents=True)
    (folder / "01_x.ipynb").write_text("{}")
    release.main(["--push-notebooks", str(remote)], repository)
    assert git(remote, "ls-tree", "--name-only", "notebooks-v0.1.0").split() == ["01_x.ipynb"]


def test_what_git_refuses_ends_with_what_it_said(repository, tmp_path):
    folder = repository / "_build/html/notebooks"
    folder.mkdir(parents=True)
    (folder / "01_x.ipynb").write_text("{}")
    with pytest.raises(SystemExit, match=r"^git push .*\n[^~]*nowhere\.git"):
        release.main(["--push-notebooks", str(tmp_path / "nowhere.git")], repository)


def test_a_rehearsal_sees_a_link_of_the_first_page_that_leads_nowhere(tmp_path):
    (tmp_path / "index.html").write_text('<a href="a.html#x">a</a> <img src="b.png"> <a href="https://c.org">c</a>')
    for name in ("a.html", "b.png"):
        with pytest.raises(HTTPError, match="404"):
            rehearse.served(tmp_path)
        (tmp_path / name).write_text("here")
    assert rehearse.served(tmp_path) == 3


def test_a_rehearsal_stops_at_what_fails_and_shows_what_it_said():
    with pytest.raises(SystemExit, match=r"ends here: \S+ -c [^~]*the reason"):
        rehearse.run([sys.executable, "-c", "raise ValueError('the reason')"])


def test_the_package_says_where_it_is_tested_and_takes_no_test_along():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest, newest = environment.OLDEST[1], environment.NEWEST[1]
    said = set(project["classifiers"])
    pythons = {f"Programming Language :: Python :: 3.{minor}" for minor in range(oldest, newest + 1)}
    assert {each for each in said if each.startswith("Programming Language :: Python :: 3.")} == pythons
    assert {"Operating System :: POSIX :: Linux", "Operating System :: MacOS"} <= said
    assert "prune tests" in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()


# What Colab has, by its list of August 2026, of what the package requires.
COLAB = {
    "python": "3.13.0",
    "torch": "2.11.0",
    "numpy": "2.1.3",
    "pandas": "2.2.3",
    "ipywidgets": "7.7.1",
    "anywidget": "0.9.21",
    "ipython": "7.34.0",
}


def test_colabs_own_versions_are_good_enough_and_none_is_replaced():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {each.name: each.specifier for each in map(Requirement, project["dependencies"])}
    needed["python"] = SpecifierSet(project["requires-python"])
    assert set(COLAB) <= set(needed)
    for name, specifier in needed.items():
        # pip replaces what is below or above a bound; there is none above, so what is new on Colab stays, too.
        assert {each.operator for each in specifier} <= {">="}, f"{name}{specifier}"
        assert name not in COLAB or specifier.contains(COLAB[name]), f"Colab's {name} {COLAB[name]} would be replaced"


def test_a_page_that_is_gone_is_named_and_one_that_lets_no_program_look_is_not(monkeypatch):
    class Answer:
        def __init__(self, status):
            self.status_code = status

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    status = {"https://a.org/here": 200, "https://a.org/gone": 404, "https://a.org/shy": 403}
    monkeypatch.setattr(links.requests, "head", lambda address, **_: Answer(405))
    monkeypatch.setattr(links.requests, "get", lambda address, **_: Answer(status[address]))
    assert {address: links.trouble(address) for address in status} == {
        "https://a.org/here": "",
        "https://a.org/gone": "404",
        "https://a.org/shy": "",
    }


def test_every_address_that_the_book_names_is_asked_for_whole():
    named = links.addresses()
    assert len(named) > 50
    assert not [
        address for address in named if address.count("(") != address.count(")") or address.endswith((".", ","))
    ]
    assert "https://arxiv.org/abs/1207.0580" in named
