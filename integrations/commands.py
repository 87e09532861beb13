"""The commands `flask integrations ...`."""

from typing import Any

import click

from integrations import secrets
from integrations.tables import Integration, IntegrationOrder, NotificationChannel
from models.base import clock, db, tables
from ops.commands import Group

ENCRYPTED: dict[Any, tuple[str, ...]] = {
    Integration: ("credential", "secret", "former_secret"),
    NotificationChannel: ("url",),
}

group = Group("integrations", help="Manage integrations and chat channels.")


@group.command("purge")
def purge() -> None:
    """Delete all integrations and chat channels, with their orders and reports, before the package is deleted."""
    own = [table for table in tables() if table.__module__ == Integration.__module__]
    with db.atomic():
        # Children first.
        count = sum(table.delete().execute() for table in reversed(own))
    click.echo(f"Deleted {count} rows of integrations and chat channels.")


@group.command("reencrypt")
def reencrypt() -> None:
    """Encrypt all credentials, signing secrets and chat URLs with the first key in INTEGRATION_KEYS."""
    count, failed = 0, []
    with db.atomic():
        # An expired secret whose key is lost must not prevent the encryption of the others.
        Integration.update(former_secret=None).where(Integration.former_secret_until <= clock.now()).execute()
        for table, columns in ENCRYPTED.items():
            for row in table.alive().order_by(table.id):
                try:
                    count += _reencrypt(row.lock(), columns)
                except secrets.Undecryptable:
                    failed.append(f"{row.name} ({row.id})")
    click.echo(f"Encrypted with the first key: {count} integrations and chat channels.")
    macs: Any = IntegrationOrder.select(IntegrationOrder.erased_mac).where(
        IntegrationOrder.erased_mac.is_null(False)
    )
    if former := {mac.partition(":")[0] for (mac,) in macs.tuples() if not secrets.is_current(mac)}:
        click.echo(f"Keep these keys to recognize erased applications: {', '.join(sorted(former))}.")
    if failed:
        remedy = "Add its former key to INTEGRATION_KEYS, or replace it."
        raise click.ClickException(f"Cannot decrypt {', '.join(failed)}. {remedy}")


def _reencrypt(row: Any, columns: tuple[str, ...]) -> int:
    former = {
        name: value for name in columns if (value := getattr(row, name)) and not secrets.is_current(value)
    }
    texts = {name: secrets.decrypt(row.id, value) for name, value in former.items()}
    return row.update_columns(**{name: secrets.encrypt(row.id, text) for name, text in texts.items()})
