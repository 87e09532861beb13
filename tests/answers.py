"""What tests ask of an answer again and again."""

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
