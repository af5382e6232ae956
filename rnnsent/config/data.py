"""The `data` section: which reviews, and how they become sequences of ids."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rnnsent.config.section import MOST_LENGTH, MOST_WORDS, Section

LABELS = ("negative", "positive")  # of imdb and sample


def _as_text(value: Any) -> Any:
    """Return labels as they are called in a table: YAML reads 1 as a number and true as a truth value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return {_as_text(key): _as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    return str(value) if isinstance(value, int | float) else value


Column = str | Annotated[int, Field(ge=1)]  # a name, or a number from 1


class DataConfig(Section):
    """Which reviews, and how they become sequences of word ids."""

    source: Literal["imdb", "sample", "texts"] = Field(
        "imdb",
        description="imdb: 25,000 + 25,000 film reviews as ids, imdb.npz. sample: reviews that rnnsent writes itself. "
        "texts: your own, in a table, in folders, or the original IMDB texts.",
    )
    path: str | None = Field(
        None,
        description="imdb: imdb.npz or its folder; null: $RNNSENT_DATA, the Keras cache, a download. texts: the file "
        "or folder. Relative to the current folder; $NAME stands for a variable of the environment.",
    )
    test_path: str | None = Field(
        None, description="texts: a second table, whose rows are the test split; those of `path` are then for training."
    )
    fallback: Literal["sample"] | None = Field(
        None, description="What to train on, and say so, when the source cannot be had. null: stop with an error."
    )
    num_words: Annotated[int, Field(ge=5, le=MOST_WORDS)] | None = Field(
        10_000,
        description="Ids below this are kept, others become the unknown id 2, as in Keras: ids 0 to 3 are special, so "
        "9,996 words survive the default. null: keep every word.",
    )
    maxlen: Annotated[int, Field(ge=1, le=MOST_LENGTH)] | None = Field(
        500, description="Words kept of a review, start token included. null: all. The notebook takes 500."
    )
    truncating: Literal["pre", "post"] = Field(
        "pre", description="Which end of a longer review is cut. pre keeps the end, where reviewers sum up."
    )
    padding: Literal["post", "notebook"] = Field(
        "post",
        description="post: pad after the words, only up to the longest review of a batch, and mask the padding. "
        "notebook: pad before, always to maxlen, and no mask.",
    )
    validation_split: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.2,
        description="Share of the training reviews that is kept for validation. imdb, sample: the last ones, as in "
        "Keras' fit. texts: drawn, unless a split column gives them.",
    )
    test_split: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.2, description="texts: share of all rows that is drawn for the test, where no test split is given."
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(0, description="texts: of what is drawn.")
    format: Literal["csv", "tsv", "jsonl", "parquet", "folder", "aclimdb"] | None = Field(
        None, description="texts: null goes by the name of the file, or by what is in the folder."
    )
    encoding: str | None = Field(None, description="texts: null finds UTF-8, and UTF-16 by its mark. Or cp1252, …")
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="texts: of a CSV; null finds comma, tab, semicolon or bar."
    )
    quotes: bool = Field(
        True, description="texts: whether quotes around a cell of CSV or TSV are not part of it. false: they are text."
    )
    text_column: Column | None = Field(
        None,
        description="texts: its name, or its number from 1 where the file has no line of names. null: text, review, "
        "sentence, content, …",
    )
    label_column: Column | None = Field(
        None,
        description="texts: the same for the label; null: label, sentiment, class, category, rating, … aclimdb: rating "
        "for 1 to 10 instead of negative and positive.",
    )
    split_column: Column | None = Field(
        None, description="texts: says train, validation or test of each row; null: split, where there is one."
    )
    group_column: Column | None = Field(
        None,
        description="texts: rows that share it stay in one split, as the reviews of one film. aclimdb knows the films.",
    )
    label_map: Annotated[dict[str, str] | None, BeforeValidator(_as_text)] = Field(
        None,
        description="texts: what labels become: {1-4: negative, 7-10: positive}; what is not named is dropped. null: "
        "they stay.",
    )
    labels: Annotated[Annotated[list[str], Field(min_length=2)] | None, BeforeValidator(_as_text)] = Field(
        None,
        description="texts: the names of the labels in order. null: those found, numbers by size, then by alphabet.",
    )
    drop_duplicates: bool = Field(
        False, description="texts: keep a text that occurs again once only; one that is tested on is not trained on."
    )
    unlabeled: bool = Field(
        False,
        description="texts: read the texts without a label too: rows whose label is empty, the 50,000 of aclimdb. "
        "Their words count for the vocabulary.",
    )
    tokenizer: Literal["unicode", "imdb"] = Field(
        "unicode",
        description="texts: what a word is. unicode: in any script, emoji too. imdb: as the IMDB arrays were made.",
    )
    vocabulary: Literal["training", "imdb"] = Field(
        "training", description="texts: the words of the training split, or those of imdb_word_index.json."
    )

    @property
    def label_names(self) -> tuple[str, ...]:
        """What label 0, 1, … means."""
        return LABELS if self.labels is None else tuple(self.labels)
