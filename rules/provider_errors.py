"""A refusal in the shape that a provider's own clients understand: Anthropic's and OpenAI's errors."""

from typing import Any

_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


def anthropic(status: int, code: str, sentence: str) -> dict[str, Any]:
    kind = _ANTHROPIC_TYPES.get(status, _general(status, "api_error"))
    return {"type": "error", "error": {"type": kind, "message": sentence, "code": code}}


def openai(status: int, code: str, sentence: str) -> dict[str, Any]:
    kind = _OPENAI_TYPES.get(status, _general(status, "server_error"))
    return {"error": {"message": sentence, "type": kind, "param": None, "code": code}}


def _general(status: int, of_server: str) -> str:
    return of_server if status >= 500 else "invalid_request_error"


SHAPES = {"anthropic": anthropic, "openai": openai}


def may_be_repeated(status: int) -> bool:
    """Whether the same request can succeed later without anybody doing anything.

    The providers' clients repeat a 409 by themselves unless they are told not to.
    """
    return status == 429 or status >= 500
