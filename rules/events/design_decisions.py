"""Read design decisions from `decision_event` and `plan_decision` events (contract 5.2 and 5.5)."""

import json
from typing import Any

from rules.events.envelopes import field, integer, text
from rules.plain_text import to_storable

KINDS = frozenset({"decision_event", "plan_decision"})
MAX_TEXT_CHARACTERS = 20_000
_STRING_FIELDS = {
    "title": "title",
    "chosen_option": "chosenOption",
    "rationale": "rationale",
    "tradeoffs": "tradeoffs",
    "context": "context",
    "trigger_event_id": "triggerEventId",
    "plan": "planPreview",
    "response": "responsePreview",
}


def read_decision(envelope_text: str) -> dict[str, Any]:
    """Return the decision's fields. Missing, empty and malformed fields are None."""
    data = field(json.loads(envelope_text), "data")
    values = {name: text(field(data, key)) for name, key in _STRING_FIELDS.items()}
    return {
        **{
            name: to_storable(value, MAX_TEXT_CHARACTERS) if value else None for name, value in values.items()
        },
        "impact_score": integer(field(data, "impactScore"), range(1, 6)),
    }
