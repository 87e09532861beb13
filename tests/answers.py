"""What tests ask of an answer again and again."""

from typing import Any

from werkzeug.test import TestResponse


def places(answer: TestResponse) -> list[list]:
    """Where a 400 says that query or body are wrong, in the order of its details."""
    assert answer.status_code == 400, answer.json
    assert answer.json["code"] == "invalid_request"
    return [detail["path"] for detail in answer.json["details"]]


def refusal(answer: TestResponse) -> tuple[int, str]:
    """The status and the machine code of a refusal, which always has a sentence too (R26)."""
    assert answer.json["error"]
    return answer.status_code, answer.json["code"]


def body_of(response: TestResponse, status: int = 200) -> Any:
    """The JSON of a response with this status."""
    assert response.status_code == status, response.text
    return response.json
