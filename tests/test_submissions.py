"""Who handed in what, as platforms export it and as students pack it."""

import io
import os
import time
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from homework import EMPTY, tree

from dropout_lessons.grading import find


def test_canvas_is_read(tmp_path):
    tree(
        tmp_path,
        {
            "doejane_101_555_homework-2.ipynb": EMPTY,
            "doejane_101_556_homework-2-1.ipynb": EMPTY + b" ",
            "roejim_LATE_102_557_my homework.ipynb": EMPTY + b"  ",
            "roejim_LATE_102_558_notes.pdf": b"%PDF",
        },
    )
    found, remarks = find(tmp_path)
    assert [(one.student, one.ids, one.late, one.file) for one in found] == [
        (
            "doejane-101",
            {"canvas": "101", "upload": "556", "place": "doejane_101_556_homework-2-1.ipynb"},
            False,
            "homework-2-1.ipynb",
        ),
        (
            "roejim-102",
            {"canvas": "102", "upload": "557", "place": "roejim_LATE_102_557_my homework.ipynb"},
            True,
            "my homework.ipynb",
        ),
    ]
    assert found[0].remarks == ("2 notebooks: homework-2-1.ipynb was graded, not homework-2.ipynb",)
    assert remarks == ["roejim_LATE_102_558_notes.pdf: is no notebook, and was left out"]


def test_gradescope_is_read(tmp_path):
    metadata = """
submission_7:
  :submitters:
  - :name: Jane Doe
    :email: jane@example.org
    :sid: '42'
  :created_at: 2026-01-01 10:00:00
"""
    content = {"export/submission_metadata.yml": metadata.encode(), "export/submission_7/hw.ipynb": EMPTY}
    ((found,), remarks) = find(tree(tmp_path, content))
    ids = {"gradescope": "7", "place": "submission_7", "email": "jane@example.org", "sid": "42"}
    assert (found.name, found.ids, found.time) == ("Jane Doe", ids, datetime(2026, 1, 1, 10))
    assert remarks == []


def test_only_the_exports_own_list_of_people_counts(tmp_path):
    def listed(**names):
        rows = (
            f"{folder}:\n  :submitters:\n  - :name: {name}\n    :sid: 's-{name}'\n" for folder, name in names.items()
        )
        return "".join(rows).encode()

    content = {
        "submission_metadata.yml": listed(submission_7="Ann", submission_8="Bob"),
        "submission_7/hw.ipynb": EMPTY,
        "submission_7/submission_metadata.yml": listed(submission_7="Bob", submission_8="Ann"),
        "submission_8/hw.ipynb": EMPTY + b" ",
        "submission_8/work/submission_metadata.yml": b"a: &a [x, x]\n",
    }
    found, _ = find(tree(tmp_path, content))
    assert [(one.name, one.ids["gradescope"], one.ids["sid"]) for one in found] == [
        ("Ann", "7", "s-Ann"),
        ("Bob", "8", "s-Bob"),
    ]


def test_a_group_has_a_result_for_each_member(tmp_path):
    people = b"submission_7:\n  :submitters:\n  - :name: Ann\n  - :name: Bob\n"
    found, _ = find(tree(tmp_path, {"submission_metadata.yml": people, "submission_7/hw.ipynb": EMPTY}))
    assert [one.name for one in found] == ["Ann", "Bob"]


BOMB = b"".join(b"%c: &%c [%s]\n" % (97 + at, 97 + at, b", ".join([b"*%c" % (96 + at)] * 9)) for at in range(1, 9))


def test_a_list_of_people_that_is_a_bomb_costs_names_and_nothing_else(tmp_path):
    people = b"a: &a [x, x]\n" + BOMB + b"submission_7: {':submitters': [{':name': *i}]}\n"
    began = time.process_time()
    ((found,), _) = find(tree(tmp_path, {"submission_metadata.yml": people, "submission_7/hw.ipynb": EMPTY}))
    assert found.name == "submission_7"
    assert time.process_time() - began < 10


def test_a_name_that_is_no_utf8_is_read_and_can_be_written(tmp_path):
    os.close(os.open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.ipynb"), os.O_CREAT | os.O_WRONLY))
    (found,) = find(tmp_path)[0]
    assert (found.student, found.file) == ("café", "café.ipynb")


def test_names_cannot_write_to_a_terminal_or_forge_a_line(tmp_path):
    content = {"eve\x1b[2J_1_2_a.ipynb": EMPTY, "eve\nann: got 0 points.pdf": b""}
    found, remarks = find(tree(tmp_path, content))
    assert found[0].name == "eve\\x1b[2J"
    assert remarks == ["eve\\nann: got 0 points.pdf: is no notebook, and was left out"]


def test_moodle_is_read(tmp_path):
    content = {
        "Jane Doe_31_assignsubmission_file_/hw.ipynb": EMPTY,
        "Zoë B._32_assignsubmission_file_hw.ipynb": EMPTY + b" ",
    }
    found, _ = find(tree(tmp_path, content))
    assert [(one.name, one.ids["moodle"], one.file) for one in found] == [
        ("Jane Doe", "31", "hw.ipynb"),
        ("Zoë B.", "32", "hw.ipynb"),
    ]
    assert all("/" not in one.student and " " not in one.student for one in found)


def test_moodles_online_text_is_its_students_and_a_remark(tmp_path):
    page = "<html><head><title>x</title></head><body><p>It is <b>paired</b> &amp; caf\xe9.</p></body></html>"
    content = {
        "Ann Lee_31_assignsubmission_file_/hw.ipynb": EMPTY,
        "Ann Lee_31_assignsubmission_onlinetext_/onlinetext.html": page.encode(),
        "Bob_32_assignsubmission_onlinetext_/onlinetext.html": b"<p></p>",
        "Bob_32_assignsubmission_file_/hw.ipynb": EMPTY + b" ",
        "Eve_33_assignsubmission_onlinetext_onlinetext.html": b"<p>I am ill.",
    }
    found, remarks = find(tree(tmp_path, content))
    assert [(one.name, one.file) for one in found] == [("Ann Lee", "hw.ipynb"), ("Bob", "hw.ipynb"), ("Eve", "")]
    said = "There is an online text, which no program marks:"
    assert [one.remarks for one in found] == [(f"{said} It is paired & caf\xe9.",), (), (f"{said} I am ill.",)]
    assert [one.typed for one in found] == ["It is paired & caf\xe9.", "", "I am ill."]
    assert remarks == []


def test_an_online_text_keeps_its_paragraphs_and_its_remark_only_the_first_words(tmp_path):
    page = f"<p>(a)\nXOR.</p><p>(b) Damage<br>differs.</p><ul><li>{'word ' * 200}</li></ul>"
    (found,), _ = find(tree(tmp_path, {"Eve_33_assignsubmission_onlinetext_/onlinetext.html": page.encode()}))
    assert found.typed.splitlines() == ["(a) XOR.", "(b) Damage", "differs.", "word " * 199 + "word"]
    assert "(a) XOR. (b) Damage differs." in found.remarks[0]
    assert len(found.remarks[0]) < 600


def test_plain_files_folders_and_zips_of_them_are_read(tmp_path):
    content = {"ann.ipynb": EMPTY, "bob/work.ipynb": EMPTY + b" ", "bob/.ipynb_checkpoints/work.ipynb": EMPTY}
    plain = tree(tmp_path / "plain", content)
    packed = tmp_path / "all.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in plain.rglob("*.ipynb"):
            archive.write(path, Path("export", path.relative_to(plain)))
    for source in (plain, packed):
        assert [one.student for one in find(source)[0]] == ["ann", "bob"]
    assert [one.student for one in find(plain / "ann.ipynb")[0]] == ["ann"]


def test_a_zip_handed_in_by_a_student_is_opened(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("work/hw.ipynb", EMPTY)
    ((found,), _) = find(tree(tmp_path, {"doe_1_2_hw.zip": buffer.getvalue()}))
    assert (found.student, found.path.read_bytes()) == ("doe-1", EMPTY)


def test_the_same_file_from_two_students_is_remarked_and_both_count(tmp_path):
    found, remarks = find(tree(tmp_path, {"ann.ipynb": EMPTY, "bob.ipynb": EMPTY}))
    assert len(found) == 2
    assert remarks == ["ann, bob: handed in the very same file"]


def test_links_pipes_and_zip_tricks_are_left_out(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(EMPTY)
    folder = tree(tmp_path / "subs", {"ann.ipynb": EMPTY})
    (folder / "eve.ipynb").symlink_to(secret)
    (folder / "eve").symlink_to(tmp_path)
    os.mkfifo(folder / "mallory.ipynb")
    with zipfile.ZipFile(folder / "oscar.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../up.ipynb", EMPTY)
        archive.writestr("/etc/abs.ipynb", EMPTY)
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(secret))
    (folder / "trudy.zip").write_bytes(b"PK\x03\x04 nothing")
    found, remarks = find(folder)
    assert [one.student for one in found if one.file] == ["ann"]
    assert [one.student for one in found if one.problem] == ["oscar", "trudy"]
    assert len(remarks) == 7
    assert not (tmp_path / "up.ipynb").exists()


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.ipynb", "w") as file:
        for _ in range(300):
            file.write(bytes(2**20))
    began = time.process_time()
    ((found,), remarks) = find(tree(tmp_path, {"eve_1_2_hw.zip": buffer.getvalue()}))
    assert (found.file, found.problem) == ("", "There is no notebook (.ipynb) in what was handed in (hw.zip).")
    assert "its notebooks have more than 100 MB" in remarks[0]
    assert time.process_time() - began < 20


def test_whoever_handed_in_no_notebook_has_a_row_with_a_reason(tmp_path):
    content = {
        "ann_1_1_hw.ipynb": EMPTY,
        "bob_2_2_hw.pdf": b"%PDF",
        "Eve_31_assignsubmission_file_/notes.txt": b"",
    }
    found, _ = find(tree(tmp_path, content))
    assert [(one.name, one.problem) for one in found] == [
        ("Eve", "There is no notebook (.ipynb) in what was handed in (notes.txt)."),
        ("ann", ""),
        ("bob", "There is no notebook (.ipynb) in what was handed in (hw.pdf)."),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["section-a/ann.ipynb", "section-a/bob.ipynb", "section-b/eve.ipynb", "section-b/joe.ipynb"],
            "section-a/: ann.ip",
        ),
        (["section-a/ann/hw.ipynb", "section-a/bob/work.ipynb"], "section-a/: ann/hw.ipynb, bob/work.ipynb"),
        (["hw2-ann/hw2.ipynb", "hw2-ann/backup/old.ipynb", "hw2-bob/hw2.ipynb", "hw2-bob/mine.ipynb"], "hw2-ann/: "),
    ],
)
def test_folders_that_may_be_sections_are_refused_by_name(tmp_path, names, message):
    with pytest.raises(
        ValueError, match="these folders hold several notebooks, of one student or of a section"
    ) as error:
        find(tree(tmp_path, {name: EMPTY + name.encode() for name in names}))
    assert message in str(error.value)


def test_a_packed_folder_around_a_lone_notebook_is_refused_by_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("export/ann.ipynb", EMPTY)
    with pytest.raises(ValueError, match="export/ may be a student or a folder around the only one"):
        find(tmp_path / "all.zip")


def test_a_lone_students_folder_has_its_name(tmp_path):
    assert [one.student for one in find(tree(tmp_path, {"ann/hw.ipynb": EMPTY}))[0]] == ["ann"]


def test_one_student_with_two_notebooks_waits_and_stops_nobody(tmp_path):
    names = ["ann/hw.ipynb", "bob/hw.ipynb", "eve/hw.ipynb", "eve/other.ipynb"]
    found, _ = find(tree(tmp_path, {name: EMPTY + name.encode() for name in names}))
    assert [one.problem for one in found] == ["", "", "It is not clear which notebook counts: hw.ipynb, other.ipynb."]


@pytest.mark.parametrize("folder", ["Ann_31_assignsubmission_file_", "submission_7"])
def test_two_notebooks_of_one_upload_wait_and_two_uploads_do_not(tmp_path, folder):
    content = {f"{folder}/hw.ipynb": EMPTY, f"{folder}/zz old.ipynb": EMPTY + b" "}
    content |= {"bob_1_5_hw.ipynb": EMPTY, "bob_1_6_zz.ipynb": EMPTY + b"  "}
    found, _ = find(tree(tmp_path, content))
    assert {(one.file, one.problem) for one in found} == {
        ("", "It is not clear which notebook counts: hw.ipynb, zz old.ipynb."),
        ("zz.ipynb", ""),
    }


def test_nothing_to_grade_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must hold notebooks"):
        find(tmp_path)
    with pytest.raises(ValueError, match="which is none"):
        find(tmp_path / "nowhere")
