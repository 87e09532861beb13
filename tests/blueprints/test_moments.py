"""A session's moments (docs/moments.md).

RECORDINGS is the folder of the recordings.
"""

import json
import os
import random
from pathlib import Path

import pytest
from factories import add_event, envelope
from response_checks import body_of

from ops import session_import
from rules.moments import VERSION, find_moments
from rules.timestamps import parse_timestamp_ns

FOLDER = Path(os.environ.get("RECORDINGS") or Path(__file__).parents[3] / "shared/data/sessions")
FILES = sorted(FOLDER.glob("*.jsonl"))


def get(reviewer, session):
    return body_of(reviewer.get(f"/v1/sessions/{session.id}/moments"))


def test_moments_are_found_in_the_counted_events(reviewer, session):
    assert get(reviewer, session) == {"version": VERSION, "moments": []}
    failing = envelope("command", 60, {"command": "go test ./...", "exitCode": 1})
    add_event(session, failing)
    (moment,) = get(reviewer, session)["moments"]
    assert moment == {
        "kind": "first_failing_test",
        "ts": failing["ts"],
        "eventIds": [failing["id"]],
        "text": "The first test command known to have failed was “go test ./...”.",
        "questions": ["What did you learn from this result?", "What did you do next, and why?"],
    }


@pytest.mark.slow
@pytest.mark.skipif(
    not FILES, reason=f"no recordings in {FOLDER}; they are personal data and not in the repository"
)
def test_recordings_have_the_same_moments_in_any_order_of_arrival(organization, reviewer, tmp_path):
    for file in FILES:
        lines = file.read_text("utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        expected = find_moments([(parse_timestamp_ns(event["ts"]), event) for event in events])
        random.Random(1).shuffle(lines)
        (tmp_path / file.name).write_text("\n".join(lines), "utf-8")
        session = session_import.Importer(organization).import_file(tmp_path / file.name)
        found = get(reviewer, session)["moments"]
        assert [(moment["text"], moment["eventIds"]) for moment in found] == [
            (moment.text, moment.event_ids) for moment in expected
        ], file.name
        assert len(found) <= 7
