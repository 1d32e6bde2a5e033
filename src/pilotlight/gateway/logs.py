"""Logs: one line an event, for people or for machines; fields such as the request id in both."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any


def printable(text: str) -> str:
    """`text` on one line and harmless to a terminal: what doesn't print is escaped.

    Paths, names and the engine's last words come from outside, and a line break
    or an escape sequence in them must not write log lines of its own.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def word(value: Any) -> str:
    """`value` as one word of a line: in quotes where it could pass for something else."""
    text = str(value)
    plain = text.isprintable() and not any(c in text for c in ' "=')
    return text if plain and text else json.dumps(text)


class HumanFormatter(logging.Formatter):
    """Escapes what came from outside; only a traceback has lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = f"{stamp} {level}{printable(record.getMessage())}"
        fields = getattr(record, "fields", None)
        if fields:
            text += "  " + " ".join(f"{k}={word(v)}" for k, v in fields.items() if v is not None)
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(getattr(record, "fields", None) or {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


FORMATS = {"human": HumanFormatter, "json": JsonFormatter}


def configure(level: str, style: str) -> None:
    """Pilotlight's own loggers to stderr, and the HTTP server's complaints in the same shape.

    Called once, by the program, never by the library.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATS[style]())
    for name, lowest in (("pilotlight", level.upper()), ("uvicorn", "WARNING")):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(lowest)
        logger.propagate = False
