"""The sandbox against code that means harm: real code, in the real sandbox, and the host looked at from outside.

Each hostile cell stands beside a right answer, or pretends to be one. A claim holds when the host is as it was, the run
ends in time, and an answer that is wrong is still wrong.
"""

import contextlib
import functools
import io
import json
import os
import platform
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dropout_lessons.exercises import Problem, get
from dropout_lessons.exercises.checking import inputs_of, judged
from dropout_lessons.grading import messages, sandbox, seccomp, watch
from dropout_lessons.grading.messages import decode, encode
from dropout_lessons.grading.sandbox import Limits, SandboxUnavailable

EXERCISE = get("training-1")
WORKER = "dropout_lessons.grading.worker"
RIGHT = """
import torch
def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob) / keep_prob
"""
WRONG = "def shared_dropout(x, keep_prob):\n    return x.clone()\n"

needs_sandbox = pytest.mark.skipif(
    sandbox.available() is not None and "CI" not in os.environ, reason=str(sandbox.available())
)


def write_job(folder, cells, answer_seconds):
    messages.pack_inputs(folder, "run", inputs_of(EXERCISE, 3))
    job = {"cells": [(cell, EXERCISE.id) for cell in cells], "runs": {EXERCISE.id: [{"name": "run", "seed": 3}]}}
    (folder / "job.json").write_text(json.dumps({**job, "cell_seconds": 20, "answer_seconds": answer_seconds}))
    folder.chmod(0o755)


def codes_of(attempts):
    """What was wrong with the last of these attempts; None where there is none."""
    codes = None
    for result in attempts.values():
        problems = (result,) if isinstance(result, Problem) else judged(EXERCISE, inputs_of(EXERCISE, 3), result)
        codes = [problem.code for problem in problems]
    return codes


def run_in_the_sandbox(job, *cells, limits=None, answer_seconds=10, **options):
    """The outcome of cells, what was wrong with the answer, and what the cells raised."""
    job.mkdir()
    write_job(job, list(cells), answer_seconds)
    outcome = sandbox.run(WORKER, job=job, limits=limits or Limits(seconds=60), **options)
    errors = {}
    for message in outcome.messages:
        if "errors" in message:
            for row in json.loads(str(message["errors"])):
                errors.setdefault(row["cell"], row["error"])
    return outcome, codes_of(messages.attempts(outcome.messages)), errors


@pytest.fixture
def graded(tmp_path):
    return functools.partial(run_in_the_sandbox, tmp_path / "job")


@needs_sandbox
def test_a_right_answer_passes(graded):
    outcome, codes, errors = graded(RIGHT)
    assert (codes, errors, outcome.ending) == ([], {}, None)


@needs_sandbox
def test_a_wrong_answer_is_diagnosed(graded):
    assert graded(WRONG)[1] == ["nothing-dropped"]


HARMLESS = {  # after all: the cell fails, or does nothing, and the answer beside it counts; what uses up most comes last
    "fork bomb": ("import os\nwhile True: os.fork()", "Operation not permitted"),
    "a program": ("import subprocess; subprocess.run(['true'])", "Operation not permitted"),
    "a shell command": ("!true", "is not run here"),
    "a memory bomb": ("import numpy as np; np.ones(10**12)", "Unable to allocate"),
    "more limits": (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)",
        "not allowed to raise maximum limit",
    ),
    "killing all": ("import os, signal; os.kill(-1, signal.SIGKILL)", "No such process"),
    "a flood of output": (
        "import os\nfor _ in range(2000): os.write(1, b'x' * 10**6); os.write(2, b'x' * 10**6)",
        None,
    ),
    "a full disk": ("for i in range(999): open(f'/tmp/{i}', 'wb').write(b'x' * 10**7)", "No space left"),
    "a full memory disk": ("for i in range(999): open(f'/dev/shm/{i}', 'wb').write(b'x' * 10**7)", "No space left"),
    "tracing": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.ptrace(0, 0, 0, 0) < 0: raise OSError(ctypes.get_errno(), 'ptrace')",
        "Errno 1",
    ),
    "memory in a file of no disk": ("import os; os.memfd_create('x')", "Operation not permitted"),
    "memory that outlives a process": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.shmget(0, 2**20, 0o1600) < 0: raise OSError(ctypes.get_errno(), 'shmget')",
        "Errno 1",
    ),
    "a namespace of its own": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.unshare(0x10000000) < 0: raise OSError(ctypes.get_errno(), 'unshare')",
        "Errno 1",
    ),
    "the judges": ("from dropout_lessons.exercises.judges import comparing", "cannot import name 'comparing'"),
    "data of the package": (
        "import os, dropout_lessons\nassert os.listdir(os.path.join(os.path.dirname(dropout_lessons.__file__), 'data'))",
        None,
    ),
    "a thread bomb": (
        "import threading, time\n"
        "for _ in range(10**6): threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "can't start new thread",
    ),
}


@pytest.fixture(scope="module")
def after_all_of_them(tmp_path_factory):
    """A right answer, and then everything that is harmless after all, in one run."""
    return run_in_the_sandbox(
        tmp_path_factory.mktemp("harmless") / "job", RIGHT, *(cell for cell, _ in HARMLESS.values())
    )


@needs_sandbox
@pytest.mark.xdist_group("harmless")
@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_cell_cannot_do_costs_nobody_anything(after_all_of_them, name):
    outcome, codes, errors = after_all_of_them
    assert (codes, outcome.ending) == ([], None)
    said = HARMLESS[name][1]
    number = 1 + list(HARMLESS).index(name)
    assert number not in errors if said is None else said in errors[number]


@needs_sandbox
@pytest.mark.parametrize(
    ("cell", "ending"),
    [
        ("import os; os._exit(0)", None),
        ("import os; os._exit(7)", "the notebook ended Python by itself"),
        ("import ctypes; ctypes.string_at(0)", "the notebook ended Python by itself"),
    ],
)
def test_ending_python_costs_the_student_the_answers_that_come_after(graded, cell, ending):
    outcome, codes, _ = graded(cell, RIGHT)
    assert codes is None
    assert not any(str(message.get("kind")) == "end" for message in outcome.messages)
    assert outcome.ending is None if ending is None else outcome.ending.startswith(ending)


@needs_sandbox
@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("for i in range(10**7): open(f'/tmp/{i}', 'w').close()", "20,000 files"),
        (
            "import threading, time\nthreading.stack_size(32768)\n"
            "for _ in range(10**6): threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
            "500 threads",
        ),
    ],
)
def test_what_no_limit_of_the_kernel_counts_is_counted_and_answers_before_it_stay(graded, cell, what):
    outcome, codes, _ = graded(RIGHT, cell)
    assert codes == []
    # A thread of Python 3.10 takes so much address space that the limit of memory comes first.
    if sys.version_info >= (3, 11) or "start new thread" not in str(outcome.messages):
        assert outcome.ending == f"the notebook made more than {what}"
    assert outcome.seconds < 50


def processes(*marks):
    """Command lines of running processes that have one of the marks in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found += [line] if any(mark in line for mark in marks) else []
    return found


@needs_sandbox
def test_the_files_of_the_host_are_not_counted_while_a_sandbox_starts(tmp_path):
    for _ in range(40):
        filter_fd = seccomp.program_file()
        command = [*sandbox._bubblewrap(tmp_path, Limits(), (), filter_fd), "/bin/true"]
        with subprocess.Popen(command, pass_fds=(filter_fd,), env={}) as process:
            os.close(filter_fd)
            while process.poll() is None:  # it moves from the host's folders to its own meanwhile
                assert watch.excess(process.pid, threads=500, files=100) is None


@needs_sandbox
def test_an_endless_loop_that_ignores_every_signal_is_killed_in_time(graded, tmp_path):
    cell = (
        "import signal, time\n"
        "for number in range(1, 32):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "signal.setitimer = lambda *_: None\n"
        "time.sleep(10_000)"
    )
    outcome, _, _ = graded(RIGHT, cell, limits=Limits(seconds=4))
    assert outcome.ending == "the notebook ran for longer than 4 seconds"
    assert outcome.timed_out
    assert outcome.seconds < 8
    # Bubblewrap's own process names the job, Python inside names its limits; the kernel takes a moment to end them.
    deadline = time.monotonic() + 10
    while (left := processes(str(tmp_path), f"confine {Limits().memory} 9 ")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


@needs_sandbox
def test_an_answer_that_never_returns_is_told_so(graded):
    outcome, codes, _ = graded(RIGHT.replace("return", "while True: pass\n    return"), answer_seconds=2)
    assert codes == ["too-slow"]
    assert outcome.ending is None


@needs_sandbox
def test_files_of_the_host_are_neither_read_nor_written(graded, tmp_path):
    secret = tmp_path / "solutions"
    secret.mkdir()
    (secret / "answer.py").write_text("42")
    package = Path(sandbox.__file__).parents[1]
    private = [secret, Path("/etc/passwd"), Path("/home"), Path(__file__).parent, package.parents[1] / "instructor"]
    look = f"""
import os, json
seen = [path for path in {[str(path) for path in private]!r} if os.path.exists(path)]
written = []
for path in {[str(package / "evil.py"), "/job/evil", "/evil", str(secret / "evil"), "/usr/evil"]!r}:
    try: open(path, "w"); written.append(path)
    except OSError: pass
raise RuntimeError(json.dumps([seen, written, sorted(os.environ), os.getuid()]))
"""
    os.environ["A_SECRET"] = "token"
    try:
        _, codes, errors = graded(RIGHT, look)
    finally:
        del os.environ["A_SECRET"]
    seen, written, environment, user = json.loads(errors[1].removeprefix("RuntimeError: "))
    assert (codes, seen, written, user) == ([], [], [], 65534)
    assert "A_SECRET" not in environment
    assert [path.name for path in secret.iterdir()] == ["answer.py"]
    assert not (package / "evil.py").exists()


@needs_sandbox
def test_a_hidden_folder_is_empty(graded):
    package = Path(sandbox.__file__).parents[1]
    cell = f"import os; raise RuntimeError(str(os.listdir({str(package / 'data')!r})))"
    assert graded(RIGHT, cell, hidden=[package / "data"])[2][1] == "RuntimeError: []"


@needs_sandbox
def test_there_is_no_network(graded):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        port = server.getsockname()[1]
        _, codes, errors = graded(RIGHT, f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)")
        assert codes == []
        assert "refused" in errors[1] or "unreachable" in errors[1]
        with pytest.raises(TimeoutError):
            server.accept()


TRICKS = {  # that are to make a wrong answer count, each before it is tried once more; what forges attempts comes last
    "patching the judge": "from dropout_lessons.exercises import checking\nchecking.judged = lambda *_: ()",
    "patching numpy and torch": (
        "import numpy as np, torch\nnp.array_equal = np.allclose = np.isclose = lambda *_, **__: True\n"
        "torch.equal = torch.allclose = lambda *_, **__: True\nnp.ndarray.__eq__ = None"
    ),
    "asking the judges": (
        "import numpy as np\nfrom dropout_lessons.exercises.judges import masks\n"
        "masks.masks = masks.scaled = lambda *_, **__: iter(())\nraise SystemExit('the truth is here')"
    ),
    "patching the check": "from dropout_lessons import exercises\nexercises.check = lambda *_, **__: 'passed'",
    "patching the worker": (
        "import sys\nmain = sys.modules['__main__']\n"
        "main.attempt = lambda *_: {'passed': __import__('numpy').array(True)}"
    ),
}
ANSWERS = {  # that pretend to be right ones, one after the other
    "an answer that equals everything": (
        "class Same(float):\n    def __eq__(self, other): return True\n    __hash__ = None\n"
        "def shared_dropout(x, keep_prob): return Same()"
    ),
    "not a number": "def shared_dropout(x, keep_prob): return x * float('nan')",
    "a huge array": "def shared_dropout(x, keep_prob): return x.new_zeros(10**8)",  # too large, or on a busy machine too slow
    "exiting within the answer": "def shared_dropout(x, keep_prob): raise SystemExit(0)",
}
FORGERIES = {  # that speak for the worker, or look for so long that a busy machine may end them
    "looking for the solution": (
        "import glob\nfound = []\n"
        "for top in ('/job', '/tmp', '/root', '/home', '/work'): found += glob.glob(top + '/**/training-1.py', recursive=True)\n"
        "def shared_dropout(x, keep_prob): return eval(open(found[0]).read())"
    ),
    "forged messages": (
        "import os, sys, numpy as np\nfrom dropout_lessons.grading.messages import encode\n"
        "os.write(int(sys.argv[2]), encode({'kind': np.array('attempt'), 'name': np.array('run'), 'passed': np.array(True), "
        "'share': np.array(1.0), 'out y': np.zeros(3), 'problems': np.zeros(0)}))"
    ),
    "a pickle": (
        "import os, pickle, struct, sys\n"
        "class Payload:\n    def __reduce__(self): return (os.system, ('touch /tmp/evil',))\n"
        "data = pickle.dumps(Payload())\nos.write(int(sys.argv[2]), struct.pack('<Q', len(data)) + data)"
    ),
}


def wrong_each_time(outcome):
    """What was wrong with the answer each time that it was tried, in order."""
    tried = (codes_of(messages.attempts([message])) for message in outcome.messages)
    return [codes for codes in tried if codes is not None]


@pytest.fixture(scope="module")
def tricked(tmp_path_factory):
    """A wrong answer, and again after each of the tricks."""
    cells = (cell for trick in TRICKS.values() for cell in (trick, WRONG))
    return wrong_each_time(run_in_the_sandbox(tmp_path_factory.mktemp("tricks") / "job", WRONG, *cells)[0])


@needs_sandbox
@pytest.mark.xdist_group("tricks")
@pytest.mark.parametrize("name", TRICKS)
def test_a_wrong_answer_stays_wrong_after_a_trick(tricked, name):
    assert len(tricked) == 1 + len(TRICKS)
    assert tricked[0] == ["nothing-dropped"]
    assert tricked[1 + list(TRICKS).index(name)]


@pytest.fixture(scope="module")
def pretended(tmp_path_factory):
    """A wrong answer, and then others that are wrong."""
    job = tmp_path_factory.mktemp("answers") / "job"
    outcome, *_ = run_in_the_sandbox(job, WRONG, *ANSWERS.values(), limits=Limits(seconds=120))
    return wrong_each_time(outcome), outcome.ending


@needs_sandbox
@pytest.mark.xdist_group("answers")
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_pretends_stays_wrong(pretended, name):
    tried, ending = pretended
    assert ending is None
    assert len(tried) == 1 + len(ANSWERS) + 1  # the last is tried once more after all cells, since it raised
    assert tried[1 + list(ANSWERS).index(name)]
    assert tried[-1]


@needs_sandbox
@pytest.mark.parametrize("name", FORGERIES)
def test_a_wrong_answer_stays_wrong_whatever_is_sent(graded, name):
    outcome, codes, _ = graded(WRONG, FORGERIES[name])
    assert codes
    assert all(wrong_each_time(outcome))


def test_no_sandbox_is_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "available", lambda: "There is no bubblewrap: install it.")
    with pytest.raises(SandboxUnavailable, match=r"install it\. --unsafe grades without a sandbox"):
        sandbox.run(WORKER, job=tmp_path)


@pytest.mark.skipif(platform.system() != "Linux", reason="limits are those of Linux")
def test_without_a_sandbox_the_answer_still_has_a_process_of_its_own(graded, monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "available", lambda: "There is none.")
    if os.geteuid() == 0:
        for folder in tmp_path.parents:
            if folder != Path("/tmp") and folder.is_relative_to("/tmp"):
                folder.chmod(0o755)
        tmp_path.chmod(0o755)
    cells = (RIGHT, "import os; raise RuntimeError(os.getuid())")
    if os.geteuid() == 0 and not all(sandbox._open_to_all(path) for path in sandbox._mounted()):
        with pytest.raises(SandboxUnavailable, match="User nobody, as whom --unsafe runs answers, cannot read"):
            graded(*cells, unsafe=True)
        return
    _, codes, errors = graded(*cells, unsafe=True)
    assert codes == []
    assert errors[1] == f"RuntimeError: {65534 if os.geteuid() == 0 else os.geteuid()}"


# --- messages


def framed(data):
    return len(data).to_bytes(8, "little") + data


def zipped(content, name="a.npy", compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, content)
    return framed(buffer.getvalue())


def npy(shape, dtype="'<f8'"):
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


GOOD = encode({"a": np.arange(3.0), "word": np.array("yes")})


def test_messages_survive_the_way():
    (message,) = decode(GOOD)
    assert np.array_equal(message["a"], np.arange(3.0))
    assert str(message["word"]) == "yes"


@pytest.mark.parametrize(
    "bad",
    [
        GOOD[:-1],
        b"\xff" * 8,
        b"\xff" * 1000,
        framed(b"not a zip"),
        zipped(npy("(10**12,)")),
        zipped(npy("(1000000000000,)")),
        zipped(npy("(-1,)")),
        zipped(npy("(1,)", "'|O'") + b"\x00" * 8),
        zipped(npy("(1,)", "[('a', '<f8')]") + b"\x00" * 8),
        zipped(npy("(1000000000000,)", "'|V0'")),
        zipped(b"x" * 10**7, compression=zipfile.ZIP_DEFLATED),
        zipped(b"\x80\x04K\x01."),
    ],
    ids=range(12),  # not their bytes, which hold the time: workers that start apart must collect the same tests
)
def test_a_message_that_is_cut_or_forged_ends_the_stream_and_keeps_what_came_before(bad):
    began = time.process_time()
    assert len(decode(GOOD + bad)) == 1
    assert time.process_time() - began < 1


def test_too_many_members_are_refused():
    assert decode(encode({str(number): np.zeros(1) for number in range(200)})) == []
