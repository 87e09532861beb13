"""Settings: defaults, valid values and messages for invalid ones."""

from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

import config
from models.database import bind, db

SETTINGS = fields(config.Config)
KEY = f"a:{'s' * 32}"


def load(**settings):
    return config.load({"LEDGER_KEYS": KEY} | settings)


def test_every_setting_has_a_default_and_a_description():
    settings = load()
    assert settings.database_url == "sqlite:///var/proofstone.db"
    assert settings.base_url == "http://localhost:8000"
    assert (settings.smtp_url, settings.terms_url) == (None, None)
    assert settings.mail_folder == Path("var/mail")
    for setting in SETTINGS:
        description = setting.metadata["description"]
        assert (description[0].isupper(), description[-1]) == (True, "."), setting.name


def test_an_empty_value_counts_as_unset():
    names = {setting.name.upper() for setting in SETTINGS} - {"LEDGER_KEYS"}
    assert load(**dict.fromkeys(names, "  ")) == load()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DATABASE_URL", "postgres://user:p%40ss@host/name?sslmode=require",
         "postgres://user:p%40ss@host/name?sslmode=require"),
        ("DATABASE_URL", "postgresql://host/name", "postgresql://host/name"),
        ("DATABASE_URL", "sqlite:////a,b.db", "sqlite:////a,b.db"), ("DATABASE_URL", "SQLite:///B.db", "sqlite:///B.db"),
        ("DATABASE_POOL", "7", 7), ("WEB_THREADS", "640", 640),
        ("BASE_URL", "https://proofstone.example.com/", "https://proofstone.example.com"),
        ("BASE_URL", "https://example.com/proofstone//", "https://example.com/proofstone"),
        ("S3_PREFIX", "prod", "prod/"), ("S3_PREFIX", "prod/", "prod/"), ("S3_BUCKET", "My_Bucket.1", "My_Bucket.1"),
        ("SMTP_URL", "smtps://user:secret@mail.example.com:465", "smtps://user:secret@mail.example.com:465"),
        ("MAIL_FROM", "Acme Hiring <jobs@example.com>", "Acme Hiring <jobs@example.com>"),
        ("MAIL_FOLDER", "/tmp/mail", Path("/tmp/mail")), ("TERMS_URL", "https://a.b/terms", "https://a.b/terms"),
        ("CLIENT_INSTALL", "npm i -g 'x' && y", "npm i -g 'x' && y"),
        ("OPENAI_BASE_URL", "https://gateway.example/v1", "https://gateway.example"),
        ("SESSION_DEFAULT_BUDGET_USD", "0", 0), ("SESSION_DEFAULT_BUDGET_USD", "2.50", Decimal("2.5")),
        ("RATELIMIT_ENABLED", "False", False), ("RATELIMIT_DEFAULT", "1000/hour", "1000/hour"),
        ("RATELIMIT_STORAGE_URL", "rediss://:secret@store:6380/1", "rediss://:secret@store:6380/1"),
        ("RATELIMIT_STORAGE_URL", "valkey://store", "redis://store"),
        ("TRUSTED_PROXIES", "0", 0), ("TRUSTED_PROXIES", "2", 2), ("LOG_LEVEL", "warning", "WARNING"),
        ("LOG_LEVEL", " Debug ", "DEBUG"), ("LOG_FORMAT", "JSON", "json"), ("METRICS_TOKEN", "x" * 16, "x" * 16),
    ],
)  # fmt: skip
def test_a_valid_value_is_parsed(name, text, value):
    assert getattr(load(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("DATABASE_URL", ["mysql://host/name", "proofstone.db", "sqlite:///", "sqlite:///:memory:", "postgres://host",
                          "postgres://a,b/name", "postgres://h:abc/n", "postgres:name", "postgres:/name"]),
        ("DATABASE_POOL", ["0", "-1", "many", "1.5", "\u0665", "1001"]), ("WORKER_SENDERS", ["101"]),
        ("BASE_URL", ["proofstone.example.com", "ftp://example.com", "https://", "https://example.com/?x=1",
                      "https://example.com/#x", "http://[::1", "https://user:secret@example.com",
                      "https://exa mple.com", "https://a.example,https://b.example", "https://example.com:99999"]),
        ("SMTP_URL", ["mail.example.com", "http://mail.example.com"]), ("MAIL_FROM", ["nobody"]),
        ("TERMS_URL", ["javascript:alert(1)"]), ("LOG_LEVEL", ["LOUD"]), ("LOG_FORMAT", ["xml"]),
        ("WEB_THREADS", ["x", "0", "901"]), ("PROXY_STREAMS", ["0", "136"]), ("CLIENT_MIN_VERSION", ["new"]),
        ("CLIENT_INSTALL", ["npm\ninstall", "a\x1bb"]),
        ("PROXY_STREAMS_PER_KEY", ["0"]), ("SESSION_DEFAULT_BUDGET_USD", ["-1", "ten", "nan", "inf", "1000001"]),
        ("RATELIMIT_ENABLED", ["1"]), ("RATELIMIT_DEFAULT", ["many", "10 per second; 1000 per hour", "0 per minute",
                               "600 per 0 minutes"]),
        ("RATELIMIT_INVALID_CREDENTIALS", ["10 per fortnight"]), ("RATELIMIT_INGEST", ["10/second, 20/minute"]),
        ("RATELIMIT_STORAGE_URL", ["memcached://store", "redis://", "redis://h:99999", "redis://h:abc"]),
        ("TRUSTED_PROXIES", ["-1", "all", "11"]), ("LEDGER_KEYS", [f"first={'s' * 32}"]),
        ("S3_BUCKET", ["s3://bucket", "my bucket", "bucket/prefix", "https://store.example/bucket"]),
        ("WEBHOOK_ALLOWED_NETWORKS", ["everything"]),
        ("CORS_ORIGINS", ["*", "null", "app.example.com", "https://*.example.com", "HTTPS://app.example.com",
                          "https://app.example.com/", "https://app.example.com:443", "https://a.example, *",
                          "https://app.example.com:99999", "https://app.example.com:"]),
        ("INTEGRATION_HOSTS", ["api.ashbyhq.com", "api.ashbyhq.com=https://:::",
                               "harvest.greenhouse.io=http://127.0.0.1:99999"]),
        ("METRICS_TOKEN", ["short", "with a space in the middle"]),
        ("PORT", ["99999", "0", "http"]), ("WEB_CONCURRENCY", ["0", "two"]),
        ("OPENAI_BASE_URL", ["https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/embeddings"]),
        ("ANTHROPIC_BASE_URL", ["https://api.anthropic.com/v1/messages/"]),
    ],
)  # fmt: skip
def test_invalid_values_are_rejected_with_a_one_line_message(name, values):
    for value in values:
        with pytest.raises(config.InvalidSetting) as error:
            load(**{name: value})
        message = str(error.value)
        assert message.startswith(f"{name} is invalid: expected ")
        assert message.endswith(".")
        assert "\n" not in message


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY is not set, but S3_ACCESS_KEY_ID is. Set both or neither."),
        ("S3_SECRET_ACCESS_KEY", "S3_ACCESS_KEY_ID is not set, but S3_SECRET_ACCESS_KEY is. Set both or neither."),
        ("OIDC_CLIENT_ID", "OIDC_ISSUER is not set, but OIDC_CLIENT_ID is. Set all three or none."),
        ("OIDC_CLIENT_SECRET", "OIDC_ISSUER is not set, but OIDC_CLIENT_SECRET is. Set all three or none."),
        ("OIDC_ISSUER OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET is not set, but OIDC_ISSUER is. Set all three or none."),
    ],
)  # fmt: skip
def test_incomplete_credentials_are_rejected(names, message):
    with pytest.raises(config.InvalidSetting) as error:
        load(**dict.fromkeys(names.split(), "https://id.example"))
    assert str(error.value) == message


HTTP_URL = "an http or https URL such as https://name.example.com, without a login, query, spaces or commas"
ENCODING_HINT = "special characters are percent-encoded, such as %23 for #"
HOST_AND_PORT = f"a URL with a valid host and a port from 1 to 65535; {ENCODING_HINT}"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BASE_URL", "http://[::1", HOST_AND_PORT), ("BASE_URL", "https://example.com:99999", HOST_AND_PORT),
        ("BASE_URL", "https://user:secret@example.com", HTTP_URL), ("TERMS_URL", "example.com/terms", HTTP_URL),
        ("DATABASE_URL", "postgres://user:p#w@host/name", HOST_AND_PORT),
        ("DATABASE_URL", "postgres://user:1#w@host/name",
         f"a URL with a database, such as postgres://host/name or sqlite:///proofstone.db; {ENCODING_HINT}"),
        ("DATABASE_URL", "sqlite:///my#data.db",
         f"a URL with a database, such as postgres://host/name or sqlite:///proofstone.db; {ENCODING_HINT}"),
        *[("DATABASE_URL", url, "three slashes before the file's path, such as sqlite:///var/proofstone.db or "
           "sqlite:////srv/proofstone.db") for url in ("sqlite://var/my.db", "sqlite://my.db", "sqlite:/tmp/my.db")],
        ("DATABASE_URL", "postgres://a:5432,b:5432/name",
         "two hosts as postgres://user:secret@/name?host=a,b&target_session_attrs=read-write"),
        ("RATELIMIT_STORAGE_URL", "redis://host:abc", HOST_AND_PORT),
        ("RATELIMIT_DEFAULT", "0 per minute", "a single rate above 0, such as 600 per minute"),
        ("OIDC_ISSUER", "https://id.example/.well-known/openid-configuration",
         "the issuer's URL, without /.well-known/openid-configuration"),
        ("LEDGER_KEYS", f"first={'s' * 32}", "id:secret,... with secrets of at least 32 characters"),
        ("S3_BUCKET", "s3://bucket", "a bucket's name such as proofstone, without s3:// or a path"),
        ("PORT", "http", "a port from 1 to 65535"), ("TRUSTED_PROXIES", "11", "an integer from 0 to 10"),
        ("WEB_CONCURRENCY", "many", "an integer from 1 to 1000000000"),
        ("SESSION_MAX_EVENTS", "1000000001", "an integer from 1 to 1000000000"),
        ("SESSION_MAX_BYTES", "9" * 5000, "an integer from 1 to 1000000000000000"),
        ("WEB_THREADS", "901", "an integer from 1 to 900"),
    ],
)  # fmt: skip
def test_messages_state_the_expected_value(name, value, expected):
    with pytest.raises(config.InvalidSetting) as error:
        load(**{name: value})
    assert str(error.value) == f"{name} is invalid: expected {expected}."


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WEB_THREADS": "10"}, "WEB_THREADS is invalid: expected a number above PROXY_STREAMS (120)."),
        ({"PROXY_STREAMS": "136"}, "PROXY_STREAMS is invalid: expected a number below WEB_THREADS (136)."),
        ({"WEB_THREADS": "10", "PROXY_STREAMS": "10"},
         "PROXY_STREAMS is invalid: expected a number below WEB_THREADS (10)."),
    ],
)  # fmt: skip
def test_a_process_has_more_threads_than_streams(settings, message):
    with pytest.raises(config.InvalidSetting) as error:
        load(**settings)
    assert str(error.value) == message


def test_the_minimum_client_version_is_at_most_the_latest():
    load(CLIENT_MIN_VERSION="1.10.0", CLIENT_LATEST_VERSION="1.10")
    with pytest.raises(config.InvalidSetting) as error:
        load(CLIENT_MIN_VERSION="1.10.0", CLIENT_LATEST_VERSION="1.9.0")
    assert (
        str(error.value) == "CLIENT_MIN_VERSION is invalid: expected at most CLIENT_LATEST_VERSION (1.9.0)."
    )


def test_messages_state_the_expected_value_without_secrets():
    with pytest.raises(config.InvalidSetting) as error:
        load(SMTP_URL="http://user:secret@mail.example.com")
    assert str(error.value) == "SMTP_URL is invalid: expected a URL that starts with smtp:// or smtps://."


def test_a_database_in_a_missing_folder_is_rejected(tmp_path):
    with pytest.raises(config.InvalidSetting) as error:
        load(DATABASE_URL=f"sqlite:///{tmp_path}/vra/proofstone.db")
    expected = f"a file in an existing folder, and {tmp_path}/vra does not exist."
    assert str(error.value) == f"DATABASE_URL is invalid: expected {expected}"
    assert load(DATABASE_URL="sqlite:///var/proofstone.db").database_url == "sqlite:///var/proofstone.db"


def test_a_folder_as_database_is_rejected(tmp_path):
    with pytest.raises(config.InvalidSetting) as error:
        load(DATABASE_URL=f"sqlite:///{tmp_path}")
    assert str(error.value) == f"DATABASE_URL is invalid: expected a file, and {tmp_path} is a folder."


def warnings(settings=None, **environment):
    loaded = load(**{"BASE_URL": "https://assess.example.com"} | (settings or {}))
    return list(config.warnings({name.upper(): value for name, value in vars(loaded).items()}, environment))


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("SMTP_ULR", "SMTP_URL"), ("base_url", "BASE_URL"), ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ("S3_BUKET", "S3_BUCKET"), ("LEDGER_KEY", "LEDGER_KEYS"), ("WEB_CONCURENCY", "WEB_CONCURRENCY"),
        ("S3_ENDPOINT", "S3_ENDPOINT_URL"), ("S3_SECRET_KEY", "S3_SECRET_ACCESS_KEY"), ("S3_KEY", "S3_ACCESS_KEY_ID"),
        ("DATABASE_POOL_SIZE", "DATABASE_POOL"), ("MAIL_FROM_ADDRESS", "MAIL_FROM"), ("OPENAI_KEY", "OPENAI_API_KEY"),
        ("SMTP_HOST", "SMTP_URL"), ("WEB_WORKERS", "WEB_CONCURRENCY"), ("BUNDLE_DIR", "BUNDLE_FOLDER"),
        ("TERMS", "TERMS_URL"), ("PROOFSTONE_BASE_URL", "BASE_URL"),
    ],
)  # fmt: skip
def test_a_misspelled_setting_is_a_warning(name, setting):
    assert warnings(**{name: "x"}) == [f"{name} is not a setting: did you mean {setting}?"]
    assert warnings(**{name: "x", setting: "y"}) == []


def test_other_programs_variables_are_no_misspelled_settings():
    names = """
        AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL_S3 OPENAI_API_BASE
        OPENAI_ORG_ID ANTHROPIC_AUTH_TOKEN ANTHROPIC_MODEL API_KEY PATH HOME MAIL PORT PGHOST PGPORT PGDATABASE
        PGPASSWORD REDIS_URL REDIS_TLS_URL HEROKU_POSTGRESQL_AMBER_URL DATABASE_CONNECTION_POOL_URL
        TEST_DATABASE_URL PROOFSTONE_PORT PROOFSTONE_PORT_8000_TCP PROOFSTONE_SERVICE_PORT SESSION_MANAGER
        HTTP_PROXY NO_PROXY WEB_MEMORY LOG_FILE SSL_CERT_FILE
    """
    assert warnings(**dict.fromkeys(names.split(), "x")) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"S3_ENDPOINT_URL": "https://store.example"}, "S3_ENDPOINT_URL has no effect without S3_BUCKET."),
        ({"S3_PREFIX": "prod/"}, "S3_PREFIX has no effect without S3_BUCKET."),
        ({"S3_REGION": "eu-west-1"}, "S3_REGION has no effect without S3_BUCKET."),
        ({"S3_ACCESS_KEY_ID": "a", "S3_SECRET_ACCESS_KEY": "b"}, "S3_ACCESS_KEY_ID has no effect without S3_BUCKET."),
        ({"OIDC_ALLOWED_DOMAINS": "a.example"}, "OIDC_ALLOWED_DOMAINS has no effect without OIDC_ISSUER."),
        ({"PROXY_STREAMS": "1"}, "PROXY_STREAMS_PER_KEY is above PROXY_STREAMS (1): one candidate can use all."),
    ],
)  # fmt: skip
def test_a_setting_without_effect_is_a_warning(settings, message):
    required = {"S3_BUCKET": "x", "PROXY_STREAMS": "8"}
    required |= dict.fromkeys(("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"), "https://id.example")
    assert warnings(settings) == [message]
    assert warnings(settings | required) == []


@pytest.mark.parametrize(
    ("variable", "platform"), [("DYNO", "Heroku"), ("K_SERVICE", "Cloud Run"), ("FLY_APP_NAME", "Fly.io")]
)
def test_files_on_a_platform_without_disks_are_a_warning(variable, platform, tmp_path):
    sqlite, postgresql = {"DATABASE_URL": f"sqlite:///{tmp_path}/p.db"}, {"DATABASE_URL": "postgresql:///p"}
    deletes = f"{platform} deletes files outside a volume on each restart"
    bundles = f"{deletes}: set S3_BUCKET, or put BUNDLE_FOLDER on a volume."
    database = f"{deletes}: set DATABASE_URL to PostgreSQL, or put the database on a volume."
    assert warnings(sqlite, **{variable: "x"}) == [database, bundles]
    assert warnings(postgresql, **{variable: "x"}) == [bundles]
    assert warnings(postgresql | {"S3_BUCKET": "bundles"}, **{variable: "x"}) == []


@pytest.mark.parametrize(
    ("host", "is_public"),
    [
        ("assess.example.com", True), ("8.8.8.8", True), ("[2606:4700::1]:8000", True), ("localhost:8000", False),
        ("127.0.0.1", False), ("[::1]", False), ("10.1.2.3", False), ("192.168.0.9:8000", False),
        ("172.16.0.1", False), ("assess.local", False), ("assess.internal", False), ("assess", False),
    ],
)  # fmt: skip
def test_a_public_base_url_without_https_is_a_warning(host, is_public):
    message = "BASE_URL is not HTTPS: keys are sent unencrypted. Put a TLS proxy in front."
    assert warnings({"BASE_URL": f"http://{host}"}) == [message] * is_public
    assert warnings({"BASE_URL": f"https://{host}"}) == []


# Ledger keys


def test_ledger_keys_are_read_from_the_setting_or_from_a_file_next_to_the_database(tmp_path):
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db"}
    (tmp_path / "proofstone.db.ledger-keys").write_text(f"{KEY}\n")
    assert config.load(environment).ledger_keys == {"a": b"s" * 32}
    assert config.load(environment | {"LEDGER_KEYS": f"b:{'t' * 32}"}).ledger_keys == {"b": b"t" * 32}


def test_with_postgresql_the_ledger_key_file_is_next_to_the_bundles(tmp_path):
    (tmp_path / "ledger-keys").write_text(KEY)
    environment = {"DATABASE_URL": "postgres://host/name", "BUNDLE_FOLDER": f"{tmp_path}/bundles"}
    assert config.load(environment).ledger_keys == {"a": b"s" * 32}


def test_a_database_name_is_decoded(tmp_path):
    (tmp_path / "my #1.db.ledger-keys").write_text(KEY)
    url = f"sqlite:///{tmp_path}/my%20%231.db"
    assert config.load({"DATABASE_URL": url}).ledger_keys == {"a": b"s" * 32}
    connection = db.obj
    assert bind(url).database == str(tmp_path / "my #1.db")
    assert bind("postgres://host/my%20data").database == "my data"
    db.initialize(connection)


def test_integration_keys_are_optional_and_read_from_the_setting_or_from_a_file(tmp_path):
    environment = {"LEDGER_KEYS": KEY, "DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db"}
    assert config.load(environment).integration_keys is None
    (tmp_path / "proofstone.db.integration-keys").write_text(f"{KEY}\n")
    assert config.load(environment).integration_keys == {"a": b"s" * 32}
    assert config.load(environment | {"INTEGRATION_KEYS": f"b:{'t' * 32}"}).integration_keys == {
        "b": b"t" * 32
    }


@pytest.mark.parametrize(
    ("environment", "dotenv", "remedy"),
    [
        ({}, "", "Create a key and keep a copy: LEDGER_KEYS=$(openssl rand -hex 32)"),
        ({"LEDGER_KEY": KEY}, "", "LEDGER_KEY is not a setting: did you mean LEDGER_KEYS?"),
        ({}, f"LEDGER_KEYS={KEY}", "gunicorn does not read .env: use `dotenv run --no-override gunicorn ...`."),
        ({}, "LEDGER_KEYS=", "Create a key and keep a copy: LEDGER_KEYS=$(openssl rand -hex 32)"),
    ],
)  # fmt: skip
def test_settings_without_ledger_keys_are_rejected_with_the_remedy(
    tmp_path, monkeypatch, environment, dotenv, remedy
):
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(dotenv)
    with pytest.raises(config.InvalidSetting) as error:
        config.load({"DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db"} | environment)
    assert str(error.value) == f"LEDGER_KEYS is not set. {remedy}"


def test_a_secret_without_an_id_can_end_like_base64():
    (secret,) = load(LEDGER_KEYS=f"{'s' * 43}=").ledger_keys.values()
    assert secret == b"s" * 43 + b"="


def test_an_invalid_ledger_key_file_is_rejected_without_revealing_the_secret(tmp_path):
    (tmp_path / "proofstone.db.ledger-keys").write_text("a:too-short-secret")
    with pytest.raises(config.InvalidSetting, match="ledger-keys is invalid: expected id:secret") as error:
        config.load({"DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db"})
    assert "too-short-secret" not in str(error.value)
