"""Administration: each command parses, calls one verb, prints."""

import json
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import marshmallow
import peewee
import yaml
from flask import current_app
from flask.cli import AppGroup, with_appcontext

import migrations
from errors import Refusal
from models import (
    ApiToken,
    Assessment,
    AuditEntry,
    Issue,
    Organization,
    Session,
    audit,
    clock,
    db,
    invitations,
    privacy,
)
from models.cohorts import first_difference, rebuild
from models.sessions import rederive
from ops import backup, cohort_table, doctor, session_import
from rules import plans
from rules.timestamps import format_timestamp
from schemas.fields import Line, parse_id
from schemas.issues import Catalogue
from web.log_masking import masked

PROGRESS_BYTES = 65_536
# As the API takes one.
NAME = Line(255)
CATALOGUE = Path(__file__).parent / "data" / "catalogue.yaml"


class Group(AppGroup):
    """Commands that say in a sentence that the database is away, or was never made."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (peewee.OperationalError, peewee.InterfaceError, peewee.ProgrammingError) as error:
            reason = str(error).splitlines()[0]
            raise click.ClickException(
                f"The database cannot be used: {reason}. Is DATABASE_URL right, and was `flask db upgrade` run?"
            ) from None


database = Group("db", help="The database's schema.")
orgs = Group("org", help="Organizations.")
tokens = Group("token", help="Reviewers' tokens.")
library = Group("issues", help="The problem library.")
sessions = Group("sessions", help="Candidates' sessions.")
retention = Group("retention", help="How long what is known of candidates is kept.")
cohorts = Group("cohorts", help="What is kept of each assessment's closed sessions for its statistics.")
deliveries = Group("deliveries", help="Messages to candidates.")
audits = Group("audit", help="The audit log.")


def register(commands: click.Group) -> None:
    groups = (database, orgs, tokens, library, sessions, cohorts, deliveries, audits, retention)
    for command in (*groups, run_backup, run_restore, run_worker, run_demo, run_doctor):
        commands.add_command(command)


def prepare() -> str | None:
    """Make a fresh installation usable: schema, catalogue, first organization. Returns its token, or None if there
    is an organization already."""
    if migrations.upgrade():
        _import_issues(CATALOGUE)
    if Organization.select().exists():
        return None
    return _open("My company")[1]


def _open(name: str, plan: str = "self_hosted") -> tuple[Organization, str]:
    with db.atomic():
        organization, token = Organization.open(name, plan)
        first = ApiToken.get(ApiToken.organization == organization)
        _note(organization, "createOrg", further_ids=[str(first.id)])
    return organization, token


def _name(context: click.Context, parameter: click.Parameter, text: str) -> str:
    try:
        return NAME.deserialize(text)
    except marshmallow.ValidationError:
        raise click.BadParameter(
            "wanted are 1 to 255 characters, no control characters among them."
        ) from None


@database.command("upgrade")
def upgrade() -> None:
    """Apply the migrations that are missing."""
    for name in migrations.upgrade() or ["nothing to do"]:
        click.echo(name)


@database.command("status")
def status() -> None:
    """List the migrations; exits with 1 if one is missing."""
    found = migrations.status()
    for name, applied in found:
        click.echo(f"{'applied' if applied else 'missing'}  {name}")
    if not all(applied for _, applied in found):
        raise SystemExit(1)


@orgs.command("create")
@click.argument("name", callback=_name)
@click.option("--plan", type=click.Choice(list(plans.QUOTAS)), default="self_hosted", show_default=True)
def create_org(name: str, plan: str) -> None:
    """Create an organization and print its first token, alone on the last line."""
    organization, token = _open(name, plan)
    click.echo(f"Created {organization.name} ({organization.id}). Its first token, shown only now:", err=True)
    click.echo(token)


@orgs.command("list")
def list_orgs() -> None:
    """List the organizations."""
    for organization in Organization.select().order_by(Organization.created_at, Organization.id):
        click.echo(_line(organization))


@orgs.command("show")
@click.argument("org")
def show_org(org: str) -> None:
    """Show an organization, named by its id or its name."""
    organization = _organization(org)
    click.echo(_line(organization))
    for reviewer in ApiToken.select().where(ApiToken.organization == organization).order_by(ApiToken.id):
        click.echo("  " + _token_line(reviewer))


@orgs.command("plan")
@click.argument("org")
@click.argument("plan", type=click.Choice(list(plans.QUOTAS)))
def change_plan(org: str, plan: str) -> None:
    """Change an organization's plan."""
    organization = _organization(org)
    with db.atomic():
        organization.change_plan(plan)
        _note(organization, "changePlan")
    click.echo(_line(organization))


@orgs.command("subscription")
@click.argument("org")
@click.argument("state", type=click.Choice([*plans.SUBSCRIPTION_STATES, "none"]))
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of a trial, in UTC.")
def change_subscription(org: str, state: str, until: Any) -> None:
    """Change the state of an organization's subscription."""
    if until and state != "trialing":
        raise click.UsageError("--until belongs to `trialing`.")
    organization = _organization(org)
    ends = until.replace(tzinfo=clock.now().tzinfo) + timedelta(days=1) if until else None
    with db.atomic():
        organization.subscribe(None if state == "none" else state, ends)
        _note(organization, "changeSubscription")
    click.echo(_line(organization))
    if organization.plan == "self_hosted":
        click.echo(
            "The plan self_hosted needs no subscription: this counts once it has another plan.", err=True
        )


@tokens.command("create")
@click.argument("org")
@click.option("--scope", type=click.Choice(["read", "write"]), default="write", show_default=True)
@click.option("--name", default="Made on the command line", show_default=True, callback=_name)
@click.option("--expires", type=click.IntRange(1, 3650), metavar="DAYS", help="Days until it expires.")
def create_token(org: str, scope: str, name: str, expires: int | None) -> None:
    """Create a token for an organization and print it, alone on its line."""
    expires_at = clock.now() + timedelta(days=expires) if expires else None
    organization = _organization(org)
    with db.atomic():
        reviewer, token = ApiToken.issue(organization, name, scope, expires_at)
        _note(organization, "createToken", "token", reviewer.id)
    click.echo(token)


@tokens.command("list")
@click.argument("org")
def list_tokens(org: str) -> None:
    """List an organization's tokens."""
    for reviewer in (
        ApiToken.select().where(ApiToken.organization == _organization(org)).order_by(ApiToken.id)
    ):
        click.echo(_token_line(reviewer))


@tokens.command("revoke")
@click.argument("token_id")
def revoke_token(token_id: str) -> None:
    """Revoke a token, named by its id; the last one with `write` too, since here another one can be made."""
    reviewer = ApiToken.get_or_none(ApiToken.id == parse_id(token_id))
    if reviewer is None:
        raise click.ClickException(f"There is no token {token_id}.")
    with db.atomic():
        reviewer.revoke(even_the_last=True)
        _note(reviewer.organization, "revokeToken", "token", reviewer.id)
    click.echo(f"Revoked {reviewer.name}.")


@library.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_issues(file: Path) -> None:
    """Import a catalogue of issues (YAML or JSON) for all organizations; importing it again is safe."""
    click.echo(f"Imported {_import_issues(file)} issues.")


def _import_issues(file: Path) -> int:
    try:
        entries = Catalogue().load(yaml.safe_load(file.read_text(encoding="utf-8")))["issues"]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} is neither YAML nor JSON: {error}") from None
    except marshmallow.ValidationError as error:
        raise click.ClickException(f"{file} is not a catalogue: {json.dumps(error.messages)}") from None
    with db.atomic():
        for entry in entries:
            Issue.upsert(entry)
        # The catalogue is everybody's, so that everybody's log has it.
        for organization in Organization.select(Organization.id):
            _note(organization, "importIssues")
    return len(entries)


@sessions.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--assessment", metavar="ID", help="The assessment to import into; otherwise a new one.")
@click.option(
    "--org", help="Whose new assessment it is; may be left out while there is only one organization."
)
@click.option("--title", default=session_import.TITLE, show_default=True, help="The new assessment's title.")
def import_sessions(files: tuple[Path, ...], assessment: str | None, org: str | None, title: str) -> None:
    """Import recorded timelines (JSON Lines, one event a line), each as the session of a candidate of its own.

    A broken line is named, and nothing of its file is kept; the other files are imported.
    """
    if assessment and org:
        raise click.UsageError("--assessment has its organization; leave --org out.")
    intake = _intake(assessment, org, title)
    size = sum(file.stat().st_size for file in files)
    with click.progressbar(length=size, label="Importing", update_min_steps=PROGRESS_BYTES) as bar:
        broken = [problem for file in files if (problem := _take_in(intake, file, bar))]
    if intake.assessment:
        click.echo(f"{intake.assessment.title} ({intake.assessment.id})")
        click.echo("\n".join(cohort_table.of_assessment(intake.assessment)))
    if broken:
        raise click.ClickException("Not imported:\n" + "\n".join(broken))


def _intake(assessment_id: str | None, org: str | None, title: str) -> session_import.Intake:
    if assessment_id is None:
        return session_import.Intake(_organization(org) if org else _only_organization(), title=title)
    assessment = _assessment(assessment_id)
    return session_import.Intake(assessment.organization, assessment)


def _take_in(intake: session_import.Intake, file: Path, bar: Any) -> str | None:
    """What is broken about the file, if anything is."""
    try:
        intake.take_in(file, bar.update)
    except session_import.BrokenLine as error:
        return str(error)
    except Refusal as error:
        raise click.ClickException(error.sentence) from None
    return None


@sessions.command("rederive")
@click.option("--assessment", metavar="ID", help="Only the sessions of this assessment.")
def rederive_sessions(assessment: str | None) -> None:
    """Derive the metrics of all closed sessions again from their events, and show what changed."""
    closed = Session.select().where(Session.closed_at.is_null(False)).order_by(Session.id)
    if assessment:
        closed = closed.where(Session.assessment == _assessment(assessment))
    changes = []
    with click.progressbar(list(closed), label="Deriving") as bar:
        for session in bar:
            changes += [(session.id, *change) for change in _rederived(session).items()]
    for session_id, name, (before, after) in changes:
        click.echo(f"{session_id}  {name}  {json.dumps(before)} -> {json.dumps(after)}")
    click.echo(
        f"{closed.count()} sessions, {len({session_id for session_id, *_ in changes})} of them changed."
    )


def _rederived(session: Session) -> dict[str, tuple[Any, Any]]:
    with db.atomic():
        changed = rederive(session)
        if changed:
            _note(session.organization, "rederiveSession", "session", session.id, members=list(changed))
    return changed


@cohorts.command("verify")
@click.option("--assessment", metavar="ID", help="Only this assessment's cohort.")
def verify_cohorts(assessment: str | None) -> None:
    """Count cohorts and numbers of keys anew and compare; names the first difference, and exits with 1 then."""
    broken = False
    for found in _assessments(assessment):
        difference = first_difference(found)
        click.echo(f"{found.id}  {found.title}  {difference or 'equal to its sessions'}")
        broken = broken or difference is not None
    if broken:
        raise SystemExit(1)


@cohorts.command("rebuild")
@click.option("--assessment", metavar="ID", help="Only this assessment's cohort.")
def rebuild_cohorts(assessment: str | None) -> None:
    """Count cohorts and numbers of keys anew; closes of an assessment wait while its cohort is counted."""
    for found in _assessments(assessment):
        rebuild(found)
        click.echo(f"{found.id}  {found.title}")


def _assessments(text: str | None) -> list[Assessment]:
    """The one that is named, or all; deleted ones too, since those who work on one may still close their sessions."""
    return [_assessment(text)] if text else list(Assessment.select().order_by(Assessment.id))


@deliveries.command("bounce")
@click.argument("address")
def bounce(address: str) -> None:
    """Note that mails to an address come back: its invitations count as failed, and nobody is reminded there."""
    with db.atomic():
        keys = invitations.mark_bounced(address)
        for key in keys:
            _note(key.organization, "markBounced", "candidate", key.id)
    if not keys:
        raise click.ClickException("No candidate has this address.")
    click.echo(f"{len(keys)} candidate keys have this address.")


@audits.command("verify")
@click.argument("org", required=False)
def verify_audit(org: str | None) -> None:
    """Check the audit log of one organization, or of all; names the first broken row, and exits with 1 then."""
    broken = False
    for organization in [_organization(org)] if org else Organization.select().order_by(Organization.id):
        verdict = audit.verify(organization)
        click.echo(f"{organization.name}: {verdict.chained} rows chained, {verdict.waiting} waiting")
        if verdict.broken:
            broken = True
            row = verdict.entry_id or "gone"
            click.echo(f"  first broken: row {verdict.broken.position} ({row}), {verdict.broken.reason}")
    if broken:
        raise SystemExit(1)


@retention.command("run")
@click.option("--apply", is_flag=True, help="Erase it; without this option it is only shown.")
def run_retention(apply: bool) -> None:
    """Show what is kept for longer than its organization's retention, or erase it.

    The worker erases it once a day by itself.
    """
    for organization in Organization.select().where(Organization.retention_days.is_null(False)):
        overdue = list(privacy.overdue(organization))
        click.echo(
            f"{organization.name}, kept for {organization.retention_days} days: {len(overdue)} overdue"
        )
        for key in overdue:
            if apply:
                with db.atomic():
                    privacy.erase(key)
                    audit.record_erasure(key, audit.COMMAND)
            click.echo(f"  {key.id}  ended {format_timestamp(privacy.ended_at(key))}  {key.assessment.title}")
    click.echo("Erased." if apply else "Nothing was erased; `--apply` does it.")


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@with_appcontext
def run_backup(file: Path, overwrite: bool) -> None:
    """Back up an installation on SQLite, while it works: its database and its folder of bundles, as one FILE."""
    with _said_in_a_sentence():
        here = backup.installation(current_app.extensions["storage"])
        count = backup.back_up(here, file, overwrite)
    there = f"{count} bundles" if here.bundles else "without bundles, which lie in the store"
    click.echo(f"{file}: the database, {there}. Keep it as secret as the database itself.")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace the data that is there: it is lost.")
@with_appcontext
def run_restore(file: Path, overwrite: bool) -> None:
    """Restore what `flask backup` wrote, while neither web process nor worker runs, and upgrade it if need be."""
    with _said_in_a_sentence():
        count = backup.restore(backup.installation(current_app.extensions["storage"]), file, overwrite)
    click.echo(f"Restored the database and {count} bundles.")
    for name in migrations.upgrade():
        click.echo(name)
    with db.atomic():
        for organization in Organization.select():
            _note(organization, "restoreBackup")


@contextmanager
def _said_in_a_sentence() -> Iterator[None]:
    try:
        yield
    except (backup.Refused, OSError, sqlite3.Error) as error:
        raise click.ClickException(str(error)) from None


@click.command("worker")
@click.option("--once", is_flag=True, help="Do what is due now, then stop.")
@click.option("--ready-fd", type=int, hidden=True, help="A file descriptor to close once it is at work.")
@with_appcontext
def run_worker(once: bool, ready_fd: int | None) -> None:
    """Deliver messages and close sessions whose time is over, until it is told to stop."""
    from delivery.worker import Worker

    worker = Worker(current_app.config, current_app.extensions.get("storage"))
    if once:
        worker.run_once()
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run(ready_fd)


@click.command("doctor")
@with_appcontext
def run_doctor() -> None:
    """Look at every part of this installation; exits with 1 if something is wrong.

    Says what to do, and never a secret. No mail is sent.
    """
    is_wrong = False
    for finding in doctor.examine(current_app.config, current_app.extensions["storage"]):
        click.echo(masked(f"{finding.state:8}{finding.part}: {finding.sentence}"))
        is_wrong |= finding.state == doctor.WRONG
    if is_wrong:
        raise SystemExit(1)


@click.command("demo")
@click.option("--keep/--stop", default=None, help="Keep it running; by default in a terminal only.")
def run_demo(keep: bool | None) -> None:
    """Run a throw-away service with twelve simulated candidates and show how they did."""

    in_a_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    from tools import demo

    demo.run(in_a_terminal if keep is None else keep)


def _note(
    organization: Organization, action: str, kind: str = "org", subject_id: Any = None, **facts: Any
) -> None:
    subject = {"subject_kind": kind, "subject_id": subject_id or organization.id}
    AuditEntry.record(organization.id, action, audit.COMMAND, **subject, **facts)


def _organization(text: str) -> Organization:
    named = (Organization.id == parse_id(text)) if parse_id(text) else (Organization.name == text)
    found = list(Organization.select().where(named).limit(2))
    if not found:
        raise click.ClickException(f"There is no organization {text}; `flask org list` shows them.")
    if len(found) > 1:
        raise click.ClickException(f"Several organizations are called {text}; name it by its id.")
    return found[0]


def _assessment(text: str) -> Assessment:
    assessment = Assessment.alive().where(Assessment.id == parse_id(text)).get_or_none()
    if assessment is None:
        raise click.ClickException(f"There is no assessment {text}.")
    return assessment


def _only_organization() -> Organization:
    found = list(Organization.select().limit(2))
    if len(found) != 1:
        raise click.ClickException("Name the organization: --org ORG; `flask org list` shows them.")
    return found[0]


def _line(organization: Organization) -> str:
    state = organization.subscription or "no subscription"
    until = f" until {format_timestamp(organization.trial_ends_at)}" if organization.trial_ends_at else ""
    return f"{organization.id}  {organization.name}  plan {organization.plan}  {state}{until}"


def _token_line(reviewer: ApiToken) -> str:
    state = "revoked" if reviewer.revoked_at else "valid"
    if reviewer.expires_at and not reviewer.revoked_at:
        state = f"until {format_timestamp(reviewer.expires_at)}"
    return (
        f"{reviewer.id}  {reviewer.prefix}...{reviewer.last_four}  {reviewer.scope}  {state}  {reviewer.name}"
    )
