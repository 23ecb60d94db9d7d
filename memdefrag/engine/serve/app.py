"""The routes of a memory server.

Who may ask says `door`: with a key, whoever sends it; without one, programs of this machine, but no web page that a
browser shows.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from memdefrag.base.errors import MemdefragError
from memdefrag.engine.serve import bodies, protocol
from memdefrag.engine.serve.door import Door, Refused
from memdefrag.engine.serve.entries import Entries
from memdefrag.engine.serve.writing import Wish, Writer

SIGN_SECONDS = 5.0
"""After so long a client is shown that the server lives."""
WRITERS = 100
"""Requests that wait together for the one writer."""
_ENTRY, _ENTRIES = "/api/memory/entry/", "/api/memory/entries"
_PAGE = """<!DOCTYPE html>
<html><head><title>Memory server</title></head><body>
<h1>Memory server</h1><p>memdefrag gives out a store of memories here. Health: <a href="/api/health">/api/health</a></p>
<ul><li>GET /api/memory/tree?prefix=&amp;depth=</li><li>GET, PUT, DELETE /api/memory/entry/PATH</li>
<li>GET /api/memory/search?q=&amp;prefix=</li></ul></body></html>"""


class _Anything(PathConvertor):
    """A name may have line breaks."""

    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())

Handler = Callable[[Request], Awaitable[Response]]


_log = logging.getLogger(__name__)


def make(entries: Entries, door: Door) -> Starlette:
    """The application that gives out these entries."""
    writer = Writer(entries)
    # Of their own, so that those who read need not wait for those who wait to write.
    writers = CapacityLimiter(WRITERS)

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
        try:
            name = unquote_to_bytes(request.scope["raw_path"]).decode().removeprefix(_ENTRY)
        except UnicodeDecodeError as error:
            raise Refused(400, "The path is not UTF-8") from error
        if request.method == "GET":
            return _json(await run_in_threadpool(lambda: next(protocol.read(entries, [name]))))
        wish = Wish(name)
        if request.method == "PUT":
            body = await bodies.read(request, bodies.BODY_BYTES, protocol.body_faults)
            wish = Wish(name, body["content"], body.get("metadata"))
        return await _patiently(lambda: protocol.change(writer, [wish])[0], writers)

    async def many(request: Request) -> Response:
        body = await bodies.read(request, bodies.BULK_BYTES, protocol.bulk_faults)
        asked = body.get("read")
        if asked is not None:
            return await run_in_threadpool(lambda: _bounded("entries", protocol.read(entries, asked)))
        wishes = [Wish(item["path"], item["content"], item.get("metadata")) for item in body["write"]]
        return await _patiently(lambda: {"results": protocol.change(writer, wishes)}, writers)

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

    def guarded(handler: Handler) -> Handler:
        async def watched(request: Request) -> Response:
            try:
                return await handler(request)
            except (Refused, HTTPException, ClientDisconnect):
                raise
            except MemdefragError as error:
                _log.warning("%s", error.message)
                return _json({"detail": protocol.discreet(error.message, entries.location)}, 500)
            except Exception:
                _log.exception("A request failed")
                return _json({"detail": "The server failed; its log says more"}, 500)

        return watched

    def locked(handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            door.require(request)
            return await guarded(handler)(request)

        return checked

    pages = [Route("/", page), Route("/docs", page)] if door.pages else []
    return Starlette(
        routes=[
            *pages,
            Route("/api/health", guarded(health)),
            Route("/api/memory/tree", locked(tree)),
            Route(_ENTRY + "{path:anything}", locked(entry), methods=["GET", "PUT", "DELETE"]),
            Route(_ENTRIES, locked(many), methods=["POST"]),
            Route("/api/memory/search", locked(search)),
            Route("/api/memory/backups", locked(backups("list"))),
            Route("/api/memory/backup", locked(backups("make")), methods=["POST"]),
            Route("/api/memory/backup/{key:path}", locked(backups("delete")), methods=["DELETE"]),
            Route("/api/memory/restore", locked(backups("restore")), methods=["POST"]),
        ],
        exception_handlers={HTTPException: _http_failure, Refused: _refused, ClientDisconnect: _gone},
    )


async def _patiently(work: Callable[[], Any], limiter: CapacityLimiter) -> Response:
    """The answer to what may take long.

    Blanks, which mean nothing in JSON, go before one that is not ready, since clients give up a server that is silent.
    A client that goes away does not stop the work.
    """
    task = asyncio.ensure_future(to_thread.run_sync(work, limiter=limiter))
    if (await asyncio.wait([task], timeout=SIGN_SECONDS))[0]:
        return _json(task.result())

    async def parts() -> AsyncIterator[bytes]:
        while not task.done():
            yield b" "
            await asyncio.wait([task], timeout=SIGN_SECONDS)
        yield _bytes(task.result())

    return StreamingResponse(parts(), media_type="application/json")


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
        if size > bodies.BULK_BYTES:
            break
    return Response(b'{"%s":[%s]}' % (name.encode(), b",".join(parts)), media_type="application/json")


def _bytes(said: Any) -> bytes:
    """JSON; half characters, which UTF-8 has none of, as question marks."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


async def _http_failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"detail": error.detail}, error.status_code, dict(error.headers or {}))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _json({"detail": error.detail}, error.status, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads it."""
    return Response(status_code=400)
