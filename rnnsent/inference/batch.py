"""Answers for the rows of a file: one row out for each row in, in order, in constant memory, and restartable."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from rnnsent.data.readers import Table
from rnnsent.errors import DataError, RunError, count
from rnnsent.files import sync_directory, write_atomic
from rnnsent.inference import inputs
from rnnsent.inference.answers import ABSTENTION, DOUBTS, EACH, LABEL, OF, PROBABILITY, ROW
from rnnsent.inference.classifier import CHUNK, Answer, Classifier
from rnnsent.inference.inputs import Reading, Row, Texts
from rnnsent.json_files import json_line, read_json

WARN_UNKNOWN = 0.5  # share of unknown words from which an answer says little
PART, STATE = ".part", ".part.json"
ABSTAINED = "abstain"  # in the place of the label of an answer that is not sure enough


def as_line(answer: Answer, least: float | None = None) -> str:
    """Return an answer as a line for people: label, probability, and in brackets what makes it doubtful.

    Where `least` is given, the label is `ABSTAINED` below it, and of a text without words; so in `as_csv`.
    """
    doubts = ["no words"] if answer.blank else []
    if answer.unknown_share >= WARN_UNKNOWN and not answer.blank:
        doubts.append(f"{answer.unknown_share:.0%} unknown words")
    if answer.truncated:
        doubts.append("truncated")
    return f"{_label(answer, least)}\t{answer.probability:.4f}" + (f"\t({', '.join(doubts)})" if doubts else "")


def as_json(answer: Answer, least: float | None = None, row: Row | None = None) -> str:
    """Return an answer as a JSON object on one line, after what tells its row.

    With `least` it says whether it abstained, the label then null.
    """
    values = ({} if row is None else {ROW: row.number, **row.kept}) | answer.to_dict()
    if least is not None:
        abstained = _abstains(answer, least)
        values |= {LABEL: None if abstained else answer.label, ABSTENTION: abstained}
    return json_line(values)


def _abstains(answer: Answer, least: float) -> bool:
    return answer.blank or answer.probability < least


def _label(answer: Answer, least: float | None) -> str:
    return ABSTAINED if least is not None and _abstains(answer, least) else answer.label


def blanks(number: int) -> str:
    """Return for people what the answers to so many texts without words are worth."""
    own = "its answer comes" if number == 1 else "their answers come"
    return f"{count(number, 'text')} without words: {own} from no text (no words, blank)"


def as_csv(answer: Answer, row: Row, delimiter: str = ",", least: float | None = None) -> str:
    """Return an answer as a row of CSV, in the columns of `csv_header`."""
    kept = [_as_cell(each) for each in row.kept.values()]
    shares = [f"{value:.6f}" for value in (*answer.probabilities.values(), answer.unknown_share)]
    flags = [str(flag).lower() for flag in (answer.truncated, answer.blank)]
    said = [_label(answer, least), f"{answer.probability:.6f}", *shares, *flags]
    return _csv_row([str(row.number), *kept, *said], delimiter)


def _as_cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def csv_header(labels: Sequence[str], kept: Iterable[str] = (), delimiter: str = ",") -> str:
    """Return the line of names above the rows of `as_csv`, with those of the columns `kept` of the input."""
    return _csv_row([ROW, *kept, *_answer_columns(labels)], delimiter)


def open_texts(source: str, classifier: Classifier, how: Reading) -> Texts:
    """Return the texts of a file that a classifier is to answer about; see `inputs.open_texts`."""
    taken = (ROW, EACH, ABSTENTION, *_answer_columns(classifier.label_names))
    return inputs.open_texts(source, classifier.config.data, how, taken)


def _answer_columns(labels: Sequence[str]) -> list[str]:
    return [LABEL, PROBABILITY, *(f"{OF}{label}" for label in labels), *DOUBTS]


def _csv_row(cells: list[str], delimiter: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="").writerow(cells)
    return buffer.getvalue()


class Written(NamedTuple):
    """How many rows were written, and how many of their texts have no words."""

    rows: int
    blank: int


def write_answers(
    classifier: Classifier,
    texts: Texts,
    output: Path,
    *,
    run: str,
    json_rows: bool = False,
    replace: bool = False,
    least: float | None = None,
    tell: Callable[[int, bool], None] = lambda rows, resumed: None,
) -> Written:
    """Write an answer for each row of `texts` to `output`, which appears when it is complete; return how many.

    Until then the rows are in `output`.part, and the same call goes on where the last one was stopped.

    Args:
        classifier: of the run.
        texts: from `open_texts`.
        output: .csv, .tsv and .jsonl are written as such, .txt as lines for people.
        run: a name of the run and its contents; another run starts anew.
        json_rows: JSON whatever the name of `output`.
        replace: whether a file that is there may be replaced.
        least: the probability below which an answer is `ABSTAINED`.
        tell: told of the rows so far; first of those that a stopped call left, with True: of 0 where they are of
            another run or input.

    Raises:
        DataError: if a row cannot be read.
        RunError: if `output` cannot be written.
    """
    table = texts.table
    _require_free(output, table, replace)
    header, shown = _format(classifier, texts, output, json_rows, least)
    form = f"{header} {json_rows} {classifier.predictor.backend}" + ("" if least is None else f" {least!r}")
    identity = _identity(run, texts, form, output)
    try:
        with _Part(output, identity, header) as part:
            done = part.rows
            if part.found:
                tell(done, True)
            answers = texts.answers(classifier, done)
            while chunk := list(islice(answers, CHUNK)):
                blank = sum(answer.blank for _, answer in chunk)
                part.append("".join(f"{shown(row, answer)}\n" for row, answer in chunk), len(chunk), blank)
                tell(part.rows, False)
            if str(table.path) != "-" and _identity(run, texts, form, output) != identity:
                raise DataError(f"{table.name}: changed while it was read; wait until it is complete, and start again")
            part.complete()
            return Written(part.rows, part.blank)
    except OSError as error:
        kept = output.with_name(output.name + PART)
        left = f"; what is done is in {kept}" if kept.exists() else ""
        raise RunError(f"{output}: cannot be written: {error.strerror}{left}") from None


def _require_free(output: Path, table: Table, replace: bool) -> None:
    if output.exists() and table.path.exists() and output.samefile(table.path):
        raise RunError(f"{output}: is the input itself")
    if output.exists() and not output.is_file():
        raise RunError(f"{output}: is not a file; without --output answers go to stdout")
    if output.exists() and not replace:
        raise RunError(f"{output}: is there already; --force replaces it")
    if output.suffix.lower() not in (".csv", ".tsv", ".jsonl", ".ndjson", ".txt"):
        raise RunError(f"{output}: what is to be written? Its name must end in .csv, .tsv, .jsonl or .txt")


def _format(
    classifier: Classifier, texts: Texts, output: Path, json_rows: bool, least: float | None
) -> tuple[str, Callable[[Row, Answer], str]]:
    """Return what stands above the rows of `output`, and what makes them."""
    suffix = output.suffix.lower()
    if json_rows or suffix in (".jsonl", ".ndjson"):
        return "", lambda row, answer: as_json(answer, least, row)
    if suffix in (".csv", ".tsv"):
        delimiter = "," if suffix == ".csv" else "\t"
        header = csv_header(classifier.label_names, texts.kept, delimiter) + "\n"
        return header, lambda row, answer: as_csv(answer, row, delimiter, least)
    return "", lambda row, answer: as_line(answer, least)


def _identity(run: str, texts: Texts, form: str, output: Path) -> str:
    """Return what must be the same for a stopped call to go on."""
    table = texts.table
    if str(table.path) == "-":
        return os.urandom(16).hex()  # nobody knows whether it will be the same again
    status = table.path.stat()
    what = [
        run,
        str(table.path.resolve()),
        status.st_size,
        status.st_mtime_ns,
        table.format,
        table.encoding,
        table.delimiter,
        texts.column,
        list(texts.kept.items()),
        form,
    ]
    return hashlib.sha256(json.dumps([*what, output.suffix]).encode()).hexdigest()


class _Part:
    """The unfinished output, and beside it how much of it counts."""

    def __init__(self, output: Path, identity: str, header: str) -> None:
        self._output, self._identity, self._header = output, identity, header
        self._part = output.with_name(output.name + PART)
        self._state = output.with_name(output.name + STATE)
        self.rows = self.blank = 0
        self.found = self._part.exists()
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> _Part:
        state = self._kept()
        if state is None:
            self._part.unlink(missing_ok=True)
            self._stream = self._part.open("xb")  # never through a link that is there already
            self._stream.write(self._header.encode())
        else:
            self._stream = self._part.open("r+b")
            self._stream.truncate(state["bytes"])
            self._stream.seek(0, os.SEEK_END)
            self.rows, self.blank = state["rows"], state["blank"]
        try:
            self._save()
        except OSError:
            self._close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def _close(self) -> None:
        assert self._stream is not None
        with suppress(OSError):  # a full disk was reported by the write itself
            self._stream.close()

    def append(self, text: str, rows: int, blank: int) -> None:
        assert self._stream is not None
        self._stream.write(text.encode("utf-8", "surrogatepass"))
        self.rows += rows
        self.blank += blank
        self._save()

    def complete(self) -> None:
        assert self._stream is not None
        self._stream.close()
        self._part.replace(self._output)
        self._state.unlink(missing_ok=True)
        sync_directory(self._output.parent)

    def _save(self) -> None:
        assert self._stream is not None
        self._stream.flush()
        os.fsync(self._stream.fileno())
        state = {"identity": self._identity, "rows": self.rows, "blank": self.blank, "bytes": self._stream.tell()}
        write_atomic(self._state, json.dumps(state))

    def _kept(self) -> dict[str, Any] | None:
        try:
            state = read_json(self._state)
            if self._part.is_symlink():
                return None
            whole = self._part.stat().st_size >= state["bytes"] and state["identity"] == self._identity
            whole = whole and isinstance(state["blank"], int)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(state) if whole else None
