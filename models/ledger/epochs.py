"""Epochs: continue a ledger after a restore, or after its keys were lost."""

from typing import Any

from errors import UnknownLedgerKey
from models import batches
from models.base import db
from models.ledger.audit import COMMAND, AuditEntry
from models.ledger.protection import LedgerEntry, Owner, ProtectedModel, append
from models.orgs import Organization
from models.sessions import Event, Session
from models.sessions.ingest import arrival_mac
from models.sessions.model_usage import ModelUsage
from models.task_failures import TaskFailure
from rules.ledger.entries import EPOCH, RESTARTED, RESTORED


def record_restore(reason: str) -> int:
    """Record in every ledger that the database was restored; return the number of organizations."""
    organizations = list(Organization.select())
    with db.atomic():
        for organization in organizations:
            last = LedgerEntry.last_numbered(organization.id)
            content = {"reason": reason, "position": last.position if last else 0}
            append(Owner(organization.id), EPOCH, RESTORED, content=content)
            AuditEntry.record(organization.id, "recordRestore", COMMAND)
    return len(organizations)


def restart(organization: Organization, reason: str) -> None:
    """Start an epoch with the rows as they are: sign all of them with the current key."""
    with db.atomic():
        # Numbered after the restart, they would contradict the entries of the rows that are signed again. Those with a
        # lost key could never be numbered.
        waiting = LedgerEntry.position.is_null() & ~LedgerEntry.is_rejected
        LedgerEntry.delete().where(LedgerEntry.organization_id == organization.id, waiting).execute()
        TaskFailure.delete().where(TaskFailure.error == UnknownLedgerKey.__name__).execute()
        append(Owner(organization.id), EPOCH, RESTARTED, content={"reason": reason})
        tables: Any = ProtectedModel.__subclasses__()
        for table in tables:
            for row in batches.read_all(table.of_organization_id(organization.id), table.id):
                row.record_again(RESTARTED)
        AuditEntry.record(organization.id, "restartLedger", COMMAND)
        entries = AuditEntry.select().where(AuditEntry.organization == organization)
        for row in batches.read_all(entries, AuditEntry.id):
            row.sign_again()
        for session in Session.select().where(Session.organization == organization):
            _sign_session(session)


def _sign_session(session: Session) -> None:
    for call in batches.read_all(ModelUsage.select().where(ModelUsage.session == session), ModelUsage.id):
        call.sign_again()
    columns = [getattr(Event, name) for name in Event.SIGNED_COLUMNS]
    events = Event.select(Event.seq, *columns).where(Event.session == session)
    for row in batches.read_wide(events, [Event.seq], Event.size):
        mac = arrival_mac(session.key.key, row)
        Event.update(arrival_mac=mac).where(Event.seq == row["seq"]).execute()
    session.update_columns(listed_seq=0)
