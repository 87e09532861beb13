"""Conditions on the caller or their organization."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from access import caller, raises
from access.idempotency import is_replay
from errors import InsufficientRole, SubscriptionRequired


def subscribed(view: Callable) -> Callable:
    """Require an active subscription (R11), unless the request is a replay. Apply it above `idempotent` (R5)."""

    @raises(SubscriptionRequired)
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            caller.organization.require_subscription()
        except SubscriptionRequired:
            if not is_replay():
                raise
        return view(*args, **kwargs)

    return wrapper


def people_only(view: Callable) -> Callable:
    """Reject service accounts. Raises InsufficientRole."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if caller.user_id is None:
            raise InsufficientRole("Only people can use this operation, not service accounts.")
        return view(*args, **kwargs)

    return wrapper
