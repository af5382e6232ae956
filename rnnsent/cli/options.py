"""Options and arguments that several commands share, and the overrides of a config that they stand for."""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rnnsent.cli.terminal import say
from rnnsent.errors import DataError, RnnsentError, escaped, printable, utf8

if TYPE_CHECKING:
    from rnnsent.evaluation.thresholds import Choice
    from rnnsent.runs.directory import Run

F = TypeVar("F", bound=Callable[..., Any])

Overrides = dict[str, object]  # of keys of a config, by their dotted names
Source = dict[str, object]  # keys of the data section that say where the data are

TEXT_HINT = "A TEXT that begins with a dash goes after --, as in: rnnsent {} RUN -- {}"


class Command(click.Command):
    """A command that refuses an option with one value given twice, and knows texts that begin with a dash."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments of the command line; see click."""
        try:
            _, _, order = self.make_parser(ctx).parse_args(list(args))
        except click.NoSuchOption as error:
            text = next((arg for arg in args if arg.startswith(error.option_name)), error.option_name)
            is_text = " " in text or not text.startswith("--") or not error.possibilities
            if is_text and any(param.human_readable_name.strip("[].") == "TEXT" for param in self.params):
                hint = TEXT_HINT.format(ctx.info_name, shlex.quote(text))
                raise click.UsageError(f"{error.format_message()} {hint}", ctx) from None
            raise
        for option in (option for option in order if isinstance(option, click.Option) and not option.multiple):
            if order.count(option) > 1 and (not option.is_flag or option.secondary_opts):
                raise click.UsageError(f"{option.opts[-1]}: given {order.count(option)} times; give it once", ctx)
        return super().parse_args(ctx, args)


PATH = click.Path(path_type=Path)
PICTURE = (".png",)
PAGE = (".html", ".htm")
TRAINING_KEYS = ("epochs", "seed", "device", "trackers")


def column(value: str) -> str | int:
    """Return a column by its name, or by its number from 1."""
    return int(value) if value.isdigit() and int(value) > 0 else value


def _label_column(value: str) -> str | int | list[str | int]:
    """Return the column of the label, or the columns of several."""
    names = [column(name.strip()) for name in value.split(",")]
    return names if len(names) > 1 else column(value)


def _delimiter(value: str) -> str:
    """Return a delimiter; a tab has a name."""
    return "\t" if value in ("\\t", "tab") else value


def _device(value: str) -> str:
    """Return the name of a device."""
    if not re.fullmatch(r"auto|cpu|gpu|gpu:\d+", value):
        raise click.BadParameter(f"unknown device: {value!r}; use auto, cpu, gpu or gpu:N")
    return value


def _label_map(value: str) -> dict[str, str]:
    """Return {label: new label} from YAML with or without braces."""
    from rnnsent.config.sections import label_texts
    from rnnsent.config.yaml_reader import read_document
    from rnnsent.errors import ConfigError

    try:
        text = value if value.lstrip().startswith("{") else f"{{{value}}}"
        labels: dict[str, str] = label_texts(read_document(text, "--label-map").values)
    except ConfigError:
        labels = {}
    if not labels or not all(isinstance(label, str) for label in labels.values()):
        raise click.BadParameter(
            f"not a map of labels: {value}; use a form such as '1-4: negative, 7-10: positive', with quotes around "
            "labels such as 010"
        )
    return labels


def _label_numbers(context: click.Context, option: click.Parameter, values: Sequence[str]) -> dict[str, float]:
    """Return {label: number} from LABEL=P; of a number alone the label is empty."""
    numbers: dict[str, float] = {}
    for value in values:
        label, _, text = value.rpartition("=")
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number < 1:
            raise click.BadParameter(f"{value}: use LABEL=P, with P above 0 and below 1")
        if label in numbers:
            raise click.BadParameter(f"{value}: a second number for {label or 'the same label'}; give one")
        numbers[label] = number
    return numbers


def chosen_thresholds(
    run: Run, given: dict[str, float], precisions: dict[str, float], source: Source | None = None
) -> tuple[dict[str, float], list[str], list[Choice]]:
    """Return the thresholds that --threshold and --precision stand for, a line on each, and what was chosen.

    Raises:
        click.UsageError: if a number has no label and there are more than two, or a label has both options.
        RnnsentError: as `evaluation.thresholds.choose_thresholds`.
    """
    if not given and not precisions:
        return {}, [], []
    from rnnsent.evaluation.thresholds import choose_thresholds

    names = run.config.data.label_names
    for option, numbers in (("--threshold", given), ("--precision", precisions)):
        if "" in numbers:
            if len(names) > 2 or names[1] in numbers:
                problem = "which label" if len(names) > 2 else f"a second number for {names[1]}"
                raise click.UsageError(f"{option} {numbers['']:g}: {problem}; use {option} LABEL={numbers['']:g}")
            numbers[names[1]] = numbers.pop("")
    if both := given.keys() & precisions.keys():
        raise click.UsageError(f"--threshold and --precision of {min(both)}: give one of them")
    thresholds, choices = choose_thresholds(run, given, precisions, source)
    reasons = {choice.label: f", {choice}" for choice in choices}
    lines = [f"threshold of {label}: {value:.6g}{reasons.get(label, '')}" for label, value in thresholds.items()]
    return thresholds, lines, choices


def _hide_messages(context: click.Context, option: click.Parameter, value: bool) -> bool:
    if value:
        logging.getLogger("rnnsent").setLevel(logging.WARNING)
    return value


def source_of(data: Sequence[str]) -> Source | None:
    """Return the keys of the data section that `--data SOURCE` sets; None if it is not given."""
    from rnnsent.config.sections import data_settings

    return data_settings(*data) if data else None


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds several options in this order."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


FALLBACK = "trained on the built-in SAMPLE reviews, because IMDB was not there (fallback)"
BACKENDS = click.Choice(["auto", "native", "numpy", "keras"])  # predictor.BACKENDS, which is slow to import
BACKEND_HELP = "Backend used for prediction: native, numpy or keras.  [default: auto]"
SPLITS = click.Choice(["test", "validation"])
SPLIT_HELP = "Split to evaluate: test or validation.  [default: test]"
DATA_HELP = "Location of the data.  [default: as in training]"
GROUP_HELP = "Column whose equal values must stay in the same split."
LABEL_HELP = "Column of the label, or columns of 0 and 1: NAME,NAME,…"
MAP_HELP = "Rename labels: '1-4: negative, 7-10: positive'."

run = click.argument("run", type=PATH, required=False)
runs = click.argument("paths", type=PATH, nargs=-1, metavar="[RUN]...")
split = click.option("--split", type=SPLITS, metavar="SPLIT", default="test", help=SPLIT_HELP)
data = click.option(
    "--data", "source", multiple=True, callback=lambda _, __, data: source_of(data), metavar="SOURCE", help=DATA_HELP
)
backend = click.option("--backend", type=BACKENDS, metavar="BACKEND", default="auto", help=BACKEND_HELP)
device = click.option("--device", type=_device, metavar="DEVICE", help="Use auto, cpu, gpu or gpu:N.  [default: auto]")
settings = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the config.")
reading = _all(
    click.option("--format", metavar="FORMAT", help="Format, such as csv, jsonl, lines.  [default: by its name]"),
    click.option("--encoding", metavar="NAME", help="Encoding of a file without a mark that is not UTF-8."),
    click.option("--delimiter", type=_delimiter, metavar="CHAR", help="Delimiter of a CSV.  [default: detected]"),
    click.option("--quotes/--no-quotes", default=None, help="Quotes around cells of a CSV are no text.  [detected]"),
    click.option("--header/--no-header", default=None, help="The first line of a CSV names columns.  [detected]"),
    click.option("--escape", metavar="CHAR", help="Escape character of a CSV, such as \\."),
    click.option("--skip-bad-rows", flag_value=True, type=bool, default=None, help="Leave out what cannot be read."),
)
LABEL_NUMBER: dict[str, Any] = {"multiple": True, "callback": _label_numbers, "metavar": "LABEL=P"}
thresholds = _all(
    click.option("--threshold", **LABEL_NUMBER, help="Predict LABEL from the probability P on."),
    click.option("--precision", **LABEL_NUMBER, help="Predict LABEL from the smallest threshold with precision P on."),
)
label_map = click.option("--label-map", type=_label_map, metavar="MAP", help=MAP_HELP)
quiet = click.option("--quiet", is_flag=True, callback=_hide_messages, help="Print only warnings and the result.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
corrections = click.option("--corrections", metavar="FILE", help="Table of suspects with corrected labels.")
config = _all(
    settings,
    click.option("--data", multiple=True, metavar="SOURCE", help="Data: imdb, sample, or paths.  [as in the config]"),
    click.option("--epochs", type=int, metavar="N", help="Set training.epochs."),
    click.option("--seed", type=int, metavar="N", help="Set training.seed."),
)
table = _all(
    click.option("--text-column", type=column, metavar="NAME", help="Column of the text: name, or number from 1."),
    click.option("--label-column", type=_label_column, metavar="NAME", help=LABEL_HELP),
    click.option("--label-separator", metavar="CHAR", help="Separator of several labels in one cell, such as |."),
    click.option("--split-column", type=column, metavar="NAME", help="Column of the split: train, validation or test."),
    click.option("--group-column", type=column, metavar="NAME", help=GROUP_HELP),
    label_map,
    reading,
    click.option("--test", "test_path", metavar="FILE", help="Table of the test texts."),
    corrections,
    click.option("--drop-duplicates", flag_value=True, type=bool, default=None, help="Keep one of equal texts."),
)


def overrides(settings: Sequence[str] = (), data: Sequence[str] = (), **options: Any) -> Overrides:
    """Return the overrides of a config that options stand for; the other options win against --set.

    Args:
        settings: of --set, each KEY=VALUE.
        data: of --data, each time it is given.
        options: the values of `config` and `table` by name; None stands for an option not given.

    Raises:
        ConfigError: if one of `settings` is not KEY=VALUE.
    """
    changes = _settings(settings) if settings else {}
    if data:
        twice = next((key for key in changes if key in ("data", "data.source", "data.path")), None)
        if twice is not None:
            raise click.UsageError(f"two sources of data: {', '.join(data)} and --set {twice}; use one of them")
        changes |= {f"data.{key}": value for key, value in (source_of(data) or {}).items()}
    for name, value in options.items():
        if value not in (None, ()):
            changes[f"{'training' if name in TRAINING_KEYS else 'data'}.{name}"] = value
    return changes


def _settings(settings: Sequence[str]) -> Overrides:
    from rnnsent.config.yaml_reader import read_value
    from rnnsent.errors import ConfigError, Problem

    changes: Overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = re.sub(r"\[(\d+)\]", r".\1", key.strip())
        if not equals or not key:
            raise ConfigError([Problem(f"--set {setting}", "", "must look like training.epochs=3")])
        changes.pop(key, None)  # the last one wins, also against a section that was set in between
        changes[key] = read_value(value, f"--set {setting}", key)
    return changes


def require_run(run: Path) -> None:
    """Require that RUN exists if there is no TEXT: it may be the text.

    Raises:
        click.UsageError: showing the right order.
    """
    if not run.exists():
        shown = shlex.quote(escaped(str(run)))
        raise click.UsageError(f"no such run: {shown}; RUN comes before TEXT, as in: runs/latest {shown}")


def decoded(text: str) -> str:
    """Return a TEXT of the command line, which Python decodes with the locale, as UTF-8.

    Raises:
        DataError: if it is not.
    """
    try:
        return text if utf8(text) == text else os.fsencode(text).decode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise DataError(f"TEXT: is not UTF-8 text, at byte {error.start + 1}") from None


def show(text: str) -> None:
    """Print a result without characters that control a terminal, which the name of a label could have."""
    click.echo(printable(text, keep="\n\t"))


def opened(run: Path | None, *, quiet: bool = False) -> Run:
    """Return the run that the argument names, or the latest; say which, and if it was trained on the fallback."""
    from rnnsent.runs.registry import open_run

    opened_run = open_run(run)
    if opened_run.path != run and not quiet:
        say(f"run: {opened_run}" + (" (the latest)" if run is None or run.name == "latest" else ""))
    if opened_run.fallback_used:
        say(f"WARNING: {opened_run}: {FALLBACK}")
    return opened_run


def opened_all(paths: Sequence[Path]) -> list[Run]:
    """Return the runs that the arguments name: of a folder of `train --seeds` that of each seed."""
    from rnnsent.runs.registry import runs_of

    return [opened(run) for path in paths for run in runs_of(path)]


def require_named(path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Require that an output file, if there is one, ends in one of `suffixes`, in a folder that exists.

    Raises:
        RnnsentError: saying what is wrong.
    """
    from rnnsent.files import require_folder

    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise RnnsentError(f"{path}: unknown output format; use {' or '.join(suffixes)}")
    require_folder(path)


def write_file(path: Path, content: bytes | str, suffixes: tuple[str, ...]) -> None:
    """Write an output file, all or nothing.

    Raises:
        RnnsentError: if its name does not end in one of `suffixes`, or it cannot be written.
    """
    from rnnsent.files import disk_errors, write_atomic

    require_named(path, suffixes)
    with disk_errors(path):
        write_atomic(path, content)
