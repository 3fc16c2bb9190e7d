"""A formatter for the fields that every log record of this package has beside its message."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

_USUAL = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime"))
_PLAIN = re.compile(r"[^\s\"=]+")


class KeyValueFormatter(logging.Formatter):
    """The line of ``logging.Formatter``, followed by the record's fields as ``key=value``, in their order.

    Fields that are None or "" are left out. A text with spaces, quotes or ``=`` stands in quotes, escaped as in JSON,
    so a value can neither break the line nor pass itself off as another field.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """The line without exception and stack, which come after it."""
        fields = [
            f"{name}={_text(value)}"
            for name, value in vars(record).items()
            if name not in _USUAL and value is not None and value != ""
        ]
        return " ".join((super().formatMessage(record), *fields))


def _text(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
