"""Errors in the format of each provider's own clients."""

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


def anthropic_error(status: int, code: str, message: str) -> dict[str, Any]:
    default = "api_error" if status >= 500 else "invalid_request_error"
    error_type = _ANTHROPIC_TYPES.get(status, default)
    return {"type": "error", "error": {"type": error_type, "message": message, "code": code}}


def openai_error(status: int, code: str, message: str) -> dict[str, Any]:
    default = "server_error" if status >= 500 else "invalid_request_error"
    error_type = _OPENAI_TYPES.get(status, default)
    return {"error": {"message": message, "type": error_type, "param": None, "code": code}}


ERROR_BUILDERS = {"anthropic": anthropic_error, "openai": openai_error}


def is_retryable(status: int) -> bool:
    """True if the same request can succeed later."""
    return status == 429 or status >= 500
