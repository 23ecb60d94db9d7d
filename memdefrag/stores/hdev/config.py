"""Where hdev keeps its memories: its configuration file and its environment variables, which win.

``~/.hdev/config.yaml`` has ``memory.backend``, ``memory.filesystem.path`` and ``memory.http.url``, ``.api_key`` and
``.timeout`` (hdev's own documentation of its configuration). A file that cannot be read is told, and counts as empty.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memdefrag.base.secrets import Secret, normalised

FOLDER_VARIABLE = "HDEV_MEMORY_FILESYSTEM_PATH"
BACKEND_VARIABLE = "HDEV_MEMORY_BACKEND"
URL_VARIABLE, KEY_VARIABLE = "HDEV_MEMORY_HTTP_URL", "HDEV_MEMORY_HTTP_API_KEY"
TIMEOUT_VARIABLE = "HDEV_MEMORY_HTTP_TIMEOUT"
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Config:
    """What hdev was told about its memories.

    Attributes:
        backend: ``filesystem`` or ``http``.
        url: of the memory server; None: not said. `key` is for this server alone.
        timeout: seconds that a server may be silent; None: not said.
        warnings: what was wrong with the configuration, one sentence each.
    """

    backend: str
    folder: Path
    url: str | None = None
    key: Secret | None = None
    timeout: float | None = None
    warnings: tuple[str, ...] = ()

    def key_for(self, place: str) -> Secret | None:
        """The configured key, if `place` is the configured server."""
        return self.key if self.url and normalised(self.url) == normalised(place) else None


def load(environment: Mapping[str, str] = os.environ, home: Path | None = None) -> Config:
    """Read the configuration of the person who runs this. Changes nothing."""
    folder = (home or Path.home()) / ".hdev"
    said, warnings = _file(folder / "config.yaml")
    filesystem, http = _section(said, "filesystem"), _section(said, "http")

    def one(variable: str, value: Any) -> str | None:
        value = environment.get(variable) or value
        return str(value) if isinstance(value, str | int | float) and value != "" else None

    named = one(FOLDER_VARIABLE, filesystem.get("path"))
    key = one(KEY_VARIABLE, http.get("api_key"))
    return Config(
        backend=one(BACKEND_VARIABLE, said.get("backend")) or "filesystem",
        folder=Path(named).expanduser() if named else folder / "memory",
        url=one(URL_VARIABLE, http.get("url")),
        key=Secret(key) if key else None,
        timeout=_seconds(environment.get(TIMEOUT_VARIABLE)) or _seconds(http.get("timeout")),
        warnings=warnings,
    )


def _file(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The file's section on memories, and what is wrong with the file."""
    import yaml

    try:
        with open(path, "rb") as file:
            told = yaml.safe_load(file.read(_LARGEST_FILE))
    except FileNotFoundError:
        return {}, ()
    except OSError as error:
        return {}, (f"{path} cannot be read ({error.strerror}); hdev's defaults are used.",)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, (f"{path} is not YAML; hdev's defaults are used.",)
    if told is None:
        return {}, ()
    if not isinstance(told, dict) or not isinstance(told.get("memory", {}), dict | None):
        return {}, (f"{path} is not as hdev's configuration should be; its defaults are used.",)
    return _section(told, "memory"), ()


def _section(said: dict[str, Any], name: str) -> dict[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _seconds(value: Any) -> float | None:
    """A positive number of seconds; anything else is not said."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds < 86_400 else None
