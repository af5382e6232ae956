"""A function that calls back, turned into an iterator that goes on only when the next item is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def stepwise(run: Callable[[Callable[[T], None]], None]) -> Iterator[T]:
    """Yield what `run` hands over; it stands still, in a thread of its own, until the next item is asked for.

    What `run` raises is raised here.
    """
    go, ready = threading.Semaphore(0), threading.Semaphore(0)
    items: list[T] = []
    errors: list[BaseException] = []

    def hand_over(item: T) -> None:
        items.append(item)
        ready.release()
        go.acquire()

    def work() -> None:
        go.acquire()
        try:
            run(hand_over)
        except BaseException as error:
            errors.append(error)
        ready.release()

    threading.Thread(target=work, daemon=True).start()
    while True:
        go.release()
        ready.acquire()
        if errors:
            raise errors[0]
        if not items:
            return
        yield items.pop()
