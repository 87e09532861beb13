"""Consent, redemption, events and completion (client contract, sections 3 and 5)."""

from typing import Any

import marshmallow as ma

from rules.events.recorded_events import CHANNELS
from rules.integrity.event_signatures import is_public_key
from rules.timestamps import parse_timestamp_ns
from schemas import common
from schemas.base import Body, Schema, define_schema
from schemas.briefs import StructuredBrief
from schemas.common import EXAMPLE_BRIEF, EXAMPLE_EVENT_ID, EXAMPLE_PUBLIC_KEY
from schemas.fields import EXAMPLE_ID, Choice, Dict, Flag, Id, Integer, ListOf, Nested, Raw, String, Verbatim
from schemas.keys import STATUSES
from schemas.queries import Filter
from schemas.timestamps import Timestamp

EXAMPLE_TIME = "2026-04-02T09:12:44.123456789Z"
OUTCOMES = ("created", "skipped", "late", "rejected")
EXAMPLE_DATA = {"command": "pytest", "exitCode": 0}
EXAMPLE_EVENT = {"id": EXAMPLE_EVENT_ID, "kind": "command", "ts": EXAMPLE_TIME, "v": 1, "data": EXAMPLE_DATA}
EXAMPLE_KEY = "PST-ABCD-EFGH"
KEY = String("Candidate key, in any letter case.", example=EXAMPLE_KEY, required=True)


class ConsentQuery(Filter):
    """The candidate key, unless sent in the `X-API-Key` header."""

    key = String("Candidate key, in any letter case.")


class Disclosure(Schema):
    """The disclosure that the candidate consents to."""

    version = String("Version.", example="2026-11")
    captures = ListOf(String(), "Recorded data.", example=["Commands, with their exit codes"])
    does_not_capture = ListOf(
        String(), "Data that is not recorded.", example=["Your screen, camera or microphone"]
    )
    evaluated = ListOf(String(), "Evaluation criteria.", example=["How you understand, plan and check"])
    data_use = ListOf(String(), "Purposes of the data.", example=["To assess this application"])
    tos_url = String("URL of the terms; empty if not configured.", example="https://example.com/terms")


class ConsentState(Schema):
    """The disclosure and the candidate's consent to it."""

    already_confirmed = Flag("True if the candidate has consented to this disclosure.", example=False)
    consent_required = Flag(
        "True if the session has started, and rejects model calls, hooks and telemetry until the candidate consents.",
        example=False,
    )
    disclosure_hash = String("Hash to send with the consent.", example="9f86d081884c7d65")
    disclosure = Nested(Disclosure, "The disclosure.")
    assessment_title = common.ASSESSMENT_TITLE
    role = common.ROLE
    org_name = common.ORG_NAME
    time_limit_minutes = common.TIME_LIMIT_MINUTES
    status = Choice(STATUSES, "Key status.", example="pending")
    expires_at = Timestamp("Key expiry.")


class NewConsent(Body):
    """The candidate's consent."""

    key = KEY
    disclosure_hash = String(
        "Hash of the disclosure shown. Omit it if another one was shown: model calls then require events that the "
        "client signs.",
        max=255,
    )


Confirmed = define_schema("Confirmed", "The consent is recorded.", ok=common.ALWAYS_TRUE)


class NewSession(Body):
    """Key to redeem."""

    key = KEY
    signing_pub_key = String("Ed25519 public key, in base64.", example=EXAMPLE_PUBLIC_KEY)

    @ma.validates("signing_pub_key")
    def check_public_key(self, value: str, **kwargs: Any) -> None:
        if value and not is_public_key(value):
            raise ma.ValidationError("Must be the base64 of a 32-byte Ed25519 public key.")


class RedeemedSession(Schema):
    """The key's session, and its task."""

    session_id = Id("Session id.")
    session_token = String("Value for the `X-API-Key` header.", example=EXAMPLE_KEY)
    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE
    org_name = common.ORG_NAME
    task_brief = common.TASK_BRIEF
    brief = Verbatim(
        StructuredBrief, "The task in structured form.", example={"scenario": EXAMPLE_BRIEF}, null=True
    )
    repo_url = common.REPO_URL
    repo_commit = common.REPO_COMMIT
    repo_subdir = common.REPO_SUBDIR
    setup_instructions = common.SETUP_INSTRUCTIONS
    time_limit_minutes = common.TIME_LIMIT_MINUTES
    issue_id = Id("Issue id, if the task is from an issue.", null=True)
    expires_at = Timestamp("Time when the client deletes its state, 24 hours after the limit.", null=True)
    tos_accepted = Flag("Always true: no session exists without consent.", example=True)
    allowed_tools = common.ALLOWED_TOOLS


class Completion(Body):
    """Session to complete."""

    key = KEY
    session_id = common.SESSION_ID


class Completed(Schema):
    """The session is closed."""

    ok = common.ALWAYS_TRUE
    completed_at = Timestamp("Completion time.")


class Nanoseconds(String):
    """An RFC 3339 timestamp, loaded as nanoseconds since 1970."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        try:
            return parse_timestamp_ns(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as error:
            raise ma.ValidationError(str(error)) from None


class Envelope(Body):
    """One event. Unknown kinds and fields are stored as sent."""

    verbatim = ("data", "rawPayload")

    id = String("Event id, unique in the session.", min=1, max=255, example=EXAMPLE_EVENT_ID, required=True)
    kind = String("Event kind.", min=1, example="command", required=True)
    ts = Nanoseconds("Time: RFC 3339 with up to 9 fractional digits.", example=EXAMPLE_TIME, required=True)
    v = Integer("Envelope version.", example=1, required=True)
    data = Dict("Fields of this kind of event.", example=EXAMPLE_DATA, required=True)
    session_id = String("The credential's session.", example=EXAMPLE_ID)
    source = Raw(["string", "object", "null"], "Source: a name or an object.", example="terminal")

    @ma.validates("source")
    def check_source(self, value: Any, **kwargs: Any) -> None:
        """Reject the service's own channels (R36)."""
        names = value.values() if isinstance(value, dict) else [value]
        if any(isinstance(name, str) and name.strip().lower() in CHANNELS for name in names):
            raise ma.ValidationError(f"Must not be {', '.join(CHANNELS)}: only the service uses these.")

    @ma.post_load
    def drop_data(self, values: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Drop `data`, which is stored as sent, to free its memory."""
        return {name: value for name, value in values.items() if name != "data"}


class EnvelopeBatch(Body):
    """Several events. Each is accepted or rejected separately."""

    split_list = "events"
    max_entries = 500

    events = ListOf(
        Verbatim(Envelope, "An envelope, as for `POST /v1/hooks/ingest`."),
        "Envelopes, at most 500.",
        min=1,
        max=max_entries,
        example=[EXAMPLE_EVENT],
        required=True,
    )


class IngestedEvent(Schema):
    """Result for one event."""

    id = String("Event id; null if it has none.", example=EXAMPLE_ID, null=True)
    status = Choice(
        OUTCOMES, "`skipped`: the id already exists. `late`: stored, but not counted.", example="created"
    )
    error = String("Reason for the rejection.", example="ts: The date or time does not exist.", optional=True)


IngestedBatch = define_schema(
    "IngestedBatch", "Results for all events.", results=ListOf(IngestedEvent, "In event order.")
)


class Ingested(Schema):
    """The event is durably stored."""

    ok = common.ALWAYS_TRUE
    skipped = Flag("True if the id already exists.", example=False, optional=True)
    late = Flag("True if the event arrived too late to count.", example=False, optional=True)
