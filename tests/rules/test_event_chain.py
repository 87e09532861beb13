import base64
import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rules.canonical_json import FORMS, canonical, parse
from rules.event_chain import INVALID, UNKNOWN_KEY, UNSIGNED, VALID, judge, message, usable, verify

SEED = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
SESSION = "11111111-1111-4111-8111-111111111111"

# The test vector of contract 7, to the letter.
SIG_1 = (
    "4fe4740029b7f1d35090629dd88391d0e5429c9071c45c330bbbc452bfbaf406"
    "b4404506f2d4001c9177636a33e0c90531a4c05e7d3029e7441ff720a2a7bd08"
)
SIG_2 = (
    "5d805f3d7020524736fc95d6b782ae5cee0765d4e157652ea0df4756fa0fe3ee"
    "523ffb4e339d9bc14a11ebe2eff89776e6733d8e8b2d26038944402a02f91600"
)
DATA_1 = (
    r'{"command":"a \u003c b \u0026\u0026 echo €","durationMs":0,"exitCode":1,'
    r'"list":[1,2.5,null,true],"meta":{"cwd":"/w"}}'
)
HASH_1 = "bd2d0e9bdb57fba6038a360683b70dea93a5366b1b18b082d4a1bdf01fc23bce"
HASH_2 = "6eb17952a1c448d6a86c9d6900b7fd18b52332d688bf3e6771bd4baefed8cc74"

# As a client may send them: other order of the members, other spelling of numbers and escapes, members that no
# signature covers.
EVENT_1 = (
    f'{{"id":"00000000-0000-4000-8000-000000000001","sessionId":"{SESSION}",'
    '"ts":"2026-01-02T03:04:05.123456789Z","kind":"command","source":"terminal","v":1,'
    '"data":{"meta":{"cwd":"/w"},"list":[1,2.5,null,true],"exitCode":1,"durationMs":0,'
    r'"command":"a < b \u0026& echo \u20ac"},'
    f'"actor":{{"type":"human"}},"sig":"{SIG_1}"}}'
)
EVENT_2 = (
    f'{{"id":"00000000-0000-4000-8000-000000000002","sessionId":"{SESSION}",'
    '"ts":"2026-01-02T03:04:06Z","kind":"ai_response","source":"claude-code","v":1,'
    '"data":{"inputTokens":1,"outputTokens":1,"totalCost":1.8e-05},'
    f'"sig":"{SIG_2}","prevSig":"{SIG_1}"}}'
)


def signed(data: str, form=FORMS[0], key=SEED, **members) -> str:
    """An envelope whose `data` is spelt like this, signed for that reading of it."""
    envelope = {
        "id": "e",
        "sessionId": SESSION,
        "ts": "2026-01-02T03:04:05Z",
        "kind": "command",
        "source": "cli",
    }
    text = json.dumps(envelope | {"v": 1} | members)[:-1] + f', "data": {data}}}'
    signature = key.sign(message(parse(text), form)).hex()
    return text[:-1] + f', "sig": "{signature}"}}'


def public_key(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def test_the_vectors_key_is_that_of_its_seed():
    assert public_key(SEED) == PUBLIC_KEY


@pytest.mark.parametrize(
    ("event", "data", "digest"),
    [
        (EVENT_1, DATA_1, HASH_1),
        (EVENT_2, '{"inputTokens":1,"outputTokens":1,"totalCost":0.000018}', HASH_2),
    ],
)
def test_the_vectors_data_is_canonical(event, data, digest):
    assert canonical(parse(event)["data"]).decode() == data
    assert sha256(data.encode()).hexdigest() == digest


@pytest.mark.parametrize(("event", "sig"), [(EVENT_1, SIG_1), (EVENT_2, SIG_2)])
def test_the_vectors_events_verify(event, sig):
    assert SEED.sign(message(parse(event))).hex() == sig
    assert verify(event, [PUBLIC_KEY]) == VALID


def test_the_event_hash_is_that_of_the_ten_fields():
    fields = (
        "PST-EVT-V1",
        "00000000-0000-4000-8000-000000000002",
        SESSION,
        "2026-01-02T03:04:06Z",
        "ai_response",
        "claude-code",
        "1",
        HASH_2,
        SIG_1,
        "",
    )
    assert judge(EVENT_2, [PUBLIC_KEY]) == (VALID, sha256("\n".join(fields).encode()).hexdigest(), PUBLIC_KEY)


def test_the_clients_own_fixed_event_verifies():
    # Another seed, fixed by the client itself for its two programs.
    key = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("0102030405060708091011121314151617181920212223242526272829303132")
    )
    envelope = {
        "id": "01234567-89ab-cdef-0123-456789abcdef",
        "sessionId": "sess-abc",
        "ts": "2026-01-01T00:00:00.000Z",
        "kind": "command",
        "source": "terminal",
        "v": 1,
        "data": {"command": "ls -la", "exitCode": 0, "durationMs": 42},
        "sig": "39375331ee604f6dd11cd975b0a00ccb2894feebb8b82dcc98316e1b88997d60"
        "934c33322c4481d3b593a8c4667460cd93db0660514424288e3b3caa257fe90f",
    }
    assert verify(json.dumps(envelope), [public_key(key)]) == VALID


@pytest.mark.parametrize("form", FORMS)
def test_each_reading_of_the_data_verifies(form):
    text = signed(r'{"a < b":"<&>","cut":"\ufffd","raw":"€","big":9007199254740993,"x":0.5}', form)
    assert verify(text, [PUBLIC_KEY]) == VALID
    assert judge(text, [PUBLIC_KEY]).event_hash == sha256(message(parse(text), form)).hexdigest()


def test_any_of_the_sessions_keys_will_do():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    text = signed("{}", key=other)
    assert judge(text, [PUBLIC_KEY, "no key", public_key(other)]).public_key == public_key(other)
    assert verify(text, [PUBLIC_KEY]) == INVALID


@pytest.mark.parametrize("sig", ["", ', "sig": null', ', "sig": ""'])
def test_an_event_without_a_signature_is_unsigned(sig):
    assert verify(f'{{"id": "e", "data": {{}}{sig}}}', [PUBLIC_KEY]) == UNSIGNED
    assert verify(f'{{"id": "e", "data": {{}}{sig}}}', []) == UNSIGNED


@pytest.mark.parametrize("keys", [[], [""], ["bm8ga2V5"], [PUBLIC_KEY[:-1]], ["é"]])
def test_a_signed_event_of_a_session_without_a_usable_key_has_an_unknown_key(keys):
    assert verify(EVENT_1, keys) == UNKNOWN_KEY


def test_which_keys_are_usable():
    assert usable(PUBLIC_KEY)
    assert not usable(PUBLIC_KEY[:-4])
    assert not usable(PUBLIC_KEY + "\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("000001", "000002"),
        (SESSION, SESSION.replace("1111-4", "1112-4")),
        ("123456789Z", "123456788Z"),
        ("123456789Z", "12345678900Z"),
        ('"command"', '"commanD"'),
        ("terminal", "Terminal"),
        ('"v":1', '"v":2'),
        ('"v":1', '"w":1'),
        ("2.5", "2.6"),
        ("echo", "eCho"),
        ('"cwd"', '"cwD"'),
        ("[1,2.5", "[2.5,1"),
        (SIG_1[:4], "4fe5"),
        ('"sig"', '"prevSig":"ab","sig"'),
        (SIG_1, SIG_1[:-2]),
        (SIG_1, SIG_1 + " "),
        (f'"{SIG_1}"', "7"),
        (f'"{SIG_1}"', "true"),
        ('"id":"', '"id":["'),
        ('"human"}', '"human"'),
        (":[1,", ":[1e999,"),
    ],
)
def test_a_changed_event_is_invalid(old, new):
    assert verify(EVENT_1.replace(old, new, 1), [PUBLIC_KEY]) == INVALID


def test_every_single_byte_of_what_is_signed_counts():
    start, end = EVENT_1.index('"data"'), EVENT_1.index(',"actor"')
    for place in range(start, end):
        for byte in "0", "x":
            text = EVENT_1[:place] + byte + EVENT_1[place + 1 :]
            same = text == EVENT_1
            assert verify(text, [PUBLIC_KEY]) == (VALID if same else INVALID), text


def test_members_that_are_not_signed_do_not_count():
    assert verify(EVENT_1.replace("human", "ai"), [PUBLIC_KEY]) == VALID


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ("terminal", "terminal"),
        (None, ""),
        (7, ""),
        ({"channel": "c", "emitter": "e", "integration": "i"}, "i"),
        ({"channel": "c", "emitter": "e", "integration": None}, "e"),
        ({"channel": "c"}, "c"),
        ({"integration": "", "channel": "c"}, ""),
        ({}, ""),
    ],
)
def test_the_source_is_the_text_or_the_first_name_in_the_object(source, field):
    envelope = {"id": "e", "sessionId": "s", "ts": "t", "kind": "k", "source": source, "v": 1, "data": {}}
    assert message(envelope).decode().split("\n")[5] == field


def test_a_message_has_ten_fields_and_no_field_can_pretend_to_be_two():
    envelope = {"id": "e", "sessionId": "s", "ts": "t", "kind": "k\n", "source": "x", "v": 1, "data": {}}
    with pytest.raises(ValueError, match="line feed"):
        message(envelope)
    assert message(envelope | {"kind": "k"}).count(b"\n") == 9


@pytest.mark.parametrize(
    "text", ["", "[]", "7", '"sig"', "null", "[" * 100_000, '{"sig": "x"}', '{"sig": "\\ud800"}']
)
def test_hostile_texts_are_invalid(text):
    assert verify(text, [PUBLIC_KEY]) == INVALID


def test_a_deep_text_is_invalid():
    deep = "[" * 50_000 + "]" * 50_000
    assert verify(EVENT_1.replace('"/w"', deep), [PUBLIC_KEY]) == INVALID
