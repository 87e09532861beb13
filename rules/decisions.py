"""What somebody decided, read from a `decision_event` or a `plan_decision` (contract 5.2 and 5.5)."""

import json
from typing import Any

from rules.envelopes import integer, member, text
from rules.texts import readable

KINDS = frozenset({"decision_event", "plan_decision"})
LONGEST_TEXT = 20_000
_TEXTS = {
    "title": "title",
    "chosen_option": "chosenOption",
    "rationale": "rationale",
    "tradeoffs": "tradeoffs",
    "context": "context",
    "trigger_event_id": "triggerEventId",
    "plan": "planPreview",
    "response": "responsePreview",
}


def decision(envelope_text: str) -> dict[str, Any]:
    """The members that people read; None for what is missing, empty or of another type."""
    data = member(json.loads(envelope_text), "data")
    texts = {name: text(member(data, key)) for name, key in _TEXTS.items()}
    shown = {name: readable(found, LONGEST_TEXT) if found else None for name, found in texts.items()}
    score = integer(member(data, "impactScore"))
    return shown | {"impact_score": score if score in range(1, 6) else None}
