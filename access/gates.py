"""May this organization do it: one decorator a gate, from the caller alone."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from access.auth import caller
from errors import SubscriptionRequired


def subscribed(view: Callable) -> Callable:
    """Let only organizations through whose subscription allows new work; SubscriptionRequired otherwise (R11)."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        caller.organization.require_subscription()
        return view(*args, **kwargs)

    wrapper.refusals = (*getattr(view, "refusals", ()), SubscriptionRequired)  # type: ignore[attr-defined]
    return wrapper
