"""The command line: a group of commands that are imported when they are needed, and the exit codes.

0 success · 1 config, data or training failure · 2 usage · 130 interrupt · 141 the output was closed, as by
head · 143 terminated.
"""

from __future__ import annotations

import codecs
import importlib
import json
import logging
import os
import sys
import warnings
from io import TextIOWrapper
from typing import Any

import click

from rnnsent.cli.terminal import say
from rnnsent.errors import Interrupted, RnnsentError
from rnnsent.signals import listening
from rnnsent.version import __version__

COMMANDS = (
    "train", "tune", "eval", "compare", "baseline", "predict", "trace", "robustness", "report", "verify", "summary",
    "data", "config", "reference",
)  # fmt: skip


class ErrorGroup(click.Group):
    """Turns errors of its commands into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; see click."""
        try:
            with listening(), warnings.catch_warnings():
                if not (ctx.params.get("debug") or sys.warnoptions):  # of libraries, for those who program with them
                    warnings.showwarning = lambda *_, **__: None
                return super().invoke(ctx)
        except KeyboardInterrupt:
            say("Interrupted")
            ctx.exit(130)
        except Interrupted as error:
            say(f"Interrupted: {error}")
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            # The reader has ended, as head does; Python would complain when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(141)
        except Exception as error:
            if ctx.params.get("debug") or isinstance(error, click.ClickException | click.exceptions.Exit | click.Abort):
                raise
            say(f"Error: {_message(error)}")
            ctx.exit(1)


class _Group(ErrorGroup):
    """Imports the module of a command when it is needed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # for "Did you mean …?"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"rnnsent.cli.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


def _message(error: Exception) -> str:
    if isinstance(error, RnnsentError):
        return str(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"
    report = "This is a bug in rnnsent; `rnnsent --debug …` shows the traceback."
    return f"unexpected {type(error).__name__}: {error}\n{report}"


class _StderrHandler(logging.Handler):
    """Shows what the library logs as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "WARNING: " if record.levelno >= logging.WARNING else ""
        say(prefix + record.getMessage())


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="rnnsent")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Train, evaluate and ship recurrent sentiment classifiers.

    Results go to stdout, everything else to stderr.
    """
    del debug  # read by ErrorGroup.invoke
    if isinstance(sys.stdout, TextIOWrapper):
        codecs.register_error("escape", _escape)
        sys.stdout.reconfigure(errors="escape")
    log_to_stderr()


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Escape what the encoding of stdout lacks as JSON does, in which it means the same."""
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def log_to_stderr() -> None:
    """Show what the library logs on stderr."""
    logger = logging.getLogger("rnnsent")
    logger.handlers = [_StderrHandler()]
    logger.setLevel(logging.INFO)
    logger.propagate = False
