"""Guarantees of both storages, object keys, and settings."""

import hashlib
import io
import random
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from bundle_stores import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, SESSION, Zeros, contents, soon, upload

import storage
from errors import Incomplete, LengthRequired, NotFound, TooLarge
from storage import build_storage, is_object_key, new_object_key

MIB = 1024 * 1024
UNKNOWN_KEY = f"{SESSION}.{'0' * 32}.tar.gz"
MALFORMED_KEYS = ["", "../../etc/passwd", f"{SESSION}/x", "/etc/passwd", "a\0b", "*", UNKNOWN_KEY.upper()]


def test_a_bundle_is_returned_unchanged(store, object_key):
    content = random.Random(1).randbytes(700_000)
    upload(store, object_key, content)
    assert contents(store, object_key) == content
    assert store.size(object_key) == 700_000
    assert store.size_and_sha256(object_key) == (700_000, hashlib.sha256(content).hexdigest())
    with closing(store.open(object_key)) as stream:
        assert stream.read(4) + stream.read(4) == content[:8]
        assert stream.read() + stream.read(4) == content[8:]


def test_a_received_body_is_stored_completely_or_not_at_all(store):
    object_key = new_object_key(SESSION, "bundle")
    content = random.Random(1).randbytes(700_000)
    sha256 = store.receive(object_key, io.BytesIO(content), len(content))
    assert contents(store, object_key) == content
    assert sha256 == hashlib.sha256(content).hexdigest()
    invalid = {None: LengthRequired, -1: LengthRequired, 128 * MIB + 1: TooLarge, 700_001: Incomplete}
    for length, error in invalid.items():
        stream = io.BytesIO(content)
        with pytest.raises(error):
            store.receive(object_key, stream, length)
        assert (stream.tell() > 0) == (error is Incomplete)
    assert contents(store, object_key) == content


def test_the_last_upload_wins(store, object_key):
    other = new_object_key(SESSION)
    upload(store, other, b"other")
    for content in (b"first", b"second, longer", b"third"):
        upload(store, object_key, content)
    assert contents(store, object_key) == b"third"
    for _ in range(2):
        store.delete(object_key)
    with pytest.raises(NotFound):
        store.size(object_key)
    assert contents(store, other) == b"other"


def test_an_unknown_or_malformed_key_is_not_found(store):
    for name in [UNKNOWN_KEY, *MALFORMED_KEYS]:
        store.delete(name)
        for call in (store.open, store.size, store.size_and_sha256, store.chunks):
            with pytest.raises(NotFound):
                call(name)
        with pytest.raises(NotFound):
            store.copy(name, new_object_key(SESSION))
    for name in MALFORMED_KEYS:
        with pytest.raises(NotFound):
            store.receive(name, io.BytesIO(b"x"), 1)


@pytest.mark.slow
def test_a_hundred_mebibytes_take_little_memory(store, object_key):
    upload(store, object_key, b"load boto3, which takes memory")
    store.size_and_sha256(object_key)
    tracemalloc.start()
    upload(store, object_key, Zeros(100 * MIB))
    result = store.size_and_sha256(object_key)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result == (100 * MIB, hashlib.sha256(bytes(100 * MIB)).hexdigest())
    assert peak < 4 * MIB
    store.delete(object_key)


def test_an_object_key_contains_its_session_and_cannot_be_guessed():
    keys = {new_object_key(SESSION) for _ in range(100)}
    assert len(keys) == 100
    assert all(is_object_key(key) and key.startswith(SESSION + ".") for key in keys)
    assert not any(is_object_key(UNKNOWN_KEY + suffix) for suffix in ("\n", "/", ".part", "%00", " "))


def test_all_s3_settings_are_used(s3_url, s3_client, object_key):
    settings = {
        "S3_BUCKET": "bundles", "S3_ENDPOINT_URL": s3_url, "S3_REGION": REGION, "S3_PREFIX": "other/",
        "S3_ACCESS_KEY_ID": ACCESS_KEY_ID, "S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }  # fmt: skip
    store = build_storage(settings, lambda: b"")
    url = store.upload_url(object_key, soon())
    assert url.startswith(f"{s3_url}/bundles/other/{object_key}?")
    assert f"{ACCESS_KEY_ID}%2F" in url
    upload(store, object_key, b"code")
    assert contents(store, object_key) == b"code"


USE_A_FOLDER = """
import io, pathlib, sys
from datetime import datetime
import storage
settings = {"S3_BUCKET": None, "BUNDLE_FOLDER": pathlib.Path(sys.argv[1]), "BASE_URL": "http://x"}
store, key = storage.build_storage(settings, lambda: b"x" * 32), storage.new_object_key(sys.argv[2])
assert store.upload_url(key, datetime.now()).startswith("http://x/v1/bundles/")
store.receive(key, io.BytesIO(b"x"), 1)
sys.exit("boto3" in sys.modules or "botocore" in sys.modules)
"""


def test_the_folder_is_used_without_a_bucket_or_boto3(tmp_path):
    command = [sys.executable, "-c", USE_A_FOLDER, tmp_path, SESSION]
    assert subprocess.run(command, cwd=Path(storage.__file__).parent.parent).returncode == 0
    assert len(list(tmp_path.iterdir())) == 1
