"""What GitHub runs: thin calls of make, on every push, every night, and for a release."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import replication
import yaml

from dropout_lessons.grading import autograders

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_a_thin_call_of_make_and_each_call_can_be_made(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}, "what a job may do beyond reading, it says itself"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            if "run" in step:
                assert re.fullmatch(r"make [a-z-]+", step["run"]), f"{path.name}: {step['run']}"
                dry = subprocess.run([*step["run"].split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
                assert dry.returncode == 0, dry.stderr
            else:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", step["uses"]), step["uses"]


def test_an_action_has_one_version_in_all_workflows_those_of_classrooms_among_them():
    texts = [path.read_text(encoding="utf-8") for path in (*WORKFLOWS, Path(autograders.__file__))]
    used = dict.fromkeys(found for text in texts for found in re.findall(r"uses: (\S+)@(\S+)", text))
    assert len(used) > 5
    assert len(used) == len(dict(used)), list(used)


def jobs(workflow):
    return yaml.safe_load((ROOT / f".github/workflows/{workflow}.yml").read_text(encoding="utf-8"))["jobs"]


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_every_push_is_tested_and_rehearses_a_release():
    assert [commands(job)[-1] for job in jobs("test").values()] == ["make test", "make rehearse"]


def test_every_night_the_chapters_run_with_seeds_that_nobody_looked_at_and_what_came_out_is_kept():
    job = jobs("nightly")["replication"]
    assert commands(job) == ["make replicate"]
    assert job["env"]["FRESH"] >= 1
    kept = [step["with"]["path"] for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    assert kept == ["book/replication.*"]
    written = {replication.RECORD, replication.PAGE}
    assert written <= set(ROOT.glob(kept[0]))


def test_a_tag_that_is_not_of_the_version_publishes_nothing():
    assert commands(jobs("publish")["build"])[0] == "make tagged"  # all else needs this job


def test_a_run_is_cut_short_only_where_a_newer_one_says_the_same():
    """A push to main that is not tested to its end, or a release that is half published, is a gap that nobody sees."""
    test, publish = (
        yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text()) for name in ("test", "publish")
    )
    assert test["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    assert publish["concurrency"] == {"group": "publish", "cancel-in-progress": False}


def test_what_a_repository_must_be_set_to_is_said_in_both_places():
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", ".github/workflows/publish.yml")]
    for text in texts:
        assert all(word in text for word in ("GitHub Actions", "github-pages", "`v*`", "trusted publisher", "`pypi`"))


def test_what_is_published_is_what_was_built():
    published = jobs("publish")
    steps = [step for job in published.values() for step in job["steps"]]
    kept, taken = (
        [
            (s["with"]["name"], s["with"]["path"])
            for s in steps
            if s.get("uses", "").startswith(f"actions/{action}-artifact@")
        ]
        for action in ("upload", "download")
    )
    assert sorted(kept) == sorted(taken)
    assert all(name == "build" or "build" in job["needs"] for name, job in published.items())


def test_what_cannot_be_taken_back_is_published_after_all_else():
    published = jobs("publish")
    assert {*published["index"]["needs"], "index"} == set(published)


def test_a_dev_container_is_set_up_by_make():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert container["remoteUser"] != "root"
    dry = subprocess.run([*container["postCreateCommand"].split(), "-n"], cwd=ROOT, capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr
    assert re.search(r":3\.1[0-3]\b", container["image"]), "a Python that the book supports"
    page = (ROOT / "book/assigning.md").read_text(encoding="utf-8")
    needed = [f"--security-opt={option}" for option in re.findall(r"--security-opt (\S+)", page)]
    assert container["runArgs"] == needed != [], "for the sandbox of grading"
