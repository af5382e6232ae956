"""Training that begins with the weights of another run."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rnnsent as package
from rnnsent.data.tokenizer import FIRST_WORD
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.engine import kernel
from rnnsent.evaluation.intervals import paired_difference, proportion
from rnnsent.inference.predictor import load_subwords
from rnnsent.models.weights import EMBEDDINGS, weights_of
from rnnsent.runs.directory import Run, read_arrays
from rnnsent.runs.registry import open_run
from rnnsent.runs.schemas import Fingerprint
from rnnsent.training.experiment import Request, resume_training, train
from rnnsent.training.initial_run import named_config
from tests.conftest import rnnsent
from tests.training.test_resume import Killed, assert_same, kill_after

DECIDING = {"good": ("splendid", "warm", "witty"), "bad": ("dreary", "dull", "clumsy"), "mixed": ("plain", "usual")}
CONFIG = """\
data: {source: texts, path: old.csv, maxlen: 30}
model: {embedding_dim: 6, recurrent: [{cell: gru, units: 5}]}
training: {epochs: 2, batch_size: 32, learning_rate: 1e-2, calibrate: false}
"""
TEXTS = ("old.csv", "new.csv", "three.csv")
Arrays = dict[str, np.ndarray[Any, Any]]


def write_texts(path: Path, rows: int, filler: str, labels: Sequence[str] = ("bad", "good"), seed: int = 0) -> None:
    rng = random.Random(f"{path.name} {seed}")
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for row in range(rows):
            label = labels[row % len(labels)]
            words = [rng.choice(DECIDING[label]), *(f"{filler}{rng.randrange(30)}" for _ in range(rng.randrange(3, 9)))]
            writer.writerow([" ".join(rng.sample(words, len(words))), label])


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """The folder of a run that was trained on old.csv, and of other texts."""
    folder = tmp_path_factory.mktemp("old")
    write_texts(folder / "old.csv", 240, "old")
    write_texts(folder / "new.csv", 160, "new")
    write_texts(folder / "three.csv", 180, "new", ("bad", "mixed", "good"))
    (folder / "small.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RNNSENT_CACHE", str(cache))
        result = rnnsent("train", "small.yaml", "--run-dir", "old")
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(autouse=True)
def texts(old: Path) -> None:
    for name in (*TEXTS, "small.yaml"):
        shutil.copy(old / name, name)


class Initial(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights of each network before its first step."""

    def __init__(self) -> None:
        super().__init__()
        self.networks: list[Arrays] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.networks.append(weights_of(self.model))


def begun(config: str | None = None, settings: dict[str, Any] | None = None, **options: Any) -> tuple[Run, Initial]:
    initial = Initial()
    quick = {"training.epochs": 1, **(settings or {})}
    run = package.train(config, quick, run_dir="run", callbacks=[initial], verbose=False, **options)
    return run, initial


def parent_of(run: Run) -> Any:
    assert run.metrics.parent is not None
    return run.metrics.parent


def right(run: Run, rows: Sequence[dict[str, str]]) -> np.ndarray[Any, Any]:
    predictions = package.load(run).predict([row["text"] for row in rows])
    return np.array([prediction.label == row["label"] for prediction, row in zip(predictions, rows, strict=True)])


def rows_of(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_known_words_keep_their_rows_and_new_words_begin_fresh(old: Path) -> None:
    run, initial = begun(data="new.csv", initial_run=old / "old")
    before, after = open_run(old / "old").weights(), initial.networks[0]
    words = [Vocabulary.load(folder / "vocabulary.json").words for folder in (old / "old", run.path)]
    known = FIRST_WORD + len(words[0])
    assert words[1][: len(words[0])] == words[0]
    assert sorted(words[1][len(words[0]) :]) == sorted(f"new{number}" for number in range(30))
    np.testing.assert_array_equal(after[EMBEDDINGS][:known], before[EMBEDDINGS])
    fresh = after[EMBEDDINGS][known:]
    assert len(fresh) == 30 and np.abs(fresh).min() > 0 and np.abs(fresh).max() <= 0.05  # as Keras draws them
    for name in before.keys() - {EMBEDDINGS}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    parent = parent_of(run)
    assert (parent.run, parent.sha256) == ("old", open_run(old / "old").sha256)
    assert (parent.kept_words, parent.new_words, parent.seen) == (len(words[0]), 30, {})
    assert run.config.training.initial_run == str(old / "old")
    assert run.metrics.parameters == sum(array.size for array in run.weights().values())


@pytest.mark.parametrize(("limit", "new"), [(None, 30), (500, 30), (20, 10), (8, 1), (5, 0)])
def test_num_words_counts_the_words_of_the_new_texts(old: Path, limit: int | None, new: int) -> None:
    Path("new.csv").write_text("")
    with Path("new.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label", "split"])
        # Each of the 30 words is less frequent than the one before it; known words are on places 1, 3, 5, … and 31 on.
        for row in range(60):
            words = [f"new{number:02}" for number in range(30) if row >= 2 * number]
            words += [f"old{number}" for number in range(6) if row >= 4 * number - 1]
            label = ("bad", "good")[row % 2]
            writer.writerow([" ".join(words), label, "train"])
        writer.writerows([["new00", "bad", "validation"], ["splendid", "good", "validation"], ["x", "bad", "test"]])
    run, _ = begun(data="new.csv", initial_run=old / "old", settings={"data.num_words": limit})
    known = len(Vocabulary.load(old / "old/vocabulary.json").words)
    frequency = [(60 - 2 * number, f"new{number:02}") for number in range(30)]
    frequency += [(60 - max(4 * number - 1, 0), f"old{number}") for number in range(6)]
    ranked = [word for _, word in sorted(frequency, key=lambda pair: -pair[0])]
    frequent = ranked if limit is None else ranked[: limit - 4]
    assert abs(sum(word.startswith("new") for word in frequent) - new) <= 2  # the case is as it is meant
    assert abs(parent_of(run).new_words - sum(word.startswith("new") for word in frequent)) <= 1  # ties
    vocabulary = Vocabulary.load(run.file("vocabulary.json"))
    assert vocabulary.size == FIRST_WORD + known + parent_of(run).new_words == len(run.weights()[EMBEDDINGS])
    assert package.load(run).predict(["splendid"])[0].unknown_share == 0
    assert rnnsent("eval", "run").exit_code == 0


def test_forgetting_is_that_of_predictions_for_the_old_texts(old: Path) -> None:
    run, _ = begun(data="new.csv", initial_run=old / "old", settings={"training.epochs": 3})
    rows = np.load(old / "old/split.npz")["validation"].tolist()
    texts = [row for index, row in enumerate(rows_of(old / "old.csv")) if index in rows]
    before, after = right(open_run(old / "old"), texts), right(run, texts)
    forgetting = parent_of(run).forgetting
    assert forgetting.texts == len(texts) == len(rows)
    assert forgetting.before == proportion(int(before.sum()), len(rows))
    assert forgetting.before == open_run(old / "old").metrics.validation["accuracy"]
    assert forgetting.after == proportion(int(after.sum()), len(rows))
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    assert forgetting.difference == paired_difference(lost, won, len(rows))
    assert f"{(won - lost) / len(rows) * 100:+.2f} points [" in str(forgetting)


def test_texts_are_read_alike_by_eval_predict_and_the_report(old: Path) -> None:
    new = rows_of("new.csv")
    new[0]["text"] += " old3 old3 old4"  # known to the first run alone
    with Path("new.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, ["text", "label", "split"])
        writer.writeheader()
        writer.writerows([{**row, "split": "test" if index < 40 else ""} for index, row in enumerate(new)])
    result = rnnsent("train", "--from", str(old / "old"), "--data", "new.csv", "--run-dir", "run")
    assert result.exit_code == 0, result.stderr
    known = len(Vocabulary.load(old / "old/vocabulary.json").words)
    assert f"initial weights: {old / 'old'}, {known} words with its vectors, 30 new words" in result.stderr
    assert f"validation texts of {old / 'old'}: accuracy " in result.stderr
    assert rnnsent("eval", "run").exit_code == 0
    predicted = package.load("run").predict([row["text"] for row in new[:40]])
    assert predicted[0].unknown_share == 0
    with Path("run/evaluations/test-predictions.csv").open(newline="") as handle:
        evaluated = [float(row["probability"]) for row in csv.DictReader(handle)]
    np.testing.assert_allclose([each.probabilities["good"] for each in predicted], evaluated, rtol=1e-6)
    assert rnnsent("report", "run").exit_code == 0 and rnnsent("report", "run", "--card").exit_code == 0
    for page in ("report.html", "model_card.md"):
        content = Path("run", page).read_text()
        assert "initial weights of the run old" in content and "30 new words" in content and "points" in content


RECIPES: dict[str, tuple[str, ...]] = {
    "ensemble": ("ensemble=[{}, {recurrent: [{cell: lstm, units: 4, bidirectional: true}]}]",),
    "ngrams": ("model.ngrams={orders: 2, folds: 3}", "model.pooling=mean_max"),
    "language_model": ("model.language_model={epochs: 1, batch_size: 80, samples: 16}", "model.pooling=attention"),
    "word2vec": ("model.vectors={word2vec: {epochs: 1, min_count: 1}, trainable: false}", "model.dense=[{units: 3}]"),
    "teacher": ("data.unlabeled=true", "training.teacher=self"),
    "linear": ("model.linear={characters: [2, 3], weight: 0.5}",),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_kinds_of_networks_begin_with_weights_and_resume_to_the_same_bits(recipe: str) -> None:
    for name in ("old.csv", "new.csv") if recipe == "teacher" else ():
        with Path(name).open("a") as handle:
            handle.write("".join(f"new{number} old{number} witty,\n" for number in range(20)))
    settings = [word for setting in RECIPES[recipe] for word in ("--set", setting)]
    result = rnnsent("train", "small.yaml", "--run-dir", "first", "--epochs", "1", *settings)
    assert result.exit_code == 0, result.stderr
    initial = Initial()
    request = Request("small", callbacks=lambda _: [initial])
    changes = {"data.source": "texts", "data.path": "new.csv", "training.checkpoint_every": 1, "training.epochs": 2}
    config, name = named_config(None, changes, Path("first"))
    assert name == Run(Path("first")).read_record("fingerprint.json", Fingerprint).name
    expected = train(config, request, run_dir=Path("expected"))
    first = Run(Path("first"))
    networks = [*first.networks] if recipe != "teacher" else [first, first]  # the teacher begins with them as well
    assert len(initial.networks) == len(networks)
    for network, found in zip(networks, initial.networks, strict=True):
        for name, array in Run(network.path).weights().items():
            np.testing.assert_array_equal(found[name][: len(array)], array, err_msg=name)
    assert not list(expected.path.rglob("language_model.json"))
    assert expected.metrics.language_model is None and expected.metrics.embeddings is None
    if recipe == "word2vec":  # frozen
        known = len(first.weights()[EMBEDDINGS])
        np.testing.assert_array_equal(expected.weights()[EMBEDDINGS][:known], first.weights()[EMBEDDINGS])
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_after(2, True, patch)
        train(config, Request("killed"), run_dir=Path("killed"))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_after(5, False, patch)  # an ensemble in its second network, a teacher's pupil
        resume_training(Path("killed"), Request("killed"))
    run = resume_training(Path("killed"), Request("killed"))
    assert_same(run, expected)
    assert run.metrics.parent == expected.metrics.parent and run.config == expected.config


def test_cross_validated_networks_and_subwords_go_on() -> None:
    settings = {
        "training.cross_validation": True, "data.validation_split": 0.0, "ensemble": [{}, {}], "model.linear": {},
        "model.vectors": {"word2vec": {"subwords": [3, 4], "min_count": 1}, "trainable": False},
    }  # fmt: skip
    old = package.train("small.yaml", settings=settings, run_dir="parent", verbose=False)
    new = package.train(initial_run=old, data="new.csv", run_dir="child", verbose=False)
    parent = parent_of(new)
    assert parent.new_words == 30 and parent.forgetting is None
    vectors = {name: read_arrays(run.networks[0].file("weights.safetensors"))[EMBEDDINGS] for name, run in
               (("old", old), ("new", new))}  # fmt: skip
    assert np.array_equal(vectors["old"], vectors["new"][: len(vectors["old"])])
    subwords, words = load_subwords(old), package.load(new).vocabulary.words
    assert subwords is not None
    for place, word in enumerate(words[parent.kept_words :], start=len(vectors["old"])):
        composed = subwords.vector(word)
        assert composed is None or vectors["new"][place] == pytest.approx(composed)
    assert package.load(new).predict(["splendidd"])[0].label == "good"


def test_labels_that_are_added_get_columns_of_their_own(old: Path) -> None:
    labels = {"data.labels": ["bad", "good", "mixed"]}
    run, initial = begun(data="three.csv", initial_run=old / "old", settings=labels)
    before, after = open_run(old / "old").weights(), initial.networks[0]
    kernel_, bias = after["output/kernel"], after["output/bias"]
    assert kernel_.shape == (5, 3)
    # The odds of the two known labels are what they were.
    np.testing.assert_allclose(kernel_[:, 1] - kernel_[:, 0], before["output/kernel"][:, 0], rtol=1e-6)
    np.testing.assert_allclose(bias[1] - bias[0], before["output/bias"][0], rtol=1e-6)
    assert parent_of(run).forgetting.texts == 38 and len(run.metrics.data.counts["train"]) == 3
    four = rows_of("three.csv") + [{"text": f"soso new{number}", "label": "so-so"} for number in range(30)]
    initial = Initial()
    package.train(
        settings={"data.labels": ["bad", "good", "mixed", "so-so"], "training.epochs": 1},
        data=[(row["text"], row["label"]) for row in four],
        initial_run=run,
        callbacks=[initial],
        verbose=False,
    )
    for name in ("output/kernel", "output/bias"):
        np.testing.assert_array_equal(initial.networks[0][name][..., :3], run.weights()[name])


def test_a_label_that_the_new_texts_lack_stays(old: Path) -> None:
    first = package.train("small.yaml", {"training.epochs": 1}, data="three.csv", run_dir="first", verbose=False)
    run, _ = begun(data="new.csv", initial_run=first)
    assert run.config.data.labels == ("bad", "good", "mixed")
    assert set(package.load(run).predict(["plain usual"])[0].probabilities) == {"bad", "good", "mixed"}
    result = rnnsent("eval", "run")
    assert result.exit_code == 0, result.stderr


def test_texts_that_the_first_run_was_trained_on_are_counted(old: Path) -> None:
    rows = rows_of("old.csv")
    trained = np.load(old / "old/split.npz")["train"].tolist()
    validated = np.load(old / "old/split.npz")["validation"].tolist()
    with Path("mixed.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label", "split"])
        for part, indices in (("validation", trained[:30]), ("test", trained[30:37]), ("train", validated[:20])):
            writer.writerows([rows[index]["text"], rows[index]["label"], part] for index in indices)
    result = rnnsent("train", "--from", str(old / "old"), "--data", "mixed.csv", "--run-dir", "run")
    assert result.exit_code == 0, result.stderr
    assert f"{old / 'old'}: trained on 30 validation texts of this run" in result.stderr
    parent = parent_of(Run(Path("run")))
    assert parent.seen == {"validation": 30, "test": 7}
    assert parent.forgetting.texts == len(validated) - 20
    with Path("mixed.csv").open("a", newline="") as handle:
        csv.writer(handle).writerows([rows[index]["text"], rows[index]["label"], "train"] for index in validated[20:])
    result = rnnsent("train", "--from", str(old / "old"), "--data", "mixed.csv", "--run-dir", "all")
    assert result.exit_code == 0 and "not evaluated again: all are trained on now" in result.stderr
    assert parent_of(Run(Path("all"))).forgetting is None


def test_old_texts_that_are_gone_are_not_evaluated() -> None:
    assert rnnsent("train", "small.yaml", "--run-dir", "first", "--epochs", "1").exit_code == 0
    Path("old.csv").unlink()
    result = rnnsent("train", "--from", "first", "--data", "new.csv", "--run-dir", "run")
    assert result.exit_code == 0, result.stderr
    reason = f"{Path('old.csv').resolve()}: no such file or folder"
    assert f"the validation texts of {Path('first').resolve()} are not evaluated again: {reason}" in result.stderr
    assert parent_of(Run(Path("run"))).forgetting is None
    write_texts(Path("old.csv"), 240, "old", seed=1)
    result = rnnsent("train", "--from", "first", "--data", "new.csv", "--run-dir", "other")
    assert result.exit_code == 0 and "not the texts that" in result.stderr


def test_without_new_texts_training_goes_on_with_the_old_ones(old: Path) -> None:
    result = rnnsent("train", "--from", str(old / "old"), "--set", "training.learning_rate=1e-3", "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert Path(values["run"]).name.startswith("small-") and values["parent"]["new_words"] == 0
    run = Run(Path(values["run"]))
    config = open_run(old / "old").config
    training = replace(config.training, learning_rate=1e-3, initial_run=str(old / "old"))
    assert run.config == replace(config, training=training)
    assert values["parent"]["forgetting"]["after"] == values["validation"]["accuracy"]


def test_how_a_file_is_read_is_not_taken_from_the_first_run() -> None:
    lines = ["said;verdict;part"] + [
        f"{row['text']};{row['label'][0]};{('train', 'dev', 'test')[index % 3]}"
        for index, row in enumerate(rows_of("old.csv"))
    ]
    Path("odd.csv").write_text("\n".join(lines))
    odd = ("--text-column", "said", "--label-column", "verdict", "--split-column", "part")
    mapped = ("--label-map", "b: bad, g: good", "--delimiter", ";", "--set", "data.split_seed=5")
    result = rnnsent("train", "small.yaml", "--data", "odd.csv", *odd, *mapped, "--run-dir", "first")
    assert result.exit_code == 0, result.stderr
    run, _ = begun(data="new.csv", initial_run="first")
    data = run.config.data
    assert (data.text_column, data.label_column, data.split_column, data.delimiter) == ("text", "label", None, None)
    assert (data.label_map, data.labels, data.split_seed) == (None, ("bad", "good"), 5)


def test_ids_of_the_reviews_of_keras_and_words_of_texts_go_together(
    finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    rng = np.random.default_rng(0)
    rows = [
        (" ".join(f"word{rank}" for rank in rng.integers(4, 50, 12)) + " another", ("negative", "positive")[row % 2])
        for row in range(80)
    ]
    run, initial = begun(data=rows, initial_run=finished_run)
    np.testing.assert_array_equal(
        initial.networks[0][EMBEDDINGS][:53], open_run(finished_run).weights()[EMBEDDINGS][:53]
    )
    assert run.config.data.tokenizer == "imdb" and parent_of(run).kept_words == 49 and parent_of(run).new_words == 1
    assert parent_of(run).forgetting.texts == 24
    back = package.train(settings={"training.epochs": 1}, data="imdb", initial_run=run, run_dir="back", verbose=False)
    assert parent_of(back).new_words == 0 and back.config.data.source == "imdb"
    assert Vocabulary.load(back.file("vocabulary.json")).words == Vocabulary.load(run.file("vocabulary.json")).words
    validation = package.evaluate(back, "validation")
    assert validation.metrics["accuracy"] == back.metrics.validation["accuracy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "model.embedding_dim=7"], "model.embedding_dim: must be 6, not 7 (the weights are those of "),
        (["--set", "model.recurrent.0.units=9"], "model.recurrent: must be gru 5 tanh, not gru 9 tanh ("),
        (["--set", "model.recurrent.1={cell: lstm, units: 5}"], "must be gru 5 tanh, not gru 5 tanh, lstm 5 tanh ("),
        (["--set", "model.recurrent.0.reset_after=false"], "not gru 5 tanh reset_after: false ("),
        (["--set", "model.pooling=max"], "model.pooling: must be last, not max ("),
        (["--set", "model.dense=[{units: 4}]"], "model.dense: must be empty, not 4 relu ("),
        (["--set", "model.ngrams={orders: 2}"], "model.ngrams: must be 0 weights a word, not 2 weights a word ("),
        (["--set", "ensemble=[{}, {seed: 3}]"], "ensemble: must be a list of 1, not 2 ("),
        (["--config", "lstm"], "model.recurrent: must be gru 5 tanh, not lstm 32 tanh ("),
        (["--set", "data.labels=[good, bad]"], "data.labels: must be bad, good, or begin so, not good, bad ("),
        (["--data", "sample"], "data.labels: must be bad, good, or begin so, not negative, positive ("),
        (
            ["--data", "three.csv"],
            "three.csv:3: the label 'mixed' is none of data.labels: bad, good; add it",
        ),
        (["--data", "nowhere.csv"], "nowhere.csv: no such file or folder"),
        (["--data", "new.csv", "--text-column", "words"], "no column 'words' (--text-column)"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_no_run(old: Path, arguments: list[str], message: str) -> None:
    result = rnnsent("train", "--from", str(old / "old"), "--run-dir", "run", *arguments)
    assert result.exit_code == 1 and message in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and not Path("run").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--from", "nowhere"], 1, "nowhere: no such run directory"),
        (["--from", "new.csv"], 1, "new.csv: is a file; a run is the folder"),
        (["--from", "."], 1, ".: not a run directory, it has no config.json"),
        (["--from", "first", "--resume", "first"], 2, "give one of them"),
        (["--from", "first", "--run-dir", "first", "--force"], 1, "training begins with this run"),
        (["small.yaml", "--set", "training.initial_run=nowhere"], 1, "nowhere: no such run directory"),
        (["small.yaml", "--from", "first", "--set", "model.pooling=mean"], 1, "must be last, not mean"),
        (["small.yaml", "--from", "damaged"], 1, "weights.safetensors was changed after training"),
        (["small.yaml", "--from", "unfinished"], 1, "unfinished: not a finished run"),
    ],
)
def test_a_run_that_cannot_be_begun_with_is_named(old: Path, arguments: list[str], code: int, message: str) -> None:
    for name in ("first", "damaged", "unfinished"):
        shutil.copytree(old / "old", name)
    with Path("damaged/weights.safetensors").open("ab") as handle:
        handle.write(b"x")
    Path("unfinished/manifest.json").unlink()
    before = Path("first/manifest.json").read_bytes()
    result = rnnsent("train", *arguments)
    assert result.exit_code == code and message in result.stderr and "Traceback" not in result.stderr
    assert Path("first/manifest.json").read_bytes() == before


def test_ids_without_words_cannot_be_begun_with(tiny_imdb: Path, tiny_config: Path) -> None:
    Path("ids").mkdir()
    shutil.copy(tiny_imdb / "imdb.npz", "ids")
    assert rnnsent("train", str(tiny_config), "--data", "ids", "--run-dir", "first", "--epochs", "1").exit_code == 0
    result = rnnsent("train", "--from", "first", "--run-dir", "run")
    assert result.exit_code == 1 and "first: knows no words, only ids" in result.stderr


def test_resume_refuses_a_first_run_that_was_trained_on(old: Path) -> None:
    shutil.copytree(old / "old", "first")
    config, _ = named_config(None, {"data.source": "texts", "data.path": "new.csv"}, Path("first"))
    train(config, Request("run"), run_dir=Path("run"))
    assert rnnsent("train", "--resume", "first", "--epochs", "3").exit_code == 0
    result = rnnsent("train", "--resume", "run", "--epochs", "3")
    assert result.exit_code == 1 and "its initial run data changed since it began" in result.stderr
    shutil.rmtree("first")
    result = rnnsent("train", "--resume", "run", "--epochs", "3")
    assert result.exit_code == 1 and "first: no such run directory" in result.stderr
    assert rnnsent("eval", "run").exit_code == 0  # needs the run alone


def test_in_python_a_config_or_a_run_is_needed(old: Path) -> None:
    with pytest.raises(TypeError, match=r"a config, an initial_run or data are needed"):
        package.train()
    config = open_run(old / "old").config
    run = package.train(replace(config, training=replace(config.training, epochs=1)), initial_run=open_run(old / "old"))
    assert parent_of(run).forgetting is not None
    assert kernel.available() == any(engine.path == "native" for engine in run.metrics.engine.values())
