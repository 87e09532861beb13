"""Candidates' requests, and reading their data, use little memory and time."""

import http.client
import io
import json
import tarfile
import time
import uuid

import pytest

from tests.live.cast import event, make_assessment, make_candidate, send_copies
from tests.live.client import CONNECTION_ERRORS, call, run_concurrently

MAX_MIB = 300
MAX_EVENT_BYTES = 16 * 1024 * 1024
MAX_EVENTS = 200_000
WEB_THREADS = 8
READS = ["integrity", "analytics", "signed-log", "export", "artifacts"]
START = '{"id": "x", "kind": "prompt", "ts": "2026-04-01T09:00:00Z", "v": 1, "source": "terminal", '


@pytest.fixture
def service(installation):
    with installation.start(processes=1) as service:
        yield service


@pytest.fixture
def reviewer(service):
    return service.organization("Acme")


@pytest.fixture
def candidate(service, reviewer):
    return make_candidate(service, reviewer, make_assessment(reviewer))


def send(candidate, path: str, text: str):
    """Send a body, and return the response and its duration."""
    headers = candidate.headers | {"Content-Type": "application/json"}
    started_at = time.monotonic()
    response = call(candidate.port, "POST", path, text.encode(), headers=headers, seconds=60)
    return response, time.monotonic() - started_at


def drain(client, path: str) -> int:
    """Read a response in pieces, and return its length."""
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=300)
    connection.request("GET", path, headers=client.headers)
    response = connection.getresponse()
    assert response.status == 200
    length = 0
    while chunk := response.read(1024 * 1024):
        length += len(chunk)
    connection.close()
    return length


def read_all(candidate, reviewer) -> None:
    """Complete the session, and read data derived from its events."""
    candidate.timeout = 300
    assert candidate.complete().status == 200
    for name in ("integrity", "analytics", "signed-log"):
        drain(reviewer, f"/v1/sessions/{candidate.session_id}/{name}")


def repeated(start: str, unit: str, end: str, size: int = MAX_EVENT_BYTES) -> str:
    """Build a text of nearly `size` bytes, mostly repetitions of `unit`."""
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


@pytest.mark.parametrize(
    ("path", "text", "code"),
    [
        ("hooks/ingest/batch", repeated('{"events": [', "{},", "{}]}"), "batch_too_large"),
        ("hooks/ingest/batch", repeated('{"events": [[', "[],", "[]]]}"), "too_many_values"),
        ("hooks/ingest/batch", repeated('{"other": [', "[],", '[]], "events": []}'), "too_many_values"),
        ("hooks/ingest", repeated(START + '"data": {"a": [', '{"":{}},', "0]}}"), "too_many_values"),
        ("hooks/ingest", repeated(START + '"data": {}, "a": [', '"",', '""]}'), "too_many_values"),
        ("hooks/ingest", repeated("", '{"":', "1"), "too_many_values"),
        ("hooks/ingest", repeated(START + '"data": {"a": "', "\\n,", "}}"), "invalid_json"),
        ("candidate/submit-code", repeated('{"fileTree": [', '"a",', '""]}'), "too_many_values"),
        ("candidate/redeem", repeated('{"key": [', "[],", "[]]}", 1024 * 1024), "too_many_values"),
    ],
    ids=lambda value: value[:40].strip(),
)
def test_bodies_with_many_values_are_rejected_immediately(service, candidate, path, text, code):
    response, seconds = send(candidate, f"/v1/{path}", text)
    assert (response.status, response["code"]) == (400, code)
    assert seconds < 20
    assert service.peak_mib() < MAX_MIB


def large_event(text: str) -> str:
    """Build an event of nearly MAX_EVENT_BYTES. Because of its emoji, Python stores each character in four bytes."""
    start = START.replace("x", str(uuid.uuid4())) + '"data": {"text": "\U0001f600'
    return repeated(start, text, '"}}', MAX_EVENT_BYTES // len(text.encode()) * len(text) - 3)


@pytest.mark.parametrize("text", ["x", "\U0001f600", "\\n"], ids=["ascii", "wide", "escapes"])
def test_large_events_use_little_memory(service, reviewer, candidate, text):
    for _ in range(3):
        assert send(candidate, "/v1/hooks/ingest", large_event(text))[0].status == 201
    batch = f'{{"events": [{large_event(text)[: -len(text) * 20 - 3]}"}}}}]}}'
    assert send(candidate, "/v1/hooks/ingest/batch", batch)[0]["results"][0]["status"] == "created"
    read_all(candidate, reviewer)
    assert service.peak_mib() < MAX_MIB


@pytest.mark.parametrize("names", [["large"] * 8, ["large", "signed-log", "export"] * 3, READS * 2], ids=str)
def test_simultaneous_large_requests_use_little_memory(service, reviewer, candidate, names):
    """One is served, one waits, and the rest are rejected. Small events are still stored."""
    assert send(candidate, "/v1/hooks/ingest", large_event("x"))[0].status == 201
    caller = candidate if "large" in names else reviewer
    paths = {"export": "/v1/candidate/me/export"} if caller is candidate else {}

    def request(name: str) -> int:
        try:
            if name == "large":
                return send(caller, "/v1/hooks/ingest", large_event("x"))[0].status
            return caller.get(paths.get(name, f"/v1/sessions/{candidate.session_id}/{name}")).status
        except CONNECTION_ERRORS:
            return 429  # rejected before the body was read

    calls = [lambda name=name: request(name) for name in names]
    outcomes = run_concurrently([*calls, *[lambda: candidate.ingest().status] * 4])
    assert {429} < set(outcomes[: len(names)]) <= {200, 201, 429}
    assert set(outcomes[len(names) :]) == {201}
    assert service.peak_mib() < MAX_MIB


def test_events_with_many_values_use_little_memory(service, reviewer, candidate):
    for number in range(3):
        start = START.replace("x", str(number)) + '"data": {"a": ['
        body = repeated(start, '{"":{}},', "0]}}", 49_000 * len('{"":{}},'))
        assert send(candidate, "/v1/hooks/ingest", body)[0].status == 201
    read_all(candidate, reviewer)
    assert service.peak_mib() < MAX_MIB


def test_long_signatures_use_little_memory(service, reviewer, candidate):
    signature = "a" * (MAX_EVENT_BYTES // 2 - 200)
    for _ in range(12):
        assert candidate.ingest(event(sig=signature, prevSig=signature)).status == 201
    read_all(candidate, reviewer)
    counts = reviewer.get(f"/v1/sessions/{candidate.session_id}/integrity")["counts"]
    assert counts["invalid"] == 12
    assert service.peak_mib() < MAX_MIB


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "prompt", "data": {"text": "Why?"}, "sig": "ab" * 60 + "NUMBER", "prevSig": "NUMBER"},
        {"kind": "command", "data": {"command": "pytest NUMBER", "exitCode": 1, "stderr": "failed\n" * 20}},
    ],
    ids=["prompts and gaps", "failures"],
)
def test_full_sessions_use_little_memory(service, reviewer, candidate, fields):
    send_copies(service, candidate, event() | {"id": "NUMBER"} | fields, MAX_EVENTS)
    read_all(candidate, reviewer)
    assert service.peak_mib() < MAX_MIB


def test_reports_and_unverified_submissions_use_little_memory(service, reviewer, candidate):
    body = {"checkpoint": "start", "fingerprint": {"a": [{}] * 20_000}}
    for _ in range(110):
        assert send(candidate, "/v1/candidate/device-check", json.dumps(body))[0].status == 200
    for _ in range(10):
        upload, repo_url, base_sha = {"objectKey": "x"}, "r" * 8_000_000, "s" * 7_000_000
        assert candidate.submit(upload, b"x", repoUrl=repo_url, baseSha=base_sha).status == 200
    drain(candidate, "/v1/candidate/me/export")
    assert drain(reviewer, f"/v1/sessions/{candidate.session_id}/submissions") < 100_000
    assert service.peak_mib() < MAX_MIB


def test_long_names_in_a_bundle_use_little_memory(service, reviewer, candidate):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for _ in range(20_000):
            archive.addfile(tarfile.TarInfo("\U0001f600" * 1_000))
    assert len(file.getvalue()) < 1024 * 1024
    upload = candidate.open_upload()
    assert candidate.upload(upload, file.getvalue()).status == 200
    assert candidate.submit(upload, file.getvalue())["verified"]
    path = f"/v1/sessions/{candidate.session_id}/bundle/files"
    for listing in run_concurrently([lambda: reviewer.get(path)] * WEB_THREADS):
        assert listing["problem"] == "The archive's file names are too long to list all of them."
        assert len(listing["files"]) > 1_000
    assert service.peak_mib() < MAX_MIB


def test_many_invalid_values_use_little_memory(service, candidate):
    start = f'{{"sessionId": "{candidate.session_id}", "bundleKey": "x", "bundleSize": 1, "fileTree": ['
    body = repeated(start, "1,", "1]}", len(start) + 2 * 499_000)
    response, seconds = send(candidate, "/v1/candidate/submit-code", body)
    assert (response.status, response["code"]) == (400, "invalid_request")
    assert len(response.text) < 10_000
    assert seconds < 20
    assert service.peak_mib() < MAX_MIB
