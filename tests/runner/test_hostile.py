"""Hostile submissions: none reaches anything, earns anything, outlives its limits, or leaves anything."""

import io
import os
import re
import socket
import tarfile
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from tests.runner.attacks import HIDDEN, MAIN, OUT_OF_PROCESS, SETUPS
from tests.runner.conftest import with_sandboxes
from tests.runner.in_process_attacks import IN_PROCESS
from tests.runner.service import pack

pytestmark = [pytest.mark.slow, with_sandboxes]
ALL = os.environ.get("SANDBOX") == "all"
LIMITS = {"seconds": 10, "setupSeconds": 5}
# A job also starts three sandboxes and removes them.
MAX_SECONDS = 30
SERVE = "exec python3 /serve/serve.py"
HIDDEN_ARCHIVE = pack(HIDDEN)


def some(cases):
    """Return every third case for `make slow`, all for `make sandbox`."""
    return list(cases) if ALL else list(cases)[::3]


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def make_main(attack, port=1):
    text = attack.replace("{port}", str(port)).replace("{address}", own_address())
    return MAIN.replace("{attack}", textwrap.indent(text.strip("\n"), "    "))


@pytest.fixture
def run(running):
    """Run a job, and check its duration, its result and the machine afterwards."""

    def run(work, tests=HIDDEN_ARCHIVE, earned=(), **settings):
        start = time.monotonic()
        result = running.run(work=work, tests=tests, limits=LIMITS, **settings)
        assert time.monotonic() - start < MAX_SECONDS
        passed = [test["name"] for test in result["tests"] if test["outcome"] == "passed"]
        assert earned is None or passed == list(earned), result
        running.service.wait_for(lambda: not running.leftovers(), 10)
        return result

    return run


@pytest.mark.parametrize("name", some(OUT_OF_PROCESS))
def test_an_out_of_process_submission_earns_nothing(run, running, name):
    if (name, running.engine) == ("socket buffers", "podman") and Path("/sys/fs/cgroup/memory").exists():
        pytest.skip("podman needs version 2 of cgroups")
    attack, pattern = OUT_OF_PROCESS[name]
    work = pack({"main.py": make_main(attack, running.service.server.server_port)})
    result = run(work, serve=SERVE)
    assert result["state"] in ("finished", "timed_out"), result
    if pattern:
        (evidence, _) = result["tests"]
        assert re.search(pattern, evidence["output"]), evidence


def test_a_correct_submission_passes(run):
    program = """
import http.server, urllib.parse
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(self.path.partition("?")[2])
        body = str(int(query["a"][0]) + int(query["b"][0])).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""
    assert run(pack({"main.py": program}), serve=SERVE, earned=["sum"])["state"] == "finished"


def test_jobs_at_the_same_time_do_not_see_each_other(run, running):
    tests = pack(HIDDEN | {"run.py": HIDDEN["run.py"] + "\ntime.sleep(4)\n"})
    neighbor = make_main("pathlib.Path('/tmp/NEIGHBOR').write_text('x')\nreturn 'NEIGHBOR'")
    limits = LIMITS | {"seconds": 30}
    running.service.add(pack({"main.py": neighbor}), tests, limits=limits, serve=SERVE)
    attack = OUT_OF_PROCESS["hidden files"][0].replace("chr(72) + 'IDDENMARKER'", "'NEIGH' + 'BOR'")
    number = running.service.add(pack({"main.py": make_main(attack)}), tests, limits=limits, serve=SERVE)
    running.service.wait_for(lambda: [r["id"] for r in running.service.results].count(number) == 1)
    result = next(result for result in running.service.results if result["id"] == number)
    assert result["tests"][0]["output"] == "found []"
    running.service.wait_for(lambda: not running.leftovers(), 30)


# -- Archives ------------------------------------------------------------------------------------------


def entry(name, kind, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def make_zip(files, compression=zipfile.ZIP_DEFLATED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


READ_LINK = """
try:
    return pathlib.Path("/work/link").read_text()
except OSError as error:
    return type(error).__name__
"""
ARCHIVES = {
    "link to a host file": (
        "tar.gz",
        {"link": entry("link", tarfile.SYMTYPE, "/etc/shadow")},
        "FileNotFoundError",
    ),
    "link upwards": (
        "tar.gz",
        {"link": entry("link", tarfile.SYMTYPE, "../" * 20 + "etc/shadow")},
        "FileNotFoundError",
    ),
    "hard link to a host file": (
        "tar.gz",
        {"link": entry("link", tarfile.LNKTYPE, "/etc/shadow")},
        "absolute",
    ),
    "write through a link": (
        "tar.gz",
        {"d": entry("d", tarfile.SYMTYPE, "/tests"), "d/run.py": "print('own')", "link": "x"},
        "^x|unpacked",
    ),
    "parent folder": ("tar.gz", {"../../etc/cron.d/x": "x"}, "absolute, relative"),
    "absolute path": ("tar.gz", {"/etc/cron.d/x": "x"}, "absolute, relative"),
    "device": ("tar.gz", {"link": entry("link", tarfile.BLKTYPE)}, "FileNotFoundError"),
    "fifo": ("tar.gz", {"link": entry("link", tarfile.FIFOTYPE)}, "FileNotFoundError"),
    "sparse file": (
        "tar",
        {"x": entry("x", tarfile.GNUTYPE_SPARSE, size=1 << 40)},
        "cannot be read|unpacks to more",
    ),
    "gzip bomb": ("tar.gz", {"x": bytes(200 << 20)}, "unpacks to more than 32 MiB"),
    "too many entries": ("tar.gz", {str(number): "" for number in range(100_001)}, "more than 100,000"),
    "long path": ("tar.gz", {"d/" * 600 + "x": "x"}, "too long path"),
    "not an archive": ("tar.gz", b"x" * 1000, "cannot be read"),
    "half an archive": ("tar.gz", pack({"x": os.urandom(100_000)})[:50_000], "cannot be read"),
    "zip bomb": ("zip", {"x": bytes(200 << 20)}, "unpacks to more than 32 MiB"),
    "zip with a parent folder": ("zip", {"../../x": "x", "y": "y"}, "absolute, relative"),
    "zip with a false size": ("zip", b"", "cannot be read"),
}


@pytest.mark.parametrize("name", some(ARCHIVES))
def test_a_hostile_archive_reaches_nothing(run, name):
    form, files, pattern = ARCHIVES[name]
    if isinstance(files, dict):
        files = {"main.py": make_main(READ_LINK)} | files
        files = make_zip(files) if form == "zip" else pack(files, "w" if form == "tar" else "w:gz")
    elif name == "zip with a false size":
        files = make_zip({"main.py": "x" * 1000}, zipfile.ZIP_STORED).replace(
            (1000).to_bytes(4, "little"), b"\1\0\0\0"
        )
    result = run(files, form=form, serve=SERVE)
    assert result["state"] == "finished"
    text = result["tests"][0]["output"] if result["tests"] else result["reason"]
    assert re.search(pattern, text), result


# -- Setup ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", some(SETUPS))
def test_a_hostile_setup_earns_nothing(run, name):
    attack, state, pattern = SETUPS[name]
    files = {"build.py": make_main(attack).replace("http.server.HTTPServer", "print(RESULT); exit#")}
    files["main.py"] = make_main("return pathlib.Path('/work/seen').read_text()")
    result = run(pack(files), serve=SERVE, setup="python3 build.py")
    assert result["state"] == state, result
    text = result["tests"][0]["output"] if result["tests"] else result["reason"]
    assert re.search(pattern, text), result


# -- In-process ----------------------------------------------------------------------------------------


NODE_TEST = """
import test from "node:test";
import assert from "node:assert";
import { add } from "../app.mjs";
test("sum", () => assert.equal(add(1, 2), 3));
"""


@pytest.mark.parametrize("name", some(IN_PROCESS))
def test_an_in_process_submission_is_not_believed(run, name):
    framework, files, state = IN_PROCESS[name]
    if framework == "node":
        hidden = {"tests/sum.test.mjs": NODE_TEST}
        command = 'node --test --test-reporter=junit --test-reporter-destination="$REPORT" tests'
    else:
        hidden = {"tests/test_sum.py": "import app\n\n\ndef test_sum():\n    assert app.add(1, 2) == 3\n"}
        command = 'python3 -m pytest -q --junitxml="$REPORT" tests'
    places = [{"from": "tests", "to": "tests"}]
    job = {"framework": framework, "files": places, "command": command}
    # An untrusted result's tests count for nothing.
    if "LINK own" in files.values():
        files = files | {"tests": entry("tests", tarfile.SYMTYPE, "own")}
    result = run(pack(files), pack(hidden), earned=None if state in ("untrusted", None) else (), **job)
    assert state is None or result["state"] == state, result
