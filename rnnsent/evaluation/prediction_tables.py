"""Tables that `rnnsent predict` wrote, to be evaluated: which column is what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields

from rnnsent.data.readers import BytesRead, Row, Table
from rnnsent.data.tables import INPUT_PREFIX
from rnnsent.errors import DataError
from rnnsent.inference.batch import ABSTAINED, LABEL, PROBABILITY, ROW, WARNINGS
from rnnsent.inference.batch import PROBABILITIES as EACH
from rnnsent.inference.batch import PROBABILITY_OF as OF


@dataclass(frozen=True)
class _Unfolded(Table):
    """JSON Lines in which `probability of LABEL` is read from the object `probabilities`.

    Attributes:
        each: the columns that are read so.
    """

    each: tuple[str, ...] = ()

    def rows(
        self, wanted: Sequence[str | int], *, strict: bool = True, progress: BytesRead | None = None
    ) -> Iterator[Row]:
        """Yield the cells; see `Table`."""
        read = [EACH if name in self.each else name for name in wanted]
        for line, cells in super().rows(read, strict=strict, progress=progress):
            yield (
                line,
                tuple(
                    (cell.get(str(name)[len(OF) :]) if isinstance(cell, dict) else None) if name in self.each else cell
                    for name, cell in zip(wanted, cells, strict=True)
                ),
            )


def unfolded(table: Table) -> Table:
    """Return a table with a column for the probability of each label, as CSV has them, where JSON has one object."""
    if table.format != "jsonl" or EACH not in table.columns:
        return table
    first = next((cell for _, (cell,) in table.rows([EACH]) if isinstance(cell, dict)), {})
    each = tuple(f"{OF}{label}" for label in first if f"{OF}{label}" not in table.columns)
    known = {field.name: getattr(table, field.name) for field in fields(table)}
    return _Unfolded(**known | {"columns": (*table.columns, *each)}, each=each)


def are_answers(columns: Collection[str]) -> bool:
    """Return whether these are the columns of what `predict` writes, be it with some of them removed."""
    probabilities = EACH in columns or any(name.startswith(OF) for name in columns)
    return {LABEL, PROBABILITY} <= set(columns) and (WARNINGS[0] in columns or (ROW in columns and probabilities))


def real_label(table: Table, asked: str | None) -> str:
    """Return the column of the real label of answers: `asked`, and never that of the predicted one.

    Raises:
        DataError: if none was asked for, or only the predicted one.
    """
    if asked == LABEL and f"{INPUT_PREFIX}{LABEL}" in table.columns:
        return f"{INPUT_PREFIX}{LABEL}"
    if asked is not None and asked != LABEL:
        return asked
    own = {ROW, LABEL, PROBABILITY, EACH, ABSTAINED, *WARNINGS}
    kept = [name for name in table.columns if name not in own and not name.startswith(OF)]
    which = f"--label-column has to name the real one, of what --keep left: {', '.join(kept)}"
    if not kept:
        which = (
            "the real one is not in it: rnnsent predict … --keep NAME writes that column too, for --label-column NAME"
        )
    raise DataError(f"{table.path}: holds answers of rnnsent predict, in which {LABEL} is the predicted label; {which}")


def require_fixed(table: Table, label: str, asked: str | None) -> None:
    """Refuse to take the probability of the predicted label for that of the same label in every row.

    Args:
        table: of predictions.
        label: the column of the real label.
        asked: the column that is to be taken for probabilities of one label; None where that is to be found.

    Raises:
        DataError: saying what may be taken instead.
    """
    named = next((name for name in table.columns if name.startswith(OF)), None)
    sure = are_answers(table.columns)
    if sure:
        wrong = asked == PROBABILITY or (asked is None and named is None)
    else:
        names = {name.lower() for name in table.columns}  # of somebody who kept some of the columns
        wrong = asked is None and {LABEL, PROBABILITY} <= names and label.lower() != LABEL
    if not wrong:
        return
    instead = (
        f"without --probability-column those of each label are read, or name one: --probability-column '{named}'"
        if named is not None
        else f"there is no '{OF}LABEL' beside it; to judge the labels alone: --predicted-column {LABEL}"
    )
    raise DataError(
        f"{table.path}: {PROBABILITY} is that of the predicted label, be it the one or the other, in answers of "
        f"rnnsent predict; {instead}"
        + ("" if sure else f"; if here it is of one label in every row: --probability-column {PROBABILITY}")
    )
