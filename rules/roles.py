"""User roles and their permissions (docs/rules.md#r41-people-and-roles)."""

ROLES = ("admin", "reviewer", "observer")
# Each scope includes the preceding ones.
_SCOPES = ("read", "write", "admin")
_HIGHEST_SCOPE = {"admin": "admin", "reviewer": "write", "observer": "read"}


def allows(role: str | None, scope: str) -> bool:
    """Return whether a role grants a scope. A service account has no role (None) and all scopes."""
    return _SCOPES.index(scope) <= _SCOPES.index(_HIGHEST_SCOPE[role] if role else "admin")
