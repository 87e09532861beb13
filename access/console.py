"""The sign-in cookie, which works only on the console's pages.

Browsers send it with every request to this service, even from other sites' pages. Those pages cannot set `Origin` or
`Sec-Fetch-Site`, and CORS never allows them to send the console's header (web/cors.py).
"""

import hmac
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, current_app, request

from access import raises
from errors import ForeignOrigin, HttpsRequired
from rules import sign_ins
from web.unknown_names import check_query

# Browsers accept cookies with this prefix only from this host, with Secure and `Path=/`.
COOKIE = "__Host-proofstone"
# A sign-in grant that was issued to this browser.
GRANT_COOKIE = "__Host-proofstone-grant"
COOKIE_OPTIONS: dict[str, Any] = {"path": "/", "secure": True, "httponly": True, "samesite": "Lax"}
HEADER = "X-Proofstone-Console"
CONSOLE_FETCH_SITES = ("same-origin", "none")  # `none`: the user entered the URL
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def presented_secret() -> str:
    """Return the secret in the cookie, not yet looked up, or an empty string."""
    return request.cookies.get(COOKIE, "")


def is_from_console() -> bool:
    """Return whether the request comes from the console's pages, according to the browser's headers."""
    if request.headers.get("Sec-Fetch-Site", "none") not in CONSOLE_FETCH_SITES:
        return False
    if request.method in SAFE_METHODS:
        return True
    origin = sign_ins.get_origin(current_app.config["BASE_URL"])
    return request.headers.get("Origin") == origin and request.headers.get(HEADER) == "1"


def require_console() -> None:
    """Raise ForeignOrigin unless the request comes from the console's pages."""
    if not is_from_console():
        raise ForeignOrigin()


def only(view: Callable) -> Callable:
    """Accept requests only from the console; no credential is required. Raises HttpsRequired and ForeignOrigin."""

    @raises(ForeignOrigin, HttpsRequired)
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not sign_ins.is_secure_context(current_app.config["BASE_URL"]):
            raise HttpsRequired()
        require_console()
        check_query((), is_reported=False)
        return view(*args, **kwargs)

    return wrapper


def set_cookie(response: Response, secret: str) -> Response:
    response.set_cookie(COOKIE, secret, sign_ins.LIFETIME, **COOKIE_OPTIONS)
    return response


def set_grant_cookie(response: Response, grant: str) -> Response:
    """Bind a grant to the browser. The grant's link then cannot sign in anyone else."""
    response.set_cookie(GRANT_COOKIE, grant, sign_ins.OIDC_LIFETIME, **COOKIE_OPTIONS)
    return response


def has_grant(grant: str) -> bool:
    return hmac.compare_digest(request.cookies.get(GRANT_COOKIE, "").encode(), grant.encode())


def delete_cookie(response: Response) -> Response:
    response.delete_cookie(COOKIE, **COOKIE_OPTIONS)
    return response
