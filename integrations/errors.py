"""Errors of integrations and notifications; the others are in the root's errors.py."""

from errors import ApiError


class DuplicateRule(ApiError):
    code = 409
    reason = "duplicate_rule"
    message = "Another rule has this stage and job."


class InvalidSignature(ApiError):
    code = 403
    reason = "invalid_signature"
    message = "The request is not signed with the integration's secret."


class NoIntegrationKeys(ApiError):
    code = 409
    reason = "no_integration_keys"
    message = "INTEGRATION_KEYS is not set, or lacks the key that encrypted these secrets. Ask the operator to add it."


class SystemFailed(ApiError):
    """A call to the system during a request failed; the message says why."""

    code = 502
    reason = "system_failed"
    message = "A call to the system failed."
