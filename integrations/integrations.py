"""Create, update and delete integrations, and rotate their signing secrets."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import peewee

from errors import Invalid
from integrations import secrets
from integrations.adapter import InputField
from integrations.systems import adapters
from integrations.tables import ATTENTION, EMAIL_SUPPRESSED, Integration, IntegrationCalls, IntegrationOrder
from models import Organization, clock, db

DAYS_SHOWN = 7


def create(
    organization: Organization,
    system: str,
    name: str,
    credential: Mapping[str, str | None],
    settings: Mapping[str, str | None],
) -> tuple[Integration, str]:
    """Create an integration. Returns it with its signing secret. Raises Invalid and NoIntegrationKeys."""
    adapter = adapters()[system]
    credential = _checked("credential", adapter.CREDENTIAL, credential)
    settings = _checked("settings", adapter.SETTINGS, settings)
    integration = Integration(organization=organization, system=system, name=name, settings=settings)
    secrets.store_credential(integration, credential)
    secret = secrets.new_signing_secret(integration)
    integration.save(force_insert=True)
    return integration, secret


def update(integration: Integration, values: dict[str, Any], check: Callable[[], None]) -> Integration:
    """Update an integration; a new credential resumes a stopped one. Raises Invalid and NoIntegrationKeys.

    check -- called after the row is locked
    """
    adapter = adapters()[integration.system]
    with db.atomic():
        integration = integration.lock()
        check()
        if "settings" in values:
            values["settings"] = _checked("settings", adapter.SETTINGS, values["settings"])
        credential = values.pop("credential", None)
        changes = integration.changed_columns(values)
        if credential is not None:
            secrets.store_credential(integration, _checked("credential", adapter.CREDENTIAL, credential))
        if changes or credential is not None:
            integration.update_columns(updated_at=clock.now(), **changes)
    return integration


def rotate(integration: Integration) -> tuple[Integration, str]:
    """Replace the signing secret; the former one is valid for another day. Returns the integration and the secret."""
    with db.atomic():
        integration = integration.lock()
        secret = secrets.new_signing_secret(integration)
        integration.update_columns(updated_at=clock.now())
    return integration, secret


def delete(integration: Integration) -> None:
    """Delete the integration with its secrets. Its candidates remain, but are no longer reported."""
    with db.atomic():
        integration.set_once("deleted_at", credential="", secret="", former_secret=None)
        IntegrationOrder.erase_uninvited(integration)


def with_counts(integrations: Sequence[Any]) -> Sequence[Any]:
    """Set the integrations' `calls` of the last days, oldest first, and `attention_count`."""
    today = clock.now().date()
    days = [(today - timedelta(days=age)).isoformat() for age in reversed(range(DAYS_SHOWN))]
    in_days = IntegrationCalls.integration.in_(integrations) & IntegrationCalls.day.in_(days)
    selected: Any = IntegrationCalls.select().where(in_days)
    rows = {(row.integration_id, row.day): row for row in selected}
    needs_person = IntegrationOrder.integration.in_(integrations) & (IntegrationOrder.state == ATTENTION)
    needs_person &= IntegrationOrder.reason != EMAIL_SUPPRESSED
    counted = IntegrationOrder.select(IntegrationOrder.integration, peewee.fn.COUNT(IntegrationOrder.id))
    grouped: Any = counted.where(needs_person).group_by(IntegrationOrder.integration)
    counts = dict(grouped.tuples())
    for integration in integrations:
        empty = [IntegrationCalls(day=day) for day in days]
        integration.calls = [rows.get((integration.id, each.day), each) for each in empty]
        integration.attention_count = counts.get(integration.id, 0)
    return integrations


def _checked(name: str, fields: Sequence[InputField], values: Mapping[str, str | None]) -> dict[str, str]:
    """Return an adapter's values with their defaults. Raises Invalid for field `name` of the body."""
    messages = {}
    given = {key: value for key, value in values.items() if value is not None}
    defaults = {field.name: field.choices[0] for field in fields if field.choices}
    for field in fields:
        if field.choices and given.get(field.name, field.choices[0]) not in field.choices:
            messages[field.name] = f"Must be one of: {', '.join(field.choices)}."
        if field.is_required and field.name not in given | defaults:
            messages[field.name] = "Required."
    names = [field.name for field in fields]
    for unknown in given.keys() - set(names):
        messages[unknown] = f"Unknown field. The system has: {', '.join(names)}."
    if messages:
        details = [{"path": [name, key], "message": message} for key, message in messages.items()]
        raise Invalid(details=details)
    return defaults | given
