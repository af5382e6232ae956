from __future__ import annotations

import gc
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rnnsent.errors import Interrupted
from rnnsent.signals import DeferredSignals, listening


class Terminated(BaseException):
    pass


@pytest.fixture(autouse=True)
def terminating() -> Iterator[None]:
    def raise_it(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, raise_it)
    yield
    signal.signal(signal.SIGTERM, before)


CASES = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]


@pytest.mark.parametrize(("number", "raised"), CASES)
def test_a_signal_waits_for_the_end_of_the_block(number: signal.Signals, raised: type[BaseException]) -> None:
    reached = []
    with pytest.raises(raised), DeferredSignals():
        signal.raise_signal(number)
        reached.append("end")
    assert reached == ["end"]
    with pytest.raises(raised):  # from here on at once again
        signal.raise_signal(number)


@pytest.mark.parametrize(("number", "raised"), CASES)
def test_a_signal_takes_effect_when_it_is_delivered(number: signal.Signals, raised: type[BaseException]) -> None:
    with DeferredSignals() as signals:
        signals.deliver()  # nothing came in
        signal.raise_signal(number)
        with pytest.raises(raised):
            signals.deliver()


@pytest.mark.parametrize(("number", "raised"), CASES)
def test_a_second_signal_does_not_wait(number: signal.Signals, raised: type[BaseException]) -> None:
    with DeferredSignals():
        signal.raise_signal(number)
        with pytest.raises(raised):
            signal.raise_signal(number)


def test_an_inner_block_hands_on_to_the_outer_one() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), DeferredSignals() as outer:
        with DeferredSignals():
            signal.raise_signal(signal.SIGINT)
            reached.append("inner")
        reached.append("outer")
        outer.deliver()
        reached.append("too far")
    assert reached == ["inner", "outer"]


def test_a_signal_that_is_ignored_stays_ignored_and_the_next_is_held() -> None:
    reached = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Terminated), DeferredSignals() as signals:
            signal.raise_signal(signal.SIGINT)
            signals.deliver()
            signal.raise_signal(signal.SIGTERM)
            reached.append("end")
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached == ["end"]


def test_an_ignored_signal_is_not_announced_as_heard(caplog: pytest.LogCaptureFixture) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a script's background jobs have it
    try:
        with caplog.at_level(logging.WARNING), DeferredSignals("soon"):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not caplog.records


def test_other_threads_hold_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with DeferredSignals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_held_signal_is_answered_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt), DeferredSignals("soon") as signals:
        signal.raise_signal(signal.SIGINT)
        assert [record.message for record in caplog.records] == ["soon"]
        signals.deliver()


LISTENING = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Interrupted)]


class Finalizes:
    """Python drops what is raised in its finalizer."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.fixture
def collected() -> Iterator[Callable[[int], None]]:
    """Returns a function in which the signal arrives in a callback of the garbage collector."""
    number = 0
    left = 3  # it is lost that often

    def callback(phase: str, info: dict[str, int]) -> None:
        nonlocal left
        if number and left:
            left -= 1
            signal.raise_signal(number)

    def collect(sent: int) -> None:
        nonlocal number
        number = sent
        gc.collect()

    gc.callbacks.append(callback)
    yield collect
    gc.callbacks.remove(callback)
    assert left < 3


def wait() -> None:
    for _ in range(1000):
        time.sleep(0.01)
    pytest.fail("the signal is lost")


@pytest.mark.parametrize(("number", "raised"), LISTENING)
def test_a_signal_that_python_drops_in_a_finalizer_comes_again(
    number: signal.Signals, raised: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(raised), listening():
        Finalizes(number)
        wait()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("number", "raised"), LISTENING)
def test_a_signal_that_python_drops_in_the_garbage_collector_comes_again(
    number: signal.Signals, raised: type[BaseException], collected: Callable[[int], None]
) -> None:
    with pytest.raises(raised), listening():
        collected(number)
        wait()


def test_a_second_signal_that_python_drops_comes_again(collected: Callable[[int], None]) -> None:
    with pytest.raises(KeyboardInterrupt), listening(), DeferredSignals():
        signal.raise_signal(signal.SIGINT)
        collected(signal.SIGINT)
        wait()


def test_other_errors_that_python_drops_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[sys.UnraisableHookArgs] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    class Wrong:
        def __del__(self) -> None:
            raise ValueError("wrong")

    with listening():
        Wrong()
    assert [str(each.exc_value) for each in told] == ["wrong"]


def test_listening_ends_with_its_block() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match="terminated") as caught, listening():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.exit_code == 143
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored() -> None:
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening(), DeferredSignals():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)


IN_NATIVE_CODE = """
import hashlib, sys
from rnnsent.signals import DeferredSignals, listening
with listening(), DeferredSignals("heard"):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"word", b"salt", int(sys.argv[1]))
    print("back", flush=True)
"""


def signalled(rounds: int, *waits: float) -> tuple[int, str, float]:
    """Send SIGINT to native code after each of these seconds; return exit code, stdout, and seconds since the last."""
    command = [sys.executable, "-c", IN_NATIVE_CODE, str(rounds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for wait in waits:
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
        started = time.monotonic()
        code = process.wait(timeout=300)
        return code, process.stdout.read(), time.monotonic() - started


def test_a_second_signal_does_not_wait_for_native_code() -> None:
    code, said, seconds = signalled(2**31 - 1, 0.2, 0.2)  # a quarter of an hour
    assert code == 130 and said == "" and seconds < 60


def test_a_single_signal_waits_for_native_code() -> None:
    code, said, _ = signalled(2_000_000, 0.1)
    assert code != 0 and said == "back\n"
