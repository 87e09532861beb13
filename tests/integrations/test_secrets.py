"""Encrypted credentials and signing secrets, and the commands that maintain them."""

from datetime import timedelta

import factories
import pytest
from conftest import INTEGRATION_KEYS

from integrations import secrets
from integrations.tables import Integration, IntegrationCalls, NotificationChannel
from ops import doctor
from rules.ledger.keys import parse_keys
from tests.integrations.system_server import store_integration

CREDENTIAL = {"clientSecret": "the-secret"}


@pytest.fixture(autouse=True)
def restore_keys(app):
    yield
    secrets.use(parse_keys(INTEGRATION_KEYS))


@pytest.fixture
def integration(organization):
    return store_integration(organization, "greenhouse", CREDENTIAL)


def test_a_credential_is_stored_encrypted_with_its_last_characters(integration):
    stored = Integration.get()
    assert secrets.read_credential(stored) == CREDENTIAL
    assert "the-secret" not in stored.credential
    assert stored.credential_end == "cret"


def test_a_value_is_only_valid_in_its_row(integration, organization):
    other = Integration(organization=organization, credential=integration.credential)
    with pytest.raises(secrets.Undecryptable):
        secrets.read_credential(other)


def test_a_new_credential_resumes_calls(integration, clock):
    integration.update_columns(stopped_reason="credential_rejected", held_until=clock.now())
    secrets.store_credential(integration, {"clientSecret": "another-one"})
    stored = Integration.get()
    assert (stored.stopped_reason, stored.held_until) == (None, None)
    assert stored.credential_end == "-one"


def test_both_signing_secrets_are_valid_for_a_day_after_a_rotation(integration, clock):
    (first,) = secrets.signing_secrets(integration)
    second = secrets.new_signing_secret(integration)
    assert secrets.signing_secrets(Integration.get()) == [second, first]
    clock.fixed += timedelta(hours=24)
    assert secrets.signing_secrets(Integration.get()) == [second]


def test_a_new_signing_secret_replaces_one_whose_key_was_lost(integration):
    secrets.use(parse_keys(f"new:{'n' * 32}"))
    second = secrets.new_signing_secret(integration)
    assert secrets.signing_secrets(integration) == [second]


def test_the_first_key_encrypts_and_all_decrypt(integration):
    old = parse_keys(INTEGRATION_KEYS)
    new = parse_keys(f"new:{'n' * 32}")
    secrets.use(new | old)
    assert not secrets.is_current(integration.credential)
    assert secrets.is_current(secrets.encrypt(integration.id, "text"))
    assert secrets.read_credential(integration) == CREDENTIAL
    secrets.use(new)
    with pytest.raises(secrets.Undecryptable):
        secrets.read_credential(integration)


def test_an_erased_application_is_recognized_under_each_key(integration):
    old = parse_keys(INTEGRATION_KEYS)
    (mac,) = secrets.application_macs(integration.id, "265277")
    secrets.use(parse_keys(f"new:{'n' * 32}") | old)
    current, former = secrets.application_macs(integration.id, "265277")
    assert (current.partition(":")[0], former) == ("new", mac)
    assert secrets.application_macs(integration.id, "265278")[1] != mac


def make_channel(organization):
    channel = NotificationChannel(
        organization=organization, kind="slack", name="Reviews", url_end="T1", events=[]
    )
    channel.url = secrets.encrypt(channel.id, "https://hooks.slack.com/services/T1")
    channel.save(force_insert=True)
    return channel


def test_reencrypt_uses_the_first_key(flask, integration, organization):
    make_channel(organization)
    first = secrets.signing_secrets(integration)
    second = secrets.new_signing_secret(integration)
    new = parse_keys(f"new:{'n' * 32}")
    secrets.use(new | parse_keys(INTEGRATION_KEYS))
    assert (
        flask("integrations", "reencrypt")
        == "Encrypted with the first key: 2 integrations and chat channels.\n"
    )
    assert (
        flask("integrations", "reencrypt")
        == "Encrypted with the first key: 0 integrations and chat channels.\n"
    )
    secrets.use(new)
    stored, channel = Integration.get(), NotificationChannel.get()
    assert secrets.read_credential(stored) == CREDENTIAL
    assert secrets.signing_secrets(stored) == [second, *first]
    assert secrets.decrypt(channel.id, channel.url) == "https://hooks.slack.com/services/T1"


def test_reencrypt_names_the_keys_that_recognize_erased_applications(flask, integration, assessment):
    factories.make_order(factories.make_rule(integration, assessment)).erase(reports=False)
    assert "Keep" not in flask("integrations", "reencrypt")
    secrets.use(parse_keys(f"new:{'n' * 32}") | parse_keys(INTEGRATION_KEYS))
    assert flask("integrations", "reencrypt").endswith(
        "Keep these keys to recognize erased applications: test.\n"
    )


def test_reencrypt_names_what_it_cannot_decrypt(flask, integration):
    secrets.use(parse_keys(f"new:{'n' * 32}"))
    output = flask("integrations", "reencrypt", fails=True)
    assert f"Cannot decrypt Greenhouse ({integration.id}). Add its former key to INTEGRATION_KEYS" in output


def test_an_expired_secret_whose_key_was_lost_does_not_prevent_reencryption(flask, integration, clock):
    secrets.use(parse_keys(f"new:{'n' * 32}"))
    secrets.store_credential(integration, CREDENTIAL)
    secret = secrets.new_signing_secret(integration)
    clock.fixed += secrets.ROTATION_OVERLAP
    flask("integrations", "reencrypt")
    stored = Integration.get()
    assert (secrets.signing_secrets(stored), stored.former_secret) == ([secret], None)


def test_purge_empties_the_tables(flask, integration, organization):
    make_channel(organization)
    IntegrationCalls.create(integration=integration, day="2026-04-01")
    assert flask("integrations", "purge") == "Deleted 3 rows of integrations and chat channels.\n"
    assert not any(table.select().exists() for table in (Integration, IntegrationCalls, NotificationChannel))


@pytest.fixture
def check(app):
    """A function that returns the doctor's finding with these keys."""

    def run(keys):
        findings = doctor.examine(app.config | {"INTEGRATION_KEYS": keys}, app.extensions["storage"])
        (finding,) = [(state, message) for state, part, message in findings if part == "integration keys"]
        return finding

    return run


def test_the_doctor_reports_missing_keys(check, integration, organization):
    make_channel(organization)
    assert check(secrets.keys()) == ("ok", "All credentials are encrypted with known keys.")
    message = "Credentials are encrypted with missing keys: test."
    remedy = "Add them to INTEGRATION_KEYS, or replace credentials, signing secrets and chat URLs."
    assert check(None) == ("error", f"{message} {remedy}")
    for row in (integration, NotificationChannel.get()):
        row.update_columns(deleted_at=row.created_at)
    assert check(None) == ("ok", "INTEGRATION_KEYS is not set: no system can be connected.")


def test_the_doctor_reports_missing_keys_of_erased_applications(check, integration, assessment, clock):
    factories.make_order(factories.make_rule(integration, assessment)).erase(reports=False)
    new = parse_keys(f"new:{'n' * 32}")
    secrets.use(new)
    secrets.store_credential(integration, CREDENTIAL)
    secrets.new_signing_secret(integration)
    state, message = check(new)
    assert (state, message.partition(".")[0]) == (
        "warning",
        "Erased applications are recognized with missing keys: test",
    )
    integration.update_columns(deleted_at=clock.fixed)
    assert check(new) == ("ok", "All credentials are encrypted with known keys.")
