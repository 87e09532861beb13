"""Compose emails from plain values and the templates in `templates/`."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from delivery import PermanentFailure
from rules.delivery.email_addresses import header_address, header_text, parse_sender
from rules.plain_text import format_date_time, format_minutes, one_line

MAX_NAME_CHARACTERS = 255
MAX_ITEM_CHARACTERS = 500
# Template values that must be a single line.
NAMES = {"assessment_title", "candidate_name", "invited_by", "name", "org_name", "role"}
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
    """An invitation's content. Retries use the same `message_id`, so recipients can detect duplicates.

    expires_at -- timezone-aware
    base_url -- without a trailing slash
    captures -- the disclosure's list of recorded data
    time_limit_minutes -- None for no limit
    client_install -- the CLIENT_INSTALL setting
    """

    message_id: str
    to_address: str
    candidate_name: str | None
    org_name: str
    assessment_title: str
    role: str
    captures: Sequence[str]
    time_limit_minutes: int | None
    key: str
    expires_at: datetime
    base_url: str
    reply_to: str | None = None
    client_install: str | None = None
    is_reminder: bool = False
    is_extension: bool = False


def compose(invitation: Invitation, sender: str, now: datetime) -> EmailMessage:
    """Compose an invitation or a reminder in plain text and HTML.

    Raises PermanentFailure for an address that is invalid in an email header.

    sender -- such as `Proofstone <no-reply@example.com>`
    """
    org_name, title = header_text(invitation.org_name), header_text(invitation.assessment_title)
    subject = f"{org_name} invites you to an assessment: {title}"
    if invitation.is_extension:
        subject = f"New expiry date: {title} ({org_name})"
    if invitation.is_reminder:
        subject = f"Reminder: {org_name} has invited you to an assessment: {title}"
    name = invitation.candidate_name or ""
    message = _message(name, invitation.to_address, subject, invitation.message_id, sender, now)
    if invitation.reply_to:
        message["Reply-To"] = _address(invitation.org_name, invitation.reply_to)
    limit = invitation.time_limit_minutes
    values = vars(invitation) | {
        "captures": [one_line(item, MAX_ITEM_CHARACTERS) for item in invitation.captures],
        "time_limit": format_minutes(limit) if limit else None,
        "expiry": format_date_time(invitation.expires_at),
        "link": f"{invitation.base_url}/start#{invitation.key}",
        **client_commands(invitation.base_url, invitation.key),
    }
    text, html = _render("invitation.txt", values), _render("invitation.html", values)
    message.set_content(text, cte=_encoding(text))
    message.add_alternative(html, subtype="html", cte=_encoding(html))
    return message


def compose_text(
    template: str,
    values: dict[str, Any],
    to: tuple[str, str],
    subject: str,
    message_id: str,
    sender: str,
    now: datetime,
) -> EmailMessage:
    """Compose a plain-text email. Raises PermanentFailure like `compose`.

    to -- name and address; the name is available in templates as `name`
    """
    message = _message(*to, subject, message_id, sender, now)
    text = _render(template, values | {"name": to[0]})
    message.set_content(text, cte=_encoding(text))
    return message


def _message(
    name: str, address: str, subject: str, message_id: str, sender: str, now: datetime
) -> EmailMessage:
    to = _address(name, address)
    message = EmailMessage(policy=policy.SMTP if to.addr_spec.isascii() else policy.SMTPUTF8)
    message["From"] = parse_sender(sender)
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = now
    message["Message-ID"] = f"<{message_id.strip('<>')}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def _address(name: str, address: str) -> Address:
    try:
        return header_address(name, address)
    except ValueError as error:
        raise PermanentFailure(str(error)) from None


def _render(template: str, values: dict[str, Any]) -> str:
    names = {name: one_line(values[name] or "", MAX_NAME_CHARACTERS) for name in NAMES & values.keys()}
    return templates.get_template(template).render(values | names)


def _encoding(text: str) -> str:
    """Return 7bit if possible, to keep saved emails readable."""
    is_plain = text.isascii() and all(len(line) <= MAX_LINE_CHARACTERS for line in text.splitlines())
    return "7bit" if is_plain else "quoted-printable"


def client_commands(base_url: str, key: str) -> dict[str, str]:
    """Build the client's commands with this service's URLs.

    `done` needs the page's URL again, because `start` saves only the API's.
    """
    posix, powershell = shlex.quote(base_url), "'" + base_url.replace("'", "''") + "'"
    api, app = "PROMPTSTER_API_URL", "PROMPTSTER_APP_URL"
    return {
        "start_posix": f"{api}={posix} {app}={posix} promptster start {key}",
        "start_powershell": f"$env:{api}={powershell}\n$env:{app}={powershell}\npromptster start {key}",
        "done_posix": f"{app}={posix} promptster done",
        "done_powershell": f"$env:{app}={powershell}\npromptster done",
    }
