"""View decorators for authentication, gates, rate limits, idempotency and the audit log."""

from collections.abc import Callable
from typing import Any

from flask import g
from werkzeug.local import LocalProxy

from errors import ApiError

# The authenticated ApiToken or CandidateKey (access/auth.py).
caller: Any = LocalProxy(lambda: g.caller)


def raises(*api_errors: type[ApiError]) -> Callable:
    """Document the errors of a view or a decorator in OpenAPI."""

    def decorate(view: Any) -> Any:
        view.errors = (*getattr(view, "errors", ()), *api_errors)
        return view

    return decorate


def reports_ignored_fields(view: Any) -> Any:
    """List unknown parameters and fields in X-Ignored instead of rejecting them (R35)."""
    view.reports_ignored_fields = True
    return view
