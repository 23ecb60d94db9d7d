"""The id -> label table of a Chroma index, read from `index_metadata.pickle` without unpickling anything.

Chroma up to 0.6 pickles an object of its class `PersistentData`, 1.x a plain dict of the same fields (seen in
folders made by 0.4.24, 0.6.3, 1.0.20 and 1.5.9). A pickle is a program, and a folder from a stranger may hold a
malicious one; so only the few instructions that build texts, numbers and dicts are understood here, and nothing
is ever imported, called or set. The instructions are those that Python's `pickletools` documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct, error
from typing import Any

_FIELD = "id_to_label"
_U16, _I32, _U32, _U64 = Struct("<H"), Struct("<i"), Struct("<I"), Struct("<Q")
_PROTO, _FRAME, _STOP, _MARK = 0x80, 0x95, 0x2E, 0x28
_SHORT_TEXT, _TEXT, _LONG_TEXT = 0x8C, 0x58, 0x8D
_INT, _INT1, _INT2, _LONG1 = 0x4A, 0x4B, 0x4D, 0x8A
_MEMOIZE, _GET, _LONG_GET, _PUT, _LONG_PUT = 0x94, 0x68, 0x6A, 0x71, 0x72
_DICT, _SET_ITEMS, _SET_ITEM, _TUPLE, _NONE, _TRUE, _FALSE = 0x7D, 0x75, 0x73, 0x29, 0x4E, 0x88, 0x89
_GLOBAL, _STACK_GLOBAL, _NEW_OBJECT, _BUILD = 0x63, 0x93, 0x81, 0x62
_MARK_ITEM = object()
"""Stands on the stack where the items of a dict begin."""

_SHELL = object()
"""Stands for whatever class the pickle names; it cannot be called."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What could be read of the table.

    Attributes:
        by_id: label of each record id in the index.
        fault: why the table is not whole, one clause; "" when it is.
    """

    by_id: dict[str, int] = field(default_factory=dict)
    fault: str = ""


def parse(data: bytes) -> Labels:
    """Read the table; where the file breaks off, as far as it goes."""
    stack: list[Any] = []
    fault = ""
    try:
        _run(data, stack)
    except (IndexError, error):
        fault = "is cut short"
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        fault = f"is not readable ({problem})"
    found = _find(stack)
    if found is None and not fault:
        fault = "holds no label table"
    table = found or {}
    labels = {id: label for id, label in table.items() if type(id) is str and type(label) is int and label >= 0}
    if not fault and len(labels) < len(table):
        fault = "holds ids or labels of a wrong type"
    return Labels(labels, fault)


def _find(stack: list[Any]) -> dict[Any, Any] | None:
    """The label table in a finished stack, or in one that a broken file left half built."""
    for position, item in enumerate(stack):
        if type(item) is dict and type(item.get(_FIELD)) is dict:
            found: dict[Any, Any] = item[_FIELD]
            return found
        if item == _FIELD and position + 1 < len(stack) and type(stack[position + 1]) is dict:
            table: dict[Any, Any] = dict(stack[position + 1])
            open_items = stack[position + 3 :] if stack[position + 2 : position + 3] == [_MARK_ITEM] else []
            for id, label in zip(open_items[::2], open_items[1::2], strict=False):
                if type(id) is str:
                    table[id] = label
            return table
    return None


def _run(data: bytes, stack: list[Any]) -> None:
    """Carry out the instructions on `stack`.

    Raises:
        ValueError: an instruction that is none of data.
        IndexError, struct.error: the data end before the last instruction.
    """
    marks: list[int] = []
    memo: dict[int, Any] = {}
    push, at, size = stack.append, 0, len(data)
    while True:
        code = data[at]
        at += 1
        if code in (_SHORT_TEXT, _TEXT, _LONG_TEXT):
            if code == _SHORT_TEXT:
                length, at = data[at], at + 1
            elif code == _TEXT:
                length, at = _U32.unpack_from(data, at)[0], at + 4
            else:
                length, at = _U64.unpack_from(data, at)[0], at + 8
            if at + length > size:
                raise IndexError
            push(data[at : at + length].decode("utf-8", "surrogateescape"))
            at += length
        elif code == _MEMOIZE:
            memo[len(memo)] = stack[-1]
        elif code == _INT:
            push(_I32.unpack_from(data, at)[0])
            at += 4
        elif code == _INT2:
            push(_U16.unpack_from(data, at)[0])
            at += 2
        elif code == _INT1:
            push(data[at])
            at += 1
        elif code == _LONG_GET:
            push(memo[_U32.unpack_from(data, at)[0]])
            at += 4
        elif code == _GET:
            push(memo[data[at]])
            at += 1
        elif code == _STOP:
            return
        else:
            at = _rare(code, data, at, stack, marks, memo)


def _rare(code: int, data: bytes, at: int, stack: list[Any], marks: list[int], memo: dict[int, Any]) -> int:
    """The instructions that occur a few times in a file; returns where the next one stands."""
    if code == _MARK:
        marks.append(len(stack))
        stack.append(_MARK_ITEM)
    elif code == _SET_ITEMS:
        mark = marks.pop()
        items = stack[mark + 1 :]
        stack[mark - 1].update(zip(items[::2], items[1::2], strict=True))
        del stack[mark:]
    elif code == _SET_ITEM:
        value, key = stack.pop(), stack.pop()
        stack[-1][key] = value
    elif code == _DICT:
        stack.append({})
    elif code in (_NONE, _TRUE, _FALSE, _TUPLE):
        stack.append({_NONE: None, _TRUE: True, _FALSE: False, _TUPLE: ()}[code])
    elif code == _LONG1:
        length = data[at]
        stack.append(int.from_bytes(data[at + 1 : at + 1 + length], "little", signed=True))
        at += 1 + length
    elif code == _PUT:
        memo[data[at]] = stack[-1]
        at += 1
    elif code == _LONG_PUT:
        memo[_U32.unpack_from(data, at)[0]] = stack[-1]
        at += 4
    elif code == _PROTO:
        at += 1
    elif code == _FRAME:
        at += 8
    elif code == _GLOBAL:
        at = data.index(b"\n", data.index(b"\n", at) + 1) + 1
        stack.append(_SHELL)
    elif code in (_STACK_GLOBAL, _NEW_OBJECT):
        del stack[-2:]
        stack.append(_SHELL)
    elif code == _BUILD:
        state = stack.pop()
        stack[-1] = state
    else:
        raise ValueError(f"instruction 0x{code:02x} is none of plain data")
    return at
