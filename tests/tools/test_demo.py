"""The demo: plausible candidates, the same on every run; afterwards only its emails remain."""

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
TIMEOUT_SECONDS = 120


def test_the_candidates_are_the_same_at_every_run():
    first, second = make_candidates(END), make_candidates(END)
    assert len({candidate.email for candidate in first}) == 12
    for one, other in zip(first, second, strict=True):
        assert [event | {"id": ""} for event in one.events] == [event | {"id": ""} for event in other.events]


def test_the_events_are_valid_and_end_on_time():
    for candidate in make_candidates(END):
        assert Envelope(many=True).validate(candidate.events) == {}
        times = [parse_timestamp_ns(event["ts"]) for event in candidate.events]
        assert times == sorted(times)
        assert abs(times[-1] - int(END.timestamp()) * 10**9) < 10**9
        assert len({event["id"] for event in candidate.events}) == len(candidate.events)


def test_the_candidates_differ_in_their_metrics():
    derived = []
    for candidate in make_candidates(END):
        counts = Counter(event["kind"] for event in candidate.events)
        assert counts["prompt"]
        assert counts["file_diff"]
        assert counts["command"]
        derived.append(
            metrics.derive([(parse_timestamp_ns(event["ts"]), event) for event in candidate.events])
        )
    assert {metrics.tests_passed for metrics in derived} == {True, False}
    for name in ("duration_ms", "command_fail_rate", "verify_intensity", "manual_edit_ratio"):
        assert len({getattr(metrics, name) for metrics in derived}) > 6, name
    assert any(metrics.decision_count for metrics in derived)
    assert timedelta(milliseconds=max(metrics.duration_ms for metrics in derived)) < timedelta(hours=4)


@pytest.fixture
def demo(tmp_path):
    """Start the demo with temporary folders in `tmp_path`; kill it at the end."""
    started = []

    def start(option):
        command = [sys.executable, "-m", "flask", "demo", option]
        settings = {"TMPDIR": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/untouched.db"}
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_open(output):
    port = int(re.search(r"http://localhost:(\d+)/docs", output)[1])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_the_demo_prints_a_table_of_twelve_and_keeps_only_the_emails(demo, tmp_path):
    process = demo("--stop")
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0
    for candidate in make_candidates(END):
        assert re.search(rf"^{candidate.name} .*(pass|fail)$", output, re.MULTILINE)
    assert "12 sessions, average" in output
    mail_folder = Path(re.search(r"Invitations: (\S+)", output)[1])
    assert len(list(mail_folder.glob("*.eml"))) == 12
    assert list(tmp_path.iterdir()) == [mail_folder]
    assert not is_open(output)


@pytest.mark.slow
def test_the_demo_can_run_until_it_is_stopped(demo):
    process = demo("--keep")
    output = ""
    while "Press Ctrl-C" not in output:
        line = process.stdout.readline()
        assert line, f"It ended early: {output}"
        output += line
    assert is_open(output)
    process.send_signal(signal.SIGINT)
    assert "Stopping" in process.communicate(timeout=TIMEOUT_SECONDS)[0]
    assert process.returncode == 0
    assert not is_open(output)
