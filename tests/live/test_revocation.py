"""What one process takes away the others refuse at the next request, whatever they remember."""

import pytest

from schemas.fields import EXAMPLE_ID
from tests.live.cast import event, make_assessment, make_keys, start_session
from tests.live.client import Client
from tests.live.service import Service


@pytest.fixture(scope="module")
def other(service, tmp_path_factory):
    """Another process on the same database."""
    folder = tmp_path_factory.mktemp("other")
    with Service(folder, service.database_url).start(processes=1) as other:
        yield other


def test_a_revoked_token_is_refused_by_another_process_at_once(service, other, reviewer):
    made = reviewer.post("/v1/org/tokens", {"name": "Script", "scope": "read"})
    there = Client(other.port, Authorization=f"Bearer {made['secret']}")
    assert [there.get("/v1/me").status for _ in range(20)] == [200] * 20
    assert reviewer.delete(f"/v1/org/tokens/{made['token']['id']}").status == 200
    assert there.get("/v1/me").status == 401


def test_a_revoked_key_is_refused_by_another_process_at_once(service, other, reviewer, assessment):
    (key,) = make_keys(reviewer, assessment, 1)
    session_id = start_session(service, key["key"])
    there = other.candidate(key["key"])
    sent = [event(sessionId=session_id) for _ in range(20)]
    assert [there.post("/v1/hooks/ingest", each).status for each in sent] == [201] * 20
    assert reviewer.delete(f"/v1/assessments/{assessment['id']}/keys/{key['id']}").status == 200
    assert there.post("/v1/hooks/ingest", event(sessionId=session_id)).status == 401
    # What would have been answered without a look at the key, or refused for another reason.
    for body in (sent[0], event(sessionId=EXAMPLE_ID), event(sessionId=session_id, v="one"), {}):
        assert there.post("/v1/hooks/ingest", body).status == 401
    assert there.post("/v1/hooks/ingest/batch", {"events": [sent[0]]}).status == 401


def test_a_deleted_assessment_locks_its_candidates_out_of_every_process_at_once(service, other, reviewer):
    assessment = make_assessment(reviewer)
    (key,) = make_keys(reviewer, assessment, 1)
    session_id = start_session(service, key["key"])
    there = other.candidate(key["key"])
    path = f"/v1/assessments/{assessment['id']}"
    assert [there.get(path).status for _ in range(20)] == [200] * 20
    assert there.post("/v1/hooks/ingest", event(sessionId=session_id)).status == 201
    assert reviewer.delete(path).status == 200
    assert there.get(path).status == 401
    assert there.post("/v1/hooks/ingest", event(sessionId=session_id)).status == 401
