"""Recorded timelines come in by the command and over HTTP, with the numbers of a second reading of metrics.md.

They are read in place, from the folder that RECORDINGS names.
"""

import json
import os
import random
import re
from collections import Counter
from pathlib import Path

import factories
import independent_metrics
import pytest

from models import Assessment, CandidateKey, Session, sessions
from ops import session_import

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("RECORDINGS") or ROOT / "../shared/data/sessions")
FILES = sorted(FOLDER.glob("*.jsonl"))
NO_RECORDINGS = (
    f"there are no recordings in {FOLDER}: they are real people's sessions, which have no place in the repository, and "
    "who has none tests without them; RECORDINGS names another folder"
)
# So large that everything they are used for is slow.
SMALL_BYTES, LARGE_BYTES = 100_000, 500_000
BATCH = 137

NAMED_OTHERWISE = {"aiAttributionPct": "ai_attribution_permille"}


def each_file(quick_bytes):
    """A run for each recording, slow for those above `quick_bytes`."""
    files = [
        pytest.param(file, id=file.stem, marks=[pytest.mark.slow] * (file.stat().st_size > quick_bytes))
        for file in FILES
    ]
    return pytest.mark.parametrize(
        "file", files or [pytest.param(None, marks=pytest.mark.skip(NO_RECORDINGS))]
    )


def lines_of(file, session_id="SESSION"):
    return [line.replace('"SESSION"', f'"{session_id}"', 1) for line in file.read_text("utf-8").splitlines()]


def expected(file):
    """The recording's metrics, by the names and in the units in which they are stored."""
    found = independent_metrics.recompute([json.loads(line) for line in lines_of(file)])
    percent = found["aiAttributionPct"]
    found["aiAttributionPct"] = None if percent is None else percent * 10
    return {stored_name(name): value for name, value in found.items()}


def stored_name(name):
    return NAMED_OTHERWISE.get(name) or re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def stored(session, names):
    row = Session.get_by_id(session.id)
    return {
        name: row.further_metrics[name] if name in row.further_metrics else getattr(row, name)
        for name in names
    }


def run(app, *arguments):
    return app.test_cli_runner().invoke(args=["sessions", "import", *map(str, arguments)])


@pytest.fixture
def recording(tmp_path):
    """A small recording of our own: make(name, *lines)."""

    def make(name, *lines):
        file = tmp_path / f"{name}.jsonl"
        file.write_bytes(
            b"".join(line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines)
        )
        return file

    return make


def event(**members):
    return json.dumps(factories.envelope(sessionId="SESSION") | members)


def event_at(kind, seconds):
    return json.dumps(factories.envelope(kind, seconds))


# The published recordings


@each_file(quick_bytes=LARGE_BYTES)
def test_an_imported_recording_has_the_metrics_of_the_second_reading(organization, file):
    session = session_import.Intake(organization).take_in(file)
    wanted = expected(file)
    assert stored(session, wanted) == wanted
    assert Session.get_by_id(session.id).event_count == len(lines_of(file))


@each_file(quick_bytes=SMALL_BYTES)
def test_the_order_of_arrival_changes_no_number(session, file):
    lines = lines_of(file, session.id)
    random.Random(1).shuffle(lines)
    for line in lines:
        factories.add_event(session, json.loads(line))
    sessions.complete(session)
    wanted = expected(file)
    assert stored(session, wanted) == wanted


@each_file(quick_bytes=SMALL_BYTES)
def test_a_recording_sent_over_http_has_the_same_metrics(candidate, key, session, file):
    for line in lines_of(file, session.id):
        answer = candidate.request("POST", "/v1/hooks/ingest", data=line, content_type="application/json")
        assert answer.status_code == 201, answer.json
    assert (
        candidate.post("/v1/candidate/complete", {"key": key.key, "sessionId": str(session.id)}).status_code
        == 200
    )
    wanted = expected(file)
    assert stored(session, wanted) == wanted


@each_file(quick_bytes=SMALL_BYTES)
def test_shuffled_batches_with_duplicates_have_the_same_metrics_and_keep_them(
    app, candidate, key, session, file
):
    lines = lines_of(file, session.id)
    order = random.Random(2)
    sent = lines + order.sample(lines, len(lines) // 3)
    order.shuffle(sent)
    results = Counter(status for batch in batches(sent) for status in answered(candidate, batch))
    assert results == {"created": len(lines), "skipped": len(sent) - len(lines)}
    candidate.post("/v1/candidate/complete", {"key": key.key, "sessionId": str(session.id)})
    wanted = expected(file)
    assert stored(session, wanted) == wanted
    rederived = app.test_cli_runner().invoke(args=["sessions", "rederive"])
    assert "1 sessions, 0 of them changed." in rederived.output
    assert stored(session, wanted) == wanted


def batches(lines):
    """Parts of a length that divides none of the recordings, so that each ends with a shorter one."""
    return [lines[start : start + BATCH] for start in range(0, len(lines), BATCH)]


def answered(candidate, lines):
    body = f'{{"events": [{",".join(lines)}]}}'
    answer = candidate.request(
        "POST", "/v1/hooks/ingest/batch", data=body.encode(), content_type="application/json"
    )
    assert answer.status_code == 200, answer.json
    return [result["status"] for result in answer.json["results"]]


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason=NO_RECORDINGS)
def test_all_recordings_together_are_one_cohort_with_the_right_statistics(app, organization, reviewer):
    result = run(app, *FILES)
    assert result.exit_code == 0, result.output
    sessions = [
        independent_metrics.recompute([json.loads(line) for line in lines_of(file)]) for file in FILES
    ]
    assessment = Assessment.get(Assessment.organization == organization)
    for index, row in enumerate(Session.select().order_by(Session.created_at, Session.id)):
        answer = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=str(row.id)).json
        assert answer["cohortStats"]["sessionCount"] == len(FILES)
        assert answer["cohortStats"]["metrics"] == independent_metrics.cohort(sessions)
        assert answer["cohortStats"]["percentiles"] == independent_metrics.percentiles(sessions, index)


# The command


def test_each_recording_becomes_a_completed_session_of_a_candidate_with_its_name(
    app, organization, recording
):
    result = run(
        app, recording("first", event()), recording("second", event(), event()), "--title", "Last year's"
    )
    assert result.exit_code == 0, result.output
    assert "Last year's" in result.output
    assert [key.candidate_name for key in CandidateKey.select().order_by(CandidateKey.id)] == [
        "first",
        "second",
    ]
    assert [row.event_count for row in Session.select().order_by(Session.id)] == [1, 2]
    assert all(row.completed_at for row in Session.select())


def test_the_table_shows_metrics_percentiles_and_averages(app, organization, recording):
    short = recording("short", event_at("prompt", 0), event_at("prompt", 60))
    long = recording("long", event_at("session_start", 0), event_at("file_diff", 3600))
    head, *rows = run(app, short, long).output.splitlines()[-4:]
    assert "prompts" in head
    assert [row.split("  ")[0] for row in rows] == ["short", "long", "2 sessions, average"]
    assert re.split(r" {2,}", rows[0])[1:5] == ["1 m 00 s", "0.000", "2", "1.000"]
    assert re.split(r" {2,}", rows[1])[1:5] == ["1 h 00 m", "1.000", "0", "0.000"]
    assert re.split(r" {2,}", rows[2])[1:3] == ["30 m 30 s", "1.0"]


def test_a_line_is_kept_as_it_was_spelt_with_the_sessions_id(organization, recording):
    line = '{"v":1, "data": {"n": 1.50e1}, "sessionId" : "SESSION", "ts": "2026-04-01T09:00:00Z","kind":"x","id":"a"}'
    session = session_import.Intake(organization).take_in(recording("spelt", line))
    (kept,) = session.event_set
    assert kept.envelope == line.replace("SESSION", str(session.id))


def test_an_assessment_with_a_time_limit_takes_recordings_without_one(app, organization, recording):
    assessment = factories.make_assessment(organization, time_limit_minutes=1)
    result = run(app, recording("one", event()), "--assessment", assessment.id)
    assert result.exit_code == 0, result.output
    (session,) = Session.select()
    assert (session.assessment, session.closes_at) == (assessment, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "a"', "not valid JSON"),
        ('{"id": "a", "id": "b"}', "twice"),
        (b'{"id": "\xff"}\n', "UTF-8"),
        ("[]", "object"),
        (event(ts="yesterday"), "ts: "),
        (event(kind="a\0b"), "kind: "),
        (event(v=True), "v: "),
        (event(sessionId="01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"), "another session"),
    ],
)
def test_a_broken_line_is_named_and_nothing_of_its_file_is_kept(app, organization, recording, line, reason):
    broken = recording("broken", event(), "", line, event())
    result = run(app, recording("before", event()), broken, recording("after", event()))
    assert result.exit_code == 1
    assert f"{broken}, line 3: " in result.output
    assert reason in result.output
    assert [key.candidate_name for key in CandidateKey.select().order_by(CandidateKey.id)] == [
        "before",
        "after",
    ]
    assert Session.select().count() == 2


def test_where_nothing_can_be_imported_no_assessment_is_opened(app, organization, recording):
    assert run(app, recording("broken", "{}")).exit_code == 1
    empty = run(app, recording("empty", ""))
    assert (empty.exit_code, "no events" in empty.output) == (1, True)
    assert not Assessment.select().exists()


def test_with_several_organizations_one_has_to_be_named(app, organization, neighbour, recording):
    file = recording("one", event())
    result = run(app, file)
    assert (result.exit_code, "--org" in result.output) == (1, True)
    assert run(app, file, "--org", "Acme").exit_code == 0
    assert Assessment.get().organization == organization


def test_an_unknown_assessment_is_refused(app, organization, recording):
    result = run(app, recording("one", event()), "--assessment", "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01")
    assert result.exit_code == 1
    assert "There is no assessment" in result.output
