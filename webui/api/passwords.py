"""Passwords as scrypt hashes: made, compared, never shown."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

COST: Final = 2**14
"""scrypt's N: 16 MB and some 50 ms for each try."""

BLOCK_SIZE: Final = 8
"""scrypt's r."""

_PREFIX: Final = "scrypt$"
_MEMORY: Final = 64 * 1024**2


def hashed(password: str) -> str:
    """Return a password as text that does not tell it: ``scrypt$salt$hash``."""
    salt = secrets.token_bytes(16)
    return f"{_PREFIX}{_text(salt)}${_text(_scrypt(password, salt))}"


def is_hashed(stored: str) -> bool:
    """Tell whether a password of the settings is already such a text."""
    return stored.startswith(_PREFIX) and stored.count("$") == _PREFIX.count("$") + 1


def matches(password: str, stored: str) -> bool:
    """Tell whether this is the password; takes the same time either way."""
    _, salt, expected = stored.split("$")
    return hmac.compare_digest(_scrypt(password, _bytes(salt)), _bytes(expected))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=COST, r=BLOCK_SIZE, p=1, maxmem=_MEMORY, dklen=32
    )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)
