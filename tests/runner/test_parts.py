"""Archives and reports, without a sandbox."""

import io
import tarfile
import threading
import zipfile
from datetime import UTC, datetime

import pytest
import requests

from runner import Aborted, Unusable
from runner.archives import clean, compose
from runner.client import Client, retry
from runner.jobs import move
from runner.reports import Canary, parse
from tests.delivery.receiver import receiving
from tests.runner.service import pack


def names(path):
    with tarfile.open(path) as archive:
        return [entry.name for entry in archive]


def make_zip(*files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in files:
            archive.writestr(name, "x")
    return target.getvalue()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["task-main/a", "task-main/b/c", "__MACOSX/task-main/._a"], ["a", "b/c"]),
        (["a", "b/c"], ["a", "b/c"]),
        (["a"], ["a"]),
        (["task/.git/config", "task/a"], ["a"]),
    ],
)
def test_the_only_folder_of_a_zip_archive_is_its_root(files, expected, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(make_zip(*files))
    assert names(clean(source, "zip", tmp_path / "target", 1)) == expected


def test_folders_of_a_zip_archive_from_windows_are_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "source", "w") as archive:
        for name in ("task\\a", "task\\b\\c"):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 0
            archive.writestr(entry, "x")
    assert names(clean(tmp_path / "source", "zip", tmp_path / "target", 1)) == ["a", "b/c"]


def test_a_later_file_replaces_what_is_in_its_way(tmp_path):
    link = tarfile.TarInfo("tests")
    link.type, link.linkname = tarfile.SYMTYPE, "own"
    (tmp_path / "first").write_bytes(pack({"tests": link, "own/a": "", "b/c": "", "d": ""}, "w"))
    (tmp_path / "second").write_bytes(pack({"tests/a": "", "b": ""}, "w"))
    target = compose(tmp_path / "target", (tmp_path / "first",), (tmp_path / "second",), files={"d": b""})
    assert names(target) == ["own/a", "tests/a", "b", "d"]


@pytest.mark.parametrize(
    ("source", "target", "name", "expected"),
    [
        (".", ".", "a/b", "work/a/b"),
        ("tests", "spec", "tests/a", "work/spec/a"),
        ("tests", ".", "tests/a", "work/a"),
        ("a.py", "b.py", "a.py", "work/b.py"),
        ("tests", "tests", "tests2/a", None),
        (".", ".", "tests.json", None),
    ],
)
def test_hidden_files_are_moved(source, target, name, expected):
    assert move(source, target)(name) == expected


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"code": "not_found"}', Aborted),
        (409, b'{"code": "claim_lost"}', Aborted),
        (404, b"404 page not found", requests.RequestException),
        (521, b"Web server is down", requests.RequestException),
        (400, b"{}", ValueError),
    ],
)
def test_a_proxy_without_a_running_service_is_called_again(status, body, error):
    with receiving() as receiver:
        receiver.responses = [(status, {}, body)]
        client = Client(receiver.url(""), "token", "runner", "bubblewrap")
        with pytest.raises(error):
            client.heartbeat({"id": "1", "attempt": 1})


def test_outcomes_of_a_report():
    report = b"""<?xml version="1.0"?><testsuites><testsuite>
    <testcase classname="a" name="b" time="1.5"/><testcase name="c" time="nan"><skipped/></testcase>
    <testcase name="d"><failure message="no">text</failure></testcase><testcase name="e"><error/></testcase>
    <testcase name="f" time="999999"/></testsuite></testsuites>"""
    assert [
        (test["name"], test["outcome"], test["durationMs"], test["output"]) for test in parse(report)
    ] == [
        ("a::b", "passed", 1500, ""),
        ("c", "skipped", 0, ""),
        ("d", "failed", 0, "no\ntext"),
        ("e", "failed", 0, ""),
        ("f", "passed", 86_400_000, ""),
    ]


@pytest.mark.parametrize("report", [b"<a>", b"<!DOCTYPE a><a/>", b"\xff", b"<a/>" * 2])
def test_an_unreadable_report_has_no_outcomes(report):
    with pytest.raises(Unusable):
        parse(report)


@pytest.mark.parametrize(
    "character",
    [
        *("\x1b", "\x00", "\ufffe", "\uffff", "&#27;", "&#x1B;", "&#0;", "&#xFFFE;", "&#xFFFF;", "&#65534;"),
        *("&#xD800;", "&#xdfff;", "&#55296;", "&#x110000;", f"&#{'9' * 5_000};"),
    ],
)
def test_invalid_characters_in_a_message_are_replaced(character):
    case = f'<testcase name="a"><failure message="{character}[31mred"/></testcase><testcase name="b"/>'
    tests = parse(f"<t>{case}</t>".encode())
    assert [(test["outcome"], test["output"]) for test in tests] == [("failed", "?[31mred"), ("passed", "")]


def test_valid_character_references_are_kept():
    case = '<testcase name="a"><failure>&#x41;&#0010;&#xE000;&#xFFFD;&#128512;</failure></testcase>'
    assert parse(f"<t>{case}</t>".encode())[0]["output"] == "A\n\ue000\ufffd\U0001f600"


def test_an_unavailable_input_is_not_requested_forever():
    def fail():
        raise requests.ConnectionError

    with pytest.raises(requests.ConnectionError):
        retry(fail, threading.Event(), lambda text: None, seconds=0)


@pytest.mark.parametrize("mtime", ["nan", "inf", "-inf", "1e30", "-1"])
def test_an_invalid_time_does_not_make_an_archive_unreadable(tmp_path, mtime):
    entry = tarfile.TarInfo("a")
    entry.pax_headers = {"mtime": mtime}
    with tarfile.open(tmp_path / "input", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry)
    assert names(clean(tmp_path / "input", "tar", tmp_path / "output", 1)) == ["a"]


def test_files_are_not_older_than_zip_archives_allow(tmp_path):
    (tmp_path / "input").write_bytes(pack({"a": b"x"}))
    target = clean(tmp_path / "input", "tar.gz", tmp_path / "output", 1)
    with tarfile.open(target) as archive:
        assert min(entry.mtime for entry in archive) >= datetime(1980, 1, 1, tzinfo=UTC).timestamp()


def test_outputs_are_cut():
    case = f'<testcase name="a"><failure>{"é" * 20_000}</failure></testcase>'
    outputs = [test["output"] for test in parse(f"<t>{case * 100}</t>".encode())]
    assert len(outputs[0].encode()) == 16 << 10
    assert sum(len(output.encode()) for output in outputs) <= 1 << 20


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"pass": "passed", "fail": "failed"}, True),
        ({"pass": "passed", "fail": "passed"}, False),
        ({"pass": "failed", "fail": "passed"}, False),
        ({"pass": "passed"}, False),
        ({}, False),
    ],
)
def test_canaries_need_their_outcomes(own, expected):
    canary = Canary("pytest")
    tests = [{"name": f"m::test_{canary.token}_{kind}", "outcome": outcome} for kind, outcome in own.items()]
    assert canary.remove_from([*tests, {"name": "a"}]) == ([{"name": "a"}], expected)
