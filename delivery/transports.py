"""Ways for a message to go out: over SMTP, or, with no SMTP_URL set, as a file in a folder.

Over SMTP a refusal of the message (5xx to MAIL, RCPT or DATA) is permanent. All else is temporary: busy
servers, and also what our own settings or certificates cause, since mending them lets the mail go out.
"""

import os
import re
import smtplib
import ssl
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, Protocol

from delivery import DeliveryFailure, PermanentFailure, TemporaryFailure
from rules.smtp_url import SmtpServer, parse_smtp_url

TIMEOUT_SECONDS = 20.0
FILE_NAME_LIMIT = 200
# A login is missing, too weak or wrong, or encryption is: said of us, not of the message.
CONFIGURATION_CODES = {530, 534, 535, 538}
# Every way in which a connection can go wrong; ssl.SSLError and the time-outs are OSErrors.
TROUBLE = (smtplib.SMTPException, OSError)


class Transport(Protocol):
    """Delivers one message and says what became of it; raises TemporaryFailure or PermanentFailure."""

    def deliver(self, message: EmailMessage) -> Literal["sent", "saved"]: ...

    def forget(self, message_id: str) -> None:
        """Remove what was saved of a message; nothing happens if nothing was."""


def transport_from(smtp_url: str | None, folder: str | os.PathLike[str]) -> Transport:
    """SMTP if a URL is set (ValueError for a wrong one), else files in `folder`."""
    if smtp_url:
        return SmtpTransport(parse_smtp_url(smtp_url))
    return FolderTransport(Path(folder))


@dataclass(frozen=True)
class SmtpTransport:
    """One connection for each message; `timeout_seconds` is for each step, not for the whole."""

    server: SmtpServer
    timeout_seconds: float = TIMEOUT_SECONDS

    def deliver(self, message: EmailMessage) -> Literal["sent", "saved"]:
        connection = self._connected()
        try:
            self._prepare(connection)
            self._send(connection, message)
        finally:
            _leave(connection)
        return "sent"

    def forget(self, message_id: str) -> None:
        """A mail that was sent is with its recipient."""

    def try_out(self, timeout_seconds: float) -> None:
        """Greet the server and log in, without a message; raises TemporaryFailure where that does not work."""
        impatient = replace(self, timeout_seconds=timeout_seconds)
        connection = impatient._connected()
        try:
            impatient._prepare(connection)
        finally:
            _leave(connection)

    def _connected(self) -> smtplib.SMTP:
        host, port = self.server.host, self.server.port
        try:
            if self.server.encryption == "implicit":
                context = self.server.tls_context()
                return smtplib.SMTP_SSL(host, port, timeout=self.timeout_seconds, context=context)
            return smtplib.SMTP(host, port, timeout=self.timeout_seconds)
        except TROUBLE as error:
            raise self._trouble(error) from error

    def _prepare(self, connection: smtplib.SMTP) -> None:
        try:
            connection.ehlo_or_helo_if_needed()
            self._encrypt(connection)
            self._log_in(connection)
        except TROUBLE as error:
            raise self._trouble(error) from error

    def _encrypt(self, connection: smtplib.SMTP) -> None:
        if self.server.encryption in ("implicit", "none"):
            return
        if connection.has_extn("starttls"):
            connection.starttls(context=self.server.tls_context())
        elif self.server.encryption == "required":
            raise TemporaryFailure("The mail server does not offer the encryption that the settings ask for.")

    def _log_in(self, connection: smtplib.SMTP) -> None:
        if self.server.user and self.server.password:
            connection.login(self.server.user, self.server.password)

    def _send(self, connection: smtplib.SMTP, message: EmailMessage) -> None:
        try:
            connection.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refusal(*next(iter(error.recipients.values()))) from error
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise self._refusal(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            words = "The mail server does not take addresses with characters beyond ASCII."
            raise PermanentFailure(words) from error
        except TROUBLE as error:
            raise self._trouble(error) from error

    def _refusal(self, code: int, said: bytes | str) -> DeliveryFailure:
        permanent = 500 <= code <= 599 and code not in CONFIGURATION_CODES
        kind = PermanentFailure if permanent else TemporaryFailure
        return kind(self._without_password(_answer(code, said)))

    def _trouble(self, error: Exception) -> TemporaryFailure:
        if isinstance(error, smtplib.SMTPResponseException):
            words = _answer(error.smtp_code, error.smtp_error)
        elif isinstance(error, ssl.SSLCertVerificationError):
            words = f"The mail server's certificate cannot be verified: {error.verify_message}"
        else:
            words = f"The mail server cannot be used: {getattr(error, 'strerror', None) or error}"
        return TemporaryFailure(self._without_password(words))

    def _without_password(self, words: str) -> str:
        """A server may repeat what it was told; the words end up where others read them."""
        return words.replace(self.server.password, "***") if self.server.password else words


@dataclass(frozen=True)
class FolderTransport:
    """One `.eml` file for each message, whole or not there; a repeat replaces its own file."""

    folder: Path

    def deliver(self, message: EmailMessage) -> Literal["sent", "saved"]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_whole(self.folder / _file_name(message["Message-ID"]), message.as_bytes())
        except OSError as error:
            raise TemporaryFailure(f"The mail cannot be saved: {error.strerror or error}") from error
        return "saved"

    def forget(self, message_id: str) -> None:
        try:
            (self.folder / _file_name(message_id)).unlink(missing_ok=True)
        except OSError as error:
            raise TemporaryFailure(f"The mail cannot be removed: {error.strerror or error}") from error


def _answer(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"The mail server answered {code}: {text}"


def _leave(connection: smtplib.SMTP) -> None:
    """As politely as can be: whether the message went out is decided by now, whatever happens to a QUIT."""
    with suppress(*TROUBLE):
        connection.quit()
    connection.close()


def _file_name(message_id: str) -> str:
    name = re.sub(r"[^A-Za-z0-9@._-]", "_", message_id.strip("<>"))
    return name.lstrip(".")[:FILE_NAME_LIMIT] + ".eml"


def _write_whole(path: Path, content: bytes) -> None:
    """Readable by this user only, since the content holds a key."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
