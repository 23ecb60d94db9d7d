"""Compressed texts: base64 of gzip or zlib (RFC 1952, 1950), whichever the bytes begin with; the database does not say.

Written as the system's own migration writes them: gzip, level 9, of texts of more than 10,240 bytes, and only where
that is shorter.
"""

from __future__ import annotations

import base64
import gzip
import zlib

LARGEST_TEXT = 256 << 20
"""Bytes to which a compressed text may unpack."""

COMPRESSED_ABOVE = 10_240
"""Bytes of UTF-8."""

_LEVEL = 9
_EITHER_HEADER = zlib.MAX_WBITS | 32


def compressed(text: str) -> str | None:
    """The text as base64 of gzip; None where the system would leave it as it is, or nothing is won."""
    try:
        plain = text.encode()
    except UnicodeEncodeError:
        # The system reads what it unpacks as strict UTF-8.
        return None
    if not COMPRESSED_ABOVE < len(plain) <= LARGEST_TEXT:
        return None
    packed = base64.b64encode(gzip.compress(plain, _LEVEL, mtime=0)).decode()
    return packed if len(packed) < len(plain) else None


def decompressed(content: str) -> tuple[str, str]:
    """The text of base64 of gzip or zlib bytes; where it is not that, the content itself and a complaint."""
    try:
        packed = base64.b64decode(content, validate=True)
        inflater = zlib.decompressobj(_EITHER_HEADER)
        plain = inflater.decompress(packed, LARGEST_TEXT)
        if inflater.eof:
            return plain.decode("utf-8", "surrogateescape"), ""
    except (ValueError, zlib.error):
        pass
    return content, "a text that is marked as compressed and is not"
