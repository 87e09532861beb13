"""The `flask` commands: each parses its arguments, calls one function and prints the result."""

import json
import logging
import signal
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

import migrations
from database_errors import CONNECTION_ERRORS
from delivery.worker import Worker, submissions
from errors import ApiError
from models import (
    ApiToken,
    Assessment,
    Organization,
    RunnerToken,
    Session,
    StorageMarker,
    User,
    backlog,
    clock,
    privacy,
)
from models.deliveries import outbox
from models.ledger import audit, checkpoints, epochs, numbering
from models.sessions.submissions import reading
from ops import admin, backup, doctor, ledger, session_import
from ops.commands import Field, Group, one_message
from rules import plans, roles
from rules.ledger import checkpoints as archived_checkpoints
from rules.session_quota import Quota
from rules.timestamps import format_timestamp
from schemas.fields import Email, Line
from web.log_masking import mask_secrets

log = logging.getLogger("proofstone.worker")

PROGRESS_STEP_BYTES = 65_536
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PLAN = click.Choice(list(plans.QUOTAS))
ORGANIZATION = click.argument("organization", metavar="ORG", type=admin.find_organization)
ASSESSMENT = partial(click.option, "--assessment", metavar="ID", type=admin.find_assessment)


database = Group("db", help="Manage the database schema.")
orgs = Group("org", help="Manage organizations.")
people = Group("person", help="Manage an organization's people.")
tokens = Group("token", help="Manage API tokens.")
library = Group("issues", help="Manage the issue library.")
sessions = Group("sessions", help="Import candidate sessions and recompute their metrics.")
deliveries = Group("deliveries", help="Manage messages to candidates.")
ledgers = Group("ledger", help="Verify ledgers, and continue them after a restore.")
store = Group("storage", help="Manage the bundle store.")
submitted = Group("submissions", help="Read candidates' submissions.")
runners = Group("runner", help="Manage runners' tokens.")
retention = Group("retention", help="Erase candidates' data after their retention period.")
BACKUP_TIME = click.DateTime(["%Y-%m-%dT%H:%M:%S%z"])
GROUPS = (
    *(database, orgs, people, tokens, runners, library, sessions, submitted, store, deliveries, ledgers),
    retention,
)


def register(commands: click.Group) -> None:
    for command in (*GROUPS, run_backup, run_restore, run_worker, run_doctor):
        commands.add_command(command)


NAME, EMAIL = Field(Line(255)), Field(Email())


@database.command("upgrade")
def upgrade() -> None:
    """Apply missing migrations and print their names."""
    for name in migrations.upgrade() or ["Nothing to apply."]:
        click.echo(name)


@database.command("status")
def status() -> None:
    """List all migrations; exit with status 1 if one is missing."""
    migration_states = migrations.status()
    for name, applied in migration_states:
        click.echo(f"{'applied' if applied else 'missing'}  {name}")
    if not all(applied for _, applied in migration_states):
        sys.exit(1)


@orgs.command("create")
@click.argument("name", type=NAME)
@click.option("--plan", type=PLAN, default="self_hosted", show_default=True)
def create_org(name: str, plan: str) -> None:
    """Create an organization and print its first token."""
    organization, token = admin.create_organization(name, plan)
    click.echo(f"Created {organization.name} ({organization.id}). Its token, shown only once:", err=True)
    click.echo(token)


@orgs.command("list")
def list_orgs() -> None:
    """List all organizations."""
    for organization in Organization.select().order_by(Organization.created_at, Organization.id):
        click.echo(_organization_line(organization))


@orgs.command("show")
@ORGANIZATION
def show_org(organization: Organization) -> None:
    """Show an organization (by id or name) and its tokens."""
    click.echo(_organization_line(organization))
    _echo_tokens(organization, indent="  ")


@orgs.command("plan")
@ORGANIZATION
@click.argument("plan", type=PLAN)
def change_plan(organization: Organization, plan: str) -> None:
    """Change an organization's plan."""
    with admin.audited(organization, "changePlan"):
        organization.update_columns(plan=plan)
    click.echo(_organization_line(organization))


@orgs.command("subscription")
@ORGANIZATION
@click.argument("state", type=click.Choice([*plans.SUBSCRIPTION_STATES, "none"]))
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of a trial, in UTC.")
def change_subscription(organization: Organization, state: str, until: datetime | None) -> None:
    """Change an organization's subscription."""
    if until and state != "trialing":
        raise click.UsageError("--until is only valid with `trialing`.")
    trial_ends_at = until.replace(tzinfo=clock.now().tzinfo) + timedelta(days=1) if until else None
    with admin.audited(organization, "changeSubscription"):
        organization.subscribe(None if state == "none" else state, trial_ends_at)
    click.echo(_organization_line(organization))
    if organization.plan == "self_hosted":
        click.echo("No effect: the self_hosted plan needs no subscription. Change the plan first.", err=True)


@people.command("create")
@ORGANIZATION
@click.argument("email", type=EMAIL)
@click.option("--name", required=True, type=NAME, help="Name, shown with scores and decisions.")
@click.option("--role", type=click.Choice(roles.ROLES), default="admin", show_default=True)
def create_person(organization: Organization, email: str, name: str, role: str) -> None:
    """Add a person to an organization and invite them by email."""
    person = admin.create_person(organization, name, email, role)
    click.echo(f"Added {person.name} as {role}. For a token, run `flask token create ORG --person {email}`.")


@people.command("list")
@ORGANIZATION
def list_people(organization: Organization) -> None:
    """List an organization's people with their roles."""
    for person in User.of(organization.id).order_by(User.created_at, User.id):
        state = "active" if person.active else "inactive"
        click.echo(f"{person.id}  {person.role}  {state}  {person.name} <{person.email}>")


@tokens.command("create")
@ORGANIZATION
@click.option("--scope", type=click.Choice(["read", "write"]), default="write", show_default=True)
@click.option("--name", default="Created on the command line", show_default=True, type=NAME)
@click.option("--expires", type=click.IntRange(1, 3650), metavar="DAYS", help="Days until it expires.")
@click.option("--person", "email", metavar="EMAIL", help="The token's owner. Default: a service account.")
def create_token(
    organization: Organization, scope: str, name: str, expires: int | None, email: str | None
) -> None:
    """Create a token for an organization and print it."""
    expires_at = clock.now() + timedelta(days=expires) if expires else None
    click.echo(admin.create_token(organization, name, scope, expires_at, email))


@tokens.command("list")
@ORGANIZATION
def list_tokens(organization: Organization) -> None:
    """List an organization's tokens, without their secrets."""
    _echo_tokens(organization)


@tokens.command("revoke")
@click.argument("token_id")
def revoke_token(token_id: str) -> None:
    """Revoke a token, even an organization's last one."""
    click.echo(f"Revoked {admin.revoke_token(token_id).name}.")


@runners.command("create")
@click.argument("name", type=NAME)
@click.option("--organization", "org", metavar="ORG", type=admin.find_organization, help="Default: all.")
def create_runner(name: str, org: Organization | None) -> None:
    """Create a runner's token and print it. Its runner tests submissions of one organization, or of all."""
    click.echo(admin.create_runner(name, org))


@runners.command("list")
def list_runners() -> None:
    """List runners' tokens, without their secrets."""
    for row in RunnerToken.valid().order_by(RunnerToken.id):
        owner = row.organization.name if row.organization else "all organizations"
        state = "alive" if row.is_alive else "not running"
        click.echo(f"{row.id}  {row.prefix}...{row.last_four}  {state}  {row.name}  ({owner})")


@runners.command("revoke")
@click.argument("runner_id")
def revoke_runner(runner_id: str) -> None:
    """Revoke a runner's token. Its jobs run again elsewhere."""
    click.echo(f"Revoked {admin.revoke_runner(runner_id).name}.")


@library.command("import")
@click.argument("file", type=FILE)
def import_issues(file: Path) -> None:
    """Import or update an issue catalog (YAML or JSON) for all organizations."""
    click.echo(f"Imported {admin.import_catalog(file)} issues.")


@sessions.command("import")
@click.argument("files", nargs=-1, required=True, type=FILE)
@ASSESSMENT(help="Import into this assessment instead of a new one.")
@click.option(
    "--org", metavar="ORG", type=admin.find_organization, help="Organization; required if there are several."
)
@click.option("--title", default=session_import.TITLE, show_default=True, help="Title of the new assessment.")
def import_sessions(
    files: tuple[Path, ...], assessment: Assessment | None, org: Organization | None, title: str
) -> None:
    """Import recorded timelines (JSON Lines, one event per line), each file as a candidate's session.

    Skips and reports a file with an invalid line.
    """
    if assessment and org:
        raise click.UsageError("Use either --assessment or --org, not both.")
    owner = assessment.organization if assessment else org or admin.get_only_organization()
    quota = Quota(current_app.config["SESSION_MAX_BYTES"], current_app.config["SESSION_MAX_EVENTS"])
    importer = session_import.Importer(owner, assessment, title, quota)
    size = sum(file.stat().st_size for file in files)
    with click.progressbar(length=size, label="Importing", update_min_steps=PROGRESS_STEP_BYTES) as bar:
        invalid = importer.import_files(files, bar.update)
    if importer.assessment:
        click.echo(f"{importer.assessment.title} ({importer.assessment.id})")
    if invalid:
        raise click.ClickException("Not imported:\n" + "\n".join(invalid))


@sessions.command("rederive")
@ASSESSMENT(help="Recompute only this assessment's sessions.")
def rederive_sessions(assessment: Assessment | None) -> None:
    """Recompute the metrics of closed sessions from their events and print the changes."""
    closed = Session.select().where(Session.closed_at.is_null(False)).order_by(Session.id)
    if assessment:
        closed = closed.where(Session.assessment == assessment)
    changes, failures = {}, []
    with click.progressbar(list(closed), label="Recomputing") as bar:
        for session in bar:
            try:
                changes[session.id] = admin.rederive(session)
            except ApiError as error:
                failures.append(f"{session.id}: {error.message}")
    for session_id, changed in changes.items():
        for name, (before, after) in changed.items():
            click.echo(f"{session_id}  {name}  {json.dumps(before)} -> {json.dumps(after)}")
    click.echo(f"Sessions recomputed: {len(changes)}, changed: {sum(map(bool, changes.values()))}.")
    if failures:
        raise click.ClickException("\n".join(["Sessions that could not be recomputed:", *failures]))


@submitted.command("read")
@click.option(
    "--again", is_flag=True, help="Look for all in the store, and read those that were lost or unreadable."
)
def read_submissions(again: bool) -> None:
    """Read the submitted git bundles that are due, as the worker does."""
    storage = current_app.extensions["storage"]
    StorageMarker.require(storage)
    if again:
        submissions.read_again(storage)
    count = 0
    while attempts := submissions.read_due(storage):
        count += attempts
    click.echo(f"Submissions processed: {count}.")
    if waiting := reading.count_waiting():
        raise click.ClickException(
            f"Submissions not read yet: {waiting}. The log has the reasons, unless a worker is reading them."
        )
    if lost := backlog.lost_submissions():
        raise click.ClickException(
            f"Submissions lost in the bundle store: {lost}. Restore them and run this again."
        )


@store.command("adopt")
def adopt_store() -> None:
    """Mark the configured bundle store as this installation's: a new one, or one restored from a backup."""
    StorageMarker.adopt(current_app.extensions["storage"])
    click.echo("Marked the bundle store as this installation's.")


@deliveries.command("retry")
@click.option("--waiting", is_flag=True, help="Retry emails and removals that wait for their next attempt.")
def retry_deliveries(waiting: bool) -> None:
    """Retry deliveries before their next attempt is due, such as emails after an outage of the email server."""
    if not waiting:
        raise click.UsageError("Use --waiting. To retry a failed email, POST /v1/deliveries/{id}/retry.")
    count = outbox.retry_waiting()
    click.echo(f"Retrying {count} deliveries now. Those that are due within 5 minutes are not changed.")


@deliveries.command("bounce")
@click.argument("address")
def bounce(address: str) -> None:
    """Mark invitations to an address as failed and stop sending it reminders."""
    click.echo(f"Marked {admin.mark_bounced(address)} candidate keys with this address.")


@ledgers.command("verify")
@click.option("--organization", "org", type=admin.find_organization, help="Verify only this organization.")
@click.option("--checkpoints", "file", type=FILE, help="Compare checkpoints from archived logs or webhooks.")
@click.option("--at", type=BACKUP_TIME, help="Time of the backup, if the database was restored for this.")
def verify_ledger(org: Organization | None, file: Path | None, at: datetime | None) -> None:
    """Compare protected rows with the ledger; exit with status 1 on a difference."""
    differences, count = 0, 0
    for organization in [org] if org else list(Organization.select().order_by(Organization.id)):
        for sentence in ledger.differences(organization, at):
            differences += 1
            click.echo(f"{organization.name}: {sentence}")
        if replaced := ledger.count_replaced(organization):
            click.echo(f"{organization.name}: {replaced} entries from before the restart are unverified.")
        count += 1
    for organization_id in [] if org else ledger.unknown_organizations():
        click.echo(f"organization {organization_id}: missing, but it has ledger entries.")
        differences += 1
    for name in ledger.altered_tables():
        causes = "view, trigger, rule, policy, child table, primary key, types or malformed values"
        click.echo(f"table {name}: altered ({causes}).")
        differences += 1
    if file:
        with file.open(encoding="utf-8", errors="replace") as lines:
            archived = list(archived_checkpoints.read(lines))
        compared = list(
            checkpoints.compare(each for each in archived if not org or each.organization_id == org.id)
        )
        if not compared:
            raise click.ClickException(f"{file} contains no checkpoints.")
        for checkpoint, difference in compared:
            if difference:
                click.echo(f"{checkpoint}: {difference}")
                differences += difference != checkpoints.LOST
        click.echo(f"Checkpoints compared: {len(compared)}.")
    if differences:
        sys.exit(1)
    click.echo(f"Organizations verified: {count}. No differences.")


@ledgers.command("restored")
@click.option("--reason", required=True, help="Why the database was restored.")
def record_restore(reason: str) -> None:
    """Record that the database was restored from a backup without `flask restore`."""
    click.echo(f"Recorded the restore. Organizations: {epochs.record_restore(reason)}.")


@ledgers.command("restart")
@click.argument("org", type=admin.find_organization)
@click.option("--reason", required=True, help="Why the ledger is restarted.")
def restart_ledger(org: Organization, reason: str) -> None:
    """Accept and sign all rows as they are now, after a ledger key was lost."""
    epochs.restart(org, reason)
    # Until then, `flask ledger verify` would report differences.
    while numbering.number_new():
        pass
    click.echo(f"Restarted the ledger of {org.name}. All rows are signed as they are now.")


@retention.command("run")
@click.option("--apply", is_flag=True, help="Erase the data. Default: only list the candidates.")
def run_retention(apply: bool) -> None:
    """List candidates whose retention period has ended; with --apply, erase their data. The worker does this daily."""
    remaining: list[Any] = []
    count = 0
    for organization in Organization.select().where(Organization.retention_days.is_null(False)):
        days, overdue = organization.retention_days, list(privacy.overdue(organization))
        click.echo(f"{organization.name}, retention {days} days: {len(overdue)} overdue")
        count += len(overdue)
        for key in overdue:
            click.echo(f"  {key.id}  ended {format_timestamp(privacy.ended_at(key))}  {key.assessment.title}")
        if apply:
            privacy.erase_overdue(organization, audit.COMMAND, waits=False)
            remaining += list(privacy.overdue(Organization.get_by_id(organization.id)))
    if remaining:
        ids = ", ".join(str(key.id) for key in remaining)
        raise click.ClickException(f"Not erased: {ids}. Resolve the errors in the log, then run this again.")
    if not count:
        click.echo("Nothing to erase.")
    else:
        click.echo("Erased." if apply else "Nothing was erased. Run with `--apply` to erase the data.")


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@with_appcontext
@one_message()
def run_backup(file: Path, overwrite: bool) -> None:
    """Back up database and bundles to one FILE while the service runs (SQLite only)."""
    storage = current_app.extensions["storage"]
    installation = backup.get_installation(storage)
    if installation.bundles:
        StorageMarker.require(storage)
    count = backup.back_up(installation, file, overwrite)
    bundles = f"and {count} bundles" if installation.bundles else "without the bundles in the object store"
    click.echo(f"Backed up the database {bundles} to {file}. Keep it secret: it contains candidate keys.")


@click.command("restore")
@click.argument("file", type=FILE)
@click.option("--overwrite", is_flag=True, help="Overwrite existing data.")
@with_appcontext
@one_message()
def run_restore(file: Path, overwrite: bool) -> None:
    """Restore a backup and apply missing migrations (SQLite only). Stop the web process and the worker first."""
    storage = current_app.extensions["storage"]
    count = backup.restore(backup.get_installation(storage), file, overwrite)
    bundles = "without the bundles in the object store" if count is None else f"and {count} bundles"
    click.echo(f"Restored the database {bundles}.")
    for name in migrations.upgrade():
        click.echo(name)
    admin.record_restore()
    if count is not None:
        StorageMarker.adopt(storage)


@click.command("worker")
@click.option("--once", is_flag=True, help="Process due work except webhooks, then stop.")
@click.option("--ready-fd", type=int, hidden=True, help="A file descriptor to close when ready.")
@with_appcontext
def run_worker(once: bool, ready_fd: int | None) -> None:
    """Deliver messages and close expired sessions until stopped."""
    optional_tasks = current_app.extensions.get("worker_tasks", ())
    worker = Worker(current_app.config, current_app.extensions["storage"], optional_tasks)
    if once:
        with one_message():
            worker.run_once()
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    with one_message():
        _wait_for_migrations(worker)
    worker.run(ready_fd)


def _wait_for_migrations(worker: Worker) -> None:
    """Wait until all migrations are applied, or the worker is stopped."""
    has_warned = False
    # During an outage, the worker's tasks wait.
    with suppress(*CONNECTION_ERRORS):
        while migrations.pending() and not worker.is_stopped:
            if not has_warned:
                log.warning("The worker waits for migrations: run `flask db upgrade`.")
            has_warned = True
            time.sleep(1)


@click.command("doctor")
@with_appcontext
def run_doctor() -> None:
    """Check this installation; exit with status 1 on an error. Sends no email."""
    states = set()
    for state, part, message in doctor.examine(current_app.config, current_app.extensions["storage"]):
        click.echo(mask_secrets(f"{state:8}{part}: {message}"))
        states.add(state)
    if doctor.ERROR in states:
        sys.exit(1)


def _organization_line(organization: Organization) -> str:
    state = organization.subscription or "no subscription"
    until = f" until {format_timestamp(organization.trial_ends_at)}" if organization.trial_ends_at else ""
    return f"{organization.id}  {organization.name}  plan {organization.plan}  {state}{until}"


def _echo_tokens(organization: Organization, indent: str = "") -> None:
    tokens = ApiToken.select().where(ApiToken.organization == organization, ApiToken.last_four != "")
    for row in tokens.order_by(ApiToken.id):
        expiry = f"until {format_timestamp(row.expires_at)}" if row.expires_at else "valid"
        state = "revoked" if row.revoked_at else expiry
        owner = f"  ({row.user_name})" if row.user else ""
        secret = f"{row.prefix}...{row.last_four}"
        click.echo(f"{indent}{row.id}  {secret}  {row.scope}  {state}  {row.name}{owner}")
