"""S3 storage: presigned URLs, stored objects, and the circuit breaker."""

import hashlib
import hmac
import time
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from bundle_stores import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, s3_at, soon, upload

import storage.s3
from errors import StoreUnavailable
from tests.delivery.receiver import receiving


def signature_v4(url, query: dict[str, str]) -> str:
    """Compute a presigned PUT's AWS Signature Version 4, which moto does not verify."""
    signed = sorted((name, value) for name, value in query.items() if name != "X-Amz-Signature")
    signed_query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in signed)
    headers = f"content-type:application/gzip\nhost:{url.netloc}\n"
    request = "\n".join(["PUT", url.path, signed_query, headers, "content-type;host", "UNSIGNED-PAYLOAD"])
    timestamp = query["X-Amz-Date"]
    scope = f"{timestamp[:8]}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", timestamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{SECRET_ACCESS_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def test_a_presigned_url_limits_the_object_its_type_and_the_time(s3, s3_url, object_key):
    url = urlsplit(s3.upload_url(object_key, soon()))
    query = dict(parse_qsl(url.query))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{s3_url}/bundles/kept/{object_key}"
    signed_at = query["X-Amz-Date"]
    age = datetime.now(UTC) - datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(age.total_seconds()) < 60
    assert 840 <= int(query["X-Amz-Expires"]) <= 900
    # The client does not have to send a checksum, for example.
    assert query == {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{ACCESS_KEY_ID}/{signed_at[:8]}/{REGION}/s3/aws4_request",
        "X-Amz-Date": signed_at,
        "X-Amz-Expires": query["X-Amz-Expires"],
        "X-Amz-SignedHeaders": "content-type;host",
        "X-Amz-Signature": signature_v4(url, query),
    }


def test_amazon_s3_is_addressed_by_the_buckets_host_name(object_key):
    url = urlsplit(s3_at(None).upload_url(object_key, soon()))
    assert url.netloc == f"bundles.s3.{REGION}.amazonaws.com"
    query = dict(parse_qsl(url.query))
    assert query["X-Amz-Signature"] == signature_v4(url, query)


def test_a_bundle_is_stored_with_the_prefix_and_its_type(s3, s3_client, object_key):
    upload(s3, object_key, b"code")
    stored = s3_client.head_object(Bucket="bundles", Key=f"kept/{object_key}")
    assert (stored["ContentLength"], stored["ContentType"]) == (4, "application/gzip")
    s3.delete(object_key)
    assert "Contents" not in s3_client.list_objects_v2(Bucket="bundles", Prefix=f"kept/{object_key}")
    # The write check always uses the same empty object.
    for _ in range(2):
        s3.check_writable()
    stored = s3_client.list_objects_v2(Bucket="bundles", Prefix="kept/write-check")["Contents"]
    assert [(entry["Key"], entry["Size"]) for entry in stored] == [("kept/write-check", 0)]


def test_during_an_outage_one_request_at_a_time_tries_the_store(object_key, monkeypatch):
    with receiving() as server:
        server.status = 500
        store = s3_at(server.url(""))
        for attempts in (storage.s3.MAX_ATTEMPTS, 2 * storage.s3.MAX_ATTEMPTS):
            for _ in range(5):
                with pytest.raises(StoreUnavailable):
                    store.size(object_key)
            assert len(server.messages) == attempts
            monkeypatch.setattr(storage.s3, "monotonic", lambda: time.monotonic() + 60)
        # The write check makes a single attempt.
        with pytest.raises(StoreUnavailable):
            store.check_writable()
        assert len(server.messages) == attempts + 1
