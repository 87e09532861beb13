"""Candidates' external ids in keys, lists, sessions and events."""

import json

import pytest
from callers import Caller
from factories import make_assessment, make_closed_session, make_key, make_keys, make_session, make_webhook
from response_checks import body_of, error_of, error_paths

from models import CandidateKey, Delivery, WebhookDelivery, privacy, sessions
from models.webhooks.outbox import publish_new

ALICE = {
    "email": "alice@example.com",
    "name": "Alice",
    "externalId": "applicant-4711",
    "metadata": {"source": "careers page"},
    "extraMinutes": 30,
}


@pytest.fixture
def assessment(organization):
    """A 90-minute assessment."""
    return make_assessment(organization, time_limit_minutes=90)


def path_of(candidate_id, path=""):
    return f"/v1/candidates/{candidate_id}{path}"


def generate_keys(reviewer, assessment, *candidates, **fields):
    body = {"count": len(candidates), "candidates": candidates} | fields
    return reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)


def find_ids(reviewer, **query):
    return [candidate["id"] for candidate in reviewer.get("/v1/candidates", **query).json["candidates"]]


@pytest.mark.parametrize("on_duplicate", ["allow", "return", "reject"])
def test_keys_can_be_generated_with_all_candidate_fields(reviewer, reader, assessment, on_duplicate):
    bob = {"email": None, "name": "Bob", "externalId": " 4712 "}
    response = generate_keys(reviewer, assessment, ALICE, bob, {}, onDuplicate=on_duplicate)
    alice, bob, unnamed = body_of(response, 201)["keys"]
    assert (alice["candidateEmail"], alice["candidateName"]) == (ALICE["email"], ALICE["name"])
    assert (alice["externalId"], alice["metadata"]) == (ALICE["externalId"], ALICE["metadata"])
    assert (bob["candidateName"], bob["externalId"]) == ("Bob", "4712")
    assert (bob["metadata"], bob["invite"]) == ({}, None)
    assert (unnamed["candidateName"], unnamed["externalId"]) == (None, None)
    assert body_of(reviewer.get(f"/v1/assessments/{assessment.id}/keys"))["keys"] == [alice, bob, unnamed]
    candidate = alice | {"assessmentTitle": assessment.title}
    assert reviewer.get(path_of(alice["id"])).json == {"candidate": candidate}
    assert reader.get(path_of(alice["id"])).json == {"candidate": candidate | {"key": "PST-****-****"}}
    for key, minutes in ((alice, 120), (bob, 90)):
        accommodation = reviewer.get(path_of(key["id"], "/accommodation")).json["accommodation"]
        assert accommodation["timeLimitMinutes"] == minutes
    assert [str(delivery.subject_id) for delivery in Delivery.select()] == [alice["id"]]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"count": 2}, ["candidates"]), ({"candidateEmails": ["alice@example.com"]}, ["candidateEmails"]),
        ({"candidateNames": ["Alice"]}, ["candidateNames"]), ({"candidates": []}, ["candidates"]),
        ({"candidates": {}}, ["candidates"]), ({"candidates": [{}] * 99_000}, ["candidates"]),
        ({"candidates": ["alice@example.com"]}, ["candidates", 0]), ({"candidates": [None]}, ["candidates", 0]),
        *(({"candidates": [{"email": email}]}, ["candidates", 0, "email"]) for email in ("alice", 7)),
        *(({"candidates": [{"name": name}]}, ["candidates", 0, "name"]) for name in ("", "a\nb", 7)),
        *(
            ({"candidates": [{"externalId": value}]}, ["candidates", 0, "externalId"])
            for value in ("", "  ", "a\u2028b", "x" * 256, 4711, True, ["4711"], {})
        ),
        ({"candidates": [{"metadata": {"a": 1}}]}, ["candidates", 0, "metadata"]),
        *(
            ({"candidates": [{"extraMinutes": value}]}, ["candidates", 0, "extraMinutes"])
            for value in (0, -1, 43_201, "30", 1.5, True)
        ),
    ],
)  # fmt: skip
def test_invalid_candidates_are_rejected(reviewer, assessment, fields, path):
    assert error_paths(generate_keys(reviewer, assessment, ALICE, **fields)) == [path]
    assert CandidateKey.select().count() == 0


def test_extra_minutes_require_a_time_limit(reviewer, organization):
    untimed = make_assessment(organization)
    assert error_of(generate_keys(reviewer, untimed, {}, ALICE)) == (409, "no_time_limit")
    assert CandidateKey.select().count() == 0


def entries(response):
    assert error_of(response) == (409, "duplicate_external_id")
    return [(entry["path"], entry["message"]) for entry in response.json["entries"]]


def test_external_ids_must_be_unique_in_the_assessment(reviewer, assessment, organization):
    (alice,) = generate_keys(reviewer, assessment, ALICE).json["keys"]
    message = f"The candidate {alice['id']} has this externalId."
    twice, others = {"externalId": "4712"}, [{}, {"externalId": ALICE["externalId"]}]
    assert entries(generate_keys(reviewer, assessment, *others, twice, twice)) == [
        (["candidates", 1, "externalId"], message),
        (["candidates", 3, "externalId"], "Appears twice."),
    ]
    bob = make_key(assessment, "bob@example.com", "Bob")
    change = {"externalId": ALICE["externalId"], "candidateName": "Robert"}
    assert entries(reviewer.patch(path_of(bob.id), change)) == [(["externalId"], message)]
    assert body_of(reviewer.get(path_of(bob.id)))["candidate"]["candidateName"] == "Bob"
    assert CandidateKey.select().count() == 2
    # Ids are case-sensitive and unique only within an assessment.
    assert generate_keys(reviewer, assessment, {"externalId": ALICE["externalId"].upper()}).status_code == 201
    assert generate_keys(reviewer, make_assessment(organization), *others).status_code == 201


def test_ids_of_revoked_or_erased_candidates_can_be_reused(reviewer, assessment):
    for end in (CandidateKey.revoke, privacy.erase):
        (alice,) = body_of(generate_keys(reviewer, assessment, ALICE), 201)["keys"]
        end(CandidateKey.get_by_id(alice["id"]))


def test_existing_duplicates_remain_and_can_be_updated(reviewer, assessment):
    keys = make_keys(assessment, 2)
    CandidateKey.update(external_id="4711").execute()
    for key in keys:
        before = reviewer.get(path_of(key.id)).json["candidate"]
        body = {"externalId": "4711", "candidateName": "Alice", "metadata": before["metadata"]}
        candidate = body_of(reviewer.patch(path_of(key.id), body))["candidate"]
        assert candidate == before | {"candidateName": "Alice", "updatedAt": candidate["updatedAt"]}
    assert len(find_ids(reviewer, externalId="4711")) == 2
    response = generate_keys(reviewer, assessment, {"externalId": "4711"})
    assert error_of(response) == (409, "duplicate_external_id")
    candidate = body_of(reviewer.patch(path_of(keys[0].id), {"externalId": "4712"}))["candidate"]
    assert candidate["externalId"] == "4712"


def test_on_duplicate_applies_before_the_external_id_is_checked(reviewer, assessment):
    (alice,) = generate_keys(reviewer, assessment, ALICE).json["keys"]
    repeated_email = {"email": "Alice@Example.com", "name": "Al", "externalId": "4712"}
    for candidate in (ALICE, repeated_email):
        assert generate_keys(reviewer, assessment, candidate, onDuplicate="return").json["keys"] == [alice]
    new = {"email": "bob@example.com", "externalId": ALICE["externalId"]}
    (entry,) = entries(generate_keys(reviewer, assessment, ALICE, new, onDuplicate="return"))
    assert entry[0] == ["candidates", 1, "externalId"]
    response = generate_keys(reviewer, assessment, {}, repeated_email, onDuplicate="reject")
    assert error_of(response) == (409, "duplicate_candidates")
    assert [entry["path"] for entry in response.json["entries"]] == [["candidates", 1, "email"]]
    assert CandidateKey.select().count() == 1


def test_candidates_and_sessions_can_be_filtered_by_external_id(app, reviewer, neighbour, assessment):
    alice, bob = generate_keys(reviewer, assessment, ALICE, {"externalId": "Straße 7"}).json["keys"]
    session = make_session(CandidateKey.get_by_id(alice["id"]))
    make_session(make_key(assessment))
    assert find_ids(reviewer, externalId=ALICE["externalId"]) == [alice["id"]]
    assert find_ids(reviewer, q="STRASSE") == find_ids(reviewer, externalId=" Straße 7 ") == [bob["id"]]
    page = reviewer.get("/v1/candidates", externalId="applicant").json
    assert (page["candidates"], page["total"]) == ([], 0)
    assert find_ids(neighbour, externalId=ALICE["externalId"]) == find_ids(neighbour, q="strasse") == []
    body_of(reviewer.patch(path_of(bob["id"]), {"externalId": "4712"}))
    assert (find_ids(reviewer, q="strasse"), find_ids(reviewer, q="4712")) == ([], [bob["id"]])
    page = reviewer.get("/v1/sessions", externalId=ALICE["externalId"]).json
    (row,) = page["sessions"]
    for body in (row, body_of(reviewer.get(f"/v1/sessions/{session.id}"))):
        assert body["candidateId"] == body["keyId"] == alice["id"]
        assert (body["id"], body["externalId"]) == (str(session.id), ALICE["externalId"])
    assert page["total"] == 1
    alice_view = body_of(Caller.candidate(app, session.key).get(f"/v1/sessions/{session.id}"))
    assert alice_view["candidateId"] == alice["id"]
    assert "externalId" not in alice_view
    for path in ("/v1/candidates", "/v1/sessions"):
        for invalid in ("", " ", "a\nb", "x" * 256):
            assert error_paths(reviewer.get(path, externalId=invalid)) == [["externalId"]]


def test_every_event_about_a_candidate_includes_the_external_id(
    app, clock, reviewer, assessment, organization
):
    make_webhook(organization)
    (alice,) = generate_keys(reviewer, assessment, ALICE).json["keys"]
    make_closed_session(assessment)
    session = make_session(CandidateKey.get_by_id(alice["id"]))
    sessions.complete(session)
    publish_new()

    def external_ids():
        """Check that feed and webhook match. Return Alice's external id from each event about her."""
        feed = reviewer.get("/v1/events", limit=200).json["events"]
        messages = [json.loads(row.body) for row in WebhookDelivery.select().order_by(WebhookDelivery.id)]
        assert feed == messages
        assert all(("externalId" in event["data"]) is ("candidateId" in event["data"]) for event in feed)
        return [
            event["data"].get("externalId")
            for event in feed
            if event["data"].get("candidateId") == alice["id"]
        ]

    assert external_ids() == [ALICE["externalId"]] * 3  # generated, started, completed
    privacy.erase(session.key)
    publish_new()
    assert external_ids() == [None] * 4
    assert ALICE["externalId"] not in str(list(WebhookDelivery.select().dicts()))
