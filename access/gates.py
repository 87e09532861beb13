"""Gates: conditions on the caller's organization alone."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from access import caller, raises
from errors import SubscriptionRequired


def subscribed(view: Callable) -> Callable:
    """Require a subscription that allows new work. Raises SubscriptionRequired (R11)."""

    @raises(SubscriptionRequired)
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        caller.organization.require_subscription()
        return view(*args, **kwargs)

    return wrapper
