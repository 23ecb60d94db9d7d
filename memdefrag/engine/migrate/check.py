"""One condition of a migration, looked at before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memdefrag.base.errors import MemdefragError, UsageError


@dataclass(frozen=True, slots=True)
class Check:
    """A condition and whether it holds.

    Attributes:
        passed: None where that cannot be known before the first write.
        detail: what was found, in sentences.
        remedy: what the person can do. With a passed check it is a warning: the migration works, but not as somebody
            may expect.
        error: what a failure is called where it stops the work.
    """

    name: str
    passed: bool | None
    detail: str
    remedy: str = ""
    error: type[MemdefragError] = UsageError

    @property
    def is_warning(self) -> bool:
        return self.passed is True and bool(self.remedy)

    @classmethod
    def failed(cls, name: str, error: MemdefragError) -> Check:
        """The condition that this error says is not met."""
        return cls(name, False, error.message, error.todo, type(error))

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` says."""
        return {"name": self.name, "passed": self.passed, "detail": self.detail, "remedy": self.remedy}
