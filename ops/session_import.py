"""Import recorded timelines (JSON Lines, one event per line) as candidates' sessions."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import marshmallow as ma

import models
from errors import ApiError, NotFound, SessionFull
from models import Assessment, Organization, Session, db, sessions
from ops import OperationError, admin
from rules.session_quota import DEFAULT_QUOTA, Quota
from schemas.candidate_session import Envelope
from schemas.fields import parse_id
from web.json import MAX_EVENT_BYTES, decode, get_messages, parse_and_load

# Placeholder for the session id in recordings.
PLACEHOLDER = re.compile(rb'("sessionId"\s*:\s*)"SESSION"')
TITLE = "Recorded sessions"
ENVELOPE = Envelope()


class InvalidRecording(OperationError):
    """The API would reject a line of the recording. The message names file, line and reason."""


@dataclass
class Importer:
    """Imports recordings into an assessment. If it is None, the first import creates it."""

    organization: Organization
    assessment: Assessment | None = None
    title: str = TITLE
    quota: Quota = DEFAULT_QUOTA

    def import_files(self, files: Iterable[Path], on_progress: Callable[[int], Any]) -> list[str]:
        """Import all valid recordings. Returns a message for each invalid one."""
        messages = []
        for file in files:
            try:
                self.import_file(file, on_progress)
            except InvalidRecording as error:
                messages.append(str(error))
        return messages

    def import_file(self, file: Path, on_progress: Callable[[int], Any] = lambda size: None) -> Session:
        """Create a completed session. Raises InvalidRecording without storing anything.

        on_progress -- called with the size of each stored line in bytes
        """
        with db.atomic(), file.open("rb") as lines:
            assessment = self.assessment or self._create_assessment()
            candidate = {"email": None, "name": file.stem}
            (row,) = models.generate_keys(self.organization, assessment.id, [candidate])
            key = models.CandidateKey.get_by_id(row.id)
            models.Consent.record(key, None, None)
            session = sessions.redeem(key.key)
            sessions.remove_time_limit(session)
            for number, line in enumerate(lines, start=1):
                try:
                    _append(session, line.strip(), self.quota)
                except (ApiError, ma.ValidationError) as error:
                    raise InvalidRecording(f"{file}, line {number}: {get_messages(error)[0]}") from None
                on_progress(len(line))
            if not models.Event.counts(session)["event_count"]:
                raise InvalidRecording(f"{file}: The file contains no events.")
            sessions.complete(session)
            ids = [str(session.key_id)]
            admin.record(self.organization, "importSession", "session", session.id, further_ids=ids)
        self.assessment = assessment
        return session

    def _create_assessment(self) -> Assessment:
        reviewer = models.ApiToken(organization=self.organization)
        brief = "Sessions that were recorded elsewhere."
        assessment = Assessment.create_within_quota(
            reviewer, title=self.title, role="Recorded elsewhere", task_brief=brief
        )
        admin.record(self.organization, "createAssessment", "assessment", assessment.id)
        return assessment


def _append(session: Session, line: bytes, quota: Quota) -> None:
    """Validate and store an event like a request body. Skips empty lines."""
    if not line:
        return
    body = PLACEHOLDER.sub(rb'\1"%s"' % str(session.id).encode(), line)
    if len(body) > MAX_EVENT_BYTES:
        raise ApiError(f"The event exceeds {MAX_EVENT_BYTES} bytes.")
    text = decode(body)
    fields, envelope = parse_and_load(ENVELOPE, text)
    if "session_id" in envelope and parse_id(envelope["session_id"]) != session.id:
        raise NotFound("The event belongs to another session.")
    event = models.ReceivedEvent.of(fields, envelope["ts"], text)
    if sessions.append(session, event, quota=quota) == ["full"]:
        raise SessionFull(f"The session exceeds {quota.max_bytes} bytes or {quota.max_events} events.")
