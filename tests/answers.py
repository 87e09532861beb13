"""Helpers that read error responses."""

from typing import Any

from werkzeug.test import TestResponse


def places(answer: TestResponse) -> list[list]:
    """The paths of a 400's details, in order."""
    assert refusal(answer) == (400, "invalid_request"), answer.json
    return [detail["path"] for detail in answer.json["details"]]


def refusal(answer: TestResponse) -> tuple[int, str]:
    """The status and code of an error response, which always has a sentence too (R26)."""
    assert answer.json["error"]
    return answer.status_code, answer.json["code"]


def body_of(response: TestResponse, status: int = 200) -> Any:
    """The JSON of a response with this status."""
    assert response.status_code == status, response.text
    return response.json
