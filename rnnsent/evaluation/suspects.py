"""Labels that are probably wrong: those that contradict confident probabilities, or the same text elsewhere.

Source: C. Northcutt, L. Jiang and I. Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 2021,
as in the package cleanlab. A model agrees with the labels that it was trained on, so each probability is of a model
that did not see the label: out of fold, or of a run for texts that it was not trained on.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import DataConfig, LinearConfig
from rnnsent.data.corrections import places_of, splits_of, text_ids
from rnnsent.data.dataset import Dataset, Split
from rnnsent.data.download import Progress
from rnnsent.data.labels import label_key
from rnnsent.data.sources import find_texts, load_dataset
from rnnsent.data.splitting import SPLITS, TEST
from rnnsent.data.tokenizer import text_hash
from rnnsent.errors import DataError, RnnsentError, RunError, count, installed
from rnnsent.evaluation.run_data import RunData, load_run_data, run_source
from rnnsent.files import atomic_path, disk_errors, require_folder, table_writer
from rnnsent.inference.classifier import load
from rnnsent.inference.predictor import by_label, validation_parts
from rnnsent.models.linear import cached_linear
from rnnsent.models.ngram_weights import assign_folds
from rnnsent.runs.directory import Run

logger = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Probabilities = NDArray[np.float64]  # (rows, labels); NaN where a label is not checked

FOLDS, SEED = 5, 0
LINEAR = LinearConfig(strength=1.0)
MANY_WORDS = 2_000_000  # from here on n-grams of characters take minutes and find no more
UNLIKELY, DUPLICATE = "unlikely label", "duplicate with other label"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row whose label is probably wrong; the columns of the table in their order."""

    file: str
    row: int | None  # as a spreadsheet numbers it; None for a file of its own
    split: str
    label: str
    suggested_label: str  # the most probable; of duplicates the most frequent
    correct_label: str  # empty, to be filled in
    probability: float | None  # of the label; None if it was not checked
    reason: str
    group: int | None  # number of the duplicates, from 1
    text_id: str  # the same for texts of the same words
    text: str


@dataclass(frozen=True)
class Suspects:
    """The labels of a data set that are probably wrong, the most suspicious first."""

    name: str  # of the data
    rows: tuple[Suspect, ...]
    checked: int  # labels that a model checked
    unlikely: int  # of these, the number that confident learning estimates to be wrong
    not_checked: dict[str, int]  # {why: labels}

    @property
    def share(self) -> float:
        """The estimated share of wrong labels."""
        return self.unlikely / max(self.checked, 1)

    def pairs(self) -> dict[tuple[str, str], int]:
        """Return {(label, suggested label): rows} of the unlikely labels, the most frequent first."""
        unlikely = (row for row in self.rows if row.reason == UNLIKELY)
        return dict(Counter((row.label, row.suggested_label) for row in unlikely).most_common())

    def write(self, path: str | Path, *, limit: int | None = None, replace: bool = False) -> int:
        """Write the most suspicious rows as CSV, all without a `limit`; return how many.

        Raises:
            RunError: if it cannot be written, or is there already and must not be replaced.
        """
        path = Path(path)
        require_table(path, replace=replace)
        rows = self.rows[:limit]
        # Excel takes a table for UTF-8 only if it has a mark, which others take for a part of the first name.
        plain = all(f"{row.text}{row.label}{row.suggested_label}{row.file}".isascii() for row in rows)
        encoding = "utf-8" if plain else "utf-8-sig"
        with (
            disk_errors(path),
            atomic_path(path) as temporary,
            temporary.open("w", encoding=encoding, errors="replace", newline="") as stream,
        ):
            table = table_writer(stream)
            table.writerow([field.name for field in fields(Suspect)])
            for row in rows:
                probability = "" if row.probability is None else f"{row.probability:.4f}"
                table.writerow((asdict(row) | {"probability": probability}).values())
        return len(rows)


def require_table(path: Path, *, replace: bool) -> None:
    """Require that a table of suspects can be written; errors as `Suspects.write`."""
    if path.suffix.lower() != ".csv":
        raise RunError(f"{path}: unknown output format; use .csv")
    require_folder(path)
    if path.exists() and not replace:
        raise RunError(f"{path}: exists already, perhaps with your corrections; choose another --output, or --force")


def find_suspects(config: DataConfig | None, run: Run | None = None, *, progress: Progress | None = None) -> Suspects:
    """Find labels that are probably wrong.

    Args:
        config: of the data; None: those of the run.
        run: whose probabilities are used, for texts that it was not trained on; None: those of the n-gram linear part,
            out of fold for texts to train and to validate on, and of one fitted on all these for test texts.
        progress: follows the reading of texts.

    Raises:
        RnnsentError: if cleanlab or scikit-learn is not installed, or there is nothing to check.
    """
    if not installed("cleanlab"):
        raise RnnsentError("finding wrong labels needs cleanlab: pip install 'rnnsent[suspects]'")
    paths = [] if config is None else [path for path in (config.path, *config.more_paths, config.test_path) if path]
    if pipe := next((path for path in paths if path == "-" or Path(path).is_fifo()), None):
        raise DataError(f"{pipe}: a pipe can be read once, and suspects are looked up again; name a file")
    if any(data.targets == "multi" for data in (config, run and run.config.data) if data):
        raise DataError("texts with several labels cannot be searched for wrong ones; name one column of 0 and 1")
    if run is None:
        assert config is not None
        dataset = load_dataset(config, progress=progress)
        probabilities, not_checked = _out_of_fold(dataset, splits_of(dataset))
    else:
        data = load_run_data(run)
        dataset, config = data.dataset, config or run_source(run)
        if config != run_source(run):
            how: Any = {"tokenizer": data.dataset.vocabulary.tokenizer, "vocabulary": "training"}
            dataset = load_dataset(replace(config, **how), progress=progress)
        probabilities, not_checked = _of_run(run, dataset, data)
    splits, labels = splits_of(dataset), dataset.rows.labels
    checked = ~np.isnan(probabilities).any(axis=1)
    if not checked.any():
        reasons = ", ".join(f"{why}: {number:,}" for why, number in not_checked.items())
        raise DataError(f"{dataset.provenance.get('file', dataset.source)}: no label can be checked: {reasons}")
    unlikely = np.zeros(len(labels), np.bool_)
    unlikely[checked] = _unlikely(labels[checked], probabilities[checked])
    others = checked & (splits != TEST)  # test labels suggest nothing for training
    unlikely[others] = _unlikely(labels[others], probabilities[others])
    name = Path(str(dataset.provenance.get("file", dataset.source))).name
    rows = _rows(dataset, config, probabilities, unlikely, progress)
    return Suspects(name, rows, int(checked.sum()), int(unlikely.sum()), not_checked)


def _unlikely(labels: Ints, probabilities: Probabilities) -> NDArray[np.bool_]:
    if len(np.unique(labels)) < 2:
        return np.zeros(len(labels), np.bool_)
    from cleanlab.filter import find_label_issues

    # One process: forks of a process with threads may hang.
    issues: NDArray[np.bool_] = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    return issues


def _out_of_fold(dataset: Dataset, splits: Ints) -> tuple[Probabilities, dict[str, int]]:
    """Return probabilities of the linear part, and which labels are too rare to be checked."""
    texts = replace(dataset.rows, limit=None)
    learned = np.flatnonzero(splits < TEST)
    folds = assign_folds(texts.take(learned), FOLDS, SEED, len(dataset.label_names))
    # A label of one fold is unknown to the model that its texts are held out from.
    held = np.zeros((FOLDS, len(dataset.label_names)), np.bool_)
    held[folds, texts.labels[learned]] = True
    labels = np.flatnonzero(held.sum(axis=0) > 1)
    rare = (splits <= TEST) & ~np.isin(texts.labels, labels)
    counts = Counter(dataset.label_names[label] for label in texts.labels[rare].tolist())
    not_checked = {f"labeled {name}, too rare": number for name, number in counts.most_common()}
    probabilities = np.full((len(texts), len(dataset.label_names)), np.nan)
    if len(labels) < 2:
        return probabilities, not_checked
    known = ~rare[learned]
    learned, folds = learned[known], folds[known]
    tests = np.flatnonzero((splits == TEST) & ~rare)
    numbers = np.zeros(len(dataset.label_names), np.int64)
    numbers[labels] = np.arange(len(labels))
    part = texts.take(learned)
    held_out = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    config = replace(LINEAR, characters=None) if texts.lengths.sum() > MANY_WORDS else LINEAR
    logger.info("linear part: fitted on %s, out of fold", count(len(learned), "text"))
    model, found = cached_linear(replace(part, labels=numbers[part.labels]), held_out, len(labels), config)
    for rows, parts in ((learned[np.concatenate(held_out)], found), (tests, model.probabilities(texts.take(tests)))):
        probabilities[rows] = 0.0
        probabilities[np.ix_(rows, labels)] = by_label(parts)
    return probabilities, not_checked


def _of_run(run: Run, dataset: Dataset, data: RunData) -> tuple[Probabilities, dict[str, int]]:
    """Return probabilities of a run for texts whose labels it has not seen, and how many others there are, and why.

    Its validation texts, on which much was chosen, are checked in its own data alone, by the parts of the model that
    were not fitted on them; under cross-validation these are all texts but those of the test.
    """
    classifier, config = load(run), run.config.data
    predictor, labels, splits = classifier.predictor, dataset.rows.labels, splits_of(dataset)
    known = {label_key(name): number for number, name in enumerate(config.label_names)}
    columns = np.array([known.get(label_key(name), -1) for name in dataset.label_names])
    rows = np.flatnonzero(splits <= TEST).tolist()
    hashes = {row: text_hash("", dataset.rows.spelled(row)) for row in rows}
    trained, validation = (
        {text_hash("", part.spelled(index)) for index in range(len(part))}
        for part in (data.texts("train"), data.texts("validation"))
    )
    seen = trained | validation
    probabilities = np.full((len(labels), len(columns)), np.nan)
    if dataset is data.dataset:
        found = by_label(predictor.mixed(validation_parts(run, predictor, data.cut("validation"))))
        probabilities[data.indices["validation"]] = found[:, columns]
        if data.folds is None:
            probabilities[[row for row, text in hashes.items() if text in trained]] = np.nan
    if new := [row for row, text in hashes.items() if text not in seen]:
        texts = Split.from_words(classifier.vocabulary, [dataset.rows.spelled(row) for row in new])
        found = by_label(predictor(texts.cut(config.num_words, config.maxlen, config.truncating)))
        probabilities[new] = np.where(columns < 0, 0.0, found[:, columns])
    probabilities[columns[labels] < 0] = np.nan
    not_checked = Counter(
        f"seen by {run} in training"
        if columns[labels[row]] >= 0
        else f"labeled {dataset.label_names[labels[row]]}, which {run} does not know"
        for row in rows
        if np.isnan(probabilities[row, 0])
    )
    return probabilities, dict(not_checked)


def _rows(
    dataset: Dataset,
    config: DataConfig,
    probabilities: Probabilities,
    unlikely: NDArray[np.bool_],
    progress: Progress | None,
) -> tuple[Suspect, ...]:
    """Return unlikely labels and all rows of texts with several labels, the most suspicious first."""
    names, labels, splits = dataset.label_names, dataset.rows.labels, splits_of(dataset)
    likely = probabilities[np.arange(len(labels)), labels]
    labeled = np.flatnonzero(splits <= TEST)
    hashes = (dataset.rows.fingerprints() if dataset.hashes is None else dataset.hashes)[labeled]
    _, copies = np.unique(hashes, return_inverse=True)
    several = np.bincount(np.unique(copies * len(names) + labels[labeled]) // len(names)) > 1
    members = dict(zip(labeled[several[copies]].tolist(), copies[several[copies]].tolist(), strict=True))
    groups: dict[int, list[int]] = {}
    for row, text in members.items():
        groups.setdefault(text, []).append(row)
    suggested = {row: int(np.argmax(probabilities[row])) for row in np.flatnonzero(unlikely).tolist()}
    suspicion = {row: (float(likely[row]), row) for row in suggested}
    for rows in groups.values():
        votes = np.bincount(labels[rows], minlength=len(names)) + np.nan_to_num(probabilities[rows]).mean(axis=0) / 2
        suggested |= dict.fromkeys(rows, int(votes.argmax()))
        suspicion |= dict.fromkeys(rows, (float(np.nan_to_num(likely[rows], nan=0.5).min()), rows[0]))
    order = sorted(suggested, key=lambda row: (suspicion[row], row))
    numbers: dict[int, int] = {}
    places, text_of = places_of(dataset), _texts(dataset, config, order, progress)
    suspects = []
    for row, text_id in zip(order, text_ids(dataset, order), strict=True):
        group = numbers.setdefault(members[row], len(numbers) + 1) if row in members else None
        suspects.append(
            Suspect(
                file=places.files[places.file_numbers[row]],
                row=int(places.sheet_rows[row]) or None,
                split=next(name for name, split in SPLITS.items() if split == splits[row]),
                label=names[labels[row]],
                suggested_label=names[suggested[row]],
                correct_label="",
                probability=None if np.isnan(likely[row]) else float(likely[row]),
                reason=UNLIKELY if group is None else DUPLICATE,
                group=group,
                text_id=text_id,
                text=text_of[row],
            )
        )
    return tuple(suspects)


def _texts(dataset: Dataset, config: DataConfig, rows: list[int], progress: Progress | None) -> dict[int, str]:
    """Return the texts of some rows as they are in their file; without files, their words."""
    if dataset.places is None:
        return {row: " ".join(dataset.rows.spelled(row)) for row in rows}
    places, texts = dataset.places, dict[int, str]()
    keys = {(places.file_numbers[row], places.sheet_rows[row]): row for row in rows}
    numbers = {file: number for number, file in enumerate(places.files)}
    for record in find_texts(config).records(progress):
        number = numbers.get(record.file, -1) if record.file else record.table
        if record.text is not None and (row := keys.get((number, record.row))) is not None:
            texts[row] = record.text
    return texts
