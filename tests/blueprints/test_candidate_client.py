"""What the candidate's client tells beside its events, and what it hands in (contract 3.1, 3.6 to 3.11, 3.17)."""

import gzip
import hashlib
import os
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from answers import refusal
from callers import Caller
from factories import make_assessment, make_key, make_organization, make_session

from delivery.worker import Worker
from models import BundleUpload, ClientReport, Delivery, Submission, sessions
from models.submissions import MAX_UNUSED_UPLOAD_AGE, UPLOAD_URL_LIFETIME
from rules import client_versions

BUNDLE = gzip.compress(b"the files of a workspace", mtime=0)


@pytest.fixture(autouse=True)
def bundles_in_a_folder_of_this_test(app, tmp_path, monkeypatch):
    monkeypatch.setattr(app.extensions["storage"], "folder", tmp_path)


def told(session, place, bundle=BUNDLE, **members):
    """The body of submit-code."""
    digest = hashlib.sha256(bundle).hexdigest()
    facts = {"bundleKey": place["objectKey"], "bundleSize": len(bundle), "bundleSha256": digest}
    code = {"diff": "+1", "fileTree": ["orders.py"], "repoUrl": "", "baseSha": ""}
    return {"sessionId": str(session.id)} | code | facts | members


def upload(candidate, session, bundle=BUNDLE):
    """Ask for a place and PUT the bundle there, as the client does; returns the place."""
    place = candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}).json
    assert put(candidate, place, bundle).status_code == 200
    return place


def put(caller, place, bundle=BUNDLE, **changes):
    parts = urlsplit(place["uploadUrl"])
    # No credential: the address authorises itself.
    stranger = Caller(caller.client.application)
    options = {"data": bundle, "headers": {"Content-Type": "application/gzip"}, "query_string": parts.query}
    return stranger.request("PUT", parts.path, **(options | changes))


def removals():
    """What is queued to go from the store, and when."""
    rows = Delivery.select().where(Delivery.kind == "removal").order_by(Delivery.due_at)
    return [(row.data["objectKey"], row.due_at) for row in rows]


# Version check


@pytest.mark.parametrize(
    ("version", "required", "recommended"),
    [
        ("1.8.9", True, True),
        ("1.9.0-rc.1", True, True),
        ("1.9.0", False, True),
        ("v1.9.5", False, True),
        ("1.10.0", False, False),
        ("1.11.0", False, False),
        ("dev", False, False),
        ("", False, False),
    ],
)
def test_versions_are_compared_as_numbers(version, required, recommended):
    found = client_versions.check_version(version, "1.9.0", "1.10.0")
    assert (found["update_required"], found["update_recommended"]) == (required, recommended)
    assert bool(found["message"]) == recommended


@pytest.mark.parametrize("query", [{"version": "1.10.0"}, {}])
def test_a_client_asks_for_its_version_without_a_credential(anonymous, query):
    answer = anonymous.get("/v1/cli/version-check", **query)
    assert answer.status_code == 200
    assert answer.json == {
        "updateRequired": False,
        "updateRecommended": False,
        "latestVersion": "",
        "minVersion": "",
        "message": "",
    }


# Reports


def test_reports_are_kept_as_they_come(candidate, session):
    fingerprint = {"os": "linux", "arch": "amd64", "cpuCount": 8, "ramBytes": 2**34, "hostnameHash": ""}
    commit = {"sessionId": str(session.id), "commitSha": "4b825dc"}
    assert candidate.post("/v1/candidate/workspace-commit", commit).status_code == 200
    for checkpoint in ("start", "done"):
        body = {"checkpoint": checkpoint, "fingerprint": fingerprint}
        assert candidate.post("/v1/candidate/device-check", body).status_code == 200
    assert [(report.kind, report.data) for report in ClientReport.select().order_by(ClientReport.id)] == [
        ("workspace_commit", {"commitSha": "4b825dc"}),
        ("device_start", fingerprint),
        ("device_done", fingerprint),
    ]


def test_a_hosted_boot_has_four_members_each_of_which_may_be_null(candidate, session):
    body = {"prebuilt": None, "onCreateCompleted": True, "bootSeconds": 41.5, "treeMatches": False}
    answer = candidate.post("/v1/candidate/hosted-boot", body)
    assert answer.status_code == 200
    assert answer.json == {"verdict": {"state": "differs"}}
    assert ClientReport.get().data == body


def test_reports_are_taken_as_long_as_events_are(candidate, session, clock):
    sessions.complete(session)
    report = {"checkpoint": "done", "fingerprint": {}}
    clock.fixed += timedelta(hours=24)
    assert candidate.post("/v1/candidate/device-check", report).status_code == 200
    clock.fixed += timedelta(milliseconds=1)
    assert refusal(candidate.post("/v1/candidate/device-check", report)) == (409, "session_closed")


@pytest.mark.parametrize(
    "path", ["workspace-commit", "device-check", "upload-url", "submit-code", "hosted-boot"]
)
def test_nothing_is_reported_before_the_key_is_redeemed(candidate, path):
    body = {
        "sessionId": "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01",
        "commitSha": "4b825dc",
        "checkpoint": "start",
        "fingerprint": {},
        "bundleKey": "x",
        "bundleSize": 1,
        "bundleSha256": "0" * 64,
    }
    assert refusal(candidate.post(f"/v1/candidate/{path}", body)) == (409, "not_redeemed")


@pytest.mark.parametrize("path", ["workspace-commit", "upload-url", "submit-code"])
def test_another_session_is_not_found(app, candidate, session, path):
    other = make_session(make_key(make_assessment(make_organization("Others"))))
    body = {"sessionId": str(other.id), "commitSha": "4b825dc", "bundleKey": "x", "bundleSize": 1}
    assert refusal(candidate.post(f"/v1/candidate/{path}", body | {"bundleSha256": "0" * 64})) == (
        404,
        "not_found",
    )


# Uploads


def test_a_bundle_that_is_what_was_told_becomes_the_submission(candidate, reviewer, session):
    place = upload(candidate, session)
    answer = candidate.post("/v1/candidate/submit-code", told(session, place))
    assert (answer.status_code, answer.json) == (200, {"ok": True, "verified": True})
    download = reviewer.get(f"/v1/sessions/{session.id}/bundle")
    assert download.data == BUNDLE
    assert download.headers["Content-Type"] == "application/gzip"


def test_each_upload_gets_a_place_of_its_own_that_takes_several_puts(candidate, session):
    first, second = (upload(candidate, session) for _ in range(2))
    assert first["objectKey"] != second["objectKey"]
    assert put(candidate, first).status_code == 200


def test_a_forged_or_expired_address_takes_nothing(candidate, session, clock):
    place = candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}).json
    assert refusal(put(candidate, place, query_string="expires=9999999999&signature=00")) == (
        403,
        "upload_refused",
    )
    clock.fixed += timedelta(hours=1, seconds=1)
    assert refusal(put(candidate, place)) == (403, "upload_refused")


@pytest.mark.parametrize(
    ("members", "verdict"),
    [
        ({"bundleSize": 1}, "mismatch"),
        ({"bundleSha256": "0" * 64}, "mismatch"),
        ({"bundleKey": "x"}, "missing"),
    ],
)
def test_a_mismatch_is_kept_as_a_fact_and_does_not_become_the_submission(
    candidate, reviewer, session, members, verdict
):
    good = upload(candidate, session)
    candidate.post("/v1/candidate/submit-code", told(session, good))
    bad = upload(candidate, session)
    answer = candidate.post("/v1/candidate/submit-code", told(session, bad, **members))
    assert (answer.status_code, answer.json["verified"]) == (200, False)
    found = reviewer.get(f"/v1/sessions/{session.id}/submissions").json["submissions"]
    assert [each["verdict"] for each in found] == ["verified", verdict]
    assert Submission.current(session).upload.object_key == good["objectKey"]


def test_an_upload_that_never_came_is_missing(candidate, session):
    place = candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}).json
    answer = candidate.post("/v1/candidate/submit-code", told(session, place))
    assert answer.json["verified"] is False


def test_a_later_verified_bundle_wins_and_the_earlier_one_is_let_go(candidate, session, clock):
    first = upload(candidate, session)
    candidate.post("/v1/candidate/submit-code", told(session, first))
    later = gzip.compress(b"more", mtime=0)
    second = upload(candidate, session, later)
    candidate.post("/v1/candidate/submit-code", told(session, second, later))
    assert Submission.current(session).upload.object_key == second["objectKey"]
    assert [each.diff for each in Submission.of(session)] == [None, "+1"]
    # Now, and once more when nobody can upload to the earlier place any more.
    assert removals() == [
        (first["objectKey"], clock.fixed),
        (first["objectKey"], clock.fixed + UPLOAD_URL_LIFETIME),
    ]
    assert not candidate.post("/v1/candidate/submit-code", told(session, first)).json["verified"]
    assert Submission.current(session).upload.object_key == second["objectKey"]


def test_bundles_are_taken_for_ten_minutes_after_the_close(candidate, session, clock):
    sessions.complete(session)
    clock.fixed += timedelta(minutes=10)
    place = upload(candidate, session)
    assert candidate.post("/v1/candidate/submit-code", told(session, place)).json["verified"]
    clock.fixed += timedelta(milliseconds=1)
    closed = candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)})
    assert refusal(closed) == (409, "assessment_closed")
    assert closed.json["completedAt"] == "2026-04-01T09:00:00.000Z"
    assert refusal(candidate.post("/v1/candidate/submit-code", told(session, place))) == (
        409,
        "assessment_closed",
    )


def test_a_bundles_files_are_listed_without_unpacking_it(candidate, reviewer, session, tmp_path):
    place = upload(candidate, session)
    candidate.post("/v1/candidate/submit-code", told(session, place))
    listing = reviewer.get(f"/v1/sessions/{session.id}/bundle/files").json
    assert listing["files"] == []
    assert listing["problem"]
    assert listing["submission"]["verdict"] == "verified"


def test_a_session_without_a_bundle_has_none_to_download(reviewer, session):
    assert refusal(reviewer.get(f"/v1/sessions/{session.id}/bundle")) == (404, "not_found")
    assert refusal(reviewer.get(f"/v1/sessions/{session.id}/bundle/files")) == (404, "not_found")


def test_a_bundle_that_was_overwritten_after_its_submission_is_not_shown_as_the_submission(
    candidate, reviewer, session
):
    place = upload(candidate, session)
    candidate.post("/v1/candidate/submit-code", told(session, place))
    assert put(candidate, place, BUNDLE + b"?").status_code == 200
    for path in ("bundle", "bundle/files"):
        assert refusal(reviewer.get(f"/v1/sessions/{session.id}/{path}")) == (409, "bundle_changed")


def test_a_bundle_that_is_gone_from_the_store_is_not_found(app, candidate, reviewer, session):
    place = upload(candidate, session)
    candidate.post("/v1/candidate/submit-code", told(session, place))
    app.extensions["storage"].delete(place["objectKey"])
    for path in ("bundle", "bundle/files"):
        assert refusal(reviewer.get(f"/v1/sessions/{session.id}/{path}")) == (404, "not_found")


def test_unused_places_are_harmless_and_go_after_a_day_with_what_lies_there(
    app, candidate, reviewer, session, clock
):
    folder = app.extensions["storage"].folder
    unused, wrong, used = (upload(candidate, session) for _ in range(3))
    candidate.post("/v1/candidate/submit-code", told(session, wrong, bundleSize=1))
    candidate.post("/v1/candidate/submit-code", told(session, used))
    never = candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}).json
    clock.fixed += UPLOAD_URL_LIFETIME + MAX_UNUSED_UPLOAD_AGE - timedelta(milliseconds=1)
    assert BundleUpload.delete_unused() == 0
    clock.fixed += timedelta(milliseconds=1)
    Worker(app.config, app.extensions["storage"]).run_once()
    Worker(app.config, app.extensions["storage"]).run_once()
    assert {name for name, _ in removals()} == {place["objectKey"] for place in (unused, wrong, never)}
    assert os.listdir(folder) == [used["objectKey"]]
    assert reviewer.get(f"/v1/sessions/{session.id}/bundle").data == BUNDLE
    found = reviewer.get(f"/v1/sessions/{session.id}/submissions").json["submissions"]
    assert [each["verdict"] for each in found] == ["mismatch", "verified"]


def test_the_database_is_given_back_while_a_bundle_comes_or_goes(candidate, reviewer, session, monkeypatch):
    given_back = []
    for module in ("candidate_client", "integrity"):
        monkeypatch.setattr(f"blueprints.{module}.release_connection", lambda: given_back.append(1))
    place = upload(candidate, session)
    candidate.post("/v1/candidate/submit-code", told(session, place))
    reviewer.get(f"/v1/sessions/{session.id}/bundle")
    reviewer.get(f"/v1/sessions/{session.id}/bundle/files")
    assert len(given_back) == 4
