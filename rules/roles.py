"""People's roles, and the operations that they allow (docs/rules.md#r41-people-and-roles)."""

ROLES = ("admin", "reviewer", "observer")
# Each scope includes the preceding ones.
_SCOPES = ("read", "write", "admin")
_HIGHEST = {"admin": "admin", "reviewer": "write", "observer": "read"}


def allows(role: str | None, scope: str) -> bool:
    """Return whether a role allows operations that require `scope`; the role is None for a service account."""
    return _SCOPES.index(scope) <= _SCOPES.index(_HIGHEST[role] if role else "admin")
