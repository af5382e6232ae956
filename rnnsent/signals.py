"""Ctrl-C and SIGTERM that wait for a moment at which nothing can be torn."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any

from rnnsent.errors import Interrupted

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_AT_ONCE = "at_once"


@contextmanager
def listening() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C and Interrupted at SIGTERM in the block.

    A signal that the process was started to ignore, as nohup does, stays ignored.
    """
    heard = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in heard}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Interrupted("terminated", 128 + number)


def _take_effect(number: int) -> None:
    """Do what the signal does, here and now: its handler is called from this very frame."""
    handler = signal.getsignal(number)
    if callable(handler):
        handler(number, None)
    else:
        signal.raise_signal(number)


def wants_out(interruption: BaseException) -> bool:
    """Return whether what a signal raised is of a second one, so that nothing is to be completed any more."""
    return _AT_ONCE in vars(interruption)


class DeferredSignals:
    """Holds Ctrl-C and SIGTERM back while its block runs; what was held takes effect at `deliver` or at the end.

    An exception raised by a signal handler inside TensorFlow's native code, while it calls back into Python, can take
    the whole process down. A second signal does not wait: whoever sends it wants out. Blocks may be nested; the inner
    one hands on to the outer one. Only the main thread receives signals, so elsewhere nothing is held.

    Args:
        notice: logged when a signal comes in and is held, so that whoever sent it knows that it was heard.
    """

    def __init__(self, notice: str = "") -> None:
        self._notice = notice
        self._held: int | None = None
        self._twice = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> DeferredSignals:
        self._install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()  # first: what comes in from here on takes effect by itself
        if self._twice and error is not None:
            vars(error)[_AT_ONCE] = True
        number, self._held = self._held, None
        if number is not None:
            _take_effect(number)

    @property
    def held(self) -> bool:
        """Whether a signal came in that has not taken effect yet."""
        return self._held is not None

    def deliver(self) -> None:
        """Let a signal that came in meanwhile take effect now, as it would have without this block."""
        if self._held is not None:
            number, self._held = self._held, None
            self._restore()
            _take_effect(number)
            self._install()  # reached where the signal is ignored, or its handler only took note

    def _install(self) -> None:
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._handlers = {number: signal.signal(number, self._hold) for number in heard}

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._held is not None:
            self._twice = True
            self.deliver()
        elif self._notice:
            with suppress(RuntimeError):  # the signal came in the middle of a write to the same stream
                logger.warning(self._notice)
        self._held = number

    def _restore(self) -> None:
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
