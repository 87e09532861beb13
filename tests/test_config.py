"""Settings: defaults, valid values and messages for invalid ones."""

from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

import config

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
        ("DATABASE_POOL", "7", 7), ("WEB_THREADS", "640", 640),
        ("BASE_URL", "https://proofstone.example.com/", "https://proofstone.example.com"),
        ("BASE_URL", "https://example.com/proofstone//", "https://example.com/proofstone"),
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
                          "postgres://a,b/name"]),
        ("DATABASE_POOL", ["0", "-1", "many", "1.5", "\u0665"]),
        ("BASE_URL", ["proofstone.example.com", "ftp://example.com", "https://", "https://example.com/?x=1",
                      "https://example.com/#x", "http://[::1"]),
        ("SMTP_URL", ["mail.example.com", "http://mail.example.com"]), ("MAIL_FROM", ["nobody"]),
        ("TERMS_URL", ["javascript:alert(1)"]), ("LOG_LEVEL", ["LOUD"]), ("LOG_FORMAT", ["xml"]),
        ("WEB_THREADS", ["x", "0"]), ("PROXY_STREAMS", ["0", "136"]), ("CLIENT_MIN_VERSION", ["new"]),
        ("CLIENT_INSTALL", ["npm\ninstall", "a\x1bb"]),
        ("PROXY_STREAMS_PER_KEY", ["0"]), ("SESSION_DEFAULT_BUDGET_USD", ["-1", "ten", "nan", "inf", "1000001"]),
        ("RATELIMIT_ENABLED", ["1"]), ("RATELIMIT_DEFAULT", ["many", "10 per second; 1000 per hour"]),
        ("RATELIMIT_INVALID_CREDENTIALS", ["10 per fortnight"]), ("RATELIMIT_INGEST", ["10/second, 20/minute"]),
        ("RATELIMIT_STORAGE_URL", ["memcached://store", "redis://"]), ("TRUSTED_PROXIES", ["-1", "all"]),
        ("S3_ACCESS_KEY_ID", ["alone"]), ("WEBHOOK_ALLOWED_NETWORKS", ["everything"]),
        ("CORS_ORIGINS", ["*", "null", "app.example.com", "https://*.example.com", "HTTPS://app.example.com",
                          "https://app.example.com/", "https://app.example.com:443", "https://a.example, *"]),
        ("METRICS_TOKEN", ["short", "with a space in the middle"]),
        ("PORT", ["99999", "0", "http"]), ("WEB_CONCURRENCY", ["0", "two"]),
        ("OPENAI_BASE_URL", ["https://api.openai.com/v1/chat/completions"]),
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


@pytest.mark.parametrize("name", ["S3_SECRET_ACCESS_KEY", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"])
def test_incomplete_credentials_are_rejected(name):
    with pytest.raises(config.InvalidSetting):
        load(**{name: "alone"})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BASE_URL", "http://[::1", "a URL such as https://proofstone.example.com"),
        ("PORT", "http", "a port from 1 to 65535"),
        ("WEB_THREADS", "many", "an integer of at least 1"),
    ],
)
def test_messages_state_the_expected_value(name, value, expected):
    with pytest.raises(config.InvalidSetting) as error:
        load(**{name: value})
    assert str(error.value) == f"{name} is invalid: expected {expected}."


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


def warnings(bucket=None, url="https://assess.example.com", **environment):
    return list(config.warnings({"S3_BUCKET": bucket, "BASE_URL": url}, environment))


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("SMTP_ULR", "SMTP_URL"), ("base_url", "BASE_URL"), ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ("S3_BUKET", "S3_BUCKET"), ("LEDGER_KEY", "LEDGER_KEYS"), ("WEB_CONCURENCY", "WEB_CONCURRENCY"),
    ],
)  # fmt: skip
def test_a_misspelled_setting_is_a_warning(name, setting):
    assert warnings(**{name: "x"}) == [f"{name} is not a setting: did you mean {setting}?"]
    assert warnings(**{name: "x", setting: "y"}) == []


def test_other_programs_variables_are_no_misspelled_settings():
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "OPENAI_API_BASE", "PATH", "HOME")
    assert warnings(**dict.fromkeys(names, "x")) == []


@pytest.mark.parametrize(
    ("variable", "platform"), [("DYNO", "Heroku"), ("K_SERVICE", "Cloud Run"), ("FLY_APP_NAME", "Fly.io")]
)
def test_a_folder_on_a_platform_without_disks_is_a_warning(variable, platform):
    message = f"{platform} deletes files outside a volume on each restart: "
    assert warnings(**{variable: "x"}) == [f"{message}set S3_BUCKET, or put BUNDLE_FOLDER on a volume."]
    assert warnings("bundles", **{variable: "x"}) == []


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
    assert warnings(url=f"http://{host}") == [message] * is_public
    assert warnings(url=f"https://{host}") == []


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


def test_settings_without_ledger_keys_are_rejected_with_the_command_that_creates_one(tmp_path):
    with pytest.raises(config.InvalidSetting, match=r"LEDGER_KEYS=\$\(openssl rand -hex 32\)"):
        config.load({"DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db"})


def test_an_invalid_ledger_key_file_is_rejected_without_revealing_the_secret(tmp_path):
    (tmp_path / "proofstone.db.ledger-keys").write_text("a:too-short-secret")
    with pytest.raises(config.InvalidSetting, match="ledger-keys is invalid: expected id:secret") as error:
        config.load({"DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db"})
    assert "too-short-secret" not in str(error.value)
