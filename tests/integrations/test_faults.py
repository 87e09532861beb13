"""Faults of a system's API: one order, one email and one note for each report, and nothing is lost."""

import itertools
import time
from datetime import timedelta

import pytest

from rules.delivery.retries import RETRY_DELAYS
from tests.integrations.story import COLLECTING, SERVERS, check_done_once, in_process, reference

ADA, BOB = "ada@example.com", "bob@example.com"
MAX_SECONDS = 2
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

# The database's part is small.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture
def start(app_with, clock, tmp_path, organization):
    """A function that yields a story with a system and an account's options."""
    return lambda system, **options: in_process(app_with, clock, tmp_path, organization, system, **options)


@pytest.fixture(params=SERVERS)
def story(request, start):
    """A story with a rule."""
    with start(request.param) as story:
        yield story.set_up()


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429},
        {"status": 429, "headers": {"Retry-After": "30"}},
        {"status": 429, "headers": {"Retry-After": "Wed, 01 Apr 2026 09:02:00 GMT"}},
        {"status": 500},
        {"status": 502, "data": "<html>Bad gateway</html>"},
        {"status": 503, "headers": {"Retry-After": "20"}},
        {"status": 200, "data": "<html>Maintenance</html>"},
        {"status": 302, "headers": {"Location": "https://example.com/"}},
        {"hangs_up": True},
        {"delay": 1.5},
    ],
    ids=str,
)
def test_a_failed_read_is_repeated(story, fault):
    application = story.apply(ADA)
    story.account.server.misbehave(story.account.READ, **fault)
    started_at = time.monotonic()
    story.hint(application)
    assert time.monotonic() - started_at < MAX_SECONDS
    story.wait_for(application, "invited")
    story.key_for(ADA)
    check_done_once(story, application, notes=0)


def test_no_call_is_sent_before_retry_after(story):
    server, first = story.account.server, story.apply(ADA)
    server.misbehave(story.account.READ, status=429, headers={"Retry-After": "600"}, times=1)
    story.hint(first)
    story.place.step()
    calls = len(server.requests)
    story.hint(story.apply(BOB))
    for _ in range(9):
        story.place.advance(timedelta(seconds=50))
        story.place.step()
    assert len(server.requests) == calls
    assert story.order(first)["nextTryAt"] or story.get(story.path)["integration"]["lastError"]
    story.place.advance(MINUTE)
    story.key_for(ADA)
    story.key_for(BOB)


@pytest.mark.parametrize(
    ("fault", "is_written"),
    [
        ({"status": 429}, False),
        ({"status": 429, "headers": {"Retry-After": "30"}}, False),
        ({"status": 503}, False),
        ({"hangs_up": True}, False),
        ({"status": 500, "after_write": True}, True),
        ({"status": 502, "after_write": True}, True),
        ({"status": 504, "data": "<html>Time-out</html>", "after_write": True}, True),
        ({"hangs_up": True, "after_write": True}, True),
    ],
    ids=str,
)
def test_a_note_is_written_once(story, fault, is_written):
    application = story.apply(ADA)
    server, write = story.account.server, story.account.WRITE
    server.misbehave(write, **fault)
    story.submit_and_wait(application, ADA)
    story.notes(application, 1)
    story.place.until(
        lambda: story.order(application)["reports"][0]["state"] == "sent",
        "The report was not recorded as sent.",
    )
    check_done_once(story, application)
    assert server.count(write) == (1 if is_written else 2)


def test_a_note_is_written_once_if_the_response_never_arrives(start):
    with start("ashby") as story:
        application = story.set_up().apply(ADA)
        story.submit_and_wait(application, ADA)
        story.account.server.misbehave(story.account.WRITE, after_write=True, is_held=True)
        started_at = time.monotonic()
        story.place.step()
        assert time.monotonic() - started_at < 15
        story.account.server.behave()
        assert story.order(application)["reports"][0]["state"] != "sent"
        story.place.advance(MINUTE)
        story.place.until(lambda: story.order(application)["reports"][0]["state"] == "sent", "Not sent.")
        check_done_once(story, application)


def test_a_note_that_cannot_be_looked_up_may_appear_twice_and_the_state_says_so(start):
    with start("greenhouse", can_list_notes=False) as story:
        application = story.set_up().apply(ADA)
        story.account.server.misbehave(story.account.WRITE, hangs_up=True, after_write=True)
        story.submit_and_wait(application, ADA)
        notes = story.notes(application, 2)
        assert notes[0] == notes[1]
        story.settle()
        (report,) = story.order(application)["reports"]
        assert report["state"] == "sent"
        assert "twice" in report["lastError"]
        assert story.get(story.path)["integration"]["state"] == "active"


@pytest.mark.parametrize("failing", ["read", "list"])
def test_a_failed_look_up_writes_no_second_note(story, failing):
    application, server = story.apply(ADA), story.account.server
    story.submit_and_wait(application, ADA)
    server.misbehave(story.account.WRITE, hangs_up=True, after_write=True)
    story.place.step()
    server.misbehave({"read": story.account.READ, "list": story.account.LIST}[failing], status=503)
    story.place.advance(2 * MINUTE)
    story.settle()
    story.place.advance(10 * MINUTE)
    story.place.until(lambda: story.order(application)["reports"][0]["state"] == "sent", "Not sent.")
    check_done_once(story, application)


@pytest.mark.parametrize("errors", [["temporarily_unavailable"], [{"code": "busy", "message": "zqbody"}], []])
@pytest.mark.parametrize("step", ["read", "write"])
def test_a_200_without_success_is_a_failure(start, step, errors):
    with start("ashby", has_object_errors=True) as story:
        application, server = story.set_up().apply(ADA), story.account.server
        failure = {"status": 200, "data": {"success": False, "errors": errors}}
        if step == "read":
            server.misbehave(story.account.READ, **failure)
        story.hint(application)
        story.place.step()
        if step == "read":
            assert story.order(application)["state"] != "invited"
            assert story.place.emails() == []
            story.place.advance(2 * MINUTE)
            story.settle()
            if story.order(application)["state"] in ("attention", "skipped"):
                story.retry(story.order(application))
            story.wait_for(application, "invited")
        story.work(ADA)
        story.wait_for(application, "submitted")
        if step == "write":
            server.misbehave(story.account.WRITE, **failure)
        story.place.advance(COLLECTING)
        story.place.step()
        if step == "write":
            assert story.order(application)["reports"][0]["state"] != "sent"
            assert "zqbody" not in str(story.order(application))
            story.place.advance(2 * MINUTE)
            story.settle()
            if story.order(application)["state"] == "attention":
                story.retry(story.order(application), "report")
        story.notes(application, 1)
        check_done_once(story, application)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_rejected_note_needs_a_person_and_can_be_retried(start, status):
    with start("greenhouse") as story:
        application, server = story.set_up().apply(ADA), story.account.server
        error = {"message": "zqbody is invalid", "errors": [{"message": "zqbody", "field": "body"}]}
        server.misbehave(story.account.WRITE, status=status, data=error)
        story.submit_and_wait(application, ADA)
        order = story.wait_for(application, "attention", "retries_exhausted")
        assert order["reports"][0]["state"] == "failed"
        assert str(status) in order["reports"][0]["lastError"]
        assert "zqbody" not in str(order)
        assert server.count(story.account.WRITE) == 1
        story.retry(order, "report")
        story.notes(application, 1)
        story.settle()
        assert len(story.account.notes_of(application)) == 1


@pytest.mark.parametrize("step", ["read", "write"])
def test_retries_end_after_three_days_and_a_person_can_resume_them(story, step):
    application, server = story.apply(ADA), story.account.server
    operation = {"read": story.account.READ, "write": story.account.WRITE}[step]
    if step == "write":
        story.hint(application)
        story.work(ADA)
        story.wait_for(application, "submitted")
        story.place.advance(COLLECTING)
    server.misbehave(operation, status=503, times=1000)
    if step == "read":
        story.hint(application)
    for delay in itertools.chain([timedelta(0)], RETRY_DELAYS):
        story.place.advance(delay * 1.2)
        story.place.step()
        story.place.step()
    order = story.wait_for(application, "attention", "retries_exhausted")
    assert 3 < server.count(operation) < 30
    server.behave()
    story.retry(order, "report" if step == "write" else None)
    if step == "write":
        story.notes(application, 1)
        assert len(story.account.notes_of(application)) == 1
    story.key_for(ADA)
    story.settle()
    assert len(story.place.emails()) == 1


def replace_credential(story):
    """Replace the account's credential in the system. The former one is invalid then."""
    account = story.account
    if account.system == "ashby":
        account.key = f"new-{account.key}"
    else:
        account.client_secret = f"new-{account.client_secret}"
        account.tokens.clear()


@pytest.mark.parametrize(
    ("system", "options"),
    [
        *[("greenhouse", {"wrong_credential": status}) for status in (400, 401, 403)],
        *[("ashby", {"wrong_key": status}) for status in (401, 403)],
    ],
    ids=str,
)
def test_an_invalid_credential_stops_the_integration_and_loses_nothing(start, system, options):
    with start(system, **options) as story:
        first = story.set_up().apply(ADA)
        story.hint(first)
        story.work(ADA)
        story.wait_for(first, "submitted")
        replace_credential(story)
        second = story.apply(BOB)
        story.hint(second)
        story.place.advance(COLLECTING)
        story.settle()
        stopped = story.get(story.path)["integration"]
        assert stopped["state"] == "stopped"
        assert stopped["stoppedReason"]
        check = story.api("POST", f"{story.path}/check")["check"]
        assert not check["ok"]
        assert check["problem"]
        # No further calls, but hints are stored.
        calls = len(story.account.server.requests)
        third = story.apply("carol@example.com")
        story.hint(third)
        story.place.advance(HOUR)
        story.settle()
        assert len(story.account.server.requests) == calls
        story.api("PATCH", story.path, {"credential": story.fill_forms()["credential"]})
        assert story.get(story.path)["integration"]["state"] == "active"
        for address in (BOB, "carol@example.com"):
            story.key_for(address)
        story.notes(first, 1)
        story.settle()
        assert len(story.place.emails()) == len(story.orders()) == 3
        assert len(story.account.notes_of(first)) == 1


def test_a_missing_permission_stops_the_integration_with_its_code(start):
    with start("ashby") as story:
        application = story.set_up().apply(ADA)
        story.account.permissions.remove("candidatesWrite")
        story.submit_and_wait(application, ADA)
        story.settle()
        stopped = story.get(story.path)["integration"]
        assert stopped["state"] == "stopped"
        assert "missing_endpoint_permission" in f"{stopped['stoppedReason']} {stopped['lastError']}"
        story.account.permissions.add("candidatesWrite")
        story.api("PATCH", story.path, {"credential": story.fill_forms()["credential"]})
        story.notes(application, 1)
        check_done_once(story, application)


def test_an_expired_token_is_renewed_once(start):
    with start("greenhouse") as story:
        application, server = story.set_up().apply(ADA), story.account.server
        story.hint(application)
        story.key_for(ADA)
        for token in story.account.tokens:
            story.account.tokens[token] = 0
        before = server.count("token")
        story.hint(story.apply(BOB))
        story.key_for(BOB)
        assert server.count("token") == before + 1


def test_a_stopped_system_fails_the_admins_requests_with_502(story):
    story.account.server.misbehave("", status=503, times=1000)
    assert story.send("GET", f"{story.path}/jobs").error == (502, "system_failed")
    assert story.send("GET", f"{story.path}/stages").error == (502, "system_failed")
    assert story.send("GET", f"{story.path}/rules/{story.rule['id']}/catch-up").error == (
        502,
        "system_failed",
    )
    started_at = time.monotonic()
    story.hint(story.apply(ADA))
    assert time.monotonic() - started_at < MAX_SECONDS


def test_an_overtaken_report_is_dropped(story):
    application, server = story.apply(ADA), story.account.server
    server.misbehave(story.account.WRITE, status=503, times=2)
    story.hint(application)
    session_id = story.work(ADA)
    story.wait_for(application, "submitted")
    story.place.advance(COLLECTING)
    story.settle()
    story.score(session_id, 5)
    story.wait_for(application, "scored")
    story.place.advance(timedelta(hours=2))
    (note,) = story.notes(application, 1)
    story.settle()
    assert reference(note)[1] == 2
    assert "Score: 10" in note
    assert len(story.account.notes_of(application)) == 1
    states = {report["number"]: report["state"] for report in story.order(application)["reports"]}
    assert states == {1: "dropped", 2: "sent"}
