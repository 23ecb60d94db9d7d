"""Who may come in, and with what.

Browsers send requests of any page to any address. Those that need no leave of ours beforehand are told by their
`Origin` and by the kinds of content that a form can send (the Fetch standard calls them safelisted).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request

from memdefrag.base.http import is_loopback
from memdefrag.base.secrets import Secret

_OF_FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")


class Refused(Exception):
    """A request is sent away; `detail` is the answer's, and `close` whether the connection ends with it."""

    def __init__(self, status: int, detail: object, *, close: bool = False) -> None:
        super().__init__(status, detail)
        self.status, self.detail = status, detail
        self.headers = {"Connection": "close"} if close else {}
        if status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"


@dataclass(frozen=True)
class Door:
    """Who may come in.

    Attributes:
        key: what a request must bring; None: the server is open, to this machine alone.
        pages: whether there are pages for a person.
    """

    key: Secret | None = None
    pages: bool = True

    def require(self, request: Request) -> None:
        """Insist that a request may come in.

        Raises:
            Refused: it may not.
        """
        content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content in _OF_FORMS:
            raise Refused(415, "The body must be application/json", close=True)
        if self.key is None:
            self._require_here(request)
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Refused(401, "API key required", close=True)
        # Headers come as Latin-1, whatever the bytes were.
        if not hmac.compare_digest(given.strip().encode("latin-1"), self.key.reveal().encode()):
            raise Refused(401, "Invalid API key", close=True)

    def _require_here(self, request: Request) -> None:
        """A program of this machine, and no page of another site that a browser shows on it."""
        host = request.headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if not is_loopback(name):
            raise Refused(403, "Only this machine may ask a server without a key", close=True)
        origin = request.headers.get("origin")
        from_site = request.headers.get("sec-fetch-site", "none")
        if (origin is not None and origin != f"http://{host}") or from_site not in ("none", "same-origin"):
            raise Refused(403, "No page of another site may ask a server without a key", close=True)
