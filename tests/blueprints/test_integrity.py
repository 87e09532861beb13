"""Whether a record is whole and unchanged: signatures, the client's chain, the server's seal."""

import json

import pytest
from callers import Caller
from factories import add_event, envelope, make_key, make_session
from signing import Signer

from models import Consent, Event, Seal, batches, seals, sessions


@pytest.fixture
def signer():
    return Signer()


@pytest.fixture
def signed(assessment, signer):
    """An open session whose key pair is known."""
    key = make_key(assessment)
    Consent.give(key, None, None)
    return sessions.redeem(key.key, signer.public_key)


@pytest.fixture
def chained(signed, signer):
    """Five signed events of a sealed session."""
    events = [signer.event(signed, at=second, data={"text": f"number {second}"}) for second in range(5)]
    for event in events:
        add_event(signed, event)
    Seal.seal_new()
    return events


def integrity(reviewer, session):
    answer = reviewer.get(f"/v1/sessions/{session.id}/integrity")
    assert answer.status_code == 200
    return answer.json


def facts(reviewer, session):
    return [(fact["code"], fact["eventIds"]) for fact in integrity(reviewer, session)["facts"]]


def test_nothing_stands_out_in_a_whole_record(reviewer, signed, signer, chained):
    found = integrity(reviewer, signed)
    assert found["facts"] == []
    assert found["counts"]["events"] == found["counts"]["valid"] == found["counts"]["sealed"] == 5
    assert found["publicKeys"] == [signer.public_key]
    assert found["seal"]["isWhole"] is True


def test_one_changed_byte_is_named(reviewer, signed, chained):
    changed = chained[2]["id"]
    row = Event.get(Event.event_id == changed)
    Event.update(envelope=row.envelope.replace("number 2", "number 9")).where(Event.seq == row.seq).execute()
    assert ("event_changed", [changed]) in facts(reviewer, signed)


def test_a_change_that_no_signature_covers_is_named_too(reviewer, session):
    event = envelope(actor={"type": "human"})
    add_event(session, event)
    Seal.seal_new()
    text = json.dumps(event | {"actor": {"type": "ai"}})
    Event.update(envelope=text).where(Event.event_id == event["id"]).execute()
    assert facts(reviewer, session) == [("event_changed", [event["id"]])]


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_removed_row_is_named(reviewer, signed, chained, number):
    removed = chained[number]["id"]
    Event.delete().where(Event.event_id == removed).execute()
    assert ("event_missing", [removed]) in facts(reviewer, signed)


def test_a_removed_end_is_found_even_if_its_seals_are_gone(reviewer, signed, chained):
    last = chained[-1]["id"]
    Event.delete().where(Event.event_id == last).execute()
    Seal.delete().where(Seal.event_id == last).execute()
    assert [code for code, _ in facts(reviewer, signed)] == ["event_missing"]


def test_an_exchanged_pair_is_named(reviewer, signed, chained):
    first, second = (Event.get(Event.event_id == chained[number]["id"]) for number in (1, 3))
    for row, other in ((first, second), (second, first)):
        Event.update(envelope=other.envelope).where(Event.seq == row.seq).execute()
    named = [ids for code, ids in facts(reviewer, signed) if code == "event_changed"]
    assert named == [[chained[1]["id"]], [chained[3]["id"]]]


def test_an_event_that_was_lost_on_its_way_is_a_gap(reviewer, signed, signer):
    events = [signer.event(signed, at=second) for second in range(3)]
    for event in (events[0], events[2]):
        add_event(signed, event)
    assert facts(reviewer, signed) == [("chain_gap", [events[2]["id"]])]


def test_a_signature_of_another_key_is_invalid(reviewer, signed):
    event = Signer(seed=9).event(signed)
    add_event(signed, event)
    assert ("signature_invalid", [event["id"]]) in facts(reviewer, signed)


def test_every_key_of_a_session_may_sign(reviewer, assessment):
    key = make_key(assessment)
    Consent.give(key, None, None)
    first, second = Signer(1), Signer(2)
    for signer in (first, second):
        session = sessions.redeem(key.key, signer.public_key)
    for signer in (first, second):
        add_event(session, signer.event(session))
    assert integrity(reviewer, session)["counts"]["valid"] == 2


def test_unsigned_and_unknown_are_told_apart(reviewer, session):
    add_event(session, envelope())
    add_event(session, Signer().event(session))
    counts = integrity(reviewer, session)["counts"]
    assert (counts["unsigned"], counts["unknownKey"]) == (1, 1)


def test_what_is_not_sealed_yet_is_counted(reviewer, session):
    add_event(session, envelope())
    found = integrity(reviewer, session)
    assert (found["counts"]["unsealed"], found["seal"]["isWhole"]) == (1, False)


def test_sealing_goes_on_where_it_ended(reviewer, session):
    for _ in range(3):
        add_event(session, envelope())
        Seal.seal_new()
    assert Seal.seal_new() == 0
    assert [seal.position for seal in Seal.select().order_by(Seal.position)] == [1, 2, 3]
    assert integrity(reviewer, session)["facts"] == []


def test_what_commits_behind_many_later_events_is_sealed_too(reviewer, session, assessment, monkeypatch):
    monkeypatch.setattr(seals, "SEARCH_MARGIN", 1)
    slow = make_session(make_key(assessment))
    events = [(slow, envelope()), (session, envelope()), (session, envelope())]
    for owner, event in events:
        add_event(owner, event)
    seals.seal_batch(session.id)
    assert Seal.seal_new() == 0
    assert Seal.seal_skipped() == 1
    assert integrity(reviewer, slow)["seal"]["isWhole"] is True


def test_what_is_sealed_while_somebody_looks_breaks_nothing(reviewer, session, monkeypatch):
    def later(cls, session, last, walk=Seal._sealed.__func__):
        add_event(session, envelope())
        assert Seal.seal_new() == 1
        return walk(cls, session, last)

    add_event(session, envelope())
    Seal.seal_new()
    monkeypatch.setattr(Seal, "_sealed", classmethod(later))
    assert facts(reviewer, session) == []


@pytest.mark.parametrize("most_bytes", [1, 1000])
def test_large_events_are_read_some_at_a_time(app, reviewer, signed, signer, monkeypatch, most_bytes):
    monkeypatch.setattr(batches, "MAX_BYTES", most_bytes)
    monkeypatch.setattr(batches, "MAX_ROWS", 3)
    events = [signer.event(signed, at=second) for second in range(7)]
    for event in reversed(events):
        add_event(signed, event)
    assert Seal.seal_new() == 7
    assert integrity(reviewer, signed)["facts"] == []
    log = Caller.candidate(app, signed.key).get(f"/v1/sessions/{signed.id}/signed-log").json
    assert [entry["payload"] for entry in log["events"]] == events


def test_a_candidate_reads_the_seal_once_the_session_is_closed_and_sealed(app, reviewer, signed, chained):
    candidate = Caller.candidate(app, signed.key)
    assert candidate.get(f"/v1/sessions/{signed.id}").json["seal"] is None
    sessions.complete(signed)
    seal = candidate.get(f"/v1/sessions/{signed.id}").json["seal"]
    assert seal == integrity(reviewer, signed)["seal"]
    assert seal["count"] == 5


def test_the_signed_log_has_the_signed_events_in_chain_order_as_they_were_sent(app, signed, signer):
    events = [signer.event(signed, at=second, data={"text": f"{second}"}) for second in (3, 1, 2)]
    for event in reversed(events):
        add_event(signed, event)
    add_event(signed, envelope())
    answer = Caller.candidate(app, signed.key).get(f"/v1/sessions/{signed.id}/signed-log")
    assert answer.json["sessionId"] == str(signed.id)
    assert answer.json["signingPubkey"] == signer.public_key
    assert [entry["payload"] for entry in answer.json["events"]] == events
    assert [entry["prevSig"] for entry in answer.json["events"]] == [None, events[0]["sig"], events[1]["sig"]]
    assert all(entry["sigVerified"] for entry in answer.json["events"])


def test_an_unsigned_session_has_an_empty_log(app, session):
    answer = Caller.candidate(app, session.key).get(f"/v1/sessions/{session.id}/signed-log")
    assert answer.json == {"sessionId": str(session.id), "signingPubkey": "", "events": []}


def test_a_very_large_event_is_judged_by_the_worker(reviewer, signed, signer):
    add_event(signed, signer.event(signed, data={"text": "x" * 300_000}))
    assert integrity(reviewer, signed)["counts"]["notJudged"] == 1
    assert Event.verify_waiting() == 1
    assert integrity(reviewer, signed)["counts"]["valid"] == 1
