from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("block", ["listening()", "DeferredSignals()"])
def test_a_second_signal_ends_native_code(number: signal.Signals, block: str) -> None:
    program = IN_NATIVE_CODE.replace('listening(), DeferredSignals("heard")', block)
    command = [sys.executable, "-c", program, "2000000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(1)
        for _ in range(2):
            process.send_signal(number)
            time.sleep(0.1)
        process.communicate(timeout=60)
    assert process.returncode == 128 + number


HELD = """
import hashlib, signal
from rnnsent.signals import DeferredSignals
with DeferredSignals():
    signal.raise_signal(signal.SIGINT)
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 2000000000)
"""


def test_a_second_signal_ends_native_code_while_the_first_is_held() -> None:
    command = [sys.executable, "-c", HELD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143


SEEN = """
import os, signal, sys, time
from rnnsent import signals
from rnnsent.signals import DeferredSignals
signals.PATIENCE_S = 0.1
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGUSR1, lambda *_: None)
with DeferredSignals() as held:
    for _ in range(5):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGUSR1)
    if not os.fork():
        with DeferredSignals():
            for _ in range(2):
                signal.raise_signal(signal.SIGTERM)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
    held.deliver()
    signal.raise_signal(signal.SIGTERM)
    time.sleep(1)
print("end")
"""


def test_signals_that_were_seen_end_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", SEEN], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0\nend\n"), done.stderr


def test_a_signal_waits_for_native_code() -> None:
    command = [sys.executable, "-c", IN_NATIVE_CODE, "2000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=300)
    assert process.returncode != 0 and said == "back\n"
