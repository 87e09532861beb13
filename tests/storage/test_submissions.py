"""A submission with each store: received, read by the worker, downloaded and deleted."""

import pytest
from response_checks import body_of, error_of

from delivery.worker import Worker
from errors import NotFound
from models import Submission, privacy
from tests.git_bundles.bundles import bundle_of_blobs

HEADERS = {"Content-Type": "application/x-git-bundle"}


def test_a_submission_from_its_arrival_to_its_erasure(
    app, candidate, session, reviewer, store, monkeypatch, tmp_path
):
    monkeypatch.setitem(app.extensions, "storage", store)
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path / "emails")
    content = bundle_of_blobs(a=b"a\n")
    body_of(candidate.request("PUT", "/v1/candidate/submission", data=content, headers=HEADERS))
    object_key = Submission.get().object_key
    Worker(app.config, store).run_once()
    files = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))["files"]
    assert [file["path"] for file in files] == ["a"]
    assert reviewer.get(f"/v1/sessions/{session.id}/submission").data == content
    privacy.erase(session.key)
    Worker(app.config, store).run_once()
    with pytest.raises(NotFound):
        store.size(object_key)


def test_a_rejected_body_leaves_nothing_in_the_store(app, candidate, session, store, monkeypatch, tmp_path):
    monkeypatch.setitem(app.extensions, "storage", store)
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path / "emails")
    keys = []
    receive = store.receive

    def remember(object_key, *arguments):
        keys.append(object_key)
        receive(object_key, *arguments)

    monkeypatch.setattr(store, "receive", remember)
    response = candidate.request("PUT", "/v1/candidate/submission", data=b"# v1 git", headers=HEADERS)
    assert error_of(response) == (400, "not_a_submission")
    with pytest.raises(NotFound):
        store.size(keys[0])
