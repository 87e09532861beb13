"""Uploads and submissions of one session to several processes at the same time."""

import gzip
import hashlib
from urllib.parse import urlsplit

import config
from tests.live.client import call, run_concurrently
from tests.live.service import wait_until
from web.gunicorn_worker import MAX_DRAIN_BYTES

BUNDLE, OTHER = (gzip.compress(text, mtime=0) for text in (b"the files", b"better files"))


def open_upload(candidate):
    return candidate.post("/v1/candidate/upload-url", {"sessionId": candidate.session_id}).json


def put(candidate, upload, bundle):
    url, headers = urlsplit(upload["uploadUrl"]), {"Content-Type": "application/gzip"}
    return call(candidate.port, "PUT", f"{url.path}?{url.query}", bundle, headers=headers, seconds=60).status


def submit(candidate, upload, bundle):
    details = {"bundleSize": len(bundle), "bundleSha256": hashlib.sha256(bundle).hexdigest()}
    body = {"sessionId": candidate.session_id, "bundleKey": upload["objectKey"]} | details
    return candidate.post("/v1/candidate/submit-code", body)


def test_what_was_verified_is_downloaded_after_concurrent_submissions_and_uploads(reviewer, candidate):
    for _ in range(5):
        upload = open_upload(candidate)
        assert put(candidate, upload, BUNDLE) == 200
        submissions = [lambda upload=upload: submit(candidate, upload, BUNDLE)] * 3
        uploads = [lambda upload=upload: put(candidate, upload, OTHER)] * 3
        responses = run_concurrently([*submissions, *uploads])
        assert set(responses[3:]) <= {200, 403}
        # Of an upload that was overwritten before any submission read it, nothing is verified.
        if any(response["verified"] for response in responses[:3]):
            assert put(candidate, upload, OTHER) == 403
            assert reviewer.get(f"/v1/sessions/{candidate.session_id}/bundle").text == BUNDLE


def test_concurrent_submissions_of_an_upload_keep_one_bundle(service, reviewer, candidate):
    upload = open_upload(candidate)
    assert put(candidate, upload, BUNDLE) == 200
    responses = run_concurrently([lambda: submit(candidate, upload, BUNDLE)] * 8)
    assert {response.status for response in responses} == {200}
    assert any(response["verified"] for response in responses)
    assert reviewer.get(f"/v1/sessions/{candidate.session_id}/bundle").text == BUNDLE
    with service.worker():
        wait_until(
            lambda: len(stored_bundles(service, candidate)) == 1, "Superseded bundles are not deleted."
        )
    assert reviewer.get(f"/v1/sessions/{candidate.session_id}/bundle").text == BUNDLE


def stored_bundles(service, candidate):
    return list((service.folder / "bundles").glob(f"{candidate.session_id}.*"))


def test_a_client_can_read_why_a_full_session_rejects_its_bundle(service, candidate):
    upload = open_upload(candidate)
    fill = "UPDATE sessions SET stored_bundle_bytes = %s WHERE id = %s"
    service.execute(fill, config.load({}).session_max_bytes, service.stored_id(candidate.session_id))
    assert put(candidate, upload, bytes(MAX_DRAIN_BYTES - 1)) == 413
    rejected = candidate.post("/v1/candidate/upload-url", {"sessionId": candidate.session_id})
    assert (rejected.status, rejected["code"]) == (413, "session_full")
