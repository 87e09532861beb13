"""Client signatures, with contract 7's test vectors."""

import base64
import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rules.integrity.canonical_json import VARIANTS, canonicalize, parse
from rules.integrity.event_signatures import is_public_key, signed_message, verify

SEED = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
SESSION = "11111111-1111-4111-8111-111111111111"

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
DATA_2 = '{"inputTokens":1,"outputTokens":1,"totalCost":0.000018}'
HASH_1 = "bd2d0e9bdb57fba6038a360683b70dea93a5366b1b18b082d4a1bdf01fc23bce"
HASH_2 = "6eb17952a1c448d6a86c9d6900b7fd18b52332d688bf3e6771bd4baefed8cc74"

# With a different field order, different number and escape spellings, and fields that signatures do not cover.
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
PLAIN = {"id": "e", "sessionId": "s", "ts": "t", "kind": "k", "source": "x", "v": 1, "data": {}}


def sign(data: str, variant=VARIANTS[0], key=SEED) -> str:
    """Return an envelope with the given `data`, signed in a variant."""
    text = json.dumps(PLAIN).replace("{}", data)
    signature = key.sign(signed_message(parse(text), variant)).hex()
    return text[:-1] + f', "sig": "{signature}"}}'


def public_key(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def verdict(text: str, keys=(PUBLIC_KEY,)) -> str:
    return verify(text, keys).verdict


@pytest.mark.parametrize(
    ("event", "data", "digest", "sig"), [(EVENT_1, DATA_1, HASH_1, SIG_1), (EVENT_2, DATA_2, HASH_2, SIG_2)]
)
def test_contract_test_vectors_are_valid(event, data, digest, sig):
    assert public_key(SEED) == PUBLIC_KEY
    assert canonicalize(parse(event)["data"]).decode() == data
    assert sha256(data.encode()).hexdigest() == digest
    assert SEED.sign(signed_message(parse(event))).hex() == sig
    assert verdict(event) == "valid"


def test_the_event_hash_covers_the_ten_fields():
    fields = ["PST-EVT-V1", "00000000-0000-4000-8000-000000000002", SESSION, "2026-01-02T03:04:06Z"]
    fields += ["ai_response", "claude-code", "1", HASH_2, SIG_1, ""]
    event_hash = sha256("\n".join(fields).encode()).hexdigest()
    assert verify(EVENT_2, [PUBLIC_KEY]) == ("valid", event_hash)


def test_event_from_the_clients_tests_is_valid():
    # From the client's tests, with a different seed.
    seed = "0102030405060708091011121314151617181920212223242526272829303132"
    envelope = {
        "id": "01234567-89ab-cdef-0123-456789abcdef", "sessionId": "sess-abc", "ts": "2026-01-01T00:00:00.000Z",
        "kind": "command", "source": "terminal", "v": 1,
        "data": {"command": "ls -la", "exitCode": 0, "durationMs": 42},
        "sig": "39375331ee604f6dd11cd975b0a00ccb2894feebb8b82dcc98316e1b88997d60"
        "934c33322c4481d3b593a8c4667460cd93db0660514424288e3b3caa257fe90f",
    }  # fmt: skip
    key = public_key(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)))
    assert verdict(json.dumps(envelope), [key]) == "valid"


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_canonical_variant_is_valid(variant):
    text = sign(r'{"a < b":"<&>","cut":"\ufffd","raw":"€","big":9007199254740993,"x":0.5}', variant)
    event_hash = sha256(signed_message(parse(text), variant)).hexdigest()
    assert verify(text, [PUBLIC_KEY]) == ("valid", event_hash)


def test_any_session_key_is_accepted():
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    text = sign("{}", key=key)
    assert verdict(text, [PUBLIC_KEY, "no key", public_key(key)]) == "valid"
    assert verdict(text) == "invalid"


@pytest.mark.parametrize("keys", [[], [PUBLIC_KEY]])
@pytest.mark.parametrize("sig", ["", ', "sig": null', ', "sig": ""'])
def test_an_event_without_a_signature_is_unsigned(sig, keys):
    assert verdict(f'{{"id": "e", "data": {{}}{sig}}}', keys) == "unsigned"


@pytest.mark.parametrize("keys", [[], [""], ["bm8ga2V5"], [PUBLIC_KEY[:-1]], [PUBLIC_KEY + "\n"], ["é"]])
def test_unusable_keys_are_unknown_keys(keys):
    assert verdict(EVENT_1, keys) == "unknown_key"
    assert not any(map(is_public_key, keys))
    assert is_public_key(PUBLIC_KEY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("000001", "000002"), (SESSION, SESSION.replace("1111-4", "1112-4")), ("123456789Z", "123456788Z"),
        ("123456789Z", "12345678900Z"), ('"command"', '"commanD"'), ("terminal", "Terminal"), ('"v":1', '"v":2'),
        ('"v":1', '"w":1'), (SIG_1[:4], "4fe5"), ('"sig"', '"prevSig":"ab","sig"'), (SIG_1, SIG_1[:-2]),
        (SIG_1, SIG_1 + " "), (f'"{SIG_1}"', "7"), (f'"{SIG_1}"', "true"), ('"id":"', '"id":["'),
        ('"human"}', '"human"'), (":[1,", ":[1e999,"), ('"/w"', "[" * 50_000 + "]" * 50_000), ("[1,2.5", "[2.5,1"),
    ],
)  # fmt: skip
def test_a_changed_event_is_invalid(old, new):
    assert verdict(EVENT_1.replace(old, new, 1)) == "invalid"


def test_the_signature_covers_the_data_but_not_the_actor():
    assert verdict(EVENT_1.replace("human", "ai")) == "valid"
    start, end = EVENT_1.index('"data"'), EVENT_1.index(',"actor"')
    for index in range(start, end):
        for byte in "0", "x":
            text = EVENT_1[:index] + byte + EVENT_1[index + 1 :]
            assert verdict(text) == ("valid" if text == EVENT_1 else "invalid"), text


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ("terminal", "terminal"), (None, ""), (7, ""), ({}, ""), ({"channel": "c"}, "c"),
        ({"channel": "c", "emitter": "e", "integration": "i"}, "i"),
        ({"channel": "c", "emitter": "e", "integration": None}, "e"), ({"integration": "", "channel": "c"}, ""),
    ],
)  # fmt: skip
def test_signed_source_is_a_string_or_the_first_name(source, field):
    assert signed_message(PLAIN | {"source": source}).decode().split("\n")[5] == field


def test_a_field_with_a_line_feed_is_rejected():
    with pytest.raises(ValueError, match="line feed"):
        signed_message(PLAIN | {"kind": "k\n"})


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "[" * 100_000, '{"sig": "x"}', '{"sig": "\\ud800"}'])
def test_hostile_text_is_invalid(text):
    assert verdict(text) == "invalid"
