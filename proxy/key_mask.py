"""Replace the provider's key in its response: some providers repeat an invalid request's headers."""

# A shorter key is no secret, such as `dummy` for a gateway without authentication, and can be a word of the response.
MIN_CHARACTERS = 7


class KeyMask:
    """Replaces a key with asterisks, also if it spans two chunks of a body."""

    def __init__(self, key: str):
        self._key = key
        self._is_secret = len(key) >= MIN_CHARACTERS
        self._held = b""

    def text(self, text: str) -> str:
        return text.replace(self._key, "*" * len(self._key)) if self._is_secret else text

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes so far, without an end that can be the start of the key."""
        if not self._is_secret:
            return chunk
        key = self._key.encode()
        data = (self._held + chunk).replace(key, b"*" * len(key))
        size = next(size for size in range(len(key) - 1, -1, -1) if data.endswith(key[:size]))
        end = len(data) - size
        self._held = data[end:]
        return data[:end]

    def end(self) -> bytes:
        """Return the rest of the body."""
        return self._held
