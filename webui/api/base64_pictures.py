"""Pictures inside JSON."""

import base64
import binascii

from webui.modules.errors import PictureError


def decoded(text: str) -> bytes:
    """Return the bytes of a picture from base64, with or without ``data:...;base64,``."""
    if text.startswith(("http://", "https://")):
        message = "this server fetches no pictures from the network"
        raise PictureError(message, hint="Send the picture itself as base64.", value=text[:80])
    try:
        return base64.b64decode(text.partition("base64,")[2] or text, validate=False)
    except binascii.Error as error:
        message = f"this is no base64: {text[:40]!r}"
        raise PictureError(message, hint="Send the picture as base64.", value=text[:40]) from error
