"""Settings: defaults, valid values, and a clear message for an invalid one."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import config


def test_every_setting_has_a_description_and_a_default():
    assert all(re.fullmatch(r"[A-Z].+\.", setting.metadata["sentence"]) for setting in fields(config.Config))
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
        ("RATELIMIT_DEFAULT", "1000/hour", "1000/hour"),
        ("RATELIMIT_STORAGE_URL", "rediss://:secret@store:6380/1", "rediss://:secret@store:6380/1"),
        ("RATELIMIT_STORAGE_URL", "valkey://store", "redis://store"),
        ("TRUSTED_PROXIES", "0", 0), ("TRUSTED_PROXIES", "2", 2),
        ("LOG_LEVEL", "warning", "WARNING"),
        ("LOG_LEVEL", " Debug ", "DEBUG"), ("LOG_FORMAT", "JSON", "json"),
        ("METRICS_TOKEN", "x" * 16, "x" * 16),
    ],
)  # fmt: skip
def test_a_valid_value_is_parsed(name, text, value):
    assert getattr(config.load({name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "mysql://host/name"), ("DATABASE_URL", "proofstone.db"), ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///:memory:"), ("DATABASE_URL", "postgres://host"),
        ("DATABASE_POOL", "0"), ("DATABASE_POOL", "-1"), ("DATABASE_POOL", "many"), ("DATABASE_POOL", "1.5"),
        ("DATABASE_POOL", "\u0665"),
        ("BASE_URL", "proofstone.example.com"), ("BASE_URL", "ftp://example.com"), ("BASE_URL", "https://"),
        ("BASE_URL", "https://example.com/?x=1"), ("BASE_URL", "https://example.com/#x"), ("BASE_URL", "http://[::1"),
        ("SMTP_URL", "mail.example.com"), ("SMTP_URL", "http://user:secret@mail.example.com"), ("MAIL_FROM", "nobody"),
        ("TERMS_URL", "javascript:alert(1)"), ("LOG_LEVEL", "LOUD"), ("WEB_THREADS", "x"), ("WEB_THREADS", "0"),
        ("PROXY_STREAMS", "8"),
        ("RATELIMIT_ENABLED", "1"), ("RATELIMIT_DEFAULT", "many"), ("RATELIMIT_REFUSED", "10 per fortnight"),
        ("RATELIMIT_DEFAULT", "10 per second; 1000 per hour"), ("RATELIMIT_INGEST", "10/second, 20/minute"),
        ("RATELIMIT_STORAGE_URL", "memcached://store"), ("RATELIMIT_STORAGE_URL", "redis://"),
        ("TRUSTED_PROXIES", "-1"), ("TRUSTED_PROXIES", "all"), ("S3_ACCESS_KEY_ID", "alone"),
        ("LOG_FORMAT", "xml"), ("METRICS_TOKEN", "short"), ("METRICS_TOKEN", "with a space in the middle"),
    ],
)  # fmt: skip
def test_an_invalid_value_stops_the_start_with_one_sentence_without_secrets(name, text):
    with pytest.raises(config.InvalidSetting) as error:
        config.load({name: text})
    assert re.fullmatch(rf"{name} is invalid: expected .+\.", str(error.value))
    assert "secret" not in str(error.value)


def test_several_rates_are_refused_because_only_one_would_be_applied():
    with pytest.raises(config.InvalidSetting) as error:
        config.load({"RATELIMIT_REFUSED": "10 per second; 100 per hour"})
    assert str(error.value) == "RATELIMIT_REFUSED is invalid: expected a single rate such as 600 per minute."
