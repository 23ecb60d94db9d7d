"""Connections that do not wait for ever: neither for the head of a request nor for an answer to be taken."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
STALLED_SECONDS = 60.0
AT_ONCE = 200
"""Connections; further ones are told to come later."""
HEAD_BYTES = 32 << 10
"""Of a request's first line and its headers."""
_PART_BYTES = 4 << 10


class Connection(H11Protocol):
    """One client's connection. (`bodies` limits the time for a body.)"""

    _awaited: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        # In small parts, since the library only bounds a head that has not come whole.
        part = _PART_BYTES if self._awaits_head() else len(data)
        for start in range(0, len(data), part):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + part])
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()
        self._stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._awaited, self._stalled):
            if timer:
                timer.cancel()

    def _watch(self) -> None:
        """Give the client so much time from the first byte of a request, or from connecting, to the end of its head."""
        awaits_head = self._awaits_head()
        if awaits_head and self._awaited is None:
            self._awaited = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        elif not awaits_head and self._awaited:
            self._awaited.cancel()
            self._awaited = None

    def _awaits_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]


LIMITS: dict[str, Any] = {
    "http": Connection,
    "ws": "none",
    "limit_concurrency": AT_ONCE,
    "h11_max_incomplete_event_size": HEAD_BYTES,
}
"""As options of uvicorn's configuration."""
