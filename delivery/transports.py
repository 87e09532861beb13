"""Deliver email over SMTP, or save it as files if SMTP_URL is not set.

A 5xx response to MAIL, RCPT or DATA is permanent. All other failures are temporary: a server
can be busy, and an invalid setting or certificate can be corrected.
"""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from delivery import DeliveryFailure, PermanentFailure, TemporaryFailure
from rules.delivery.smtp_url import SmtpServer, parse_smtp_url
from storage.atomic_file import atomic_file

TIMEOUT_SECONDS = 20.0
MAX_FILE_NAME_CHARACTERS = 200
# Login or encryption required, or login failed: the settings are at fault, not the message.
CONFIGURATION_CODES = {530, 534, 535, 538}
# Includes ssl.SSLError and timeouts, which are OSErrors.
CONNECTION_ERRORS = (smtplib.SMTPException, OSError)


@dataclass(frozen=True)
class SmtpTransport:
    """Opens a connection for each message. `timeout_seconds` applies to each network operation."""

    server: SmtpServer
    timeout_seconds: float = TIMEOUT_SECONDS

    def deliver(self, message: EmailMessage) -> Literal["sent", "saved"]:
        with self._session() as connection:
            try:
                connection.send_message(message)
            except smtplib.SMTPRecipientsRefused as error:
                raise self._error(*next(iter(error.recipients.values()))) from error
            except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
                raise self._error(error.smtp_code, error.smtp_error) from error
            except smtplib.SMTPNotSupportedError as error:
                raise PermanentFailure("The email server does not support non-ASCII addresses.") from error
        return "sent"

    def check(self, timeout_seconds: float) -> None:
        """Connect and log in without sending a message. Raises TemporaryFailure."""
        with replace(self, timeout_seconds=timeout_seconds)._session():
            pass

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """Connect, encrypt and log in as configured. Raises TemporaryFailure for connection errors."""
        try:
            server, timeout = self.server, self.timeout_seconds
            connection: smtplib.SMTP
            if server.encryption == "implicit":
                context = server.tls_context()
                connection = smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=context)
            else:
                connection = smtplib.SMTP(server.host, server.port, timeout=timeout)
            try:
                self._start_tls(connection)
                if server.user and server.password:
                    connection.login(server.user, server.password)
                yield connection
            finally:
                # A failed QUIT does not change the outcome.
                with suppress(*CONNECTION_ERRORS):
                    connection.quit()
                connection.close()
        except CONNECTION_ERRORS as error:
            raise self._temporary(error) from error

    def _start_tls(self, connection: smtplib.SMTP) -> None:
        connection.ehlo_or_helo_if_needed()
        if self.server.encryption in ("implicit", "none"):
            return
        if connection.has_extn("starttls"):
            connection.starttls(context=self.server.tls_context())
        elif self.server.encryption == "required":
            raise TemporaryFailure("The email server does not offer the encryption that SMTP_URL requires.")

    def _error(self, code: int, reply: bytes | str) -> DeliveryFailure:
        is_permanent = 500 <= code <= 599 and code not in CONFIGURATION_CODES
        kind = PermanentFailure if is_permanent else TemporaryFailure
        return kind(self._mask_password(_response(code, reply)))

    def _temporary(self, error: Exception) -> TemporaryFailure:
        if isinstance(error, smtplib.SMTPResponseException):
            reason = _response(error.smtp_code, error.smtp_error)
        elif isinstance(error, ssl.SSLCertVerificationError):
            reason = f"Cannot verify the email server's certificate: {error.verify_message}"
        else:
            reason = f"Cannot use the email server: {getattr(error, 'strerror', None) or error}"
        return TemporaryFailure(self._mask_password(reason))

    def _mask_password(self, text: str) -> str:
        """Mask the password, because a server can echo it."""
        return text.replace(self.server.password, "***") if self.server.password else text


@dataclass(frozen=True)
class FolderTransport:
    """Saves each message as an `.eml` file. A retry replaces the file."""

    folder: Path

    def deliver(self, message: EmailMessage) -> Literal["sent", "saved"]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with atomic_file(self._path(message["Message-ID"])) as file:
                file.write(message.as_bytes())
        except OSError as error:
            raise TemporaryFailure(f"Cannot save the email: {error.strerror or error}") from error
        return "saved"

    def remove(self, message_id: str) -> None:
        """Delete the saved message, if any."""
        try:
            self._path(message_id).unlink(missing_ok=True)
        except OSError as error:
            raise TemporaryFailure(f"Cannot delete the saved email: {error.strerror or error}") from error

    def _path(self, message_id: str) -> Path:
        name = re.sub(r"[^A-Za-z0-9@._-]", "_", message_id.strip("<>"))
        return self.folder / (name.lstrip(".")[:MAX_FILE_NAME_CHARACTERS] + ".eml")


Transport = SmtpTransport | FolderTransport


def create_transport(smtp_url: str | None, folder: Path | str) -> Transport:
    """Create an SMTP transport if a URL is set, otherwise a folder transport. Raises ValueError for an invalid URL."""
    return SmtpTransport(parse_smtp_url(smtp_url)) if smtp_url else FolderTransport(Path(folder))


def _response(code: int, reply: bytes | str) -> str:
    message = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return f"The email server responded with {code}: {message}"
