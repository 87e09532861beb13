"""OpenAPI response headers: the components, and the references from responses."""

from typing import Any

from access.rate_limits import get_limit_setting
from errors import RecordingRequired, TooManyRequests
from schemas.fields import EXAMPLE_ID
from web import unknown_names

RATE_LIMIT = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def _header(description: str, example: Any, type: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": type}, "example": example}


COMPONENTS = {
    "X-Request-Id": _header("Id of the request, as in the service's logs.", EXAMPLE_ID),
    "X-RateLimit-Limit": _header("Requests per period. Absent if rate limits are off.", 600, "integer"),
    "X-RateLimit-Remaining": _header("Requests left in this period.", 599, "integer"),
    "X-RateLimit-Reset": _header("End of this period, in seconds since 1970.", 1775034060, "integer"),
    "Retry-After": _header("Seconds to wait before the same request can succeed.", 12, "integer"),
    "Idempotent-Replayed": _header("`true` if this is the stored response of an earlier request.", "true"),
    "Location": _header("Path of the new object.", f"/v1/assessments/{EXAMPLE_ID}"),
    "Content-Disposition": _header("Name of the file.", 'attachment; filename="candidates.csv"'),
    "ETag": _header("Tag of this response, for `If-None-Match` and `If-Match`.", '"5d41402abc4b2a76"'),
    "X-Should-Retry": _header("`false`: the same request cannot succeed.", "false"),
    "Link": _header("Documentation of the error's code.", '</docs/errors.md#not_found>; rel="help"'),
    "WWW-Authenticate": _header("Scheme of the required credential.", "Bearer"),
    unknown_names.HEADER: unknown_names.DOCUMENTATION,
}


def references(names: Any) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def get_used_components(document: dict[str, Any]) -> dict[str, Any]:
    """Return the header components that the document refers to."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    responses = [*document["components"]["responses"].values()]
    for operation in operations:
        responses += operation["responses"].values() if isinstance(operation, dict) else ()
    used = {name for response in responses for name in response.get("headers", ())}
    return {name: component for name, component in COMPONENTS.items() if name in used}


def document(operation: dict[str, Any], view: Any, retryable: set[int]) -> None:
    """Add the headers to a view's responses.

    A decorator that sets a header on successful responses adds it to the view's `success_headers`.

    retryable -- statuses with `Retry-After`
    """
    rate_limit = RATE_LIMIT if get_limit_setting(view) else ()
    # Errors in a provider's format have no page in the docs.
    links = [] if hasattr(view, "responses") else ["Link"]
    for status, response in operation["responses"].items():
        if "$ref" in response or status == "default":
            continue
        names = ["X-Request-Id", *rate_limit]
        if status < "400":
            names += getattr(view, "success_headers", ())
            names += ["Idempotent-Replayed"] * getattr(view, "is_idempotent", False)
            names += [unknown_names.HEADER] * getattr(view, "reports_ignored_fields", False)
        else:
            names += links
            names += ["Retry-After"] * (int(status) in {*retryable, TooManyRequests.code})
            names += ["WWW-Authenticate"] * (status == "401")
            names += ["X-Should-Retry"] * (
                status == "403" and RecordingRequired in getattr(view, "errors", ())
            )
        response["headers"] = references(names)
