"""Administration from the command line. Each operation and its audit entries are one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import migrations
import models
from models import ApiToken, Assessment, Organization, RunnerToken, User, db, invitations, sessions, users
from models.ledger import audit, epochs
from ops import OperationError, problems
from schemas.fields import parse_id
from schemas.issues import Catalog

# Fields of a problem that only its assessments get.
OF_ASSESSMENTS = {"rubric", "time_limit_minutes"}
CATALOG = Path(__file__).parent.parent / "data" / "catalog.yaml"


def record(org: Organization, action: str, kind: str = "org", subject_id: Any = None, **fields: Any) -> None:
    """Record a command's audit entry. The subject defaults to the organization."""
    fields |= {"subject_kind": kind, "subject_id": subject_id or org.id}
    models.AuditEntry.record(org.id, action, audit.COMMAND, **fields)


@contextmanager
def audited(organization: Organization, action: str) -> Iterator[None]:
    """Run the block in a transaction that also records an audit entry."""
    with db.atomic():
        yield
        record(organization, action)


def find_organization(id_or_name: str) -> Organization:
    by_id_or_name = (Organization.id == parse_id(id_or_name)) | (Organization.name == id_or_name)
    organizations = list(Organization.select().where(by_id_or_name).limit(2))
    if not organizations:
        raise OperationError(f"No such organization: {id_or_name}. Run `flask org list` to see all.")
    if len(organizations) > 1:
        raise OperationError(f"Several organizations are named {id_or_name}. Use the id instead.")
    return organizations[0]


def get_only_organization() -> Organization:
    organizations = list(Organization.select().limit(2))
    if len(organizations) != 1:
        raise OperationError("Select an organization with --org. Run `flask org list` to see all.")
    return organizations[0]


def find_assessment(assessment_id: str) -> Assessment:
    if assessment := Assessment.alive().where(Assessment.id == parse_id(assessment_id)).get_or_none():
        return assessment
    raise OperationError(f"No such assessment: {assessment_id}.")


def bootstrap() -> str | None:
    """Set up a new installation: schema, catalog, first organization.

    Returns the first token, or None if an organization already exists.
    """
    if migrations.upgrade():
        import_catalog(CATALOG)
    if Organization.select().exists():
        return None
    return create_organization("My company", "self_hosted")[1]


def create_organization(name: str, plan: str) -> tuple[Organization, str]:
    """Create an organization, and return it with its first token."""
    with db.atomic():
        organization, token = models.create_organization(name, plan)
        first = ApiToken.get(ApiToken.organization == organization)
        record(organization, "createOrg", further_ids=[str(first.id)])
    return organization, token


def create_person(organization: Organization, name: str, email: str, role: str) -> User:
    """Add a person, who can be an admin."""
    with db.atomic():
        person = users.add(organization, None, name, email, role)
        record(organization, "createPerson", "person", person.id)
    return person


def create_token(
    organization: Organization, name: str, scope: str, expires_at: datetime | None, email: str | None = None
) -> str:
    """Create a token for a service account, or for the person with this email address."""
    with db.atomic():
        person = users.find_by_address(organization, email) if email else None
        if email and person is None:
            raise OperationError(f"No such person: {email}. Run `flask person list ORG` to see all.")
        row, token = ApiToken.issue(organization, name, scope, expires_at, person)
        record(organization, "createToken", "token", row.id)
    return token


def revoke_token(token_id: str) -> ApiToken:
    """Revoke a token, even the last `write` token, which a command can replace."""
    token = ApiToken.get_or_none(ApiToken.id == parse_id(token_id))
    if token is None:
        raise OperationError(f"No such token: {token_id}. Run `flask token list ORG` to see the ids.")
    if token.revoked_at is not None:
        raise OperationError(f"{token.name} has already been revoked.")
    with db.atomic():
        token.revoke(allow_last=True)
        record(token.organization, "revokeToken", "token", token.id)
    return token


def create_runner(name: str, organization: Organization | None) -> str:
    """Create a runner's token. Without an organization, its runner tests all organizations' submissions."""
    with db.atomic():
        row, token = RunnerToken.issue(organization, name)
        if organization:
            record(organization, "createRunner", "runner", row.id)
    return token


def revoke_runner(runner_id: str) -> RunnerToken:
    runner = RunnerToken.valid().where(RunnerToken.id == parse_id(runner_id)).first()
    if runner is None:
        raise OperationError(f"No such runner: {runner_id}. Run `flask runner list` to see the ids.")
    with db.atomic():
        runner.revoke()
        if runner.organization:
            record(runner.organization, "revokeRunner", "runner", runner.id)
    return runner


def import_catalog(file: Path) -> int:
    """Create or update the catalog's issues; with the starter catalog also the problems. Returns how many."""
    entries = problems.load(Catalog(), file)["issues"]
    if file.resolve() == CATALOG:
        # The library lists the oldest first.
        entries = [problem for _, problem in problems.read()] + entries
    with db.atomic():
        for entry in entries:
            models.Issue.upsert({name: value for name, value in entry.items() if name not in OF_ASSESSMENTS})
        for organization in Organization.select(Organization.id):
            record(organization, "importIssues")
    return len(entries)


def rederive(session: models.Session) -> dict[str, tuple[Any, Any]]:
    """Rederive a session's metrics. Returns the old and new value of each changed metric."""
    derivation = sessions.Derivation.of(session)
    with db.atomic():
        changes = sessions.rederive(session, derivation)
        if changes:
            record(session.organization, "rederiveSession", "session", session.id, body_fields=list(changes))
    return changes


def mark_bounced(address: str) -> int:
    """Mark invitations to an email address as failed. Returns the number of keys."""
    with db.atomic():
        keys = invitations.mark_bounced(address)
        for key in keys:
            record(key.organization, "markBounced", "candidate", key.id)
    if not keys:
        raise OperationError(f"No candidate has the address {address}.")
    return len(keys)


def record_restore() -> None:
    """Record in every organization's audit log and ledger that a backup was restored."""
    with db.atomic():
        for organization in Organization.select():
            record(organization, "restoreBackup")
        epochs.record_restore("flask restore")
