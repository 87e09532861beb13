"""Candidates with an `externalId`: generate keys for them, find them, and tell their events apart."""

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
    """An assessment of 90 minutes."""
    return make_assessment(organization, time_limit_minutes=90)


def at(key, path=""):
    return f"/v1/candidates/{key['id'] if isinstance(key, dict) else key.id}{path}"


def issue(reviewer, assessment, *candidates, **fields):
    body = {"count": len(candidates), "candidates": candidates} | fields
    return reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)


def found(reviewer, **query):
    return [candidate["id"] for candidate in reviewer.get("/v1/candidates", **query).json["candidates"]]


# Generate keys


@pytest.mark.parametrize("on_duplicate", ["allow", "return", "reject"])
def test_keys_are_generated_for_candidates_with_all_fields(reviewer, reader, assessment, on_duplicate):
    bob = {"email": None, "name": "Bob", "externalId": " 4712 "}
    response = issue(reviewer, assessment, ALICE, bob, {}, onDuplicate=on_duplicate)
    alice, bob, nobody = body_of(response, 201)["keys"]
    assert (alice["candidateEmail"], alice["candidateName"]) == (ALICE["email"], ALICE["name"])
    assert (alice["externalId"], alice["metadata"]) == (ALICE["externalId"], ALICE["metadata"])
    assert (bob["candidateName"], bob["externalId"], bob["metadata"], bob["invite"]) == (
        "Bob",
        "4712",
        {},
        None,
    )
    assert (nobody["candidateName"], nobody["externalId"]) == (None, None)
    assert body_of(reviewer.get(f"/v1/assessments/{assessment.id}/keys"))["keys"] == [alice, bob, nobody]
    one = alice | {"assessmentTitle": assessment.title}
    assert reviewer.get(at(alice)).json == {"candidate": one}
    assert reader.get(at(alice)).json == {"candidate": one | {"key": "PST-****-****"}}
    minutes = [
        reviewer.get(at(key, "/accommodation")).json["accommodation"]["timeLimitMinutes"]
        for key in (alice, bob)
    ]
    assert minutes == [120, 90]
    assert [str(delivery.subject_id) for delivery in Delivery.select()] == [alice["id"]]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"count": 2}, ["candidates"]),
        ({"candidateEmails": ["alice@example.com"]}, ["candidateEmails"]),
        ({"candidateNames": ["Alice"]}, ["candidateNames"]),
        ({"candidates": []}, ["candidates"]),
        ({"candidates": {}}, ["candidates"]),
        ({"candidates": [{}] * 99_000}, ["candidates"]),
        ({"candidates": ["alice@example.com"]}, ["candidates", 0]),
        ({"candidates": [None]}, ["candidates", 0]),
        *(
            ({"candidates": [{name: value}]}, ["candidates", 0, name])
            for name, values in {
                "email": ["alice", "a@example.com\nBcc: x@y.z", 7, ["a@example.com"]],
                "name": ["", "a\nb", "x" * 256, 7],
                "externalId": ["", "  ", "a\u2028b", "x" * 256, 4711, True, ["4711"], {}],
                "metadata": [[], "text", {"a": 1}, {"a": None}, {"a": "x" * 501}],
                "extraMinutes": [0, -1, 43_201, "30", 1.5, True],
            }.items()
            for value in values
        ),
    ],
)
def test_an_invalid_candidate_is_rejected_as_a_whole(reviewer, assessment, fields, path):
    assert error_paths(issue(reviewer, assessment, ALICE, **fields)) == [path]
    assert CandidateKey.select().count() == 0


def test_extra_minutes_need_a_time_limit(reviewer, organization):
    untimed = make_assessment(organization)
    assert error_of(issue(reviewer, untimed, {}, ALICE)) == (409, "no_time_limit")
    assert CandidateKey.select().count() == 0


# Unique in the assessment


def entries(response):
    assert error_of(response) == (409, "duplicate_external_id")
    return [(entry["path"], entry["message"]) for entry in response.json["entries"]]


def test_an_external_id_of_another_candidate_is_rejected(reviewer, assessment, organization):
    (alice,) = issue(reviewer, assessment, ALICE).json["keys"]
    message = f"The candidate {alice['id']} has this externalId."
    twice, others = {"externalId": "4712"}, [{}, {"externalId": ALICE["externalId"]}]
    assert entries(issue(reviewer, assessment, *others, twice, twice)) == [
        (["candidates", 1, "externalId"], message),
        (["candidates", 3, "externalId"], "Appears twice."),
    ]
    bob = make_key(assessment, "bob@example.com", "Bob")
    change = {"externalId": ALICE["externalId"], "candidateName": "Robert"}
    assert entries(reviewer.patch(at(bob), change)) == [(["externalId"], message)]
    assert body_of(reviewer.get(at(bob)))["candidate"]["candidateName"] == "Bob"
    assert CandidateKey.select().count() == 2
    # Letter case matters, and each assessment has its own ids.
    assert issue(reviewer, assessment, {"externalId": ALICE["externalId"].upper()}).status_code == 201
    assert issue(reviewer, make_assessment(organization), *others).status_code == 201


def test_the_id_of_a_revoked_or_erased_candidate_is_free(reviewer, assessment):
    for end in (CandidateKey.revoke, privacy.erase):
        (alice,) = body_of(issue(reviewer, assessment, ALICE), 201)["keys"]
        end(CandidateKey.get_by_id(alice["id"]))


def test_existing_duplicates_stay_and_are_changed(reviewer, assessment):
    keys = make_keys(assessment, 2)
    CandidateKey.update(external_id="4711").execute()
    for key in keys:
        shown = reviewer.get(at(key)).json["candidate"]
        # The object is sent back as it was read.
        changed = {"externalId": shown["externalId"], "candidateName": "Alice", "metadata": shown["metadata"]}
        candidate = body_of(reviewer.patch(at(key), changed))["candidate"]
        assert candidate == shown | {"candidateName": "Alice", "updatedAt": candidate["updatedAt"]}
    assert len(found(reviewer, externalId="4711")) == 2
    assert error_of(issue(reviewer, assessment, {"externalId": "4711"})) == (409, "duplicate_external_id")
    assert body_of(reviewer.patch(at(keys[0]), {"externalId": "4712"}))["candidate"]["externalId"] == "4712"


def test_an_open_key_is_returned_or_rejected_before_its_id_is_checked(reviewer, assessment):
    (alice,) = issue(reviewer, assessment, ALICE).json["keys"]
    again = ALICE | {"email": "Alice@Example.com", "name": "Al", "externalId": "4712", "extraMinutes": None}
    for repeated in (ALICE, again):
        assert issue(reviewer, assessment, repeated, onDuplicate="return").json["keys"] == [alice]
    new = {"email": "bob@example.com", "externalId": ALICE["externalId"]}
    (entry,) = entries(issue(reviewer, assessment, ALICE, new, onDuplicate="return"))
    assert entry[0] == ["candidates", 1, "externalId"]
    response = issue(reviewer, assessment, {}, again, onDuplicate="reject")
    assert error_of(response) == (409, "duplicate_candidates")
    assert [entry["path"] for entry in response.json["entries"]] == [["candidates", 1, "email"]]
    assert CandidateKey.select().count() == 1


# Find candidates and sessions


def test_candidates_and_sessions_are_found_by_external_id(app, reviewer, neighbour, assessment):
    alice, bob = issue(reviewer, assessment, ALICE, {"externalId": "Straße 7"}).json["keys"]
    session = make_session(CandidateKey.get_by_id(alice["id"]))
    make_session(make_key(assessment))
    assert found(reviewer, externalId=ALICE["externalId"]) == [alice["id"]]
    assert found(reviewer, q="STRASSE") == found(reviewer, externalId=" Straße 7 ") == [bob["id"]]
    page = reviewer.get("/v1/candidates", externalId="applicant").json
    assert (page["candidates"], page["total"]) == ([], 0)
    assert found(neighbour, externalId=ALICE["externalId"]) == found(neighbour, q="strasse") == []
    body_of(reviewer.patch(at(bob), {"externalId": "4712"}))
    assert (found(reviewer, q="strasse"), found(reviewer, q="4712")) == ([], [bob["id"]])
    listed = reviewer.get("/v1/sessions", externalId=ALICE["externalId"]).json
    (row,) = listed["sessions"]
    one = body_of(reviewer.get(f"/v1/sessions/{session.id}"))
    for shown in (row, one):
        assert shown["candidateId"] == shown["keyId"] == alice["id"]
        assert (shown["id"], shown["externalId"]) == (str(session.id), ALICE["externalId"])
    assert listed["total"] == 1
    own = body_of(Caller.candidate(app, session.key).get(f"/v1/sessions/{session.id}"))
    assert own["candidateId"] == alice["id"]
    assert "externalId" not in own
    for path in ("/v1/candidates", "/v1/sessions"):
        for wrong in ("", " ", "a\nb", "x" * 256):
            assert error_paths(reviewer.get(path, externalId=wrong)) == [["externalId"]]


# Events


def test_every_event_about_a_candidate_has_their_external_id(app, clock, reviewer, assessment, organization):
    make_webhook(organization)
    (alice,) = issue(reviewer, assessment, ALICE).json["keys"]
    make_closed_session(assessment)
    session = make_session(CandidateKey.get_by_id(alice["id"]))
    sessions.complete(session)
    publish_new()

    def events():
        """Alice's external id in each event about her, which the feed and the webhook show alike."""
        feed = reviewer.get("/v1/events", limit=200).json["events"]
        messages = [json.loads(row.body) for row in WebhookDelivery.select().order_by(WebhookDelivery.id)]
        assert feed == messages
        assert all(("externalId" in event["data"]) is ("candidateId" in event["data"]) for event in feed)
        return [
            event["data"].get("externalId")
            for event in feed
            if event["data"].get("candidateId") == alice["id"]
        ]

    assert events() == [ALICE["externalId"]] * 3  # generated, started, completed
    privacy.erase(session.key)
    publish_new()
    assert events() == [None] * 4
    assert ALICE["externalId"] not in str(list(WebhookDelivery.select().dicts()))
