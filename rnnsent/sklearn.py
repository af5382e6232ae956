"""A scikit-learn classifier of texts: `SentimentClassifier`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rnnsent.api import logging_to_stderr
from rnnsent.config.loader import load_config, training_name
from rnnsent.config.sections import Config, data_settings
from rnnsent.data.labels import cell_label, label_key
from rnnsent.data.rows import PANDAS_NULLS, find_rows
from rnnsent.inference.classifier import each_text, load
from rnnsent.runs.directory import DATA
from rnnsent.training import experiment

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError("rnnsent.sklearn needs scikit-learn: pip install 'rnnsent[sklearn]'") from error

MAX_SEED = 2**31 - 1
SECTIONS = frozenset(field.name for field in fields(Config))
# Keys of a config that was written for another table.
OTHER_TABLE = (
    "text_column", "label_column", "label_separator", "split_column", "group_column", "label_map", "test_path",
    "corrections",
)  # fmt: skip


class SentimentClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A recurrent text classifier with the interface of scikit-learn.

    X is a list of str, or a column of NumPy, pandas, polars or pyarrow that holds str; y has a label for each text.
    `set_params(section__key=value)` sets a key of the config in `settings`, so that grids can name it, such as
    `training__epochs` or `model__recurrent__0__units`. A fitted classifier needs no file: its pickle holds the weights.
    As for all estimators of texts there is no `n_features_in_`.

    Args:
        config: the path of a YAML file, or the name of a shipped config such as "gru".
        settings: keys of the config by their dotted names, such as `{"training.epochs": 3}`; they precede all else.
        validation_split: fraction of the texts of each label on which epochs are compared and probabilities calibrated.
        random_state: seed of weights, batches and validation texts; None takes the seeds of the config.
        run_dir: folder that the run is kept in, replacing the run that is there; None keeps none. Searches and
            cross-validation need None.
        verbose: whether to show on stderr what is used and how each epoch went.

    Attributes:
        classes_: the labels, sorted, (labels,).
        classifier_: what `rnnsent.load` returns, for `trace` and `predict_frame`.
        metrics_: epochs, seconds, and the metrics on the validation texts.

    Example:
        >>> search = GridSearchCV(SentimentClassifier("gru"), {"training__epochs": [3, 10]}, cv=3)
        >>> search.fit(texts, labels).predict(["a fine film"])
    """

    def __init__(
        self,
        config: str | Path = "gru",
        settings: Mapping[str, Any] | None = None,
        *,
        validation_split: float = 0.2,
        random_state: Any = None,
        run_dir: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.config = config
        self.settings = settings
        self.validation_split = validation_split
        self.random_state = random_state
        self.run_dir = run_dir
        self.verbose = verbose

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the constructor, and keys of the config as `section__key`.

        Raises:
            ValueError: if there is no such parameter or section; keys of sections are checked by `fit`.
        """
        keys = {name for name in params if "__" in name and name.partition("__")[0] in SECTIONS}
        super().set_params(**{name: value for name, value in params.items() if name not in keys})
        if keys:
            new = {name.replace("__", "."): value for name, value in params.items() if name in keys}
            # What is set last comes last: it may be an item of a list that was set before.
            self.settings = {name: value for name, value in (self.settings or {}).items() if name not in new} | new
        return self

    def fit(self, X: Iterable[str], y: Any) -> Self:  # noqa: N803
        """Train on texts and their labels.

        Raises:
            TypeError: if X is no column of texts, or one of them is not a str.
            ValueError: if y is no column of two labels or more, or one is missing.
            RnnsentError: whatever else is wrong with texts, config, device or disk.
        """
        texts, labels = list(each_text(X, "fit")), column_or_1d(y, warn=True)
        check_consistent_length(texts, labels)
        for index, label in enumerate(np.asarray(y, object).ravel().tolist()):  # `labels` may hold "nan" for NaN
            if isinstance(label, bytes) or cell_label(label) is None or type(label).__name__ in PANDAS_NULLS:
                raise ValueError(f"y[{index}]: must be a label, not {label!r}")
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold two labels or more, not {len(self.classes_)} class: {self.classes_}")
        names = _label_names(self.classes_)
        config, name = self._config(names)
        rows = find_rows(zip(texts, map(names.__getitem__, indices.tolist()), strict=True))
        request = experiment.Request(name, rows=rows, latest=self.run_dir is not None)
        with TemporaryDirectory(prefix="rnnsent-") as folder, logging_to_stderr(self.verbose):
            path = Path(self.run_dir or f"{folder}/run")
            run = experiment.train(config, request, run_dir=path, force=self.run_dir is not None)
            self.classifier_, self.metrics_ = load(run), run.metrics
        return self

    def predict_proba(self, X: Iterable[str]) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability of each label, in the order of `classes_`, (texts, labels).

        Raises:
            TypeError: as `fit`.
        """
        check_is_fitted(self)
        rows = [list(prediction.probabilities.values()) for prediction in self.classifier_.stream(X)]
        probabilities = np.array(rows, np.float64).reshape(-1, len(self.classes_))
        # Of float32, which add up to 1 in its own precision only.
        normalized: NDArray[np.float64] = probabilities / probabilities.sum(axis=1, keepdims=True)
        return normalized

    def predict(self, X: Iterable[str]) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each text, (texts,); errors as `predict_proba`."""
        indices = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[indices]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = tags.input_tags.string = True
        return tags

    def _config(self, names: list[str]) -> tuple[Config, str]:
        """Return the config to train with on labels with these names, and what the training is called."""
        seed = self.random_state
        if seed is not None and not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(MAX_SEED)
        seeds = {} if seed is None else dict.fromkeys(("training.seed", "data.split_seed"), seed)
        chosen = {"data.validation_split": self.validation_split, **seeds, **(self.settings or {})}
        data = {**data_settings(DATA), **dict.fromkeys(OTHER_TABLE), "test_split": 0.0, "labels": names}
        settings = chosen | {f"data.{key}": value for key, value in data.items()}
        config = load_config(str(self.config), settings, to_train=True)
        return config, training_name(str(self.config), config, settings)


def _label_names(classes: NDArray[Any]) -> list[str]:
    """Return what labels are called in the run: as they are written, or numbers if two would be taken for one."""
    names = [cell_label(label) or "" for label in classes.tolist()]
    keys = set(map(label_key, names))
    return names if len(keys) == len(names) and "" not in keys else list(map(str, range(len(names))))
