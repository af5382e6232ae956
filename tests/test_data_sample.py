from __future__ import annotations

import hashlib

import pytest

from rnnsent.data import sample

Reviews = list[sample.Review]


@pytest.fixture(scope="module")
def corpus() -> tuple[Reviews, Reviews]:
    return (
        sample.generate_reviews(sample.TRAIN_REVIEWS, sample.TRAIN_SEED),
        sample.generate_reviews(sample.TEST_REVIEWS, sample.TEST_SEED),
    )


def test_the_corpus_is_the_same_everywhere(corpus: tuple[Reviews, Reviews]) -> None:
    digest = hashlib.sha256("\n".join(f"{review.label} {review.text}" for part in corpus for review in part).encode())
    assert digest.hexdigest() == "224390f6b19bd861ca5febd532a9e2f7f838b5b423638ceb9c2cc293b2dc89a3", (
        "a change of the grammar needs a new VERSION"
    )


def test_it_is_balanced_varied_and_without_duplicates(corpus: tuple[Reviews, Reviews]) -> None:
    texts = [review.text for part in corpus for review in part]
    assert len(set(texts)) == len(texts) == sample.TRAIN_REVIEWS + sample.TEST_REVIEWS
    for part in corpus:
        assert 2 * sum(review.label for review in part) == len(part)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 20 and max(lengths) <= 400
    assert len({word for text in texts for word in text.lower().split()}) > 800


def test_word_counts_alone_cannot_decide(corpus: tuple[Reviews, Reviews]) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = corpus
    vectorizer = CountVectorizer()
    counts = vectorizer.fit_transform(review.text for review in train)
    unseen = vectorizer.transform(review.text for review in test)
    for strength in (0.01, 0.1, 1.0):
        model = LogisticRegression(C=strength, max_iter=500).fit(counts, [review.label for review in train])
        assert model.score(unseen, [review.label for review in test]) <= 0.80


def test_an_odd_count_cannot_be_balanced() -> None:
    with pytest.raises(ValueError, match="even"):
        sample.generate_reviews(3, 0)
