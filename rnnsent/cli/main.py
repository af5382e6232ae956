"""The command line: a group of commands that are imported when they are needed, and the exit codes.

0 success · 1 config, data or training failure · 2 usage · 130 interrupt · 141 the output was closed, as by
head · 143 terminated.
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from typing import Any

import click

from rnnsent import __version__
from rnnsent.cli.terminal import say
from rnnsent.errors import Interrupted, RnnsentError
from rnnsent.signals import listening

COMMANDS = (
    "train",
    "eval",
    "compare",
    "baseline",
    "predict",
    "trace",
    "robustness",
    "report",
    "verify",
    "summary",
    "data",
    "config",
    "reference",
)


class ErrorGroup(click.Group):
    """Turns errors of its commands into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; see click."""
        debug = bool(ctx.params.get("debug"))
        try:
            with listening():
                return super().invoke(ctx)
        except RnnsentError as error:
            if debug:
                raise
            say(f"Error: {error}")
            ctx.exit(1)
        except Interrupted as error:
            say(f"Interrupted: {error}")
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            say("Interrupted")
            ctx.exit(130)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # Whoever read the output has had enough, as head has: nothing to be said, and nowhere to say it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(141)
        except OSError as error:
            if debug:
                raise
            say(f"Error: {_said(error)}")
            ctx.exit(1)
        except Exception as error:
            if debug:
                raise
            if "Symlink loop" in str(error):  # of pathlib; from Python 3.13 on an OSError
                say(f"Error: {error}")
            else:
                say(f"Error: unexpected {type(error).__name__}: {error}")
                say("This is a fault of rnnsent; `rnnsent --debug …` shows where.")
            ctx.exit(1)


class _Group(ErrorGroup):
    """Loads a command's module on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"rnnsent.cli.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not close or "mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]}?", ctx) from None


def _said(error: OSError) -> str:
    """Return what the operating system says, as of a path that is too long or in a folder that nobody may look into."""
    why = error.strerror or str(error)
    if error.filename is None:
        return f"the output cannot be written: {why}" if error.errno == errno.ENOSPC else why
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return f"{path if len(path) <= 300 else path[:300] + '…'}: {why}"


class _StderrHandler(logging.Handler):
    """Warnings of the library, as lines for people."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "WARNING: " if record.levelno >= logging.WARNING else ""
        say(prefix + record.getMessage())


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="rnnsent")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Train, judge and ship recurrent sentiment classifiers.

    Results go to stdout, everything else to stderr.
    """
    del debug  # read by ErrorGroup.invoke
    log_to_stderr()


def log_to_stderr() -> None:
    """Show what the library logs as lines on stderr."""
    logger = logging.getLogger("rnnsent")
    logger.handlers = [_StderrHandler()]
    logger.setLevel(logging.INFO)
    logger.propagate = False
