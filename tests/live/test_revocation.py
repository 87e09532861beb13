"""Every process rejects a revoked credential immediately."""

from collections import Counter

import pytest

from schemas.fields import EXAMPLE_ID
from tests.live.cast import event, make_assessment, make_keys
from tests.live.client import Client, run_concurrently
from tests.live.service import Service

LEVELS = [{"value": 1, "label": "Weak"}, {"value": 2, "label": "Solid"}]
DELETABLE = {
    "issue": ("/v1/issues", {"title": "Fix the scheduler", "taskBrief": "Two workers claim one row."}),
    "token": ("/v1/org/tokens", {"name": "Script", "scopes": ["read"]}),
    "webhook": ("/v1/webhooks", {"url": "https://example.com/hook", "types": ["session.completed"]}),
    "rubric": (
        "/v1/rubrics",
        {"name": "Backend", "criteria": [{"key": "quality", "title": "Quality", "levels": LEVELS}]},
    ),
}


@pytest.fixture(scope="module")
def port(service, tmp_path_factory):
    """The port of another process on the same database."""
    folder = tmp_path_factory.mktemp("other")
    with Service(folder, service.database_url).start(processes=1) as other:
        yield other.port


def test_a_revoked_token_is_rejected_by_another_process(reviewer, port):
    response = reviewer.post("/v1/org/tokens", {"name": "Script", "scopes": ["read"]})
    script = Client(port, Authorization=f"Bearer {response['secret']}")
    assert [script.get("/v1/me").status for _ in range(20)] == [200] * 20
    assert reviewer.delete(f"/v1/org/tokens/{response['token']['id']}").status == 200
    assert script.get("/v1/me").status == 401


@pytest.mark.parametrize("path", ["/v1/assessments/{assessment}/keys/{key}", "/v1/assessments/{assessment}"])
def test_a_revoked_key_is_rejected_by_another_process(reviewer, assessment, candidate, port, path):
    candidate.port, sent = port, [event(sessionId=candidate.session_id) for _ in range(20)]
    assert [candidate.ingest(body).status for body in sent] == [201] * 20
    assert candidate.get(f"/v1/assessments/{assessment['id']}").status == 200
    assert reviewer.delete(path.format(assessment=assessment["id"], key=candidate.id)).status == 200
    assert candidate.get(f"/v1/assessments/{assessment['id']}").status == 401
    # Even if the response would not need the key, or would be a different error.
    invalid = [event(sessionId=EXAMPLE_ID), event(sessionId=candidate.session_id, v="one"), {}]
    for body in (event(sessionId=candidate.session_id), sent[0], *invalid):
        assert candidate.ingest(body).status == 401
    assert candidate.post("/v1/hooks/ingest/batch", {"events": [sent[0]]}).status == 401


@pytest.mark.parametrize("kind", ["key", "token", "assessment", "issue", "webhook", "rubric"])
def test_concurrent_deletions_succeed_and_are_recorded_once(service, reviewer, port, kind):
    path, deleted_id = make_deletable(reviewer, kind)
    other = Client(port, **reviewer.headers)
    responses = run_concurrently([lambda: reviewer.delete(path), lambda: other.delete(path)] * 8)
    assert Counter(response.status for response in responses) == {200: 1, 404: 15}
    recorded = "SELECT count(*) FROM audit_entries WHERE subject_id = %s AND action IN (%s, %s)"
    actions = (f"revoke{kind.capitalize()}", f"delete{kind.capitalize()}")
    assert service.execute(recorded, service.stored_id(deleted_id), *actions) == [(1,)]


def make_deletable(reviewer, kind):
    """Create a row, and return its path and id."""
    assessment = make_assessment(reviewer)
    path = f"/v1/assessments/{assessment['id']}"
    if kind == "assessment":
        return path, assessment["id"]
    if kind == "key":
        (row,) = make_keys(reviewer, assessment, 1)
        return f"{path}/keys/{row['id']}", row["id"]
    path, body = DELETABLE[kind]
    row = reviewer.post(path, body)[kind]
    return f"{path}/{row['id']}", row["id"]
