"""The promises of both storages, object keys, and the settings."""

import hashlib
import os
import random
import subprocess
import sys
import tracemalloc

import pytest
from bundle_stores import CREDENTIALS, MIB, REGION, SECRET, SESSION, Zeros, contents, soon, upload

import storage
from storage import FolderStorage, Missing, build_storage, is_object_key, new_object_key


def test_a_bundle_is_returned_as_it_was_uploaded(store, object_key):
    content = random.Random(1).randbytes(700_000)
    upload(store, object_key, content)
    assert contents(store, object_key) == content
    assert store.size(object_key) == 700_000
    assert store.size_and_sha256(object_key) == (700_000, hashlib.sha256(content).hexdigest())
    stream = store.open(object_key)
    pieces = [content[:4], content[4:8], content[8:], b""]
    assert [stream.read(4), stream.read(4), stream.read(), stream.read(4)] == pieces
    stream.close()


def test_the_last_upload_wins(store, object_key):
    for content in (b"first", b"second, longer", b"third"):
        upload(store, object_key, content)
    assert contents(store, object_key) == b"third"


def test_a_bundle_is_deleted_alone_and_once(store, object_key):
    other = new_object_key(SESSION)
    upload(store, object_key, b"one")
    upload(store, other, b"two")
    store.delete(object_key)
    store.delete(object_key)
    with pytest.raises(Missing):
        store.size(object_key)
    assert contents(store, other) == b"two"


UNKNOWN_KEY = f"{SESSION}.{'0' * 32}.tar.gz"
MALFORMED_KEYS = [
    "", "..", "../../etc/passwd", f"{SESSION}/x", "/etc/passwd", "a\0b", "*", f"{SESSION}.{'0' * 31}A.TAR.GZ"
]  # fmt: skip


@pytest.mark.parametrize("name", [UNKNOWN_KEY, *MALFORMED_KEYS])
def test_an_unknown_or_malformed_key_is_missing(store, name):
    store.delete(name)
    for call in (store.open, store.size, store.size_and_sha256, store.chunks):
        with pytest.raises(Missing):
            call(name)


@pytest.mark.slow
def test_a_hundred_mebibytes_take_no_memory(store, object_key):
    upload(store, object_key, b"boto3 itself takes memory, once")
    store.size_and_sha256(object_key)
    tracemalloc.start()
    upload(store, object_key, Zeros(100 * MIB))
    size, digest = store.size_and_sha256(object_key)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (size, digest) == (100 * MIB, hashlib.sha256(bytes(100 * MIB)).hexdigest())
    assert peak < 4 * MIB
    store.delete(object_key)


# Keys


def test_a_key_names_its_session_and_cannot_be_guessed():
    keys = {new_object_key(SESSION) for _ in range(100)}
    assert len(keys) == 100
    assert all(is_object_key(key) and key.startswith(SESSION + ".") for key in keys)
    assert not any(is_object_key(UNKNOWN_KEY + suffix) for suffix in ("\n", "/", ".part", "%00", " "))


# Settings


def test_a_folder_is_the_default(tmp_path):
    default = build_storage({}, "http://localhost:8000", lambda: SECRET)
    assert isinstance(default, FolderStorage)
    assert str(default.folder) == "var/bundles"
    settings = {"BUNDLE_FOLDER": str(tmp_path), "S3_BUCKET": ""}
    assert build_storage(settings, "http://localhost:8000", lambda: SECRET).folder == tmp_path


def test_a_bucket_is_used_with_all_its_settings(s3_url, s3_client, object_key):
    settings = {
        "S3_BUCKET": "bundles",
        "S3_ENDPOINT_URL": s3_url,
        "S3_REGION": REGION,
        "S3_PREFIX": "other/",
        "S3_ACCESS_KEY_ID": CREDENTIALS["access_key_id"],
        "S3_SECRET_ACCESS_KEY": CREDENTIALS["secret_access_key"],
    }
    store = build_storage(settings, "http://localhost:8000", lambda: SECRET)
    url = store.upload_url(object_key, soon())
    assert url.startswith(f"{s3_url}/bundles/other/{object_key}?")
    assert f"{CREDENTIALS['access_key_id']}%2F" in url
    upload(store, object_key, b"code")
    assert contents(store, object_key) == b"code"


@pytest.mark.parametrize("setting", ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_one_credential_without_the_other_is_invalid(setting):
    with pytest.raises(ValueError, match="or neither"):
        build_storage({"S3_BUCKET": "bundles", setting: "x"}, "http://localhost:8000", lambda: SECRET)


def test_a_service_with_a_folder_does_not_load_boto3(tmp_path):
    program = (
        "import sys, io, storage\nfrom datetime import datetime\n"
        f"store = storage.build_storage({{'BUNDLE_FOLDER': {str(tmp_path)!r}}}, 'http://x', lambda: b'x' * 32)\n"
        f"key = storage.new_object_key({SESSION!r})\n"
        "store.upload_url(key, datetime.now()); store.receive(key, io.BytesIO(b'x'), 1); store.delete(key)\n"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)\n"
    )
    root = os.path.dirname(os.path.dirname(storage.__file__))
    assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == 0
