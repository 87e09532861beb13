"""Gates: whether an organization may do something, from the caller alone."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from access.auth import caller
from errors import SubscriptionRequired


def subscribed(view: Callable) -> Callable:
    """Require a subscription that allows new work. Raises SubscriptionRequired (R11)."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        caller.organization.require_subscription()
        return view(*args, **kwargs)

    wrapper.refusals = (*getattr(view, "refusals", ()), SubscriptionRequired)  # type: ignore[attr-defined]
    return wrapper
