"""The estimator, by scikit-learn's own checks where numbers can stand for texts, and by texts.

Of the checks that `check_estimator` runs for a classifier one is left out: `check_array_api_input` needs
SCIPY_ARRAY_API, and texts are no array. All others read `Numbers`, since scikit-learn makes no texts.
"""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnsent
from rnnsent.runs.directory import Run
from tests.test_api import TINY, pairs

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402
from sklearn.utils import get_tags  # noqa: E402
from sklearn.utils.estimator_checks import _yield_all_checks  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

from rnnsent.sklearn import SentimentClassifier  # noqa: E402

LEARNING = {
    "training.epochs": 4, "training.batch_size": 8, "training.learning_rate": 0.05, "model.dropout": 0
}  # fmt: skip
TEXTS, LABELS = (list(column) for column in zip(*pairs(60), strict=True))


class Numbers(SentimentClassifier):
    """Reads a row of numbers as a text of a word for each; scikit-learn checks the numbers themselves."""

    def fit(self, X: Any, y: Any) -> Numbers:  # noqa: N803
        numbers, labels = validate_data(self, X, y)
        return super().fit(self.words(numbers), labels)

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self)
        return super().predict_proba(self.words(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = tags.input_tags.string = False
        tags.input_tags.two_d_array = True
        return tags

    @staticmethod
    def words(rows: Any) -> list[str]:
        return [" ".join(f"w{at}n{round(float(cell))}" for at, cell in enumerate(row)) for row in rows]


ALL = Numbers("gru", TINY | LEARNING | {"data.num_words": 200, "model.embedding_dim": 4})
EXCLUDED = ("check_array_api_input",)
TRAINING_ONCE = (
    "check_dont_overwrite_parameters", "check_dict_unchanged", "check_estimators_pickle", "check_supervised_y_2d",
    "check_methods_subset_invariance",
)  # fmt: skip
WITHOUT_TRAINING = (
    "check_estimator_tags_renamed", "check_valid_tag_types", "check_estimator_repr", "check_no_attributes_set_in_init",
    "check_estimators_unfitted", "check_do_not_raise_errors_in_init_or_set_params", "check_mixin_order",
    "check_complex_data", "check_estimators_empty_data_messages", "check_estimator_sparse_tag",
    "check_classifiers_one_label", "check_classifiers_regression_target", "check_supervised_y_no_nan",
    "check_parameters_default_constructible", "check_get_params_invariance", "check_set_params",
    "check_fit2d_1sample", "check_fit1d", "check_requires_y_none",
)  # fmt: skip


def name_of(check: Any) -> str:
    while hasattr(check, "func") or hasattr(check, "__wrapped__"):
        check = getattr(check, "func", None) or check.__wrapped__
    return str(check.__name__)


def checks() -> list[Any]:
    """Return the checks; those that train several times are slow, and so is the second of a name."""
    fast, params = {*TRAINING_ONCE, *WITHOUT_TRAINING}, []
    for check in _yield_all_checks(ALL, legacy=True):
        name = name_of(check)
        if name not in EXCLUDED:
            params.append(pytest.param(check, id=name, marks=() if name in fast else pytest.mark.slow))
            fast.discard(name)
    assert not fast
    return params


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", checks())
def test_checks_of_scikit_learn(check: Callable[..., None]) -> None:
    check("Numbers", clone(ALL))


@pytest.fixture(scope="module")
def fitted(cache: Path) -> SentimentClassifier:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSENT_CACHE", str(cache))
        return SentimentClassifier("gru", TINY | LEARNING).fit(TEXTS, LABELS)


def test_texts_are_classified_without_a_trace_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    model = SentimentClassifier("gru", TINY | LEARNING).fit(TEXTS, LABELS)
    assert model.classes_.tolist() == ["bad", "good"] and model.score(TEXTS, LABELS) == 1
    probabilities = model.predict_proba(TEXTS)
    assert probabilities.shape == (60, 2) and probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert (model.classes_[probabilities.argmax(axis=1)] == model.predict(TEXTS)).all()
    assert model.metrics_.epochs == 4 and model.metrics_.validation_texts == 12
    assert model.classifier_.trace("fine film").label == "good"
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
    tags = get_tags(model).input_tags
    assert (tags.string, tags.one_d_array, tags.two_d_array) == (True, True, False)
    assert not hasattr(model, "n_features_in_") and "SentimentClassifier" in model._repr_html_()


def test_a_failed_training_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(rnnsent.DataError, match="60 rows without a text"):
        SentimentClassifier("gru", TINY).fit([" "] * 60, LABELS)
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


def test_grid_search_over_a_pipeline() -> None:
    steps = make_pipeline(FunctionTransformer(np.char.lower), SentimentClassifier("gru", TINY | LEARNING))
    grid = {"sentimentclassifier__training__epochs": np.array([1, 4])}
    search = GridSearchCV(steps, grid, cv=2, error_score="raise").fit(np.array(TEXTS), np.array(LABELS))
    assert search.best_params_ == {"sentimentclassifier__training__epochs": 4}
    assert search.best_estimator_[-1].metrics_.epochs == 4 and search.predict(np.array(["FINE A"])) == ["good"]


def test_set_params_sets_keys_of_the_config() -> None:
    model = SentimentClassifier(settings={"model.recurrent.0.units": 8, "training.epochs": 1})
    copy = clone(model).set_params(config="lstm", model__recurrent=[{"cell": "gru"}], training__epochs=3)
    copy.set_params(model__recurrent__0__units=2)
    assert (copy.config, model.config) == ("lstm", "gru") and (model.settings or {})["training.epochs"] == 1
    assert list(copy.settings.items())[1:] == [("training.epochs", 3), ("model.recurrent.0.units", 2)]
    for name in ("epochs", "training", "trainning__epochs", "classifier__epochs"):
        with pytest.raises(ValueError, match="Invalid parameter"):
            copy.set_params(**{name: 3})
    with pytest.raises(rnnsent.ConfigError, match=r"training\.epoch: unknown key \(did you mean epochs\?\)"):
        copy.set_params(training__epoch=3).fit(TEXTS, LABELS)


def test_weights_travel_in_the_pickle(fitted: SentimentClassifier) -> None:
    joblib = pytest.importorskip("joblib")
    joblib.dump(fitted, "model.joblib")
    Path("model.pickle").write_bytes(pickle.dumps(fitted))
    np.save("probabilities.npy", fitted.predict_proba(TEXTS))
    Path("texts.txt").write_text("\n".join(TEXTS))
    script = """\
import pickle, sys, joblib, numpy as np
texts = open("texts.txt").read().split("\\n")
for model in (joblib.load("model.joblib"), pickle.load(open("model.pickle", "rb"))):
    print((model.predict_proba(texts) == np.load("probabilities.npy")).all(), model.predict(["fine a b"]))
print("keras" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "True ['good']\nTrue ['good']\nFalse\n", done.stderr


def columns() -> dict[str, Callable[[], Any]]:
    return {
        "tuple": lambda: tuple(TEXTS),
        "iterator": lambda: iter(TEXTS),
        "numpy": lambda: np.array(TEXTS),
        "numpy objects": lambda: np.array(TEXTS, object),
        "pandas": lambda: pytest.importorskip("pandas").Series(TEXTS, index=range(7, 67)),
        "pandas category": lambda: pytest.importorskip("pandas").Series(TEXTS, dtype="category"),
        "polars": lambda: pytest.importorskip("polars").Series(TEXTS),
        "pyarrow": lambda: pytest.importorskip("pyarrow").array(TEXTS),
        "pyarrow chunks": lambda: pytest.importorskip("pyarrow").chunked_array([TEXTS[:9], TEXTS[9:]]),
    }


@pytest.mark.parametrize("kind", columns())
def test_columns_of_every_kind_are_read(fitted: SentimentClassifier, kind: str) -> None:
    np.testing.assert_array_equal(fitted.predict_proba(columns()[kind]()), fitted.predict_proba(TEXTS))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([1, 5], ("1", "5")),
        ([2.0, -1.0], ("-1", "2")),
        ([True, False], ("false", "true")),
        (["Good", "good"], ("0", "1")),
        (["a,b", "a "], ("a", "a,b")),
        (["1.0", "1"], ("0", "1")),
    ],
)
def test_labels_keep_their_type_and_order(labels: list[Any], names: tuple[str, str]) -> None:
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([labels[label == "good"] for label in LABELS], index=range(9, 69))
    model = SentimentClassifier("gru", TINY | LEARNING).fit(pandas.Series(TEXTS), column)
    assert model.classes_.tolist() == sorted(labels) and model.classifier_.label_names == names
    assert model.score(TEXTS, column) == 1


def test_three_labels() -> None:
    words = ("dull", "fine", "odd")
    texts, labels = [f"{word} a b" for word in words * 20], [*range(3)] * 20
    model = SentimentClassifier("gru", TINY | LEARNING).fit(texts, labels)
    assert model.predict_proba(words).shape == (3, 3) and model.predict(words).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a text", r"fit takes several texts, not str; put one into a list: fit\(\[text\]\)"),
        (None, "fit takes several texts, not NoneType"),
        ({"text": TEXTS}, r"fit takes texts, not dict; name a column: fit\(data\['text'\]\)"),
        (np.array(TEXTS).reshape(30, 2), r"takes one column of texts, not an array of shape \(30, 2\)"),
        (np.array(TEXTS)[:, None], r"shape \(60, 1\); choose one: data\[:, 0\]"),
        ([*TEXTS[:-1], None], r"texts\[59\]: must be a str, not NoneType: None"),
        ([3, *TEXTS[1:]], r"texts\[0\]: must be a str, not int: 3"),
        (np.linspace(0, 1, 60), r"texts\[0\]: must be a str, not float64"),
        ([*TEXTS[:7], b"dull", *TEXTS[8:]], r"texts\[7\]: must be a str, not bytes: b'dull'"),
        ([TEXTS], r"texts\[0\]: must be a str, not list"),
    ],
)
def test_what_is_no_text_is_named(texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        SentimentClassifier("gru", TINY).fit(texts, LABELS)


def test_an_empty_cell_of_a_frame_is_named(fitted: SentimentClassifier) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": TEXTS, "label": LABELS}, index=range(100, 160))
    with pytest.raises(TypeError, match="predict takes texts, not DataFrame; name a column"):
        fitted.predict(frame)
    frame.loc[103] = None
    with pytest.raises(TypeError, match=r"texts\[3\]: must be a str, not float: nan"):
        fitted.predict(frame["text"])
    with pytest.raises(ValueError, match=r"y\[3\]: must be a label, not nan"):
        SentimentClassifier("gru", TINY).fit(TEXTS, frame["label"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, r"y should be a 1d array, got an array of shape \(\)"),
        (LABELS[1:], r"inconsistent numbers of samples: \[60, 59\]"),
        (["good"] * 60, r"y must hold two labels or more, not 1 class: \['good'\]"),
        ([*LABELS[:-1], None], r"y\[59\]: must be a label, not None"),
        ([*LABELS[:-1], float("nan")], r"y\[59\]: must be a label, not nan"),
        ([" ", *LABELS[1:]], r"y\[0\]: must be a label, not ' '"),
        (np.array(LABELS, "S"), r"y\[0\]: must be a label, not b'bad'"),
        (np.linspace(0, 1, 60), "Unknown label type: continuous"),
        ([[label, label] for label in LABELS], r"y should be a 1d array, got an array of shape \(60, 2\)"),
    ],
)
def test_wrong_labels_are_named(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SentimentClassifier("gru", TINY).fit(TEXTS, labels)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"config": "grru"}, rnnsent.ConfigError, "grru: no such file.*did you mean gru"),
        ({"validation_split": 1.5}, rnnsent.ConfigError, r"data\.validation_split: must be less than 1\.0, not 1\.5"),
        ({"validation_split": 1e-6}, rnnsent.DataError, "leave none to validate"),
        ({"random_state": -1}, rnnsent.ConfigError, r"training\.seed: must be at least 0, not -1"),
        ({"random_state": "x"}, ValueError, "cannot be used to seed"),
        ({"settings": {"training.epochs": {3}}}, rnnsent.ConfigError, "must be a whole number, not "),
        ({"settings": {"training.epochs": np.float64(2.5)}}, rnnsent.ConfigError, "a whole number, not 2.5"),
        ({"run_dir": __file__}, rnnsent.RunError, "is a file; --run-dir names a folder"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SentimentClassifier("gru", TINY).set_params(**parameters).fit(TEXTS, LABELS)


def test_random_state_decides_everything() -> None:
    def probabilities(state: Any) -> Any:
        return SentimentClassifier("gru", TINY, random_state=state).fit(TEXTS, LABELS).predict_proba(TEXTS)

    first = probabilities(np.int64(3))
    np.testing.assert_array_equal(first, probabilities(3))
    assert (first != probabilities(np.random.RandomState(0))).any()


def test_run_dir_keeps_the_run_and_fit_replaces_it() -> None:
    settings = TINY | {"data.text_column": "review", "data.split_column": "fold"}  # of the table it was made for
    model = SentimentClassifier("gru", settings, run_dir="run").fit(TEXTS, LABELS)
    assert Path("runs/latest").resolve() == Path("run").resolve()
    model.set_params(training__epochs=2).fit(TEXTS, LABELS)
    assert Run(Path("run")).metrics == model.metrics_
    assert model.metrics_.epochs == 2 and set(model.metrics_.data.counts["test"].values()) == {0}
    np.testing.assert_array_equal(
        [list(each.probabilities.values()) for each in rnnsent.load("run").predict(TEXTS)],
        [list(each.probabilities.values()) for each in model.classifier_.predict(TEXTS)],
    )


def test_an_unfitted_estimator_says_so() -> None:
    with pytest.raises(NotFittedError):
        SentimentClassifier().predict(TEXTS)


def test_without_scikit_learn_the_module_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "rnnsent.sklearn")
    with pytest.raises(ImportError, match=r"needs scikit-learn: pip install 'rnnsent\[sklearn\]'"):
        importlib.import_module("rnnsent.sklearn")
