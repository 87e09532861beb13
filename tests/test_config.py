"""Settings: read once, each with a default; a wrong value stops the start with a sentence that names it."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

import config


def test_without_an_environment_there_are_defaults_for_everything():
    settings = config.load({})
    assert settings.database_url == "sqlite:///var/proofstone.db"
    assert settings.base_url == "http://localhost:8000"
    assert (settings.smtp_url, settings.terms_url) == (None, None)
    assert settings.mail_folder == Path("var/mail")


@pytest.mark.parametrize("name", [setting.name for setting in fields(config.Config)])
def test_an_empty_value_counts_as_not_set(name):
    assert config.load({name.upper(): "  "}) == config.load({})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DATABASE_URL", "postgres://user:p%40ss@host/name?sslmode=require",
         "postgres://user:p%40ss@host/name?sslmode=require"),
        ("DATABASE_URL", "postgresql://host/name", "postgresql://host/name"),
        ("DATABASE_POOL", "7", 7), ("WEB_THREADS", "64", 64),
        ("BASE_URL", "https://proofstone.example.com/", "https://proofstone.example.com"),
        ("BASE_URL", "https://example.com/proofstone//", "https://example.com/proofstone"),
        ("SMTP_URL", "smtps://user:secret@mail.example.com:465", "smtps://user:secret@mail.example.com:465"),
        ("MAIL_FROM", "Acme Hiring <jobs@example.com>", "Acme Hiring <jobs@example.com>"),
        ("MAIL_FOLDER", "/tmp/mail", Path("/tmp/mail")),
        ("TERMS_URL", "https://example.com/terms", "https://example.com/terms"),
        ("RATELIMIT_ENABLED", "False", False),
        ("RATELIMIT_DEFAULT", "10 per second; 1000/hour", "10 per second; 1000/hour"),
        ("RATELIMIT_STORAGE_URL", "rediss://:secret@store:6380/1", "rediss://:secret@store:6380/1"),
        ("RATELIMIT_STORAGE_URL", "valkey://store", "redis://store"),
        ("TRUSTED_PROXIES", "0", 0), ("TRUSTED_PROXIES", "2", 2),
        ("LOG_LEVEL", "warning", "WARNING"),
        ("LOG_LEVEL", " Debug ", "DEBUG"), ("LOG_FORMAT", "JSON", "json"),
        ("METRICS_TOKEN", "x" * 16, "x" * 16),
    ],
)  # fmt: skip
def test_a_value_is_read(name, text, value):
    assert getattr(config.load({name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "mysql://host/name"), ("DATABASE_URL", "proofstone.db"),
        ("DATABASE_URL", "sqlite:///"), ("DATABASE_URL", "sqlite:///:memory:"), ("DATABASE_URL", "postgres://host"),
        ("DATABASE_POOL", "0"),
        ("DATABASE_POOL", "-1"), ("DATABASE_POOL", "many"), ("DATABASE_POOL", "1.5"), ("DATABASE_POOL", "\u0665"),
        ("BASE_URL", "proofstone.example.com"), ("BASE_URL", "ftp://example.com"), ("BASE_URL", "https://"),
        ("BASE_URL", "https://example.com/?x=1"), ("BASE_URL", "https://example.com/#x"), ("BASE_URL", "http://[::1"),
        ("SMTP_URL", "mail.example.com"), ("SMTP_URL", "http://mail.example.com"), ("MAIL_FROM", "nobody"),
        ("TERMS_URL", "javascript:alert(1)"), ("LOG_LEVEL", "LOUD"), ("WEB_THREADS", "x"), ("WEB_THREADS", "0"),
        ("PROXY_STREAMS", "8"),
        ("RATELIMIT_ENABLED", "1"), ("RATELIMIT_DEFAULT", "many"), ("RATELIMIT_REFUSED", "10 per fortnight"),
        ("RATELIMIT_STORAGE_URL", "memcached://store"), ("RATELIMIT_STORAGE_URL", "redis://"),
        ("TRUSTED_PROXIES", "-1"), ("TRUSTED_PROXIES", "all"), ("S3_ACCESS_KEY_ID", "alone"),
        ("LOG_FORMAT", "xml"), ("METRICS_TOKEN", "short"), ("METRICS_TOKEN", "with a space in the middle"),
    ],
)  # fmt: skip
def test_a_wrong_value_stops_the_start_with_one_sentence(name, text):
    with pytest.raises(config.WrongSetting) as refused:
        config.load({name: text})
    message = str(refused.value)
    assert name in message
    assert message.endswith(".")
    assert "\n" not in message


def test_a_secret_in_a_wrong_value_is_not_repeated():
    with pytest.raises(config.WrongSetting) as refused:
        config.load({"SMTP_URL": "http://user:secret@mail.example.com"})
    assert "secret" not in str(refused.value)


def test_settings_do_not_change_after_the_start():
    with pytest.raises(FrozenInstanceError):
        config.load({}).base_url = "http://elsewhere.example.com"  # type: ignore[misc]


@pytest.mark.parametrize("setting", fields(config.Config), ids=lambda setting: setting.name)
def test_every_setting_has_a_sentence(setting):
    sentence = setting.metadata["sentence"]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
