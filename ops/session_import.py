"""Recorded timelines, one envelope a line: each becomes a candidate's session, by the verbs that the API uses."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import marshmallow as ma

from errors import NotFound, Refusal
from models import (
    ApiToken,
    Arrival,
    Assessment,
    AuditEntry,
    CandidateKey,
    Consent,
    Event,
    Organization,
    Session,
    audit,
    db,
    generate_keys,
    sessions,
)
from schemas.candidate_session import Envelope
from schemas.fields import parse_id
from web.json import LONGEST_EVENT_BYTES, reasons, strict_object

# Where a recording names its session, which it could not know.
PLACEHOLDER = re.compile(rb'("sessionId"\s*:\s*)"SESSION"')
TITLE = "Recorded sessions"
ENVELOPE = Envelope()


class BrokenLine(Exception):
    """A line that the API would refuse; the message names file, line and reason."""


class Intake:
    """Takes recordings into an assessment, or into a new one, which is opened with the first recording."""

    def __init__(self, organization: Organization, assessment: Assessment | None = None, title: str = TITLE):
        self.organization = organization
        self.assessment = assessment
        self.title = title

    def take_in(self, file: Path, note_bytes: Callable[[int], Any] = lambda size: None) -> Session:
        """Make a completed session of a recording, or raise BrokenLine and keep nothing of it.

        `note_bytes` hears of the size of each line that is stored.
        """
        with db.atomic():
            assessment = self.assessment or self._open()
            session = _begin(assessment, file.stem)
            for number, line in _lines(file):
                try:
                    _append(session, line)
                except (Refusal, ma.ValidationError) as error:
                    raise BrokenLine(f"{file}, line {number}: {reasons(error)[0]}") from None
                note_bytes(len(line))
            if not Event.counts(session)["event_count"]:
                raise BrokenLine(f"{file}: There are no events in it.")
            sessions.complete(session)
            self._note("importSession", "session", session.id, further_ids=[str(session.key_id)])
        self.assessment = assessment
        return session

    def _open(self) -> Assessment:
        reviewer = ApiToken(organization=self.organization)
        brief = "Sessions that were recorded elsewhere."
        opened = Assessment.open(reviewer, title=self.title, role="Recorded elsewhere", task_brief=brief)
        self._note("createAssessment", "assessment", opened.id)
        return opened

    def _note(self, action: str, kind: str, subject_id: Any, **facts: Any) -> None:
        subject = {"subject_kind": kind, "subject_id": subject_id}
        AuditEntry.record(self.organization.id, action, audit.COMMAND, **subject, **facts)


def _begin(assessment: Assessment, name: str) -> Session:
    (key_row,) = generate_keys(assessment.organization, assessment.id, [{"email": None, "name": name}])
    key_id = key_row.id
    key = CandidateKey.get_by_id(key_id)
    Consent.give(key, None, None)
    session = sessions.redeem(key.key)
    sessions.lift_time_limit(session)
    return session


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.isspace():
                yield number, line


def _append(session: Session, line: bytes) -> None:
    """What the API does with the body of an event."""
    body = PLACEHOLDER.sub(rb'\1"%s"' % str(session.id).encode(), line).strip()
    if len(body) > LONGEST_EVENT_BYTES:
        raise Refusal("It is longer than an event may be.")
    members = strict_object(body, Envelope.verbatim)
    envelope = ENVELOPE.load(members)
    if "session_id" in envelope and parse_id(envelope["session_id"]) != session.id:
        raise NotFound("It belongs to another session.")
    sessions.append(session, Arrival(members, envelope["ts"], body.decode()))
