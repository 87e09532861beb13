"""The demo creates the same organization on every run, in every state, and Ctrl-C deletes it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hidden_tests import outcomes, run

from rules.integrity import event_signatures
from schemas.candidate_session import Envelope
from tests.live.client import Client
from tests.live.service import children, is_running, wait_until
from tests.runner.conftest import with_sandboxes
from tests.servers import free_port
from tools.demo import cast, client_events, reviews, runner, tasks
from tools.demo.repository import History
from tools.demo.work import Plan, Work

pytestmark = with_sandboxes
ROOT = Path(__file__).parents[2]
START = datetime(2026, 4, 1, 9, tzinfo=UTC)
SESSION = "01a20000-0000-7000-8000-000000000000"
TIMEOUT_SECONDS = 300


def work_and_events(task_name, level=3, seed=7):
    work = Work(
        tasks.load(task_name), Plan(level=level, rounds=4, flaw_probability=0.5, manual_edits=2), seed
    )
    signer = client_events.Signer(seed)
    client = client_events.Client(SESSION, signer, "claude-code", "claude-sonnet-4-5", seed)
    return work, [event for action in work.actions for event in client.events(action, START)]


@pytest.mark.parametrize("name", tasks.NAMES)
def test_a_seed_always_gives_the_same_work_events_and_bundle(name):
    (first, first_events), (second, second_events) = work_and_events(name), work_and_events(name)
    assert (first.actions, first.files, first_events) == (second.actions, second.files, second_events)
    assert first_events != work_and_events(name, seed=8)[1]
    bundles = {History().commit(work.files).bundle() for work in (first, second)}
    assert len(bundles) == 1


@pytest.mark.parametrize("name", tasks.NAMES)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_events_are_valid_and_signed(name, level):
    work, events = work_and_events(name, level)
    assert Envelope(many=True).validate(events) == {}
    assert len({event["id"] for event in events}) == len(events) > 20
    key = client_events.Signer(7).public_key
    verdicts = {event_signatures.verify(json.dumps(event), [key]).verdict for event in events}
    assert verdicts == {event_signatures.VALID}
    changes = [action.data for action in work.actions if "after" in action.data]
    assert {change["path"]: change["after"] for change in changes}.items() <= work.files.items()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "level", "passed"),
    [
        ("bookings", 1, 11),
        ("bookings", 2, 17),
        ("bookings", 3, 20),
        ("prices", 1, 8),
        ("prices", 2, 12),
        ("prices", 3, 20),
    ],
)
def test_submissions_are_solutions_of_different_quality(name, level, passed, tmp_path):
    work, _ = work_and_events(name, level)
    for path, text in work.files.items():
        file = tmp_path / "work" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    result = run(work.task["testCommand"], tmp_path / "work")
    assert result.returncode == 0, result.stdout + result.stderr
    results = outcomes(work.task["problem"], tmp_path / "work", tmp_path / "junit.xml")
    assert (sum(results.values()), len(results)) == (passed, 20)


def test_the_cast_has_distinct_people_and_reviewers_disagree_where_intended():
    candidates = cast.candidates()
    visible = Counter(candidate.task for candidate in candidates if candidate.outcome != "revoked")
    assert visible == {"bookings": 25, "prices": 22, "totals": 13}
    assert len({candidate.name for candidate in candidates}) == 61
    assert len({candidate.email for candidate in candidates}) == 61
    assert all(re.fullmatch(r"[a-z-]+\.[a-z-]+@[a-z.]+", candidate.email) for candidate in candidates)
    assert cast.HIGHLIGHTS.keys() <= {each.name for each in candidates if each.has_session}
    for candidate in candidates:
        rubric = tasks.load(candidate.task)["rubric"]
        pairs = zip(*(reviews.scores(candidate, rubric, reviewer) for reviewer in (0, 1)), strict=True)
        spread = max(abs(one.value - other.value) for one, other in pairs)
        assert (spread >= 2) is (candidate.outcome == "disagreed"), candidate.name


def test_without_an_engine_hidden_tests_wait(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with runner.start(1, "psr_unused", tmp_path) as state:
        assert state == runner.WAITS
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def start(tmp_path):
    """Start the demo on a free port, with temporary folders in `tmp_path`."""
    processes = []

    def start():
        port = free_port()
        settings = {"TMPDIR": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/untouched.db"}
        command = [sys.executable, "-m", "tools.demo", "--port", str(port)]
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process, port

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def demo(start):
    """The running demo's process, port and output."""
    process, port = start()
    output = ""
    while "Press Ctrl-C" not in output:
        line = process.stdout.readline()
        assert line, f"The demo exited early: {output}"
        output += line
    return process, port, output


@pytest.mark.slow
def test_ctrl_c_stops_the_demo_while_it_creates_data(start, tmp_path):
    process, _ = start()
    (filling,) = wait_until(lambda: children(process.pid), "The demo did not start.")
    assert list(tmp_path.iterdir()) != []
    process.send_signal(signal.SIGINT)
    assert "Stopped." in process.communicate(timeout=TIMEOUT_SECONDS)[0]
    assert process.returncode == 0
    wait_until(lambda: not is_running(filling), "A process is still running.")
    assert list(tmp_path.iterdir()) == []


def client(demo, person):
    _, port, output = demo
    token = re.search(rf"{re.escape(cast.PEOPLE[person][0])} .*(psk_live_\w+)", output)[1]
    return Client(port, Authorization=f"Bearer {token}")


@pytest.mark.slow
def test_the_demo_has_every_state_and_stops_with_ctrl_c(demo, tmp_path):
    process, port, output = demo
    assert f"http://localhost:{port}/console" in output
    assert f"http://localhost:{port}/docs" in output
    admin = client(demo, "admin")
    listed = {each["externalId"]: each for each in admin.get("/v1/candidates?limit=200")["candidates"]}
    assert len(listed) == 59
    for candidate in cast.candidates():
        assert (candidate.external_id in listed) is candidate.is_listed
        if candidate.is_listed:
            assert_state(candidate, listed[candidate.external_id])
    assert [len(rows) for rows in results(admin)] == [25, 22, 13]
    assert_highlights(demo, admin)
    assert_fairness(admin)
    assert admin.get("/v1/integration-systems")["enabled"]
    has_runner = runner.WAITS not in output
    if has_runner:
        assert_hidden_tests(admin)
    service = children(process.pid)
    assert len(service) == 2 + has_runner
    processes = [*service, *(child for pid in service for child in children(pid))]
    process.send_signal(signal.SIGINT)
    assert "Stopping" in process.communicate(timeout=TIMEOUT_SECONDS)[0]
    assert process.returncode == 0
    wait_until(lambda: not any(map(is_running, processes)), "A process is still running.")
    assert list(tmp_path.iterdir()) == []


def results(admin):
    """Return the results of each assessment."""
    assessments = admin.get("/v1/assessments")["assessments"]
    return [admin.get(f"/v1/assessments/{each['id']}/results?limit=200")["results"] for each in assessments]


def assert_hidden_tests(admin):
    """Check that all submissions of two assessments are tested, with results of different quality."""

    def passed():
        return [
            [
                row["hiddenTests"]["passed"]
                for row in rows
                if (row["hiddenTests"] or {}).get("passed") is not None
            ]
            for rows in results(admin)
        ]

    wait_until(
        lambda: [*map(len, passed())] == [15, 14, 0], "Not all submissions are tested.", TIMEOUT_SECONDS
    )
    bookings, prices, _ = passed()
    assert max(bookings) == max(prices) == 20
    assert min(len(set(bookings)), len(set(prices))) >= 3


def assert_state(candidate, row):
    statuses = {
        "running": "active", "idle": "active", "limit": "expired", "closed": "expired", "expired": "expired",
        "pending": "pending", "expiring": "pending", "undeliverable": "pending", "bounced": "pending", "hired": "hired",
    }  # fmt: skip
    assert row["status"] == statuses.get(candidate.outcome, "completed"), candidate
    decision = candidate.outcome if candidate.outcome in ("advanced", "rejected", "hired") else "undecided"
    assert row["decision"] == decision, candidate
    assert bool(row["decisionReason"]) is (decision != "undecided")
    assert bool(row["erasureRequestedAt"]) is (candidate.outcome == "erasure")
    failed = candidate.outcome in ("undeliverable", "bounced")
    assert row["invite"]["state"] == ("failed" if failed else "sent"), candidate


def assert_highlights(demo, admin):
    """Check the tampered recording, the long session, a submission, a disagreement and the failing webhook."""
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
    assert {file["path"] for file in diff["files"]} >= {"src/importer.js", "test/import.test.js"}
    # The admin has not scored, and so does not see the others' scores.
    observer = client(demo, "observer")
    disagreements = observer.get(f"/v1/sessions/{ids['Zoë van den Berg']}/scores")["criteria"]
    assert sum(criterion["disagreement"] for criterion in disagreements) == 2
    history = [score for criterion in disagreements for score in criterion["history"] if score["reason"]]
    assert len(history) == 1
    webhooks = {each["description"]: each for each in admin.get("/v1/webhooks")["webhooks"]}
    assert webhooks["Messages to #hiring"]["lastError"]
    assert webhooks["Messages to #hiring"]["enabled"]
    assert not webhooks["Applicant tracking"]["lastError"]


def assert_fairness(admin):
    """The agency's candidates are selected less often."""
    assessments = {each["title"]: each["id"] for each in admin.get("/v1/assessments")["assessments"]}
    bookings = [each for each in cast.candidates() if each.task == "bookings" and each.is_listed]
    body = {"groups": {candidate.external_id: candidate.source for candidate in bookings}}
    report = admin.post(f"/v1/assessments/{assessments[tasks.load('bookings')['title']]}/fairness", body)
    groups = {group["group"]: group for group in report["groups"]}
    assert groups["agency"]["belowFourFifths"]
    assert not groups["careers page"]["belowFourFifths"]
