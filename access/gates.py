"""Conditions on the caller's organization."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from access import caller, raises
from errors import SubscriptionRequired


def subscribed(view: Callable) -> Callable:
    """Require an active subscription (R11). Raises SubscriptionRequired."""

    @raises(SubscriptionRequired)
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        caller.organization.require_subscription()
        return view(*args, **kwargs)

    return wrapper
