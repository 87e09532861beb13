"""The demo's candidates are plausible and the same at every run; the demo itself leaves nothing but its mails."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rules import metrics
from rules.timestamps import parse_timestamp_ns
from schemas.candidate_session import Envelope
from tools.demo.candidates import make_candidates

ROOT = Path(__file__).parents[2]
END = datetime(2026, 4, 1, 12, tzinfo=UTC)
DEMO_SECONDS = 120


def test_the_candidates_are_the_same_twelve_at_every_run():
    first, second = make_candidates(END), make_candidates(END)
    assert len({candidate.email for candidate in first}) == 12
    for one, other in zip(first, second, strict=True):
        assert [event | {"id": ""} for event in one.events] == [event | {"id": ""} for event in other.events]


def test_their_events_are_what_a_client_sends_and_end_when_they_should():
    for candidate in make_candidates(END):
        assert Envelope(many=True).validate(candidate.events) == {}
        times = [parse_timestamp_ns(event["ts"]) for event in candidate.events]
        assert times == sorted(times)
        assert abs(times[-1] - int(END.timestamp()) * 10**9) < 10**9
        assert len({event["id"] for event in candidate.events}) == len(candidate.events)


def test_they_ask_change_run_and_fail_each_in_their_own_way():
    kinds = [Counter(event["kind"] for event in candidate.events) for candidate in make_candidates(END)]
    assert all(count["prompt"] and count["file_diff"] and count["command"] for count in kinds)
    found = [
        metrics.derive([(parse_timestamp_ns(event["ts"]), event) for event in candidate.events])
        for candidate in make_candidates(END)
    ]
    assert {one.tests_passed for one in found} == {True, False}
    for name in ("duration_ms", "command_fail_rate", "verify_intensity", "manual_edit_ratio"):
        assert len({getattr(one, name) for one in found}) > 6, name
    assert any(one.decision_count for one in found)
    assert timedelta(milliseconds=max(one.duration_ms for one in found)) < timedelta(hours=4)


@pytest.fixture
def demo(tmp_path):
    """Start the demo with its folders below `tmp_path`, and let nothing of it live on."""
    started = []

    def start(option):
        command = [sys.executable, "-m", "flask", "demo", option]
        environment = os.environ | {
            "TMPDIR": str(tmp_path),
            "DATABASE_URL": f"sqlite:///{tmp_path}/untouched.db",
        }
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def port_of(output):
    return int(re.search(r"http://localhost:(\d+)/docs", output)[1])


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_the_demo_shows_a_table_of_twelve_and_keeps_the_mails(demo, tmp_path):
    process = demo("--stop")
    output, _ = process.communicate(timeout=DEMO_SECONDS)
    assert process.returncode == 0
    for candidate in make_candidates(END):
        assert re.search(rf"^{candidate.name} .*(pass|fail)$", output, re.MULTILINE)
    assert "12 sessions, average" in output
    mails = Path(re.search(r"The invitations lie in (\S+)", output)[1])
    assert len(list(mails.glob("*.eml"))) == 12
    assert list(tmp_path.iterdir()) == [mails]
    assert not is_open(port_of(output))


@pytest.mark.slow
def test_the_demo_can_stay_until_it_is_told_to_stop(demo):
    process = demo("--keep")
    output = ""
    while "until Ctrl-C" not in output:
        line = process.stdout.readline()
        assert line, f"It ended early: {output}"
        output += line
    assert is_open(port_of(output))
    process.send_signal(signal.SIGINT)
    assert "Stopping" in process.communicate(timeout=DEMO_SECONDS)[0]
    assert process.returncode == 0
    assert not is_open(port_of(output))
