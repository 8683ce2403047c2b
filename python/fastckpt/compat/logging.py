"""``tf.logging``: the logger "tensorflow" of Python's own logging."""

from __future__ import annotations

import logging as _logging
from typing import Any

__all__ = [
    "DEBUG",
    "ERROR",
    "FATAL",
    "INFO",
    "WARN",
    "debug",
    "error",
    "fatal",
    "get_logger",
    "get_verbosity",
    "info",
    "log",
    "set_verbosity",
    "vlog",
    "warn",
    "warning",
]

DEBUG = _logging.DEBUG
INFO = _logging.INFO
WARN = _logging.WARNING
ERROR = _logging.ERROR
FATAL = _logging.CRITICAL

_logger = _logging.getLogger("tensorflow")


def get_logger() -> _logging.Logger:
    """Give the logger itself, with a handler of its own where the program has set up none."""
    if not _logger.handlers and not _logging.getLogger().handlers:
        handler = _logging.StreamHandler()
        handler.setFormatter(_logging.Formatter(_logging.BASIC_FORMAT))
        _logger.addHandler(handler)
    return _logger


def get_verbosity() -> int:
    """Give the level."""
    return get_logger().getEffectiveLevel()


def set_verbosity(v: Any) -> None:
    """Set the level, by number or by name."""
    get_logger().setLevel(v)


def log(level: int, msg: str, *args: object, **kwargs: Any) -> None:
    """Log at a level."""
    get_logger().log(level, msg, *args, **kwargs)


def vlog(level: int, msg: str, *args: object, **kwargs: Any) -> None:
    """Log at a level of verbosity; higher is quieter."""
    get_logger().log(DEBUG - level if level > 0 else INFO, msg, *args, **kwargs)


def debug(msg: str, *args: object, **kwargs: Any) -> None:
    """Log at level DEBUG."""
    get_logger().debug(msg, *args, **kwargs)


def info(msg: str, *args: object, **kwargs: Any) -> None:
    """Log at level INFO."""
    get_logger().info(msg, *args, **kwargs)


def warning(msg: str, *args: object, **kwargs: Any) -> None:
    """Log at level WARN."""
    get_logger().warning(msg, *args, **kwargs)


warn = warning


def error(msg: str, *args: object, **kwargs: Any) -> None:
    """Log at level ERROR."""
    get_logger().error(msg, *args, **kwargs)


def fatal(msg: str, *args: object, **kwargs: Any) -> None:
    """Log at level FATAL; the program goes on."""
    get_logger().critical(msg, *args, **kwargs)
