"""Candidates submit a git bundle or a zip archive, and reviewers download it."""

import hashlib
from datetime import timedelta

import pytest
from bundle_stores import bundle_files, make_zip, use_folder
from response_checks import body_of, error_of

from delivery.worker import Worker
from models import AuditEntry, Session, Submission, privacy, sessions
from models.sessions.submissions import delete_unused
from models.sessions.submissions.objects import MAX_UNUSED_AGE, UPLOAD_URL_LIFETIME
from tests.git_bundles.bundles import bundle_of_blobs

GIT, ZIP = "application/x-git-bundle", "application/zip"
BUNDLE = bundle_of_blobs(a=b"a\n")
OTHER = bundle_of_blobs(a=b"a\n", b=b"b\n")


@pytest.fixture
def store(app, tmp_path, monkeypatch):
    return use_folder(app, tmp_path / "bundles", monkeypatch)


@pytest.fixture
def worker(app, store, monkeypatch, tmp_path):
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path / "emails")
    return Worker(app.config, store)


def submit_work(candidate, content=BUNDLE, media_type=GIT, **options):
    options = {"data": content, "headers": {"Content-Type": media_type}} | options
    return candidate.request("PUT", "/v1/candidate/submission", **options)


def states(reviewer, session):
    submissions = body_of(reviewer.get(f"/v1/sessions/{session.id}/submissions"))["submissions"]
    return [submission["state"] for submission in submissions]


def stored_files(store):
    return sorted(file.read_bytes() for file in bundle_files(store.folder))


@pytest.mark.parametrize(
    ("content", "media_type", "format"),
    [
        (BUNDLE, GIT, "git"),
        (make_zip(a="a"), ZIP, "zip"),
    ],
)
def test_submission_can_be_downloaded(
    candidate, session, reviewer, store, clock, content, media_type, format
):
    expected = {
        "receivedAt": "2026-04-01T09:00:00.000Z",
        "format": format,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "state": "waiting",
    }
    assert body_of(submit_work(candidate, content, media_type)) == {"submission": expected}
    for caller in (candidate, reviewer):
        assert caller.get(f"/v1/sessions/{session.id}").json["submission"] == expected
    state = candidate.get("/v1/candidate/workspace").json
    assert state["submission"] == expected | {"problem": None}
    download = reviewer.get(f"/v1/sessions/{session.id}/submission")
    assert (download.data, download.mimetype) == (content, media_type)
    assert download.headers["Content-Length"] == str(len(content))
    assert f"submission-{session.id}." in download.headers["Content-Disposition"]
    assert AuditEntry.get(AuditEntry.action == "receiveSubmission").subject_id == session.key_id
    assert AuditEntry.get(AuditEntry.action == "downloadSubmission").subject_id == session.id


def test_session_without_a_submission(candidate, session, reviewer, store):
    assert reviewer.get(f"/v1/sessions/{session.id}").json["submission"] is None
    assert error_of(reviewer.get(f"/v1/sessions/{session.id}/submission")) == (404, "not_found")
    diff = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))
    reason = {"submission": None, "noDiffReason": "no_submission", "clientDiff": None}
    assert diff == reason | {"files": [], "total": 0, "limit": 50, "offset": 0, "next": None}


def test_latest_submission_replaces_the_previous_one(app, candidate, session, reviewer, store, worker):
    for content in (BUNDLE, BUNDLE, OTHER):
        submit_work(candidate, content)
    assert states(reviewer, session) == ["waiting"] * 3
    assert reviewer.get(f"/v1/sessions/{session.id}/submission").data == OTHER
    worker.run_once()
    assert states(reviewer, session) == ["replaced", "replaced", "read"]
    assert Session.get_by_id(session.id).stored_bundle_bytes == len(OTHER)
    worker.run_once()
    assert stored_files(store) == [OTHER]


def test_a_zip_archive_replaces_the_previous_submissions_when_its_files_have_been_read(
    candidate, session, reviewer, store, worker
):
    submit_work(candidate)
    worker.run_once()
    damaged = make_zip(a="content").replace(b"content", b"garbage")  # lists a file
    for content, before, after, problem in (
        (damaged, ["read", "waiting"], ["read", "unreadable"], "The archive is damaged."),
        (make_zip(a="a"), ["read", "replaced", "waiting"], ["replaced", "replaced", "stored"], None),
    ):
        diff = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))
        assert (diff["noDiffReason"], [file["path"] for file in diff["files"]]) == (None, ["a"])
        submit_work(candidate, content, ZIP)
        assert states(reviewer, session) == before
        assert reviewer.get(f"/v1/sessions/{session.id}/submission").data == BUNDLE
        worker.run_once()
        assert states(reviewer, session) == after
        assert candidate.get("/v1/candidate/workspace").json["submission"]["problem"] == problem
        findings = body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"]
        assert [finding["code"] for finding in findings] == ["submission_unreadable"] * (problem is not None)
    diff = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))
    assert (diff["noDiffReason"], diff["files"]) == ("stored", [])
    worker.run_once()
    assert stored_files(store) == [content]


def test_an_unreadable_submission_does_not_replace_a_readable_one(
    candidate, session, reviewer, store, worker
):
    """Not even if it arrives before the readable one was read."""
    for content in (BUNDLE, OTHER, b"# v2 git bundle\n"):
        submit_work(candidate, content)
    worker.run_once()
    worker.run_once()  # The first run reads only the newest.
    assert states(reviewer, session) == ["replaced", "read", "unreadable"]
    assert reviewer.get(f"/v1/sessions/{session.id}/submission").data == OTHER
    diff = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))
    assert (diff["noDiffReason"], [file["path"] for file in diff["files"]]) == (None, ["a", "b"])
    findings = body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"]
    assert [finding["code"] for finding in findings] == ["submission_unreadable"]
    shown = candidate.get("/v1/candidate/workspace").json["submission"]
    assert shown["state"] == "unreadable"
    submit_work(candidate, BUNDLE)
    assert states(reviewer, session) == ["replaced", "read", "replaced", "waiting"]
    worker.run_once()
    assert states(reviewer, session) == ["replaced", "replaced", "replaced", "read"]


def test_the_final_diff_stays_until_the_newer_submission_was_read(
    candidate, session, reviewer, store, worker
):
    submit_work(candidate)
    worker.run_once()
    submit_work(candidate, OTHER)
    diff = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))
    assert (diff["submission"]["state"], [file["path"] for file in diff["files"]]) == ("read", ["a"])
    assert diff["submission"]["sha256"] == hashlib.sha256(BUNDLE).hexdigest()


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        (BUNDLE, "application/json", (415, "unsupported_media_type")),
        (BUNDLE, "application/gzip", (415, "unsupported_media_type")),
        (BUNDLE, ZIP, (400, "not_a_submission")),
        (make_zip(a="a")[:-30], ZIP, (400, "not_a_submission")),
        (make_zip(), ZIP, (400, "not_a_submission")),
        (make_zip(**{"a/": "", "a/b/": ""}), ZIP, (400, "not_a_submission")),
        (b"PK\3\4 PK\5\6" + bytes(8), ZIP, (400, "not_a_submission")),
        (make_zip(a="a"), GIT, (400, "not_a_submission")),
        (b"#", GIT, (400, "not_a_submission")),
    ],
    ids=[
        *("JSON", "gzip", "bundle as a zip", "truncated zip", "empty zip", "zip of folders", "17 bytes"),
        *("zip as a bundle", "other content"),
    ],
)
def test_body_must_be_a_git_bundle_or_zip_archive(candidate, session, store, content, media_type, expected):
    assert error_of(submit_work(candidate, content, media_type)) == expected
    assert stored_files(store) == []
    assert Submission.select().count() == 0


def test_body_must_match_its_length(candidate, session, store):
    for environ, expected in (
        ({"CONTENT_LENGTH": str(len(BUNDLE) + 1)}, (400, "incomplete")),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, (411, "length_required")),
        ({"CONTENT_LENGTH": "0"}, (400, "not_a_submission")),
        ({"CONTENT_LENGTH": str(128 * 1024 * 1024 + 1)}, (413, "too_large")),
    ):
        assert error_of(submit_work(candidate, environ_overrides=environ)) == expected
    assert stored_files(store) == []


def test_submission_is_accepted_for_ten_minutes_after_the_close(candidate, session, store, clock):
    sessions.complete(session)
    clock.fixed += timedelta(minutes=10)
    assert submit_work(candidate).status_code == 200
    clock.fixed += timedelta(milliseconds=1)
    assert error_of(submit_work(candidate, OTHER)) == (409, "assessment_closed")
    assert stored_files(store) == [BUNDLE]


def test_key_must_be_redeemed(candidate, store):
    assert error_of(submit_work(candidate)) == (409, "not_redeemed")


def test_submission_counts_toward_the_sessions_quota(app, candidate, session, store, monkeypatch, worker):
    monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", len(OTHER))
    assert submit_work(candidate, BUNDLE).status_code == 200
    assert submit_work(candidate, OTHER).status_code == 200  # will replace the first
    monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", len(OTHER) - 1)
    assert error_of(submit_work(candidate, OTHER)) == (413, "session_full")
    for _ in range(2):
        worker.run_once()
    assert stored_files(store) == [OTHER]


def test_concurrent_submissions_cannot_exceed_the_sessions_quota(
    app, candidate, session, store, monkeypatch, worker
):
    receive = store.receive

    def receive_during_another(*arguments):
        monkeypatch.setattr(store, "receive", receive)
        assert error_of(submit_work(candidate, BUNDLE)) == (413, "session_full")
        return receive(*arguments)

    monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", 2 * len(BUNDLE) - 1)
    monkeypatch.setattr(store, "receive", receive_during_another)
    assert submit_work(candidate, BUNDLE).status_code == 200
    assert submit_work(candidate, BUNDLE).status_code == 200  # will replace the first
    worker.run_once()
    assert Session.get_by_id(session.id).stored_bundle_bytes == len(BUNDLE)


def test_candidate_export_includes_the_submission(candidate, session, store):
    submit_work(candidate)
    exported = candidate.get("/v1/candidate/me/export").text
    assert '{"submission":{"format":"git"' in exported
    assert "submissions" in [kind["name"] for kind in candidate.get("/v1/candidate/me").json["storedData"]]


def test_abandoned_submission_is_deleted(session, candidate, store, clock):
    submit_work(candidate)
    Submission.reserve(session, "zip", f"{session.id}.{'0' * 32}.zip")
    clock.fixed += UPLOAD_URL_LIFETIME + MAX_UNUSED_AGE
    assert delete_unused() == 1
    assert Submission.get().state == "waiting"


def test_submission_changed_in_the_store_is_not_served(candidate, session, reviewer, store):
    submit_work(candidate)
    (file,) = bundle_files(store.folder)
    file.write_bytes(OTHER)
    assert error_of(reviewer.get(f"/v1/sessions/{session.id}/submission")) == (409, "bundle_changed")


def test_upload_url_cannot_overwrite_a_submission(app, candidate, session, store):
    submit_work(candidate)
    stored = Submission.get()
    url = store.upload_url(stored.object_key, stored.expires_at).partition("com")[2]
    assert error_of(candidate.request("PUT", url, data=OTHER)) == (403, "upload_rejected")


def test_submission_that_arrives_after_the_erasure_is_deleted(candidate, session, store, monkeypatch, worker):
    receive = store.receive

    def receive_and_erase(*arguments):
        sha256 = receive(*arguments)
        privacy.erase(session.key)
        return sha256

    monkeypatch.setattr(store, "receive", receive_and_erase)
    assert error_of(submit_work(candidate)) == (409, "erased")
    assert Submission.select().count() == 0
    worker.run_once()
    assert stored_files(store) == []
