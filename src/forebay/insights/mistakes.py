"""What a person got wrong: the message says what to do, and no traceback is shown."""

from __future__ import annotations

from ..errors import ForebayError


class BadQuestion(ForebayError):
    """The question cannot be answered as it was asked."""


class BadSchema(BadQuestion):
    """An SDL text that makes no valid schema; `problems` are its errors, with line and column where known."""

    def __init__(self, which: str, problems: list[str]) -> None:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        super().__init__(f"the {which} is not valid: " + "; ".join(problems[:5]) + more)
        self.problems = problems
