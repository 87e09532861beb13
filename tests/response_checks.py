"""Check a response and return part of it."""

import json
from typing import Any

from werkzeug.test import TestResponse


def error_paths(response: TestResponse) -> list[list]:
    """Return the field paths of an invalid_request error."""
    assert error_of(response) == (400, "invalid_request"), response.json
    return [detail["path"] for detail in response.json["details"]]


def error_of(response: TestResponse) -> tuple[int, str]:
    """Return an error's status and code (R26)."""
    assert response.json["error"]
    return response.status_code, response.json["code"]


def export_events(reader: Any, session: Any) -> list[dict[str, Any]]:
    """Return the session's stored events."""
    response = reader.get(f"/v1/sessions/{session.id}/export")
    return [json.loads(line) for line in response.text.splitlines()[1:]]


def body_of(response: TestResponse, status: int = 200) -> Any:
    """Return the response's JSON."""
    assert response.status_code == status, response.text
    return response.json
