"""Requests with an erased candidate's key."""

import pytest
from factories import add_event, envelope

from errors import Erased, KeyNotFound, Unauthenticated
from models import BundleUpload, ClientReport, Consent, Submission, sessions
from storage import new_object_key


@pytest.mark.usefixtures("session")
def test_erased_keys_stop_working(reviewer, key, candidate, anonymous):
    assert reviewer.delete(f"/v1/candidates/{key.id}/data").status_code == 200
    assert candidate.get("/v1/candidate/me").status_code == 401
    assert candidate.post("/v1/hooks/ingest", envelope()).status_code == 401
    body = {"key": key.key}
    assert anonymous.post("/v1/candidate/consent", body).json["code"] == "key_not_found"
    assert anonymous.post("/v1/candidate/redeem", body).json["code"] == "key_not_found"
    decision = {"decision": "advanced"}
    assert reviewer.put(f"/v1/candidates/{key.id}/decision", decision).status_code == 404


def test_requests_authenticated_before_the_erasure_are_rejected(reviewer, key, session):
    assert reviewer.delete(f"/v1/candidates/{key.id}/data").status_code == 200
    with pytest.raises(Unauthenticated):
        add_event(session, envelope())
    with pytest.raises(KeyNotFound):
        Consent.record(key, None, None)
    for write in (
        lambda: ClientReport.record(session, "device_done", {}),
        lambda: BundleUpload.open(session, new_object_key(str(session.id)), 1000),
        lambda: Submission.reserve(session, "tar", None),
        lambda: sessions.submit_test_result(session, 1, 0, None, None),
    ):
        with pytest.raises(Erased):
            write()
