"""Hosted repositories: smart HTTP, and what a session keeps. tests/live/test_git.py uses git."""

import gzip
from datetime import timedelta

import pytest
from callers import Caller
from factories import make_assessment, make_key, make_repository, make_session
from response_checks import body_of

from blueprints.tasks.git import NOT_FOUND, READ_ONLY
from delivery.worker.submissions import read_due
from models import Session, sessions
from tests.git_bundles.bundles import bundle, bundle_of_blobs, commit, git
from tests.live.candidate_machine import needs_programs
from web.json import MAX_BODY_BYTES

FILES = {"orders.py": "print(1)\n", "src/a.py": "a\n"}
ADVERTISEMENT, RESULT = (f"application/x-git-upload-pack-{kind}" for kind in ("advertisement", "result"))
NAK = b"0008NAK\n"


@pytest.fixture
def assessment(organization):
    return make_assessment(organization, repo_commit="1" * 40, time_limit_minutes=60)


@pytest.fixture
def repository(app, assessment):
    return make_repository(assessment, FILES, app.extensions["storage"])


@pytest.fixture
def key(assessment, repository):
    return make_key(assessment)


@pytest.fixture
def session(key):
    return make_session(key)


@pytest.fixture
def stored(app, repository):
    return app.extensions["storage"].folder / repository.object_key


def path_of(session):
    return f"/git/{session.repository_token}/task.git"


def advertise(caller, session, service="git-upload-pack"):
    return caller.get(f"{path_of(session)}/info/refs", service=service)


def line(text):
    return b"%04x%b" % (len(text) + 4, text)


def fetch(caller, session, *lines, commit=None, capabilities=b" side-band-64k", **headers):
    """Request the commit. The flushes are None."""
    commit = commit or session.repository.commit_id.encode()
    body = line(b"want %b%b\n" % (commit, capabilities))
    body += b"".join(b"0000" if text is None else line(text) for text in lines)
    if headers:
        body = gzip.compress(body)
    return caller.request("POST", f"{path_of(session)}/git-upload-pack", headers=headers, data=body)


def unpack(response):
    """Return the pack in a response with side bands."""
    assert (response.data[: len(NAK)], response.data[-4:]) == (NAK, b"0000")
    data, pack = response.data[len(NAK) : -4], b""
    while data:
        size = int(data[:4], 16)
        assert data[4:5] == b"\1"
        pack, data = pack + data[5:size], data[size:]
    return pack


def text_of(response, status):
    """Return the text of a rejection, which git shows."""
    assert (response.status_code, response.mimetype) == (status, "text/plain")
    return response.text


def test_references_are_head_and_main(anonymous, session):
    response = advertise(anonymous, session)
    assert (response.status_code, response.content_type) == (200, ADVERTISEMENT)
    commit, empty, *lines = session.repository.commit_id, *response.text.split("\n")
    assert empty == "001e# service=git-upload-pack"
    assert lines[0].partition("\0")[0].endswith(f"{commit} HEAD")
    assert "symref=HEAD:refs/heads/main" in lines[0]
    assert lines[1:] == [f"003d{commit} refs/heads/main", "0000"]


def test_a_clone_gets_the_stored_pack(anonymous, session, stored):
    response = fetch(anonymous, session, None, b"done\n")
    assert (response.status_code, response.content_type) == (200, RESULT)
    pack = stored.read_bytes().partition(b"\n\n")[2]
    assert unpack(response) == pack
    assert unpack(fetch(anonymous, session, None, b"done\n", **{"Content-Encoding": "gzip"})) == pack
    assert fetch(anonymous, session, None, b"done\n", capabilities=b"").data == NAK + pack


def test_a_negotiation_without_done_gets_no_pack(anonymous, session):
    have = b"have " + b"1" * 40
    assert fetch(anonymous, session, b"deepen 1", None).data == b"0000"
    assert fetch(anonymous, session, None, have, None).data == NAK
    assert fetch(anonymous, session, b"deepen 1", None, b"done").data.startswith(b"0000" + NAK)
    response = anonymous.request("POST", f"{path_of(session)}/git-upload-pack", data=b"0000")
    assert (response.status_code, response.data) == (200, b"")


def test_another_commit_is_rejected_with_a_message(anonymous, session):
    response = fetch(anonymous, session, None, b"done", commit=b"1" * 40)
    assert b"ERR The repository has only the commit" in response.data


@pytest.mark.parametrize("body", [b"", b"x", b"zzzz", b"0005", b"0032want", b"0009want 0000"])
def test_malformed_requests_are_rejected(anonymous, session, body):
    response = anonymous.request("POST", f"{path_of(session)}/git-upload-pack", data=body)
    assert response.status_code in (200, 400)
    assert b"PACK" not in response.data


def test_large_bodies_are_rejected(anonymous, session):
    path, large = f"{path_of(session)}/git-upload-pack", b"0" * (MAX_BODY_BYTES + 1)
    assert text_of(anonymous.request("POST", path, data=large), 413)
    headers = {"Content-Encoding": "gzip"}
    assert text_of(anonymous.request("POST", path, data=gzip.compress(large), headers=headers), 413)
    assert text_of(anonymous.request("POST", path, data=b"no gzip", headers=headers), 400)


def test_pushes_are_rejected_with_the_way_to_submit(anonymous, session):
    assert text_of(advertise(anonymous, session, "git-receive-pack"), 403) == f"{READ_ONLY}\n"


def assert_unavailable(caller, session):
    assert text_of(advertise(caller, session), 404) == f"{NOT_FOUND}\n"
    assert text_of(fetch(caller, session, None, b"done"), 404) == f"{NOT_FOUND}\n"


def test_an_unknown_token_is_not_found(anonymous, session):
    session.repository_token = "x" * 43
    assert_unavailable(anonymous, session)


def test_a_revoked_key_ends_access(anonymous, reviewer, session):
    assert advertise(anonymous, session).status_code == 200
    body_of(reviewer.delete(f"/v1/assessments/{session.assessment_id}/keys/{session.key_id}"))
    assert_unavailable(anonymous, session)


def test_a_deleted_assessment_ends_access(anonymous, reviewer, session):
    body_of(reviewer.delete(f"/v1/assessments/{session.assessment_id}"))
    assert_unavailable(anonymous, session)


def test_the_close_ends_access(clock, anonymous, session):
    clock.fixed += timedelta(minutes=64)
    assert advertise(anonymous, session).status_code == 200
    clock.fixed += timedelta(minutes=2)
    assert_unavailable(anonymous, session)


def test_an_erasure_ends_access(anonymous, reviewer, session):
    sessions.complete(session)
    body_of(reviewer.delete(f"/v1/candidates/{session.key_id}/data"))
    assert_unavailable(anonymous, session)


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_lost_or_damaged_object_is_unavailable(anonymous, session, stored, content):
    whole = stored.read_bytes()
    stored.unlink() if content is None else stored.write_bytes(content)
    assert "cannot be read right now" in text_of(advertise(anonymous, session), 503)
    assert "cannot be read right now" in text_of(fetch(anonymous, session, None, b"done"), 503)
    stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert text_of(advertise(anonymous, session), 503)
    stored.write_bytes(whole)
    assert advertise(anonymous, session).status_code == 200


def test_candidates_get_the_url_after_the_start(app, anonymous, key, assessment):
    candidate = Caller.candidate(app, key)
    path = f"/v1/assessments/{assessment.id}"
    assert body_of(candidate.get(path))["assessment"]["repoUrl"] is None
    session = make_session(key)
    url = f"{app.config['BASE_URL']}{path_of(session)}"
    redeemed = body_of(anonymous.post("/v1/candidate/redeem", {"key": key.key}))
    assert (redeemed["repoUrl"], redeemed["repoCommit"]) == (url, session.repository.commit_id)
    assert body_of(candidate.get(path))["assessment"]["repoUrl"] == url
    assert body_of(candidate.get("/v1/candidate/workspace"))["repoUrl"] == url
    files = candidate.get("/v1/candidate/workspace/files").data
    assert url.encode() in files
    assert session.repository.commit_id.encode() in files


def test_reviewers_and_exports_do_not_get_the_url(reviewer, session):
    for path in (f"/v1/sessions/{session.id}", f"/v1/assessments/{session.assessment_id}"):
        assert session.repository_token not in reviewer.get(path).text
    exported = reviewer.get(f"/v1/sessions/{session.id}/export").text
    assert session.repository_token not in exported


def test_a_session_keeps_its_repository(app, anonymous, assessment, session):
    later = make_repository(assessment, {"a": "2"}, app.extensions["storage"])
    started = make_session(make_key(assessment, "bob@example.com"))
    assert Session.get_by_id(session.id).repo_commit == session.repository.commit_id
    assert started.repo_commit == later.commit_id != session.repo_commit
    assert started.repository_token != session.repository_token
    assert advertise(anonymous, session).status_code == advertise(anonymous, started).status_code == 200


def submit(app, session, content):
    """Submit a git bundle, let the worker read it, and return the session's final diff."""
    options = {"data": content, "headers": {"Content-Type": "application/x-git-bundle"}}
    body_of(Caller.candidate(app, session.key).request("PUT", "/v1/candidate/submission", **options))
    read_due(app.extensions["storage"])
    return body_of(Caller.reviewer(app, session.organization).get(f"/v1/sessions/{session.id}/final-diff"))


@needs_programs
def test_the_base_is_the_commit_of_the_sessions_repository(app, assessment, session, stored, tmp_path):
    make_repository(assessment, {"orders.py": "print(2)\n"}, app.extensions["storage"])
    git(tmp_path, "clone", "-q", str(stored), "work")
    commit(tmp_path / "work", {"orders.py": "print(1)\nprint(3)\n"})
    diff = submit(app, session, bundle(tmp_path / "work"))
    base = {"baseVerified": True, "baseCommit": session.repository.commit_id}
    assert diff["submission"].items() >= base.items()
    assert [(file["path"], file["linesAdded"]) for file in diff["files"]] == [("orders.py", 1)]
    diff = submit(app, session, bundle_of_blobs(a=b"a\n"))
    assert (diff["submission"]["baseVerified"], diff["noDiffReason"]) == (False, "no_base")
