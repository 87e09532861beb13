"""Helpers that check a response and return a part of it."""

import json
from typing import Any

from werkzeug.test import TestResponse


def error_paths(response: TestResponse) -> list[list]:
    """The paths of a 400's details, in order."""
    assert error_of(response) == (400, "invalid_request"), response.json
    return [detail["path"] for detail in response.json["details"]]


def error_of(response: TestResponse) -> tuple[int, str]:
    """The status and code of an error response, which always has a sentence too (R26)."""
    assert response.json["error"]
    return response.status_code, response.json["code"]


def exported(reader: Any, session: Any) -> list[dict[str, Any]]:
    """The session's events as they are stored."""
    response = reader.get(f"/v1/sessions/{session.id}/export")
    return [json.loads(line) for line in response.text.splitlines()[1:]]


def body_of(response: TestResponse, status: int = 200) -> Any:
    """The JSON of a response with this status."""
    assert response.status_code == status, response.text
    return response.json
