"""Allow cross-origin requests from CORS_ORIGINS (docs/settings.md), never with cookies."""

from flask import Flask, Response, current_app, request

METHODS = "GET, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-API-Key, X-Request-Id"
)
RESPONSE_HEADERS = (
    "Content-Disposition, ETag, Idempotent-Replayed, Link, Location, Retry-After, X-Ignored, X-RateLimit-Limit, "
    "X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id"
)
PREFLIGHT_SECONDS = 7200  # the maximum that browsers accept


def register(app: Flask) -> None:
    """Set CORS headers on the API's responses, including errors, if CORS_ORIGINS is set."""
    if app.config["CORS_ORIGINS"]:
        app.after_request(_set_headers)


def _set_headers(response: Response) -> Response:
    if not request.path.startswith("/v1/"):
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in current_app.config["CORS_ORIGINS"]:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    else:
        response.headers["Access-Control-Expose-Headers"] = RESPONSE_HEADERS
    return response
