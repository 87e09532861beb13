"""The invitation: a mail made from plain values; its templates lie beside it.

Nothing in a mail may depend on what a candidate or an organization is called. Python's `email` package
decodes RFC 2047 words (`=?utf-8?q?...?=`) that it finds in a header value, line breaks included, and writes
them out as new header lines; so what goes into a header is made harmless here and not left to the package.
"""

import shlex
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from delivery import PermanentFailure
from rules.mail_addresses import header_address, header_text, parse_sender
from rules.wording import minutes_in_words, moment_in_words, one_line, shortened

BRIEF_LIMIT = 2000
NAME_LIMIT = 255
LONGEST_LINE = 998  # RFC 5322, 2.1.1

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
    """What one candidate is told. `message_id` is the same at every try: a repeat can be recognised by it.

    `expires_at` is aware, `base_url` has no slash at its end, `time_limit_minutes` is None for no limit.
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
    is_reminder: bool = False


def compose(invitation: Invitation, sender: str, now: datetime) -> EmailMessage:
    """The invitation as text and HTML, from `sender` (`Proofstone <no-reply@example.com>`), dated `now`.

    Raises PermanentFailure for an address that no header can hold; a strange name is made harmless instead.
    """
    to = _address(invitation.candidate_name or "", invitation.to_address)
    message = EmailMessage(policy=policy.SMTP if to.addr_spec.isascii() else policy.SMTPUTF8)
    message["From"] = parse_sender(sender)
    message["To"] = to
    if invitation.reply_to:
        message["Reply-To"] = _address(invitation.org_name, invitation.reply_to)
    message["Subject"] = _subject(invitation)
    message["Date"] = now
    message["Message-ID"] = f"<{invitation.message_id.strip('<>')}>"
    message["Auto-Submitted"] = "auto-generated"
    _fill(message, _told(invitation))
    return message


def _subject(invitation: Invitation) -> str:
    org_name, title = header_text(invitation.org_name), header_text(invitation.assessment_title)
    if invitation.is_reminder:
        return f"Reminder: {org_name} has invited you to an assessment: {title}"
    return f"{org_name} invites you to an assessment: {title}"


def _fill(message: EmailMessage, told: dict[str, object]) -> None:
    text = templates.get_template("invitation.txt").render(told)
    html = templates.get_template("invitation.html").render(told)
    message.set_content(text, cte=_encoding(text))
    message.add_alternative(html, subtype="html", cte=_encoding(html))


def _told(invitation: Invitation) -> dict[str, object]:
    """What the templates show, by the names that they use."""
    brief, brief_goes_on = shortened(invitation.task_brief, BRIEF_LIMIT)
    limit = invitation.time_limit_minutes
    return {
        "name": one_line(invitation.candidate_name or "", NAME_LIMIT),
        "org_name": one_line(invitation.org_name, NAME_LIMIT),
        "title": one_line(invitation.assessment_title, NAME_LIMIT),
        "role": one_line(invitation.role, NAME_LIMIT),
        "brief": brief,
        "brief_goes_on": brief_goes_on,
        "time_limit": minutes_in_words(limit) if limit else None,
        "expiry": moment_in_words(invitation.expires_at),
        "key": invitation.key,
        "link": f"{invitation.base_url}/start#{invitation.key}",
        "is_reminder": invitation.is_reminder,
        "can_reply": bool(invitation.reply_to),
        **commands(invitation.base_url, invitation.key),
    }


def commands(base_url: str, key: str) -> dict[str, str]:
    """What to type, since the client's own defaults lead to another service.

    From `start` on it remembers where its API is, but not where its closing page is.
    """
    posix, powershell = shlex.quote(base_url), "'" + base_url.replace("'", "''") + "'"
    api, app = "PROMPTSTER_API_URL", "PROMPTSTER_APP_URL"
    return {
        "start_posix": f"{api}={posix} {app}={posix} promptster start {key}",
        "start_powershell": f"$env:{api}={powershell}\n$env:{app}={powershell}\npromptster start {key}",
        "done_posix": f"{app}={posix} promptster done",
        "done_powershell": f"$env:{app}={powershell}\npromptster done",
    }


def _address(name: str, address: str) -> Address:
    try:
        return header_address(name, address)
    except ValueError as error:
        raise PermanentFailure(str(error)) from None


def _encoding(text: str) -> str:
    """Plain where it can be, so that a saved mail can be read, and copied from, in any editor."""
    fits = text.isascii() and all(len(line) <= LONGEST_LINE for line in text.splitlines())
    return "7bit" if fits else "quoted-printable"
