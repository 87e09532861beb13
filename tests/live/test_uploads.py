"""Concurrent uploads and submissions of one session."""

import gzip
from functools import partial

from tests.live.client import run_concurrently
from tests.live.service import wait_until
from web.gunicorn_worker import MAX_DRAIN_BYTES

BUNDLE, OTHER = (gzip.compress(text, mtime=0) for text in (b"the files", b"better files"))


def test_the_verified_bundle_is_stored_despite_concurrent_uploads(reviewer, candidate):
    for _ in range(5):
        upload = candidate.open_upload()
        assert candidate.upload(upload, BUNDLE).status == 200
        submissions = [partial(candidate.submit, upload, BUNDLE)] * 3
        uploads = [partial(candidate.upload, upload, OTHER)] * 3
        responses = run_concurrently([*submissions, *uploads])
        assert {response.status for response in responses[3:]} <= {200, 403}
        # No submission is verified if the upload was overwritten first.
        if any(response["verified"] for response in responses[:3]):
            assert candidate.upload(upload, OTHER).status == 403
            assert reviewer.get(f"/v1/sessions/{candidate.session_id}/bundle").text == BUNDLE


def test_concurrent_submissions_of_an_upload_keep_one_bundle(service, reviewer, candidate):
    upload = candidate.open_upload()
    assert candidate.upload(upload, BUNDLE).status == 200
    responses = run_concurrently([partial(candidate.submit, upload, BUNDLE)] * 8)
    assert {response.status for response in responses} == {200}
    assert any(response["verified"] for response in responses)
    assert reviewer.get(f"/v1/sessions/{candidate.session_id}/bundle").text == BUNDLE
    folder, pattern = service.folder / "bundles", f"{candidate.session_id}.*"
    with service.worker():
        wait_until(lambda: len(list(folder.glob(pattern))) == 1, "Superseded bundles were not deleted.")
    assert reviewer.get(f"/v1/sessions/{candidate.session_id}/bundle").text == BUNDLE


def test_a_client_can_read_a_full_sessions_rejection(service, candidate):
    upload = candidate.open_upload()
    fill = "UPDATE sessions SET stored_bundle_bytes = %s WHERE id = %s"
    service.execute(fill, 2**40, service.stored_id(candidate.session_id))
    assert candidate.upload(upload, bytes(MAX_DRAIN_BYTES - 1)).status == 413
    rejected = candidate.post("/v1/candidate/upload-url", {"sessionId": candidate.session_id})
    assert (rejected.status, rejected["code"]) == (413, "session_full")
