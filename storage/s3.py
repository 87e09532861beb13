"""Storage in an S3-compatible object store."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import Any

from errors import NotFound, StoreUnavailable
from storage.base import (
    CONTENT_TYPE,
    MARKER,
    Readable,
    Storage,
    copy_body,
    is_object_key,
    translate_store_error,
    validate_length,
)

# A request that waits for the store occupies a server thread.
CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, MAX_ATTEMPTS = 3, 8, 2
# During an outage, one request per interval tries the store, and all other requests fail immediately.
OUTAGE_RETRY_SECONDS = 5


class S3Storage(Storage):
    """A bucket to which clients upload directly.

    bucket -- an existing bucket, which can be private
    prefix -- prepended to object keys, such as "bundles/"
    client_options -- boto3's endpoint_url, region_name, aws_access_key_id and aws_secret_access_key; None for Amazon
        S3 with the machine's settings and credentials
    """

    def __init__(self, bucket: str, prefix: str = "", **client_options: str | None):
        self.bucket = bucket
        self.prefix = prefix
        self._client_options = client_options
        self._circuit_breaker = CircuitBreaker()

    def upload_url(self, object_key: str, expires_at: datetime) -> str:
        with _translate_errors():
            return self._client.generate_presigned_url(
                "put_object",
                Params=self._object(object_key) | {"ContentType": CONTENT_TYPE},
                ExpiresIn=int((expires_at - datetime.now(UTC)).total_seconds()),
            )

    def read_marker(self) -> str | None:
        try:
            with closing(self.open(MARKER)) as marker:
                return marker.read().decode("utf-8", "replace")
        except NotFound:
            return None

    def write_marker(self, text: str) -> None:
        self._call("put_object", MARKER, Body=text.encode())

    def receive(self, object_key: str, stream: Any, content_length: int | None) -> str:
        length = validate_length(content_length)
        # The store needs the digest before the body, and a retry needs the body again.
        with tempfile.TemporaryFile() as file:
            try:
                sha256 = copy_body(stream, length, file)
            except OSError as error:
                raise translate_store_error(error) from error
            file.seek(0)
            self._call("put_object", object_key, Body=file)
        return sha256

    def open(self, object_key: str) -> Readable:
        return _Body(self._call("get_object", object_key)["Body"])

    def size(self, object_key: str) -> int:
        return self._call("head_object", object_key)["ContentLength"]

    def _copy(self, object_key: str, new_key: str) -> None:
        self._call("copy_object", new_key, CopySource=self._object(object_key))

    def delete(self, object_key: str) -> None:
        with suppress(NotFound):
            self._call("delete_object", object_key)

    def check_writable(self) -> None:
        """Write an empty object with a fixed name, to check the write permission."""
        with _translate_errors():
            self._probe_client.put_object(Bucket=self.bucket, Key=f"{self.prefix}write-check", Body=b"")

    def delete_partial_uploads(self, before: datetime) -> None:
        """Do nothing: S3 stores objects completely or not at all."""

    def _call(self, operation: str, object_key: str, **options: Any) -> Any:
        target = self._object(object_key) | options
        with _translate_errors(), self._circuit_breaker.guard():
            return getattr(self._client, operation)(**target)

    def _object(self, object_key: str) -> dict[str, str]:
        if object_key != MARKER and not is_object_key(object_key):
            raise NotFound()
        return {"Bucket": self.bucket, "Key": self.prefix + object_key}

    @cached_property
    def _client(self) -> Any:
        return self._new_client(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, MAX_ATTEMPTS)

    @cached_property
    def _probe_client(self) -> Any:
        return self._new_client(connect_timeout=2, read_timeout=3, attempts=1)

    def _new_client(self, connect_timeout: int, read_timeout: int, attempts: int) -> Any:
        # Imported here because boto3 takes 25 MiB of memory that FolderStorage does not need.
        import boto3
        from botocore.config import Config

        config = Config(
            signature_version="s3v4",
            # Amazon's host without a region can redirect a PUT, which clients cannot follow.
            # Most other stores do not support bucket host names.
            s3={"addressing_style": "path" if self._client_options.get("endpoint_url") else "virtual"},
            # Some stores do not support newer checksums, and clients do not send them.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )
        return boto3.session.Session().client("s3", config=config, **self._client_options)


class CircuitBreaker:
    """During an outage, lets one request at a time through and rejects all others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retry_at: float | None = None

    @contextmanager
    def guard(self) -> Iterator[None]:
        with self._lock:
            if self._retry_at is not None:
                if monotonic() < self._retry_at:
                    raise StoreUnavailable()
                self._retry_at = monotonic() + CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS
        try:
            yield
        except Exception as error:
            self._retry_at = monotonic() + OUTAGE_RETRY_SECONDS if _is_outage(error) else None
            raise
        self._retry_at = None


class _Body:
    """A response body that translates errors."""

    def __init__(self, body: Any):
        self._body = body

    def read(self, size: int = -1, /) -> bytes:
        with _translate_errors():
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        self._body.close()


def _is_outage(error: Exception) -> bool:
    """Return whether the store failed or did not respond, rather than rejected the request."""
    from botocore.exceptions import BotoCoreError

    return isinstance(error, BotoCoreError) or _status(error) >= 500


@contextmanager
def _translate_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if _status(error) == 404 and error.response.get("Error", {}).get("Code") != "NoSuchBucket":
            raise NotFound() from None
        raise StoreUnavailable("The bundle store rejected the request.") from error
    except BotoCoreError as error:
        raise StoreUnavailable() from error


def _status(error: Any) -> int:
    return getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
