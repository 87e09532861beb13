"""The scripted client against a running service: what section 4 of the client contract says, and what goes wrong.

Times are set back in the database, since nobody waits for a window to end.
"""

import http.client
import io
import multiprocessing
import os
import random
import tarfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from independent_metrics import recompute

from tests.live.cast import ASSESSMENT, make_keys
from tests.live.client import run_concurrently
from tests.live.scripted_answers import REFUSAL, decoded
from tests.live.scripted_chain import Chain, canonical, verify
from tests.live.scripted_client import VERSION, Cli, Extension
from tests.live.service import Service

MINUTE, HOUR = 60, 3600
MEBIBYTE = 1024 * 1024
LIMIT_MINUTES = 90
# The service closes this long after the limit (R17).
GRACE_SECONDS = 5 * MINUTE
INTEGERS = ("durationMs", "promptCount", "firstChangeLatencyMs", "commandCount", "fileChangeCount")
CREATED, SKIPPED = (201, '{"ok":true}'), (200, '{"ok":true,"skipped":true}')
LATE = (201, '{"late":true,"ok":true}')
# What a careless store would change: escapes, the order of names, how numbers are spelt.
AWKWARD = {
    "text": 'a <b> & "c" \\ € \u2028 \u0000 \x1f \x7f \U0001f600',
    "é": 1,
    "e": [1.8e-05, 1e-7, 2.5, 0.0, 3e20, True, None, {}, []],
    "\U00010000": {"b": -1, "a": "/"},
    "\uff01": 2**53,
}
# The signatures of section 7's test vector.
VECTOR = [
    "4fe4740029b7f1d35090629dd88391d0e5429c9071c45c330bbbc452bfbaf406"
    "b4404506f2d4001c9177636a33e0c90531a4c05e7d3029e7441ff720a2a7bd08",
    "5d805f3d7020524736fc95d6b782ae5cee0765d4e157652ea0df4756fa0fe3ee"
    "523ffb4e339d9bc14a11ebe2eff89776e6733d8e8b2d26038944402a02f91600",
]
BRIEF = {
    "scenario": "Customers say that orders vanish on busy days.",
    "codebase": {"name": "orders", "runCommand": "make run", "testCommand": "make test", "stack": ["Go"]},
    "phases": [{"name": "Find the cause", "goal": "Know why.", "tasks": ["Write a test."]}],
    "groundRules": ["AI tools are allowed."],
}
REPOSITORY = {
    "repoUrl": "https://example.com/orders.git",
    "repoCommit": "a" * 40,
    "repoSubdir": "services/orders",
}


@pytest.fixture(scope="module")
def service(live_database_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    settings = {"BUNDLE_FOLDER": str(folder / "bundles"), "TERMS_URL": "https://example.com/terms"}
    settings |= {"CLIENT_MIN_VERSION": "1.9.0", "CLIENT_LATEST_VERSION": VERSION}
    with Service(folder, live_database_url, **settings).start(processes=2) as service:
        yield service


@pytest.fixture(scope="module")
def reviewer(service):
    return service.organization("Acme")


@pytest.fixture
def assessment(reviewer):
    """An assessment that knows everything that one can know."""
    issue = reviewer.post("/v1/issues", {"title": "Orders are lost", "taskBrief": "Find them.", **REPOSITORY})
    told = {"issueId": issue["issue"]["id"], "brief": BRIEF, "setupInstructions": "make setup"}
    told |= {"timeLimitMinutes": LIMIT_MINUTES, "allowedTools": ["claude"]}
    return reviewer.post("/v1/assessments", ASSESSMENT | told)["assessment"]


@pytest.fixture
def cli(service, reviewer, assessment, tmp_path):
    """The program of a candidate who types the key in small letters."""
    (key,) = make_keys(reviewer, assessment, 1)
    return Cli(service.port, key["key"].lower(), tmp_path)


@pytest.fixture
def started(cli):
    cli.start()
    return cli


@pytest.fixture
def extension(started):
    return Extension(started.port, started.key, started.session_id)


def bundle(content):
    """A gzip-compressed tar with one file, as the client makes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("orders.py")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def seen_by(reviewer, cli, part=""):
    return reviewer.get(f"/v1/sessions/{cli.session_id}{part}")


def set_back(service, cli, column, seconds):
    """Let the session's moment have been that long ago."""
    statement = f"UPDATE sessions SET {column} = %s WHERE id = %s"
    service.execute(statement, service.stored_time(seconds), service.stored_id(cli.session_id))


def said(answers):
    return Counter((answer.status, canonical(answer.json)) for answer in answers)


# start


def test_the_scripted_client_signs_as_the_contract_says(tmp_path):
    chain = Chain(tmp_path / "buffer", bytes(range(32)))
    assert chain.public_key == "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
    session = {"sessionId": "11111111-1111-4111-8111-111111111111", "v": 1}
    command = {"durationMs": 0, "exitCode": 1, "command": "a < b && echo €", "meta": {"cwd": "/w"}}
    first = {"id": "00000000-0000-4000-8000-000000000001", "ts": "2026-01-02T03:04:05.123456789Z"}
    second = {"id": "00000000-0000-4000-8000-000000000002", "ts": "2026-01-02T03:04:06Z"}
    first |= {"kind": "command", "source": "terminal", "data": command | {"list": [1, 2.5, None, True]}}
    usage = {"inputTokens": 1, "outputTokens": 1, "totalCost": 1.8e-05}
    second |= {"kind": "ai_response", "source": "claude-code", "data": usage}
    signed = [chain.append(session | event) for event in (first, second)]
    assert [event["sig"] for event in signed] == VECTOR
    assert "prevSig" not in signed[0]
    assert signed[1]["prevSig"] == signed[0]["sig"]


def test_redeem_tells_everything_that_the_assessment_knows(cli, assessment):
    before = datetime.now().astimezone()
    cli.start()
    told = cli.session
    assert {name: told[name] for name in REPOSITORY} == REPOSITORY
    assert (told["assessmentId"], told["issueId"]) == (assessment["id"], assessment["issueId"])
    assert (told["assessmentTitle"], told["taskBrief"]) == (ASSESSMENT["title"], ASSESSMENT["taskBrief"])
    assert (told["orgName"], told["setupInstructions"]) == ("Acme", "make setup")
    assert (told["brief"], told["allowedTools"]) == (BRIEF, ["claude"])
    assert (told["timeLimitMinutes"], told["tosAccepted"]) == (LIMIT_MINUTES, True)
    local_end = datetime.fromisoformat(told["expiresAt"]) - before
    assert local_end - timedelta(hours=24, minutes=LIMIT_MINUTES + 5) < timedelta(minutes=1)
    look_ups = [f"/v1/assessments/{told['assessmentId']}", f"/v1/issues/{told['issueId']}"]
    assert [cli.call("GET", path).status for path in look_ups] == [200, 200]
    cli.check_health()
    assert cli.report_boot()["verdict"]["state"]


def test_where_the_assessment_knows_little_the_answer_has_nothing_that_stops_a_start(
    service, reviewer, tmp_path
):
    plain = reviewer.post("/v1/assessments", ASSESSMENT)["assessment"]
    (key,) = make_keys(reviewer, plain, 1)
    cli = Cli(service.port, key["key"], tmp_path)
    cli.start()
    absent = ("brief", "repoUrl", "repoCommit", "repoSubdir", "timeLimitMinutes", "expiresAt", "allowedTools")
    assert [cli.session[name] for name in absent] == [None] * len(absent)


def test_who_was_shown_another_text_is_stopped_and_nothing_is_recorded(cli):
    assert decoded(cli.consent("outdated"), REFUSAL, 409)["code"] == "disclosure_outdated"
    assert cli.look_up_consent()["alreadyConfirmed"] is False
    assert decoded(cli.ask_to_redeem(), REFUSAL, 403)["error"]
    cli.agree()
    cli.redeem()


def test_a_second_start_without_a_key_begins_the_work_again(reviewer, started):
    Cli.resumed(started.port, started.folder).begin_work()
    assert verify(started.signed_log()) == started.status()["eventCount"] == 2
    assert seen_by(reviewer, started, "/integrity")["counts"]["valid"] == 2


def test_after_a_lost_answer_the_same_key_gets_in_with_another_key_pair(reviewer, cli):
    cli.agree(cli.look_up_consent()["disclosureHash"])
    lost = cli.ask_to_redeem()
    assert lost.status == 200
    first_key = cli.chain.public_key
    cli.redeem()
    assert cli.session_id == lost["sessionId"]
    assert cli.chain.public_key != first_key
    cli.begin_work()
    assert decoded(cli.ask_to_redeem(), REFUSAL, 409)["code"] == "already_redeemed"
    assert verify(cli.signed_log()) == 1
    assert len(seen_by(reviewer, cli, "/integrity")["publicKeys"]) == 2


# While working


@pytest.mark.parametrize(
    ("processes", "hooks"), [(1, 2), pytest.param(4, 40, marks=pytest.mark.slow, id="4-processes")]
)
def test_hooks_that_race_leave_one_chain(reviewer, extension, started, processes, hooks):
    """Each process is a hook's own; its threads are the watchers, the terminal and the snapshots beside it."""
    with ThreadPoolExecutor(1) as threads:
        edits = [extension.event("editor_edit", {"subKind": "paste", "charCount": 3})] * 2
        edits += [extension.event("file_create", {"path": f"{number}.py"}) for number in range(hooks)]
        beside = threads.submit(extension.flush, edits)
        by_processes = at_work(processes, started, hooks)
    assert said(beside.result()) == {CREATED: hooks + 1, SKIPPED: 1}
    assert len({sent["id"] for sent in by_processes}) == len(by_processes) == processes * hooks * 4
    shown = seen_by(reviewer, started)
    assert shown["eventCount"] == started.status()["eventCount"] == len(by_processes) + 1 + hooks + 1
    assert verify(started.signed_log()) == len(by_processes) + 1
    found = seen_by(reviewer, started, "/integrity")
    counts = {"valid": len(by_processes) + 1, "unsigned": hooks + 1, "invalid": 0, "unknownKey": 0}
    assert {name: found["counts"][name] for name in counts} == counts
    assert found["facts"] == []
    opening = [row["payload"] for row in started.signed_log()["events"][:1]]
    started.done(bundle(b"done"))
    metrics = seen_by(reviewer, started)["metrics"]
    expected = recompute([*opening, *by_processes, *edits[1:]])
    assert {name: metrics[name] for name in INTEGERS} == {name: expected[name] for name in INTEGERS}


def at_work(processes, cli, hooks):
    """What all hook processes sent; a single one needs no further process."""
    if processes == 1:
        return work(cli.port, cli.folder, hooks)
    arguments = [(cli.port, cli.folder, hooks)] * processes
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return [sent for each in pool.starmap(work, arguments) for sent in each]


def work(port: int, folder: Path, hooks: int) -> list[dict]:
    """A hook's process: four channels that sign into one chain and send at the same moment, again and again."""
    cli = Cli.resumed(port, folder)
    sent = []
    for number in range(hooks):
        events = [
            cli.event("prompt", AWKWARD | {"text": f"{os.getpid()} {number}"}),
            cli.event("file_diff", {"path": f"{number}.py", "diff": "+1 < 2 && 3", "linesAdded": 1}),
            cli.event("command", {"command": "make test", "exitCode": 1, "human": True}, "terminal"),
            cli.event("ai_response", AWKWARD, "codex", rawPayload="\ufffd{"),
        ]
        random.shuffle(events)
        calls = [lambda event=event: cli.send(event) for event in events]
        *answers, _ = run_concurrently([*calls, lambda: cli.snapshot(b"", "placed")])
        assert [answer.status for answer in answers] == [201] * len(events)
        sent += events
    return sent


def test_an_event_that_was_lost_leaves_a_gap_that_is_named_and_no_other_event_breaks(reviewer, started):
    lost, *kept = [started.event("prompt", {"text": str(number)}) for number in range(3)]
    assert [started.send(event).status for event in reversed(kept)] == [201, 201]
    log = started.signed_log()
    assert [row["id"] for row in log["events"][1:]] == [event["id"] for event in kept]
    assert log["events"][1]["prevSig"] == lost["sig"]
    assert [fact["code"] for fact in seen_by(reviewer, started, "/integrity")["facts"]] == ["chain_gap"]


def test_an_event_that_was_changed_on_its_way_is_stored_and_named(reviewer, started):
    event = started.event("command", {"command": "make", "exitCode": 1})
    assert started.send(event | {"data": {"command": "make", "exitCode": 0}}).status == 201
    with pytest.raises(InvalidSignature):
        verify(started.signed_log())
    (fact,) = seen_by(reviewer, started, "/integrity")["facts"]
    assert (fact["code"], fact["eventIds"]) == ("signature_invalid", [event["id"]])


def test_snapshots_may_be_cut_off_at_any_stage(service, reviewer, started):
    whole, later = bundle(b"a snapshot"), bundle(b"a later snapshot")
    started.snapshot(whole, until="placed")
    started.snapshot(later, until="uploaded")
    place = decoded(started.ask_for_place(), {})
    cut_off(started.port, place, whole)
    assert started.submit(place, whole)["verified"] is False
    assert seen_by(reviewer, started, "/bundle").status == 404
    # The same address takes the bundle again after a PUT that failed.
    assert started.put(place, whole).status == 200
    assert started.put(place, whole).status == 200
    assert started.submit(place, whole)["verified"] is True
    assert started.submit(place, later)["verified"] is False
    assert seen_by(reviewer, started, "/bundle").text == whole
    assert started.status()["status"] == "active"


def cut_off(port, place, content):
    """A PUT of which half arrives: its process ended with the hook's."""
    address = urlsplit(place["uploadUrl"])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.putrequest("PUT", f"{address.path}?{address.query}")
    connection.putheader("Content-Type", "application/gzip")
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders(content[: len(content) // 2])
    connection.close()


def test_snapshots_that_overlap_do_not_disturb_each_other_and_the_last_submitted_counts(reviewer, started):
    contents = [bundle(b"snapshot %d" % number) for number in range(4)]
    places = run_concurrently([lambda each=each: started.snapshot(each, "uploaded") for each in contents])
    assert len({place["objectKey"] for place in places}) == len(contents)
    for place, content in reversed(list(zip(places, contents, strict=True))):
        assert started.submit(place, content)["verified"] is True
    assert seen_by(reviewer, started, "/bundle").text == contents[0]


def test_a_diff_is_taken_as_git_writes_it(reviewer, started):
    """A file whose first NUL stands far behind is text to git, and a whole rewrite makes a long diff."""
    code = bundle(b"code")
    place = started.snapshot(code, "uploaded")
    assert started.submit(place, code, diff="+\0\n" + "+x\n" * MEBIBYTE, fileTree=["\ufffd.py"])["verified"]


def test_explain_records_a_decision_with_what_happened_lately(reviewer, started):
    started.send(started.event("prompt", {"text": "Why?"}))
    started.send(started.event("file_diff", {"path": "orders.py", "diff": "+1"}))
    started.send(started.event("command", {"command": "make test", "exitCode": 0}))
    activity = started.explain("A queue would be too much here.")
    assert activity["recentActivity"]["filesChanged"] == ["orders.py"]
    assert activity["recentActivity"]["commands"] == ["make test"]
    assert (activity["recentActivity"]["promptCount"], activity["periodMinutes"]) == (1, 20)
    assert activity["eventCount"] == 4
    (decision,) = seen_by(reviewer, started, "/decisions")["decisions"]
    assert decision["rationale"] == "A queue would be too much here."
    assert started.status() | {"eventCount": 5, "status": "active"} == started.status()


@pytest.mark.slow
@pytest.mark.parametrize("size", [6 * MEBIBYTE, pytest.param(8 * MEBIBYTE, marks=pytest.mark.slow)])
def test_a_large_event_is_answered_while_its_hook_still_waits(started, size):
    event = started.event("file_diff", {"path": "a.py", "content": "€ = x " * (size // 8), "diff": ""})
    assert started.send(event).status == 201
    assert verify(started.signed_log()) == 2


@pytest.mark.slow
def test_the_log_of_a_long_day_is_read_in_time(service, started):
    events = [started.event("prompt", AWKWARD) for _ in range(4_000)]
    random.shuffle(events)
    candidate = service.candidate(started.session["sessionToken"])
    for start in range(0, len(events), 500):
        answer = candidate.post("/v1/hooks/ingest/batch", {"events": events[start : start + 500]})
        assert {result["status"] for result in answer["results"]} == {"created"}
    assert verify(started.signed_log()) == 4_001


# The extension


def test_what_the_extension_sends_again_counts_once_whenever_it_comes(service, reviewer, started, extension):
    events = [extension.event("editor_focus", {"subKind": "file_open", "filePath": "a.py"}) for _ in range(7)]
    events += [extension.event("editor_idle", {"subKind": "idle_start", "lastActiveFile": None})]
    assert said(extension.flush(events[:4])) == {CREATED: 4}
    random.shuffle(events)
    assert said(extension.flush(events + events)) == {CREATED: 4, SKIPPED: 12}
    started.complete()
    waiting = [extension.event("editor_focus", {"subKind": "file_close"}) for _ in range(3)]
    # Its queue comes again minutes after the end, and up to an hour after.
    set_back(service, started, "closed_at", 9 * MINUTE)
    assert said(extension.flush([*events, waiting[0]])) == {SKIPPED: 8, CREATED: 1}
    set_back(service, started, "closed_at", 11 * MINUTE)
    assert said(extension.flush([*events, waiting[0], waiting[1]])) == {SKIPPED: 9, LATE: 1}
    set_back(service, started, "closed_at", 24 * HOUR + MINUTE)
    (refused,) = extension.flush([waiting[2]])
    assert decoded(refused, REFUSAL, 409)["code"] == "session_closed"
    shown = seen_by(reviewer, started)
    # The session_start of the CLI counts too.
    assert (shown["eventCount"], shown["lateEventCount"]) == (10, 1)


def test_an_event_of_another_session_is_not_taken(extension):
    stranger = Extension(extension.port, extension.key, "11111111-1111-4111-8111-111111111111")
    (answer,) = stranger.flush([stranger.event("editor_edit", {})])
    assert answer.status == 404


# done


def test_done_hands_in_the_work_and_late_events_still_count(service, reviewer, started):
    code = bundle(b"the work")
    completed_at = started.done(code)["completedAt"]
    assert seen_by(reviewer, started, "/bundle").text == code
    # Watchers are stopped only afterwards.
    assert started.send(started.event("prompt", {"text": "too late?"})).status == 201
    assert started.complete() == {"ok": True, "completedAt": completed_at}
    assert started.status() | {"status": "completed", "eventCount": 2} == started.status()
    assert verify(started.signed_log()) == 2
    set_back(service, started, "closed_at", 11 * MINUTE)
    late = started.send(started.event("prompt", {"text": "later"}))
    assert (late.status, late.json) == (201, {"ok": True, "late": True})
    assert verify(started.signed_log()) == 3
    for answer in (started.ask_for_place(), started.submit({"objectKey": "none"}, code)):
        refused = decoded(answer, REFUSAL, 409)
        assert (refused["code"], refused["completedAt"]) == ("assessment_closed", completed_at)
    assert started.complete() == {"ok": True, "completedAt": completed_at}
    shown = seen_by(reviewer, started)
    assert (shown["eventCount"], shown["lateEventCount"], shown["metrics"]["promptCount"]) == (2, 1, 1)


def test_completes_at_the_same_moment_agree(started):
    answers = run_concurrently([started.complete] * 8)
    assert len({answer["completedAt"] for answer in answers}) == 1


def test_a_client_whose_clock_began_later_still_hands_in_after_the_limit(service, reviewer, started):
    """`done --auto` runs by the candidate's clock; the service's had closed the session by then."""
    set_back(service, started, "closes_at", GRACE_SECONDS)
    assert started.status()["status"] == "expired"
    assert started.send(started.event("prompt", {"text": "one more"})).status == 201
    code = bundle(b"just in time")
    started.done(code)
    assert started.status() | {"status": "completed", "eventCount": 2} == started.status()
    assert seen_by(reviewer, started, "/bundle").text == code


def test_a_client_that_comes_long_after_the_limit_is_told_that_it_is_over(service, started):
    set_back(service, started, "closes_at", HOUR)
    started.check_device("done")
    refused = decoded(started.ask_for_place(), REFUSAL, 409)
    assert refused["code"] == "assessment_closed"
    # It prints the moment, and its candidate is done.
    assert started.complete()["completedAt"] == refused["completedAt"]
    assert started.status()["status"] == "expired"
