"""The cookie of a sign-in, which only the console's own pages can use.

Browsers send a cookie with every request to the service, whichever page makes it. A page of another origin can neither
set `Origin` nor `Sec-Fetch-Site`, and the header of the console would need a permission that this service never gives
(web/cors.py).
"""

import hmac
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from flask import Response, current_app, request

from access import raises
from errors import ForeignOrigin, HttpsRequired
from rules import sign_ins
from web.unknown_names import check_query

# The prefix makes browsers reject it from other hosts, and without Secure and `Path=/`.
COOKIE = "__Host-proofstone"
# The grant that this browser got at the OpenID provider.
GRANT_COOKIE = "__Host-proofstone-grant"
HEADER = "X-Proofstone-Console"
OWN_SITE = ("same-origin", "none")  # `none` is an address that the person entered
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def presented_secret() -> str:
    """The secret in the cookie, not yet looked up; empty without one."""
    # Flask parses all cookies; most requests have none.
    return request.cookies.get(COOKIE, "") if "Cookie" in request.headers else ""


def is_from_console() -> bool:
    """Return whether the browser says that the request comes from this service's own pages."""
    if request.headers.get("Sec-Fetch-Site", "none") not in OWN_SITE:
        return False
    if request.method in SAFE_METHODS:
        return True
    origin = sign_ins.origin_of(current_app.config["BASE_URL"])
    return request.headers.get("Origin") == origin and request.headers.get(HEADER) == "1"


def require_console() -> None:
    """Raise ForeignOrigin unless the request comes from this service's own pages."""
    if not is_from_console():
        raise ForeignOrigin()


def only(view: Callable) -> Callable:
    """Accept requests of the console only, without a credential. Raises HttpsRequired and ForeignOrigin."""

    @raises(ForeignOrigin, HttpsRequired)
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not sign_ins.is_possible_at(current_app.config["BASE_URL"]):
            raise HttpsRequired()
        require_console()
        check_query((), is_reported=False)
        return view(*args, **kwargs)

    return wrapper


def set_cookie(response: Response, secret: str) -> Response:
    return _set_cookie(response, COOKIE, secret, sign_ins.LIFETIME)


def set_grant_cookie(response: Response, grant: str) -> Response:
    """Bind a grant to the browser, so that its address signs in nobody who is given it."""
    return _set_cookie(response, GRANT_COOKIE, grant, sign_ins.OIDC_LIFETIME)


def has_grant(grant: str) -> bool:
    return hmac.compare_digest(request.cookies.get(GRANT_COOKIE, "").encode(), grant.encode())


def _set_cookie(response: Response, name: str, value: str, lifetime: timedelta) -> Response:
    seconds = int(lifetime.total_seconds())
    response.set_cookie(name, value, seconds, path="/", secure=True, httponly=True, samesite="Lax")
    return response


def delete_cookie(response: Response) -> Response:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    return response
