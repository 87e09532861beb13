"""Every setting, read once from the environment; a wrong value stops the start with a sentence that names it."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rules import client_versions, webhook_addresses
from rules.mail_addresses import parse_sender
from rules.smtp_url import parse_smtp_url


class WrongSetting(ValueError):
    """A setting has a value that cannot be used; the message names the setting and says what is wanted."""


def web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an address such as https://proofstone.example.com")
    return value.rstrip("/")


def database_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("sqlite", "postgres", "postgresql"):
        raise ValueError("an address such as postgres://user:password@host/name or sqlite:///proofstone.db")
    if parts.path in ("", "/", "/:memory:"):
        raise ValueError(
            "an address that names a database, such as sqlite:///proofstone.db or postgres://host/name"
        )
    if "," in parts.netloc.rpartition("@")[2]:
        raise ValueError(
            "postgres://user:password@/name?host=a,b&target_session_attrs=read-write for two hosts"
        )
    return value


def smtp_url(value: str) -> str:
    parse_smtp_url(value)
    return value


def sender(value: str) -> str:
    parse_sender(value)
    return value


def provider_address(value: str) -> str:
    # The providers' own clients differ in whether the version is part of the address.
    return web_address(value).removesuffix("/v1")


def secret(value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a word of ASCII characters without spaces")
    return value


def client_version(value: str) -> str:
    if client_versions.parse_version(value) is None:
        raise ValueError("a version such as 1.10.0")
    return value


def networks(value: str) -> tuple[webhook_addresses.Network, ...]:
    try:
        return webhook_addresses.parse_networks(value)
    except ValueError:
        raise ValueError("networks such as 10.0.0.0/8,fd00::/8") from None


def positive(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise ValueError("a whole number above zero")
    return int(value)


def count(value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise ValueError("a whole number, 0 for none")
    return int(value)


def switch(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return value.lower() == "true"


def rate(value: str) -> str:
    from limits import parse

    try:
        parse(value)
    except ValueError:
        raise ValueError("a rate such as 600 per minute") from None
    return value


def rate_store(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("redis", "rediss", "valkey", "valkeys") or not urlsplit(value).hostname:
        raise ValueError("an address such as redis://host:6379 or valkey://host:6379")
    # Valkey speaks the protocol of Redis, and one client is enough.
    return f"{scheme.replace('valkey', 'redis')}://{rest}"


def log_level(value: str) -> str:
    if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("DEBUG, INFO, WARNING or ERROR")
    return value.upper()


def log_format(value: str) -> str:
    if value.lower() not in ("json", "text"):
        raise ValueError("json or text")
    return value.lower()


def metrics_token(value: str) -> str:
    if len(secret(value)) < 16:
        raise ValueError("at least 16 characters that nobody guesses")
    return value


def _setting(default: Any, sentence: str, parse: Callable[[str], Any]) -> Any:
    return field(default=default, metadata={"sentence": sentence, "parse": parse})


@dataclass(frozen=True)
class Config:
    """The settings by their environment names, in lower case."""

    database_url: str = _setting(
        "sqlite:///var/proofstone.db",
        "Database: postgres://user:password@host/name in production, sqlite:///path for a trial.",
        database_url,
    )
    database_pool: int = _setting(20, "Maximum number of PostgreSQL connections per web process.", positive)
    base_url: str = _setting(
        "http://localhost:8000",
        "Public address of this service; links in mails and on pages start with it.",
        web_address,
    )
    smtp_url: str | None = _setting(
        None,
        "Mail server, smtp://user:password@host:587 or smtps://host:465; without it mails are saved as files.",
        smtp_url,
    )
    mail_from: str = _setting("Proofstone <no-reply@localhost>", "Sender of invitations.", sender)
    mail_folder: Path = _setting(
        Path("var/mail"), "Folder for mails as .eml files if SMTP_URL is not set.", Path
    )
    terms_url: str | None = _setting(
        None, "Address of the terms that candidates agree to; linked in the disclosure.", web_address
    )
    webhook_allowed_networks: tuple[webhook_addresses.Network, ...] | None = _setting(
        None,
        "Private networks that webhooks may reach, such as 10.0.0.0/8; without it only public addresses.",
        networks,
    )
    bundle_folder: Path = _setting(
        Path("var/bundles"), "Folder for candidates' code bundles if S3_BUCKET is not set.", Path
    )
    s3_bucket: str | None = _setting(None, "Bucket for code bundles in an S3-compatible store.", str)
    s3_endpoint_url: str | None = _setting(None, "Address of the store if it is not Amazon S3.", web_address)
    s3_region: str | None = _setting(None, "Region of the bucket.", str)
    s3_access_key_id: str | None = _setting(
        None, "Access key for the store; without it the machine's own credentials are used.", secret
    )
    s3_secret_access_key: str | None = _setting(None, "Secret key that belongs to S3_ACCESS_KEY_ID.", secret)
    s3_prefix: str | None = _setting(None, "Prefix of all object names in the bucket.", str)
    client_min_version: str | None = _setting(
        None, "Oldest version of the candidate client that may start, such as 1.9.0.", client_version
    )
    client_latest_version: str | None = _setting(
        None, "Latest version of the candidate client; older ones suggest an update.", client_version
    )
    anthropic_base_url: str = _setting(
        "https://api.anthropic.com", "Address that calls of Claude Code are forwarded to.", provider_address
    )
    anthropic_api_key: str | None = _setting(
        None, "Anthropic API key for candidates' sessions; without it Claude Code has no model.", secret
    )
    openai_base_url: str = _setting(
        "https://api.openai.com", "Address that calls of Codex are forwarded to.", provider_address
    )
    openai_api_key: str | None = _setting(
        None, "OpenAI API key for candidates' sessions; without it Codex has no model.", secret
    )
    web_threads: int = _setting(
        8, "Number of requests that one web process serves at the same time.", positive
    )
    proxy_streams: int = _setting(
        4,
        "Maximum number of model calls that one web process forwards at the same time; less than WEB_THREADS.",
        positive,
    )
    ratelimit_enabled: bool = _setting(True, "Whether rate limits are enforced: true or false.", switch)
    ratelimit_storage_url: str | None = _setting(
        None,
        "Valkey or Redis for shared rate limits, redis://host:6379; without it each web process counts separately.",
        rate_store,
    )
    ratelimit_default: str = _setting(
        "600 per minute", "Requests of one credential, or of one address without a credential.", rate
    )
    ratelimit_ingest: str = _setting(
        "6000 per minute",
        "Events or batches of one candidate; the client does not resend what is refused.",
        rate,
    )
    ratelimit_refused: str = _setting(
        "100 per 10 minutes",
        "Different wrong credentials or keys from one address before new ones are refused unchecked.",
        rate,
    )
    trusted_proxies: int = _setting(
        0, "Number of proxies in front that add to X-Forwarded-For; 0 ignores the header.", count
    )
    log_level: str = _setting("INFO", "Minimum level of log lines: DEBUG, INFO, WARNING or ERROR.", log_level)
    log_format: str = _setting("text", "Format of log lines: json for programs, text for people.", log_format)
    metrics_token: str | None = _setting(
        None,
        "Bearer token for GET /metrics, at least 16 characters; without it there is no /metrics.",
        metrics_token,
    )


def load(environment: Mapping[str, str] = os.environ) -> Config:
    """Read the settings; an empty value counts as not set.

    Raises WrongSetting with one sentence for the first value that cannot be used.
    """
    values = {}
    for setting in fields(Config):
        name = setting.name.upper()
        text = environment.get(name, "").strip()
        if text:
            values[setting.name] = _parse(name, text, setting.metadata["parse"])
    settings = Config(**values)
    if settings.proxy_streams >= settings.web_threads:
        raise WrongSetting(
            "The setting PROXY_STREAMS is wrong: wanted is a number below WEB_THREADS, so that events get through."
        )
    if (settings.s3_access_key_id is None) != (settings.s3_secret_access_key is None):
        raise WrongSetting(
            "The setting S3_ACCESS_KEY_ID is wrong: wanted is it and S3_SECRET_ACCESS_KEY, both or neither."
        )
    return settings


def load_or_exit() -> Config:
    """The settings of the environment; the process ends with a sentence for one that cannot be used."""
    try:
        return load()
    except WrongSetting as error:
        sys.exit(str(error))


def _parse(name: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise WrongSetting(f"The setting {name} is wrong: wanted is {error}.") from None
