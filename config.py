"""All settings, read once from the environment. An invalid setting prevents the service from starting."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rules.client_versions import is_older
from rules.delivery.email_addresses import parse_sender
from rules.delivery.smtp_url import parse_smtp_url
from rules.delivery.webhook_addresses import Network
from rules.ledger.keys import Keys, parse_keys
from rules.session_quota import DEFAULT_QUOTA
from rules.setting_names import find_misspelled
from rules.setting_urls import (
    ENCODING_HINT,
    database_name,
    http_url,
    issuer_url,
    provider_url,
    redis_url,
    split_url,
)
from rules.setting_values import (
    boolean,
    bucket,
    client_version,
    dollars,
    domains,
    hosts,
    integer,
    networks,
    object_prefix,
    one_line,
    one_of,
    origins,
    port,
    positive,
    secret,
    validate,
)

# In each process's heartbeats.
VERSION = "1.0.0"

DEFAULT_DATABASE_URL = "sqlite:///var/proofstone.db"
# Set by platforms that delete local files.
EPHEMERAL_PLATFORMS = {
    "DYNO": "Heroku",
    "K_SERVICE": "Cloud Run",
    "GAE_SERVICE": "App Engine",
    "FLY_APP_NAME": "Fly.io",
    "RENDER": "Render",
    "RAILWAY_ENVIRONMENT": "Railway",
    "CONTAINER_APP_NAME": "Azure Container Apps",
    "ECS_CONTAINER_METADATA_URI_V4": "Amazon ECS",
    "VCAP_APPLICATION": "Cloud Foundry",
}
# Domains that resolve only in private networks, as names without a dot do.
PRIVATE_DOMAINS = (".local", ".localhost", ".internal")
# Settings, and the one without which they have no effect.
PREREQUISITES = {
    "S3_ENDPOINT_URL": "S3_BUCKET",
    "S3_REGION": "S3_BUCKET",
    "S3_ACCESS_KEY_ID": "S3_BUCKET",
    "S3_PREFIX": "S3_BUCKET",
    "OIDC_ALLOWED_DOMAINS": "OIDC_ISSUER",
}
# Settings that are only valid together.
GROUPS = {
    ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"): "both or neither",
    ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"): "all three or none",
}


class InvalidSetting(ValueError):
    """A setting is invalid. The message names the setting and the expected value."""


# Each parser returns the value, or raises ValueError with the expected value, which ends the error message.


def database_url(value: str) -> str:
    if "," in value.partition("://")[2].partition("/")[0].rpartition("@")[2]:
        raise ValueError("two hosts as postgres://user:secret@/name?host=a,b&target_session_attrs=read-write")
    parts = split_url(value)
    value = f"{parts.scheme}:{value.partition(':')[2]}"  # in lowercase
    if parts.scheme not in ("sqlite", "postgres", "postgresql"):
        raise ValueError("a URL such as postgres://user:password@host/name or sqlite:///proofstone.db")
    if parts.scheme == "sqlite" and not value.startswith("sqlite:///"):
        example = "sqlite:///var/proofstone.db or sqlite:////srv/proofstone.db"
        raise ValueError(f"three slashes before the file's path, such as {example}")
    if "://" not in value or parts.path in ("", "/", "/:memory:") or parts.fragment:
        example = "postgres://host/name or sqlite:///proofstone.db"
        raise ValueError(f"a URL with a database, such as {example}; {ENCODING_HINT}")
    # `make run` creates the default's folder.
    if parts.scheme == "sqlite" and value != DEFAULT_DATABASE_URL:
        file = Path(database_name(value))
        if not file.parent.is_dir():
            raise ValueError(f"a file in an existing folder, and {file.parent} does not exist")
        if file.is_dir():
            raise ValueError(f"a file, and {file} is a folder")
    return value


def is_local_url(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def is_private_url(url: str) -> bool:
    """Return whether the URL's host is this machine or in a private network."""
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_DOMAINS)


def rate(value: str) -> str:
    from limits import parse_many

    try:
        is_valid = len(parse_many(value)) == 1  # the service would enforce only one of several rates
    except ValueError:
        is_valid = False
    # The library reads 0 minutes as one minute.
    if not is_valid or re.search(r"(?<!\d)0+(?!\d)", value):
        raise ValueError("a single rate above 0, such as 600 per minute")
    return value


def metrics_token(value: str) -> str:
    if len(secret(value)) < 16:
        raise ValueError("at least 16 characters")
    return value


def _setting(default: Any, description: str, parse: Callable[[str], Any]) -> Any:
    return field(default=default, metadata={"description": description, "parse": parse})


@dataclass(frozen=True)
class Config:
    """The settings, named like their environment variables in lowercase."""

    database_url: str = _setting(
        DEFAULT_DATABASE_URL,
        "Database: postgres://user:password@host/name in production, sqlite:///path for a trial.",
        database_url,
    )
    database_pool: int = _setting(
        8, "Maximum number of PostgreSQL connections per process.", partial(positive, maximum=1000)
    )
    database_prepared_statements: bool = _setting(
        True,
        "Let PostgreSQL plan frequent statements once per connection; false behind PgBouncer in transaction mode.",
        boolean,
    )
    base_url: str = _setting(
        "http://localhost:8000",
        "Public URL of this service, used for links in emails and on pages.",
        http_url,
    )
    smtp_url: str | None = _setting(
        None,
        "Email server, smtp://user:password@host:587 or smtps://host:465. If unset, emails are saved as files.",
        partial(validate, parse_smtp_url),
    )
    mail_from: str = _setting(
        "Proofstone <no-reply@localhost>", "Sender of invitations.", partial(validate, parse_sender)
    )
    mail_folder: Path = _setting(Path("var/mail"), "Folder for emails (.eml files) without SMTP_URL.", Path)
    terms_url: str | None = _setting(None, "Your terms for candidates, linked in the disclosure.", http_url)
    webhook_allowed_networks: tuple[Network, ...] | None = _setting(
        None, "Private networks that webhooks can reach, such as 10.0.0.0/8; none by default.", networks
    )
    worker_senders: int = _setting(
        4,
        "Maximum concurrent emails, and maximum concurrent webhooks, per worker. One organization can use all but one.",
        partial(positive, maximum=100),
    )
    bundle_folder: Path = _setting(Path("var/bundles"), "Folder for bundles if S3_BUCKET is not set.", Path)
    s3_bucket: str | None = _setting(None, "Bucket for code bundles in an S3-compatible store.", bucket)
    s3_endpoint_url: str | None = _setting(None, "URL of the store if it is not Amazon S3.", http_url)
    s3_region: str | None = _setting(None, "Region of the bucket.", str)
    s3_access_key_id: str | None = _setting(
        None, "Access key for the store. If unset, the machine's credentials are used.", secret
    )
    s3_secret_access_key: str | None = _setting(None, "Secret key for S3_ACCESS_KEY_ID.", secret)
    s3_prefix: str | None = _setting(
        None, "Prefix of all object names in the bucket, such as prod/.", object_prefix
    )
    client_install: str | None = _setting(
        None,
        "Command that installs the candidate client, shown to candidates. If unset, the client is hidden.",
        one_line,
    )
    client_min_version: str | None = _setting(
        None,
        "Oldest version of the candidate client that can start a session, such as 1.9.0.",
        client_version,
    )
    client_latest_version: str | None = _setting(
        None, "Latest version of the candidate client; older clients suggest an update.", client_version
    )
    anthropic_base_url: str = _setting(
        "https://api.anthropic.com", "Base URL that Claude Code's calls are forwarded to.", provider_url
    )
    anthropic_api_key: str | None = _setting(
        None, "Anthropic API key for candidates' sessions. If unset, Claude Code is disabled.", secret
    )
    openai_base_url: str = _setting(
        "https://api.openai.com", "Base URL that Codex's calls are forwarded to.", provider_url
    )
    openai_api_key: str | None = _setting(
        None, "OpenAI API key for candidates' sessions. If unset, Codex is disabled.", secret
    )
    session_max_bytes: int = _setting(
        DEFAULT_QUOTA.max_bytes,
        "Maximum bytes of events and bundles stored per session. More are rejected.",
        partial(positive, maximum=10**15),
    )
    session_max_events: int = _setting(
        DEFAULT_QUOTA.max_events, "Maximum events stored per session. More are rejected.", positive
    )
    # gunicorn has up to 1000 connections per process, 1000 minus threads of them idle.
    web_threads: int = _setting(
        136, "Maximum concurrent requests per web process.", partial(positive, maximum=900)
    )
    proxy_streams: int = _setting(
        120,
        "Maximum model calls per web process, including waiting ones; must be less than WEB_THREADS.",
        positive,
    )
    proxy_streams_per_key: int = _setting(
        2,
        "Maximum PROXY_STREAMS per candidate. Candidates can exceed it while enough streams are free.",
        positive,
    )
    session_default_budget_usd: Decimal = _setting(
        Decimal(10), "Default model budget per session in USD; 0 for no limit.", dollars
    )
    ratelimit_enabled: bool = _setting(True, "Enforce rate limits: true or false.", boolean)
    ratelimit_storage_url: str | None = _setting(
        None,
        "Valkey or Redis for shared rate limits, redis://host:6379. If unset, each process counts separately.",
        redis_url,
    )
    ratelimit_default: str = _setting(
        "600 per minute", "Maximum requests per credential, or per network without a credential.", rate
    )
    ratelimit_ingest: str = _setting(
        "6000 per minute",
        "Maximum requests with events, hooks or telemetry per candidate. Clients do not resend rejected ones.",
        rate,
    )
    ratelimit_invalid_credentials: str = _setting(
        "100 per 10 minutes",
        "Maximum distinct invalid credentials per network. Above it, only credentials accepted there before work.",
        rate,
    )
    ratelimit_webhook_tests: str = _setting(
        "10 per minute", "Maximum test messages and redeliveries per webhook.", rate
    )
    ratelimit_sign_in_emails: str = _setting(
        "5 per 15 minutes",
        "Maximum sign-in emails per email address. Per network, 20 times as many emails and OpenID sign-ins.",
        rate,
    )
    oidc_issuer: str | None = _setting(
        None, "OpenID provider's issuer URL. If unset, single sign-on is disabled.", issuer_url
    )
    oidc_client_id: str | None = _setting(None, "Client ID at the OpenID provider.", secret)
    oidc_client_secret: str | None = _setting(None, "Client secret for OIDC_CLIENT_ID.", secret)
    oidc_allowed_domains: tuple[str, ...] | None = _setting(
        None,
        "Email domains that can sign in with OpenID, separated by commas. If unset, all are allowed.",
        domains,
    )
    cors_origins: tuple[str, ...] | None = _setting(
        None,
        "Origins of web pages that can call the API, such as https://app.example.com, separated by commas.",
        origins,
    )
    trusted_proxies: int = _setting(
        0,
        "Number of trusted proxies that add to X-Forwarded-For; 0 ignores the header.",
        partial(integer, maximum=10),
    )
    log_level: str = _setting(
        "INFO",
        "Minimum level of log lines: DEBUG, INFO, WARNING or ERROR.",
        one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    )
    log_format: str = _setting(
        "text", "Format of log lines: json for programs, text for people.", one_of("json", "text")
    )
    ledger_keys: Keys | None = _setting(
        None,
        "Keys that sign the ledger, id:secret,...; the first signs, all verify. Create one: openssl rand -hex 32.",
        parse_keys,
    )
    integration_keys: Keys | None = _setting(
        None,
        "Keys that encrypt integrations' credentials, id:secret,...; the first encrypts, all decrypt. Create one: "
        "openssl rand -hex 32.",
        parse_keys,
    )
    integration_hosts: dict[str, str] | None = _setting(
        None,
        "Origins that replace the hosts of applicant-tracking and chat systems, such as "
        "harvest.greenhouse.io=https://harvest.eu.example.com, separated by commas.",
        hosts,
    )
    metrics_token: str | None = _setting(
        None,
        "Bearer token for GET /metrics, at least 16 characters. If unset, /metrics is disabled.",
        metrics_token,
    )


# gunicorn reads them itself, and reports an invalid one with a traceback or not at all.
GUNICORN_SETTINGS: dict[str, Callable[[str], Any]] = {"PORT": port, "WEB_CONCURRENCY": positive}


def warnings(settings: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield warnings about an environment that is valid, but probably wrong."""
    yield from misspellings(environment)
    for name, other in PREREQUISITES.items():
        if settings[name] and not settings[other]:
            yield f"{name} has no effect without {other}."
    if settings["PROXY_STREAMS_PER_KEY"] > (streams := settings["PROXY_STREAMS"]):
        yield f"PROXY_STREAMS_PER_KEY is above PROXY_STREAMS ({streams}): one candidate can use all."
    platforms = (name for variable, name in EPHEMERAL_PLATFORMS.items() if environment.get(variable))
    if platform := next(platforms, None):
        deletes = f"{platform} deletes files outside a volume on each restart"
        if settings["DATABASE_URL"].startswith("sqlite"):
            yield f"{deletes}: set DATABASE_URL to PostgreSQL, or put the database on a volume."
        if not settings["S3_BUCKET"]:
            yield f"{deletes}: set S3_BUCKET, or put BUNDLE_FOLDER on a volume."
    base_url = settings["BASE_URL"]
    if urlsplit(base_url).scheme == "http" and not is_private_url(base_url):
        yield "BASE_URL is not HTTPS: keys are sent unencrypted. Put a TLS proxy in front."


def misspellings(environment: Mapping[str, str]) -> Iterator[str]:
    # Not PORT: Kubernetes sets PROOFSTONE_PORT for a service of that name.
    names = [*(setting.name.upper() for setting in fields(Config)), "WEB_CONCURRENCY"]
    for variable, setting in find_misspelled(environment, names):
        yield f"{variable} is not a setting: did you mean {setting}?"


def other_threads(settings: Mapping[str, Any]) -> int:
    """Return the number of a web process's threads that model calls never occupy."""
    return settings["WEB_THREADS"] - settings["PROXY_STREAMS"]


def load(environment: Mapping[str, str] = os.environ) -> Config:
    """Read the settings; an empty value counts as unset. Raises InvalidSetting."""
    values = {}
    for name, parser in GUNICORN_SETTINGS.items():
        if value := environment.get(name, "").strip():
            parse(name, value, parser)
    for setting in fields(Config):
        name = setting.name.upper()
        if value := environment.get(name, "").strip():
            values[setting.name] = parse(name, value, setting.metadata["parse"])
    settings = Config(**values)
    if settings.ledger_keys is None:
        if (keys := _read_keys(settings, "ledger")) is None:
            raise InvalidSetting(f"LEDGER_KEYS is not set. {_ledger_keys_remedy(environment)}")
        settings = replace(settings, ledger_keys=keys)
    if settings.integration_keys is None:
        settings = replace(settings, integration_keys=_read_keys(settings, "integration"))
    if settings.proxy_streams >= settings.web_threads:
        message = f"PROXY_STREAMS is invalid: expected a number below WEB_THREADS ({settings.web_threads})."
        if "proxy_streams" not in values:
            message = (
                f"WEB_THREADS is invalid: expected a number above PROXY_STREAMS ({settings.proxy_streams})."
            )
        raise InvalidSetting(message)
    if is_older(settings.client_latest_version or "", settings.client_min_version):
        message = f"expected at most CLIENT_LATEST_VERSION ({settings.client_latest_version})"
        raise InvalidSetting(f"CLIENT_MIN_VERSION is invalid: {message}.")
    for names, rule in GROUPS.items():
        missing = [name for name in names if getattr(settings, name.lower()) is None]
        present = [name for name in names if name not in missing]
        if missing and present:
            raise InvalidSetting(f"{missing[0]} is not set, but {present[0]} is. Set {rule}.")
    return settings


def keys_file(settings: Config, purpose: str) -> Path:
    """Return the path of the file that `make run` creates beside the data if the keys' setting is not set.

    purpose -- `ledger` or `integration`
    """
    if settings.database_url.startswith("sqlite"):
        return Path(f"{database_name(settings.database_url)}.{purpose}-keys")
    return settings.bundle_folder.parent / f"{purpose}-keys"


def _read_keys(settings: Config, purpose: str) -> Keys | None:
    file = keys_file(settings, purpose)
    try:
        return parse(str(file), file.read_text().strip(), parse_keys)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{file} is not readable: {error}.") from None


def _ledger_keys_remedy(environment: Mapping[str, str]) -> str:
    for message in misspellings(environment):
        if message.endswith(" LEDGER_KEYS?"):
            return message
    from dotenv import dotenv_values

    if "LEDGER_KEYS" not in environment and dotenv_values(".env").get("LEDGER_KEYS"):
        return "gunicorn does not read .env: use `dotenv run --no-override gunicorn ...`."
    return "Create a key and keep a copy: LEDGER_KEYS=$(openssl rand -hex 32)"


def load_or_exit() -> Config:
    """Read the settings, or exit with a message if one is invalid."""
    try:
        return load()
    except InvalidSetting as error:
        sys.exit(str(error))


def parse(name: str, value: str, parser: Callable[[str], Any]) -> Any:
    """Parse a setting's value. Raises InvalidSetting."""
    try:
        return parser(value)
    except ValueError as error:
        raise InvalidSetting(f"{name} is invalid: expected {error}.") from None
