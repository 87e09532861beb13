"""Compose invitations and reminders from plain values and the templates in `templates/`."""

import shlex
from dataclasses import asdict, dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from delivery import PermanentFailure
from rules.delivery.email_addresses import header_address, header_text, parse_sender
from rules.plain_text import excerpt, format_date_time, format_minutes, one_line

MAX_BRIEF_CHARACTERS = 2000
MAX_NAME_CHARACTERS = 255
MAX_LINE_CHARACTERS = 998  # RFC 5322, 2.1.1

templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Invitation:
    """The content of an invitation. Every attempt has the same `message_id`, so that repeats can be recognized.

    `expires_at` is timezone-aware and `base_url` has no trailing slash. `time_limit_minutes` is None without a limit.
    `client_install` is the setting CLIENT_INSTALL.
    """

    message_id: str
    to_address: str
    candidate_name: str | None
    org_name: str
    assessment_title: str
    role: str
    task_brief: str
    time_limit_minutes: int | None
    key: str
    expires_at: datetime
    base_url: str
    reply_to: str | None = None
    client_install: str | None = None
    is_reminder: bool = False


@dataclass(frozen=True)
class PersonInvitation:
    """The content of the email to a new person of an organization; `invited_by` is None for a command."""

    message_id: str
    to_address: str
    name: str
    role: str
    org_name: str
    invited_by: str | None
    base_url: str


def compose_person_invitation(invitation: PersonInvitation, sender: str, now: datetime) -> EmailMessage:
    """Compose the email as text. Raises PermanentFailure as `compose`."""
    message = _message(_address(invitation.name, invitation.to_address), invitation.message_id, sender, now)
    message["Subject"] = f"You have been added to {header_text(invitation.org_name)} on Proofstone"
    values = asdict(invitation)
    for name in ("name", "org_name", "invited_by"):
        values[name] = one_line(values[name] or "", MAX_NAME_CHARACTERS)
    text = templates.get_template("person_invitation.txt").render(values)
    message.set_content(text, cte=_encoding(text))
    return message


@dataclass(frozen=True)
class SignInLink:
    """The content of the email with a link to sign in; `secret` is that of a grant."""

    message_id: str
    to_address: str
    name: str
    secret: str
    expires_at: datetime
    base_url: str


def compose_sign_in(link: SignInLink, sender: str, now: datetime) -> EmailMessage:
    """Compose the email as text. Raises PermanentFailure as `compose`."""
    message = _message(_address(link.name, link.to_address), link.message_id, sender, now)
    message["Subject"] = "Sign in to Proofstone"
    values = {
        "name": one_line(link.name, MAX_NAME_CHARACTERS),
        "expiry": format_date_time(link.expires_at),
        # After the #, so that no server, proxy or log sees the secret.
        "link": f"{link.base_url}/console#/sign-in?grant={link.secret}",
    }
    text = templates.get_template("sign_in.txt").render(values)
    message.set_content(text, cte=_encoding(text))
    return message


def compose(invitation: Invitation, sender: str, now: datetime) -> EmailMessage:
    """Compose the email as text and HTML, from a sender such as `Proofstone <no-reply@example.com>`.

    Raises PermanentFailure for an address that is invalid in an email header. Names are sanitized instead.
    """
    to = _address(invitation.candidate_name or "", invitation.to_address)
    message = _message(to, invitation.message_id, sender, now)
    if invitation.reply_to:
        message["Reply-To"] = _address(invitation.org_name, invitation.reply_to)
    message["Subject"] = _subject(invitation)
    values = _template_values(invitation)
    text = templates.get_template("invitation.txt").render(values)
    html = templates.get_template("invitation.html").render(values)
    message.set_content(text, cte=_encoding(text))
    message.add_alternative(html, subtype="html", cte=_encoding(html))
    return message


def _message(to: Address, message_id: str, sender: str, now: datetime) -> EmailMessage:
    message = EmailMessage(policy=policy.SMTP if to.addr_spec.isascii() else policy.SMTPUTF8)
    message["From"] = parse_sender(sender)
    message["To"] = to
    message["Date"] = now
    message["Message-ID"] = f"<{message_id.strip('<>')}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def _address(name: str, address: str) -> Address:
    try:
        return header_address(name, address)
    except ValueError as error:
        raise PermanentFailure(str(error)) from None


def _subject(invitation: Invitation) -> str:
    org_name, title = header_text(invitation.org_name), header_text(invitation.assessment_title)
    if invitation.is_reminder:
        return f"Reminder: {org_name} has invited you to an assessment: {title}"
    return f"{org_name} invites you to an assessment: {title}"


def _template_values(invitation: Invitation) -> dict[str, object]:
    values = asdict(invitation)
    for name in ("candidate_name", "org_name", "assessment_title", "role"):
        values[name] = one_line(values[name] or "", MAX_NAME_CHARACTERS)
    brief, brief_is_truncated = excerpt(invitation.task_brief, MAX_BRIEF_CHARACTERS)
    limit = invitation.time_limit_minutes
    return values | {
        "brief": brief,
        "brief_is_truncated": brief_is_truncated,
        "time_limit": format_minutes(limit) if limit else None,
        "expiry": format_date_time(invitation.expires_at),
        "link": f"{invitation.base_url}/start#{invitation.key}",
        **client_commands(invitation.base_url, invitation.key),
    }


def _encoding(text: str) -> str:
    """7bit if possible, so that saved emails are readable in an editor."""
    is_plain = text.isascii() and all(len(line) <= MAX_LINE_CHARACTERS for line in text.splitlines())
    return "7bit" if is_plain else "quoted-printable"


def client_commands(base_url: str, key: str) -> dict[str, str]:
    """The client's commands, with the URLs of this service in place of the client's defaults.

    The client stores the API's URL at `start`, but not the URL of the page that `done` opens.
    """
    posix, powershell = shlex.quote(base_url), "'" + base_url.replace("'", "''") + "'"
    api, app = "PROMPTSTER_API_URL", "PROMPTSTER_APP_URL"
    return {
        "start_posix": f"{api}={posix} {app}={posix} promptster start {key}",
        "start_powershell": f"$env:{api}={powershell}\n$env:{app}={powershell}\npromptster start {key}",
        "done_posix": f"{app}={posix} promptster done",
        "done_powershell": f"$env:{app}={powershell}\npromptster done",
    }
