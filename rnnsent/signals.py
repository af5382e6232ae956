"""Ctrl-C and SIGTERM that wait for a moment at which nothing can be torn.

Native code that hangs lets no handler run. A thread notices that, and ends the process at the second signal.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from types import FrameType, TracebackType

from rnnsent.errors import Interrupted

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_S = 2.0  # in which a handler runs unless native code hangs

_AT_ONCE = "at_once"


@contextmanager
def listening() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C and Interrupted at SIGTERM in the block.

    A signal that the process was started to ignore, as nohup does, stays ignored.
    """
    with _handled_by(_stop):
        yield


def _handled_by(handler: Callable[[int, FrameType | None], None]) -> ExitStack:
    """Handle the signals that are not ignored by `handler`; return what restores the handlers before when closed."""
    stack = ExitStack()
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                signal.signal(number, handler)
                stack.callback(signal.signal, number, signal.SIG_DFL if before is None else before)
        _, writer = _sockets()
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False))
    return stack


@cache
def _sockets() -> tuple[socket.socket, socket.socket]:
    """Return a pair of sockets: Python writes the number of each signal into the second; `_seen` empties the first."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    for end in (reader, writer):
        atexit.register(end.close)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()
    return reader, writer


def _watch(reader: socket.socket) -> None:
    late = 0  # how often in a row two signals were waiting
    while True:
        reader.recv(1, socket.MSG_PEEK)  # waits for a signal
        time.sleep(PATIENCE_S / 10)
        numbers = b""
        with suppress(BlockingIOError):
            numbers = reader.recv(1 << 12, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        waiting = [number for number in numbers if number in SIGNALS]
        late = late + 1 if len(waiting) > 1 else 0
        if late > 10:
            os._exit(128 + waiting[-1])
        if numbers and not waiting:
            reader.recv(len(numbers), socket.MSG_DONTWAIT)


def _seen(*held: int) -> None:
    """Take the signals out whose handler runs now, except what is held."""
    reader, writer = _sockets()
    with suppress(BlockingIOError):
        reader.recv(1 << 12, socket.MSG_DONTWAIT)
    writer.send(bytes(held))


def _after_fork() -> None:
    """Leave the sockets to the process whose thread watches them."""
    if _sockets.cache_info().currsize:
        signal.set_wakeup_fd(-1)
        _sockets.cache_clear()


os.register_at_fork(after_in_child=_after_fork)


def _stop(number: int, frame: FrameType | None) -> None:
    _seen()
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
        self._handlers = ExitStack()

    def __enter__(self) -> DeferredSignals:
        self._handlers = _handled_by(self._hold)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handlers.close()  # first: what comes in from here on takes effect by itself
        if self._twice and error is not None:
            vars(error)[_AT_ONCE] = True
        number, self._held = self._held, None
        if number is not None:
            _seen()
            _take_effect(number)

    @property
    def held(self) -> bool:
        """Whether a signal came in that has not taken effect yet."""
        return self._held is not None

    def deliver(self) -> None:
        """Let a signal that came in meanwhile take effect now, as it would have without this block."""
        if self._held is not None:
            number, self._held = self._held, None
            self._handlers.close()
            _seen()
            _take_effect(number)
            # Reached where the signal is ignored, or its handler only took note.
            self._handlers = _handled_by(self._hold)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        _seen(number)
        if self._held is not None:
            self._twice = True
            self.deliver()
        elif self._notice:
            with suppress(RuntimeError):  # the signal came in the middle of a write to the same stream
                logger.warning(self._notice)
        self._held = number
