"""Recorded timelines, imported or sent over HTTP, match independently computed metrics.

RECORDINGS is the folder of the recordings.
"""

import json
import os
import random
import re
from collections import Counter
from pathlib import Path

import factories
import independent_metrics
import independent_statistics
import pytest
from response_checks import body_of

from models import Assessment, CandidateKey, CandidateList, Session
from ops import session_import

FOLDER = Path(os.environ.get("RECORDINGS") or Path(__file__).parents[3] / "shared/data/sessions")
FILES = sorted(FOLDER.glob("*.jsonl"))
NO_RECORDINGS = f"no recordings in {FOLDER}; they are personal data and not in the repository"
# Larger files are only used by slow tests.
MAX_QUICK_BYTES = 100_000
EACH_FILE = pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, id=file.stem, marks=[pytest.mark.slow] * (file.stat().st_size > MAX_QUICK_BYTES))
        for file in FILES
    ]
    or [pytest.param(None, marks=pytest.mark.skip(NO_RECORDINGS))],
)
BATCH_SIZE = 137
UNKNOWN_ID = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"


def read_lines(file, session_id="SESSION"):
    return [line.replace('"SESSION"', f'"{session_id}"', 1) for line in file.read_text("utf-8").splitlines()]


def recompute(file):
    return independent_metrics.recompute([json.loads(line) for line in read_lines(file)])


def assert_metrics(session, file):
    """Compare the stored metrics with the recording's, by column name and in stored units."""
    row = Session.get_by_id(session.id)
    for name, value in recompute(file).items():
        column = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
        if name == "aiAttributionPct":
            column, value = "ai_attribution_permille", None if value is None else value * 10
        stored = row.further_metrics[column] if column in row.further_metrics else getattr(row, column)
        assert stored == value, name


@EACH_FILE
def test_imported_recordings_have_the_expected_metrics(organization, file):
    session = session_import.Importer(organization).import_file(file)
    assert_metrics(session, file)
    assert Session.get_by_id(session.id).event_count == len(read_lines(file))


@EACH_FILE
def test_shuffled_batches_with_duplicates_have_the_expected_metrics(flask, candidate, key, session, file):
    lines = read_lines(file, session.id)
    order = random.Random(2)
    sent = lines + order.sample(lines, len(lines) // 3)
    order.shuffle(sent)
    results = Counter()
    for start in range(0, len(sent), BATCH_SIZE):
        body = f'{{"events": [{",".join(sent[start : start + BATCH_SIZE])}]}}'.encode()
        response = candidate.request(
            "POST", "/v1/hooks/ingest/batch", data=body, content_type="application/json"
        )
        results.update(result["status"] for result in body_of(response)["results"])
    assert results == {"created": len(lines), "skipped": len(sent) - len(lines)}
    body_of(candidate.post("/v1/candidate/complete", {"key": key.key, "sessionId": str(session.id)}))
    assert_metrics(session, file)
    assert "changed: 0." in flask("sessions", "rederive")
    assert_metrics(session, file)


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason=NO_RECORDINGS)
def test_all_recordings_in_one_cohort_have_the_expected_statistics(flask, organization, reviewer):
    flask("sessions", "import", *FILES)
    sessions = [recompute(file) for file in FILES]
    columns = [independent_metrics.columns(session) | {"id": row} for row, session in enumerate(sessions)]
    assessment = Assessment.get(Assessment.organization == organization)
    for index, row in enumerate(Session.select().order_by(Session.created_at, Session.id)):
        response = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=str(row.id))
        stats = response.json["cohortStats"]
        independent_statistics.check(stats, columns, columns[index])


def event(kind="prompt", seconds=0, **fields):
    return json.dumps(factories.envelope(kind, seconds, sessionId="SESSION") | fields)


@pytest.fixture
def recording(tmp_path):
    """Write a recording; returns its path."""

    def write(name, *lines):
        file = tmp_path / f"{name}.jsonl"
        file.write_bytes(
            b"".join(line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines)
        )
        return file

    return write


@pytest.fixture
def failing_import(flask):
    return lambda *arguments: flask("sessions", "import", *arguments, fails=True)


def test_recordings_become_completed_sessions(flask, organization, recording):
    short = recording("short", event("prompt", 0), event("prompt", 60))
    long = recording("long", event("session_start", 0), event("file_diff", 3600), event("x", 5))
    lines = flask("sessions", "import", short, long, "--title", "Last year's").splitlines()
    assessment = Assessment.get()
    assert f"Last year's ({assessment.id})" in lines
    rows = list(Session.select().order_by(Session.id))
    assert [(row.key.candidate_name, row.event_count) for row in rows] == [("short", 2), ("long", 3)]
    assert all(row.completed_at and row.assessment == assessment for row in rows)
    assert CandidateList(organization.id, None).count() == 2


def test_lines_are_stored_verbatim_with_the_sessions_id(organization, recording):
    line = '{"v":1, "data": {"n": 1.50e1}, "sessionId" : "SESSION", "ts": "2026-04-01T09:00:00Z","kind":"x","id":"a"}'
    session = session_import.Importer(organization).import_file(recording("verbatim", line))
    (stored,) = session.event_set
    assert stored.envelope == line.replace("SESSION", str(session.id))


def test_time_limits_do_not_apply_to_recordings(flask, organization, recording):
    assessment = factories.make_assessment(organization, time_limit_minutes=1)
    flask("sessions", "import", recording("one", event()), "--assessment", assessment.id)
    (session,) = Session.select()
    assert (session.assessment, session.closes_at) == (assessment, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "a"', "not valid JSON"),
        ("\x00", "not valid JSON"),
        ('{"id": "a", "id": "b"}', "twice"),
        (b'{"id": "\xff"}\n', "UTF-8"),
        ("[]", "object"),
        ('{"id": "1"}', "kind: "),
        (event(ts="yesterday"), "ts: "),
        (event(kind="a\0b"), "kind: "),
        (event(v=True), "v: "),
        (event(sessionId=UNKNOWN_ID), "another session"),
    ],
)
def test_files_with_invalid_lines_are_skipped(failing_import, organization, recording, line, reason):
    invalid = recording("invalid", event(), "", line, event())
    output = failing_import(recording("before", event()), invalid, recording("after", event()))
    assert f"{invalid}, line 3: " in output
    assert reason in output
    assert [row.key.candidate_name for row in Session.select().order_by(Session.id)] == ["before", "after"]
    assert CandidateKey.select().count() == 2


@pytest.mark.parametrize(("line", "reason"), [("{}", "line 1"), ("", "no events")])
def test_failed_imports_do_not_create_an_assessment(failing_import, organization, recording, line, reason):
    assert reason in failing_import(recording("invalid", line))
    assert not Assessment.select().exists()


def test_ambiguous_organizations_and_unknown_assessments_are_rejected(
    flask, failing_import, organization, neighbour, recording
):
    file = recording("one", event())
    for unknown in ("nonsense", UNKNOWN_ID):
        assert f"No such assessment: {unknown}." in failing_import(file, "--assessment", unknown)
    assert "--org" in failing_import(file)
    flask("sessions", "import", file, "--org", "Acme")
    assert Assessment.get().organization == organization
