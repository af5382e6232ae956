"""What in a config cannot go together, though every value is valid by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rnnsent.config.cells import CELLS
from rnnsent.config.ranges import range_rule
from rnnsent.config.sections import Config, RangeConfig, Section
from rnnsent.config.yaml_reader import KeyPath

Violation = tuple[KeyPath, str, Any]  # where, the rule, the value given


def violations(config: Config, *, to_train: bool = False) -> Iterator[Violation]:
    """Yield the combinations of valid values that cannot go together, or, `to_train`, cannot be trained."""
    for rule in (*_RULES, training_rules) if to_train else _RULES:
        yield from rule(config)
    for index, member in enumerate(config.members if config.ensemble is not None else ()):
        for path, text, value in _stack_rules(member):
            if path[0] == "model":
                yield ("ensemble", index, *path[1:]), text, value


OF_TEXTS = (
    "more_paths", "test_path", "test_split", "split_seed", "format", "encoding", "delimiter", "header", "quotes",
    "escape", "skip_bad_rows", "text_column", "label_column", "label_separator", "split_column", "group_column",
    "label_map", "join_labels", "labels", "ordered", "drop_duplicates", "unlabeled", "tokenizer", "vocabulary",
)  # fmt: skip


def _unused(section: Section, path: KeyPath, keys: Sequence[str], under: str) -> Iterator[Violation]:
    for key in keys:
        value = getattr(section, key)
        if value != getattr(type(section), key):  # the default
            yield (*path, key), f"has no effect under {under}; leave it out", value


def _once(path: KeyPath, names: Sequence[str] | None) -> Iterator[Violation]:
    for name in sorted({name for name in names or () if (names or ()).count(name) > 1}):
        yield path, "must name each once", name


def _data_rules(config: Config) -> Iterator[Violation]:
    data = config.data
    if data.padding == "notebook" and data.maxlen is None:
        yield ("data", "maxlen"), "must be a number under padding: notebook", None
    if data.source == "sample":
        yield from _unused(data, ("data",), ["path"], "source: sample")
    if data.source != "texts":
        yield from _unused(data, ("data",), OF_TEXTS, f"source: {data.source}")
        return
    if data.path is None:
        yield ("data", "path"), "must name a file or folder under source: texts", None
    if data.fallback is not None:
        yield ("data", "fallback"), "must be null under source: texts", data.fallback
    if data.vocabulary == "imdb" and data.tokenizer != "imdb":
        yield ("data", "tokenizer"), "must be imdb under vocabulary: imdb", data.tokenizer
    yield from _once(("data", "labels"), data.labels)
    if data.targets == "multi":
        yield from _several_rules(config)


def _several_rules(config: Config) -> Iterator[Violation]:
    """Yield what does not go with several labels for one text."""
    data, training = config.data, config.training
    if isinstance(data.label_column, tuple):
        yield from _once(("data", "label_column"), list(map(str, data.label_column)))
        if data.label_separator is not None:
            yield ("data", "label_separator"), "must be null if label_column is a list", data.label_separator
    elif data.unlabeled:
        yield ("data", "unlabeled"), "must be false under label_separator: an empty cell is a text without any", True
    if data.ordered:
        yield ("data", "ordered"), "must be null if a text has several labels", True
    for key in ("class_weights", "teacher", "adversarial", "initial_run"):
        if (value := getattr(training, key)) is not None:
            given = value.to_dict() if isinstance(value, Section) else value
            yield ("training", key), "must be null if a text has several labels", given


def _stack_rules(config: Config) -> Iterator[Violation]:
    model = config.model
    if not model.recurrent:
        return
    last = len(model.recurrent) - 1
    for index, layer in enumerate(model.recurrent):
        prefix: KeyPath = ("model", "recurrent", index)
        if index < last and layer.return_sequences is False:
            yield (*prefix, "return_sequences"), "must be null or true before another recurrent layer", False
        if CELLS[layer.cell].reset_before is None and layer.reset_after is not None:
            names = " and ".join(name for name, cell in CELLS.items() if cell.reset_before)
            yield (*prefix, "reset_after"), f"only cell: {names} has this key", layer.reset_after
    returns = model.recurrent[last].return_sequences
    place: KeyPath = ("model", "recurrent", last, "return_sequences")
    if returns is False and model.pooling != "last":
        yield place, f"must be null or true under pooling: {model.pooling}", returns
    if returns is True and model.pooling == "last" and (model.head or model.dense):
        yield place, "must be null or false under pooling: last, except with head: false and no dense layers", returns


def _model_rules(config: Config) -> Iterator[Violation]:
    model = config.model
    if model.ngrams is not None:
        yield from _once(("model", "ngrams", "weights"), model.ngrams.weights)
    vectors = model.vectors
    if vectors is not None and (vectors.path is None) == (vectors.word2vec is None):
        yield ("model", "vectors"), "needs path or word2vec, and not both", vectors.to_dict()
    word2vec = None if vectors is None else vectors.word2vec
    lengths = {
        ("model", "linear", "characters"): model.linear and model.linear.characters,
        ("model", "vectors", "word2vec", "subwords"): word2vec and word2vec.subwords,
    }
    for place, pair in lengths.items():
        if pair and pair[0] > pair[1]:
            yield place, "must begin with the shorter length", list(pair)
    if vectors is not None and vectors.trainable and model.reads_subwords:
        yield ("model", "vectors", "trainable"), "must be false with word2vec.subwords", True
    if model.language_model is not None and config.data.padding == "notebook":
        yield ("model", "language_model"), "must be null under padding: notebook", model.language_model.to_dict()


def _linear_rules(config: Config) -> Iterator[Violation]:
    """Yield what needs a network, if there is none."""
    model = config.model
    if model.recurrent:
        return
    if model.linear is None:
        yield ("model", "recurrent"), "must have at least 1 layer, or model.linear must be set", []
    under, place = "recurrent: [], which is no network", ("model",)
    yield from _unused(model, place, ["ngrams", "vectors", "language_model", "dense", "pooling"], under)
    yield from _unused(config, (), ["ensemble"], under)
    yield from _unused(config.training, ("training",), ["initial_run", "teacher", "adversarial"], under)


def _ensemble_rules(config: Config) -> Iterator[Violation]:
    members = config.members
    for index, member in enumerate(config.ensemble or ()):
        if members[index] in members[:index]:
            rule = f"is the same network as ensemble.{members.index(members[index])}, seed included"
            yield ("ensemble", index), rule, members[index].training.seed
        if config.model.ngrams is None:
            yield from _unused(member, ("ensemble", index), ["ngrams"], "model.ngrams: null")
        if config.model.reads_subwords:
            yield from _unused(member, ("ensemble", index), ["embedding_dim"], "model.vectors.word2vec.subwords")


def _training_rules(config: Config) -> Iterator[Violation]:
    training, schedule = config.training, config.training.schedule
    place: KeyPath = ("training", "schedule")
    if schedule.kind == "plateau":
        yield from _unused(schedule, place, ["warmup_steps"], "kind: plateau")
    else:
        constant = ["final_fraction"] if schedule.kind == "constant" else []
        yield from _unused(schedule, place, ["factor", "patience", *constant], f"kind: {schedule.kind}")
    if training.teacher is not None and not config.data.unlabeled:
        yield ("training", "teacher"), "needs source: texts and data.unlabeled: true", training.teacher
    if training.teacher != "self":
        yield from _unused(training, ("training",), ["teacher_rounds"], f"teacher: {training.teacher or 'null'}")
    yield from _once(("training", "trackers"), training.trackers)
    if training.cross_validation:
        place = ("training", "cross_validation")
        if config.ensemble is None or len(config.ensemble) < 2:
            yield place, "needs an ensemble of at least 2 networks, one for each fold", True
        if training.teacher is not None:
            yield place, "must be false under a teacher, which labels texts for all networks", True
        if config.data.validation_split:
            rule = "must be 0 under training.cross_validation: true, where each network has validation texts of its own"
            yield ("data", "validation_split"), rule, config.data.validation_split
    elif not config.data.validation_split:
        rule = "must be greater than 0, except under training.cross_validation: true"
        yield ("data", "validation_split"), rule, config.data.validation_split


def _adversarial_rules(config: Config) -> Iterator[Violation]:
    training = config.training
    if training.adversarial is None or not training.without_labels:
        return
    place: KeyPath = ("training", "adversarial", "unlabeled")
    if training.adversarial.kind != "virtual":
        yield place, "needs kind: virtual, which uses no labels", True
    if not config.data.unlabeled:
        yield place, "needs source: texts and data.unlabeled: true", True
    for key in ("teacher", "class_weights"):
        if getattr(training, key) is not None:
            yield ("training", key), "must be null under adversarial.unlabeled: true", getattr(training, key)


def _search_rules(config: Config) -> Iterator[Violation]:
    for key, values in (config.search or {}).items():
        rule = range_rule(key, values)
        if rule is not None:
            default = RangeConfig()
            given = {name: value for name, value in values.to_dict().items() if value != getattr(default, name)}
            yield ("search", key), rule, given


def label_rules(config: Config) -> Iterator[Violation]:
    """Yield what does not fit the labels, if they are known: those of texts are not before these are read."""
    weights, names = config.training.class_weights, config.data.label_names
    labels_known = config.data.source != "texts" or config.data.labels is not None
    if labels_known and isinstance(weights, dict) and set(weights) != set(names):
        rule = f"must name every label once: {', '.join(names)}"
        yield ("training", "class_weights"), rule, ", ".join(weights)


def training_rules(config: Config) -> Iterator[Violation]:
    """Yield what keeps a config from being trained, though it can be summarized."""
    if not config.model.head:
        yield ("model", "head"), "must be true to train", False
    if config.ensemble is not None and len(config.ensemble) < 2:
        yield ("ensemble",), "must have at least 2 items", len(config.ensemble)


_RULES: tuple[Callable[[Config], Iterator[Violation]], ...] = (
    _data_rules, _stack_rules, _model_rules, _linear_rules, _ensemble_rules, _training_rules, _adversarial_rules,
    _search_rules, label_rules,
)  # fmt: skip
