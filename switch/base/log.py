"""Logs: structlog over the standard library, as JSON or for people, with times in UTC and nothing secret in them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

from switch.base.log_writer import LINES_MAX, DirectWriter, LogWriter, out_of
from switch.base.masking import mask_pan, mask_text

WITHHELD = "[withheld]"

SECRET_KEYS = frozenset(
    (
        "pin",
        "pin_block",
        "clear_pin",
        "track1",
        "track2",
        "track3",
        "track_data",
        "cvv",
        "cvv2",
        "cvc",
        "cvc2",
        "password",
        "passphrase",
        "secret",
        "token",
        "clear_key",
        "key_material",
        "key_bytes",
        "mac_key",
        "pin_key",
        "master_key",
        "private_key",
        "tmk",
        "tak",
        "tpk",
        "tdk",
        "mak",
        "pik",
        "zmk",
        "zak",
        "zpk",
    )
)
"""Names under which no value is ever logged, whatever it is."""

DEPTH_MAX = 8
TOO_DEEP = "[nested too deep]"


def configure_logging(
    form: Literal["json", "console"] = "json",
    level: str = "info",
    stream: TextIO | None = None,
    lines_max: int = LINES_MAX,
) -> LogWriter:
    """Set up logging for the whole process; loggers of the standard library go the same way.

    No call of a logger waits for the stream, and none raises.

    Args:
        form: one JSON object a line, or text for people (coloured on a terminal).
        level: the least level that is shown.
        stream: where to; standard error when absent.
        lines_max: lines that may wait for the stream; what finds no room is dropped and counted.

    Returns:
        What writes the lines; the process ends with its ``finish``.
    """
    target = sys.stderr if stream is None else stream
    writer = LogWriter(out_of(target), lines_max)
    _log_to(writer, form, level, is_coloured=target.isatty())
    return writer


def configure_direct_logging(form: Literal["json", "console"] = "json", level: str = "info") -> DirectWriter:
    """Set up logging to standard error without a thread, for a process that is going to fork."""
    writer = DirectWriter(sys.stderr.fileno())
    _log_to(writer, form, level, is_coloured=sys.stderr.isatty())
    return writer


def _log_to(
    handler: LogWriter | DirectWriter, form: Literal["json", "console"], level: str, *, is_coloured: bool
) -> None:
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        withhold_secrets,
    ]
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=is_coloured, timestamp_key="time")
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(("dropped",)), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=_unfailing(structlog.make_filtering_bound_logger(threshold), handler),
        cache_logger_on_first_use=False,
    )


def _unfailing(base: type[Any], writer: LogWriter | DirectWriter) -> type[Any]:
    """A logger whose calls do not raise: what cannot be put into words is dropped and counted."""

    class Unfailing(base):  # type: ignore[misc]
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **values: Any) -> Any:
            try:
                return super()._proxy_to_logger(method_name, event, **values)
            except Exception:
                writer.drop()

    return Unfailing


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger for events (a few words, always the same) and values: ``log.info("link up", link=name)``."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def withhold_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: mask card numbers wherever they stand, and keep back values under the names of secrets."""
    for key in list(event):
        event[key] = _safe_value(key, event[key], DEPTH_MAX)
    return event


def _safe_value(key: str, value: object, depth: int) -> object:
    """A value as it may be shown under ``key``; its kind is kept where that is safe."""
    name = key.lower()
    if name in SECRET_KEYS:
        return WITHHELD
    if name == "pan":
        return mask_pan(str(value)) if "*" not in str(value) else str(value)
    return _safe(value, depth)


def _safe(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        return {str(k): _safe_value(str(k), inner, depth - 1) for k, inner in value.items()} if depth else TOO_DEEP
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(inner, depth - 1) for inner in value] if depth else TOO_DEEP
    return _safe_single(value)


def _safe_single(value: object) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    text = str(value)
    masked = mask_text(text)
    return value if isinstance(value, int) and masked == text else masked
