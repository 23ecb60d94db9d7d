"""The routes of a memory server.

Who may ask: with a key, whoever sends it; without one, programs of this machine, but no web page that a browser
shows: a request that names another host than this machine is refused, and no answer may be read by another site.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from memdefrag.base.errors import MemdefragError
from memdefrag.base.http import is_loopback
from memdefrag.base.secrets import Secret
from memdefrag.engine.serve import protocol
from memdefrag.engine.serve.entries import Entries
from memdefrag.engine.serve.writing import Wish, Writer

BODY_BYTES = 64 << 20
BULK_BYTES = 8 << 20
"""Of a request for many entries, and about as many of the answer to one."""
_ENTRY, _ENTRIES = "/api/memory/entry/", "/api/memory/entries"
_PAGE = """<!DOCTYPE html>
<html><head><title>Memory server</title></head><body>
<h1>Memory server</h1><p>memdefrag gives out a store of memories here. Health: <a href="/api/health">/api/health</a></p>
<ul><li>GET /api/memory/tree?prefix=&amp;depth=</li><li>GET, PUT, DELETE /api/memory/entry/PATH</li>
<li>GET /api/memory/search?q=&amp;prefix=</li></ul></body></html>"""

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Door:
    """Who may come in.

    Attributes:
        key: what a request must bring; None: the server is open, to this machine alone.
        pages: whether there are pages for a person.
    """

    key: Secret | None = None
    pages: bool = True

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """The status and the reason with which a request is sent away; None: it may come in."""
        if self.key is None:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
            return None if is_loopback(host) else (403, "Only this machine may ask a server without a key")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            return 401, "API key required"
        # Headers come as Latin-1, whatever the bytes were.
        if not hmac.compare_digest(given.strip().encode("latin-1"), self.key.reveal().encode()):
            return 401, "Invalid API key"
        return None


def make(entries: Entries, door: Door) -> Starlette:
    """The application that gives out these entries."""
    writer = Writer(entries)

    async def health(request: Request) -> Response:
        return _json(protocol.health(entries))

    async def tree(request: Request) -> Response:
        depth = request.query_params.get("depth", "-1")
        try:
            number = int(depth)
        except ValueError:
            return _json({"detail": protocol.no_number("depth", depth)}, 422)
        prefix = request.query_params.get("prefix", "")
        return _json(await run_in_threadpool(protocol.tree, entries, prefix, number))

    async def entry(request: Request) -> Response:
        # The path as it was sent, decoded once: no further step may take a part of it for another.
        name = request.scope["path"].removeprefix(_ENTRY)
        if request.method == "GET":
            return _json(await run_in_threadpool(lambda: next(protocol.read(entries, [name]))))
        wish = Wish(name)
        if request.method == "PUT":
            body = await _body(request, BODY_BYTES, protocol.body_faults)
            if isinstance(body, Response):
                return body
            wish = Wish(name, body["content"], body.get("metadata"))
        [answer] = await run_in_threadpool(protocol.change, writer, [wish])
        return _json(answer)

    async def many(request: Request) -> Response:
        body = await _body(request, BULK_BYTES, protocol.bulk_faults)
        if isinstance(body, Response):
            return body
        asked = body.get("read")
        if asked is not None:
            return await run_in_threadpool(lambda: _bounded("entries", protocol.read(entries, asked)))
        wishes = [Wish(item["path"], item["content"], item.get("metadata")) for item in body["write"]]
        return _json({"results": await run_in_threadpool(protocol.change, writer, wishes)})

    async def search(request: Request) -> Response:
        query = request.query_params.get("q")
        if query is None:
            return _json({"detail": protocol.missing_query("q")}, 422)
        prefix = request.query_params.get("prefix", "")
        return _json(await run_in_threadpool(lambda: protocol.search(entries.scan(), query, prefix)))

    def backups(what: str) -> Handler:
        async def answer(request: Request) -> Response:
            return _json(protocol.BACKUPS[what])

        return answer

    async def page(request: Request) -> Response:
        return HTMLResponse(_PAGE)

    def locked(handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            refused = door.refusal(request)
            if refused is None:
                return await handler(request)
            headers = {"WWW-Authenticate": "Bearer"} if refused[0] == 401 else {}
            return _json({"detail": refused[1]}, refused[0], headers)

        return checked

    pages = [Route("/", page), Route("/docs", page)] if door.pages else []
    return Starlette(
        routes=[
            *pages,
            Route("/api/health", health),
            Route("/api/memory/tree", locked(tree)),
            Route(_ENTRY + "{path:path}", locked(entry), methods=["GET", "PUT", "DELETE"]),
            Route(_ENTRIES, locked(many), methods=["POST"]),
            Route("/api/memory/search", locked(search)),
            Route("/api/memory/backups", locked(backups("list"))),
            Route("/api/memory/backup", locked(backups("make")), methods=["POST"]),
            Route("/api/memory/backup/{key:path}", locked(backups("delete")), methods=["DELETE"]),
            Route("/api/memory/restore", locked(backups("restore")), methods=["POST"]),
        ],
        exception_handlers={HTTPException: _http_failure, MemdefragError: _failure},
    )


async def _body(
    request: Request, limit: int, faults_of: Callable[[Any], list[dict[str, Any]]]
) -> dict[str, Any] | Response:
    """The body of a request; or the answer to one that cannot be used."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > limit:
            return _json({"detail": f"The body is larger than {limit >> 20} MB"}, 413, {"Connection": "close"})
    try:
        body = json.loads(bytes(raw))
    except json.JSONDecodeError as error:
        return _json({"detail": protocol.no_json(error.pos, error.msg)}, 422)
    except (ValueError, RecursionError) as error:
        return _json({"detail": protocol.no_json(0, type(error).__name__)}, 422)
    faults = faults_of(body)
    if faults:
        return _json({"detail": faults}, 422)
    found: dict[str, Any] = body
    return found


def _json(said: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer in the real server's spelling of JSON."""
    return Response(_bytes(said), status, headers, media_type="application/json")


def _bounded(name: str, said: Iterable[Any]) -> Response:
    """An answer of as many values as it takes to fill it, in their order; whoever asked asks again for the rest."""
    parts: list[bytes] = []
    size = 0
    for value in said:
        parts.append(_bytes(value))
        size += len(parts[-1])
        if size > BULK_BYTES:
            break
    return Response(b'{"%s":[%s]}' % (name.encode(), b",".join(parts)), media_type="application/json")


def _bytes(said: Any) -> bytes:
    """JSON; half characters, which UTF-8 has none of, as question marks."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


async def _http_failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"detail": error.detail}, error.status_code, dict(error.headers or {}))


async def _failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, MemdefragError)
    return _json({"detail": error.message}, 500)
