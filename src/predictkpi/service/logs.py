"""How the service writes its log: lines for people, or one JSON object a line for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import msgspec

from predictkpi.errors import PredictKpiError

_encode = msgspec.json.Encoder(enc_hook=str).encode


class JsonFormatter(logging.Formatter):
    """``at`` (UTC), ``level``, ``logger``, ``message``, what a request tells of itself, and ``trace`` of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        told = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        try:
            return _encode(told).decode()
        except UnicodeEncodeError:  # half of a surrogate pair, as in a file's name that is no Unicode
            return json.dumps(told, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, message, and the id of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and an exception below it."""
        line = super().format(record)
        told = getattr(record, "told", None)
        return f"{line} in {told['milliseconds']:g} ms, {told['request_id']}" if told else line


class Brief(logging.Filter):
    """Errors that are raised on purpose in a line of their own words: no trace through libraries at each round of an outage."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never holds a record back."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, PredictKpiError):
            record.msg, record.args, record.exc_info = f"{record.getMessage()}: {error}", (), None
        return True


def set_up(format_: Literal["text", "json"], level: str) -> None:
    """Write everything from ``level`` on to standard error.

    No line tells of threads, processes and places in the code: looking for them is most of what a record costs (the "Optimization" part of
    Python's documentation of `logging`).
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # type: ignore[attr-defined]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Brief())
    handler.setFormatter(JsonFormatter() if format_ == "json" else TextFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("predictkpi", "uvicorn.error"):
        logging.getLogger(name).setLevel(level.upper())
