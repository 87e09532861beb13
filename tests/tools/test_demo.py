"""The demo: the same organization on every run, in every state that the console shows; Ctrl-C leaves nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rules.integrity import event_signatures
from schemas.candidate_session import Envelope
from tests.live.client import Client
from tests.live.service import children, is_running, wait_until
from tools.demo import cast, client_events, reviews, tasks
from tools.demo.repository import History
from tools.demo.work import Plan, Work

ROOT = Path(__file__).parents[2]
START = datetime(2026, 4, 1, 9, tzinfo=UTC)
SESSION = "01a20000-0000-7000-8000-000000000000"
TIMEOUT_SECONDS = 300
FOLLOWED = {"advanced": "completed", "rejected": "completed", "hired": "hired"}


def events_of(task_name, level=3, seed=7):
    task = tasks.load(task_name)
    work = Work(task, Plan(level=level, rounds=4, pace=1, slips=0.5, by_hand=2), seed)
    client = client_events.Client(
        SESSION, client_events.Signer(seed), "claude-code", "claude-sonnet-4-5", seed
    )
    return work, [event for action in work.actions for event in client.events(action, START)]


@pytest.mark.parametrize("name", tasks.NAMES)
def test_the_same_seed_gives_the_same_work_events_and_bundle(name):
    (work, events), (again, same) = events_of(name), events_of(name)
    assert (work.actions, work.files, events) == (again.actions, again.files, same)
    assert events != events_of(name, seed=8)[1]
    bundles = {History().commit(each.files, "Submission").bundle() for each in (work, again)}
    assert len(bundles) == 1


@pytest.mark.parametrize("name", tasks.NAMES)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_events_are_valid_and_signed(name, level):
    work, events = events_of(name, level)
    assert Envelope(many=True).validate(events) == {}
    assert len({event["id"] for event in events}) == len(events) > 20
    key = client_events.Signer(7).public_key
    verdicts = {event_signatures.verify(json.dumps(event), [key]).verdict for event in events}
    assert verdicts == {event_signatures.VALID}
    changes = [action.data for action in work.actions if action.kind.startswith("change")]
    assert {
        path: text for change in changes for path, text in [(change["path"], change["after"])]
    }.items() <= (work.files.items())


def test_the_cast_has_cohorts_of_25_22_and_13_and_distinct_people():
    candidates = cast.candidates()
    visible = Counter(candidate.task for candidate in candidates if candidate.fate != "revoked")
    assert visible == {"retries": 25, "search": 22, "totals": 13}
    assert len({candidate.name for candidate in candidates}) == 61
    assert len({candidate.email for candidate in candidates}) == 61
    assert all(re.fullmatch(r"[a-z-]+\.[a-z-]+@[a-z.]+", candidate.email) for candidate in candidates)
    assert cast.PLACES_TO_START.keys() <= {each.name for each in candidates if each.has_session}


def test_reviewers_disagree_only_where_the_story_says_so():
    for candidate in cast.candidates():
        rubric = tasks.load(candidate.task)["rubric"]
        pairs = zip(*(reviews.scores(candidate, rubric, reviewer) for reviewer in (0, 1)), strict=True)
        apart = [abs(one.value - other.value) for one, other in pairs]
        assert (max(apart) >= 2) is (candidate.fate == "disagreed"), candidate.name


@pytest.fixture
def start(tmp_path):
    """Start the demo on a free port, with temporary folders in `tmp_path`; kill it at the end."""
    started = []

    def start():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {"TMPDIR": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/untouched.db"}
        command = [sys.executable, "-m", "flask", "demo", "--port", str(port)]
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, port

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def demo(start):
    """The running demo: its process, port and output."""
    process, port = start()
    output = ""
    while "Press Ctrl-C" not in output:
        line = process.stdout.readline()
        assert line, f"It ended early: {output}"
        output += line
    return process, port, output


@pytest.mark.slow
def test_ctrl_c_also_stops_it_while_it_creates_the_data(start, tmp_path):
    process, _ = start()
    (filling,) = wait_until(lambda: children(process.pid), "It does not start.")
    assert list(tmp_path.iterdir()) != []
    process.send_signal(signal.SIGINT)
    assert "Stopped." in process.communicate(timeout=TIMEOUT_SECONDS)[0]
    assert process.returncode == 0
    wait_until(lambda: not is_running(filling), "A process is still running.")
    assert list(tmp_path.iterdir()) == []


def client(demo, who):
    _, port, output = demo
    token = re.search(rf"{re.escape(cast.PEOPLE[who][0])} .*(psk_live_\w+)", output)[1]
    return Client(port, Authorization=f"Bearer {token}")


@pytest.mark.slow
def test_the_demo_has_every_state_and_stops_with_ctrl_c(demo, tmp_path):
    process, port, output = demo
    assert f"http://localhost:{port}/console" in output
    assert f"http://localhost:{port}/docs" in output
    admin = client(demo, "admin")
    found = {each["candidateName"]: each for each in admin.get("/v1/candidates?limit=200")["candidates"]}
    by_number = {each["externalId"]: each for each in admin.get("/v1/candidates?limit=200")["candidates"]}
    assert len(by_number) == 59
    for candidate in cast.candidates():
        assert (candidate.external_id in by_number) is candidate.is_listed
        if candidate.is_listed:
            assert_state(candidate, by_number[candidate.external_id])
    assert found["Hye-jin Park"]["erasureRequestedAt"]
    results = [
        len(admin.get(f"/v1/assessments/{each['id']}/results?limit=200")["results"])
        for each in admin.get("/v1/assessments")["assessments"]
    ]
    assert results == [25, 22, 13]
    assert_record(demo, admin)
    started = children(process.pid)
    assert len(started) == 2
    everyone = [*started, *(each for pid in started for each in children(pid))]
    process.send_signal(signal.SIGINT)
    assert "Stopping" in process.communicate(timeout=TIMEOUT_SECONDS)[0]
    assert process.returncode == 0
    wait_until(lambda: not any(map(is_running, everyone)), "A process is still running.")
    assert list(tmp_path.iterdir()) == []


def assert_state(candidate, shown):
    statuses = {
        "running": "active", "idle": "active", "limit": "expired", "closed": "expired", "expired": "expired",
        "pending": "pending", "expiring": "pending", "undeliverable": "pending", "bounced": "pending", "hired": "hired",
    }  # fmt: skip
    assert shown["status"] == statuses.get(candidate.fate, "completed"), candidate
    decided = candidate.fate if candidate.fate in ("advanced", "rejected", "hired") else "undecided"
    assert shown["decision"] == decided, candidate
    assert bool(shown["decisionReason"]) is (decided != "undecided")
    failed = candidate.fate in ("undeliverable", "bounced")
    assert shown["invite"]["state"] == ("failed" if failed else "sent"), candidate


def assert_record(demo, admin):
    """The tampered record, the long session, the submissions and the failing webhook."""
    _, _, output = demo
    ids = dict(re.findall(r"^  (\S.{20}) .*\n\s+http://\S+#/sessions/(\S+)$", output, re.MULTILINE))
    ids = {name.strip(): session_id for name, session_id in ids.items()}
    codes = {
        name: [finding["code"] for finding in admin.get(f"/v1/sessions/{session_id}/integrity")["findings"]]
        for name, session_id in ids.items()
    }
    assert "event_changed" in codes.pop("Siddharth Iyer")
    assert codes.pop("Leila Farahani") == ["call_not_proxied"]
    assert not any(codes.values()), codes
    assert 1_800 < admin.get(f"/v1/sessions/{ids['Mei-Lin Chou']}")["eventCount"] < 2_300
    diff = admin.get(f"/v1/sessions/{ids['Leila Farahani']}/final-diff")
    assert (diff["submission"]["state"], diff["submission"]["baseVerified"]) == ("read", True)
    assert {file["path"] for file in diff["files"]} >= {"orders/store.py", "tests/test_api.py"}
    # The admin has not scored, and so does not see the others' scores.
    observer = client(demo, "observer")
    disagreements = observer.get(f"/v1/sessions/{ids['Zoë van den Berg']}/scores")["criteria"]
    assert sum(criterion["disagreement"] for criterion in disagreements) == 2
    history = [score for criterion in disagreements for score in criterion["history"] if score["reason"]]
    assert len(history) == 1
    assert_fairness(admin)
    webhooks = {each["description"]: each for each in admin.get("/v1/webhooks")["webhooks"]}
    assert webhooks["Messages to #hiring"]["lastError"]
    assert webhooks["Messages to #hiring"]["enabled"]
    assert not webhooks["Applicant tracking"]["lastError"]


def assert_fairness(admin):
    """Candidates of the agency are selected less often."""
    (assessment,) = [
        each for each in admin.get("/v1/assessments")["assessments"] if each["timeLimitMinutes"] == 180
    ]
    body = {"groups": cast.groups("retries")}
    report = admin.post(f"/v1/assessments/{assessment['id']}/fairness", body)
    shown = {group["group"]: group for group in report["groups"]}
    assert shown["agency"]["belowFourFifths"]
    assert not shown["careers page"]["belowFourFifths"]
