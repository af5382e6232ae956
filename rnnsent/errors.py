"""The exceptions that rnnsent raises on purpose.

RnnsentError                 exit 1: the message is for the person at the terminal
├── ConfigError              one or more problems in a config, each with its place
├── DataError                reviews that are missing, damaged or unfit for training
│   └── DataUnavailable      a source that cannot be had here: the one that `data.fallback` answers
├── DeviceError              a device that was asked for and is not there
├── RunError                 a run directory that is missing, unfinished, damaged or in the way
└── TrainingError            training that could not go on
Interrupted                  exit 130 or 143: Ctrl-C or SIGTERM, after what was worth keeping was kept
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec


def count(number: int, noun: str) -> str:
    """Return "1 epoch" or "2 epochs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def escaped(message: str) -> str:
    """Return a message with its unprintable characters as Python escapes them: `\\x1b`, `\\u202e`."""
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in message)


def utf8(text: str) -> str:
    """Return a text with what UTF-8 cannot hold, such as bytes of a file's name, escaped: `\\udce9`."""
    return text.encode(errors="backslashreplace").decode()


def printable(text: str, keep: str = "") -> str:
    """Return a text without characters, except those in `keep`, that control a terminal or turn the text direction."""
    harmless = "\u00a0\u200c\u200d" + keep  # a space that does not break, joiners inside emoji and some scripts
    return "".join(char if char.isprintable() or char in harmless else "\ufffd" for char in text)


def installed(module: str) -> bool:
    """Return whether an optional package can be imported."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None  # a folder may happen to be called so, as `wandb` leaves one


class RnnsentError(Exception):
    """Base of every error that is shown to the user as one message, without a traceback."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a config: where it stands, which key, which rule, what was given, what was meant."""

    place: str  # "configs/lstm.yaml:12" or "--set training.epochs"
    key: str  # dotted, "" for the document as a whole
    rule: str
    given: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.place, self.key) if part)
        given = ""
        if self.given is not None:
            given = f", not {self.given}" if self.rule.startswith("must be ") else f" (here: {self.given})"
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}: {self.rule}{given}{hint}"


class ConfigError(RnnsentError):
    """All problems of one config, found in one pass."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataError(RnnsentError):
    """Reviews that are missing, damaged or unfit for training."""


class DataUnavailable(DataError):
    """A data source that cannot be had on this machine now."""


class DeviceError(RnnsentError):
    """A device that was asked for and is not there."""


class RunError(RnnsentError):
    """A run directory that is missing, unfinished, damaged or in the way."""


class TrainingError(RnnsentError):
    """Training that could not go on."""


class Interrupted(BaseException):
    """Training that was stopped from outside, after its best model had been kept.

    A BaseException, as KeyboardInterrupt is: no handler of ordinary errors may swallow it.
    """

    def __init__(self, message: str, exit_code: int = 130) -> None:
        self.exit_code = exit_code
        super().__init__(message)
