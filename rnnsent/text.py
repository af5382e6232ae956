"""Text → words, by the rules that the IMDB index was built with. Pure functions."""

from __future__ import annotations

# Keras' Tokenizer filters; apostrophes are kept, so that "don't" stays one word.
_SEPARATORS = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))


def imdb_words(text: str) -> list[str]:
    """Return the words of `text` as the IMDB index knows them: lower case, split at punctuation and spaces.

    `<br />` leaves the word `br`, as it did when the index was made. Only the space splits, not other white space:
    some words of the index hold characters such as U+0085.
    """
    return [word for word in text.lower().translate(_SEPARATORS).split(" ") if word]
