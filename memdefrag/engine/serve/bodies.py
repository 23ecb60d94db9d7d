"""The bodies of requests: of bounded size, in bounded time, and JSON that means one thing to everybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from math import isinf
from typing import Any

from starlette.requests import Request

from memdefrag.base.foreign_json import DEEPEST
from memdefrag.engine.serve import protocol
from memdefrag.engine.serve.door import Refused

BODY_BYTES = 64 << 20
BULK_BYTES = 8 << 20
"""Of a request for many entries, and about as many of the answer to one."""
BODY_SECONDS = 120.0
_THROWN_AWAY = 4
"""So many times the limit is read of a body that is too large: who still sends would not see the answer."""


async def read(request: Request, limit: int, faults_of: Callable[[Any], list[dict[str, Any]]]) -> dict[str, Any]:
    """The JSON object in the body of a request.

    Args:
        limit: bytes.
        faults_of: what is wrong with the value; nothing: empty.

    Raises:
        Refused: it cannot be used.
        ClientDisconnect: the client went away.
    """
    try:
        raw = await asyncio.wait_for(_bytes(request, limit), BODY_SECONDS)
    except TimeoutError as error:
        raise Refused(408, f"The body did not come within {BODY_SECONDS:g} seconds", close=True) from error
    try:
        body = value(raw)
    except json.JSONDecodeError as error:
        raise Refused(422, protocol.no_json(error.pos, error.msg)) from error
    except UnicodeError as error:
        raise Refused(422, protocol.no_json(0, "not UTF-8, or half a character")) from error
    except (ValueError, RecursionError) as error:
        raise Refused(422, protocol.no_json(0, str(error))) from error
    faults = faults_of(body)
    if faults:
        raise Refused(422, faults)
    found: dict[str, Any] = body
    return found


async def _bytes(request: Request, limit: int) -> bytes:
    raw, size = bytearray(), 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            raw += part
        elif size > _THROWN_AWAY * limit:
            break
        else:
            raw.clear()
    if size > limit:
        raise Refused(413, f"The body is larger than {limit >> 20} MB", close=True)
    return bytes(raw)


def value(raw: bytes) -> Any:
    """The JSON value, if every reader takes it for the same.

    Raises:
        ValueError, RecursionError: it is none; a name comes twice in an object; a number is none of mathematics or too
            large; something lies too deep; or there is half a character.
    """
    found = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_number, parse_float=_number)
    waiting: list[tuple[Any, int]] = [(found, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST}")
        if isinstance(one, str):
            one.encode()
        elif isinstance(one, dict):
            waiting += [(each, depth + 1) for pair in one.items() for each in pair]
        elif isinstance(one, list):
            waiting += [(each, depth + 1) for each in one]
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice in an object")
    return found


def _number(text: str) -> float:
    number = float(text)
    if isinf(number) or number != number:
        raise ValueError(f"{text[:20]} is no number of JSON, or too large")
    return number
