"""Text → words, by the rules that the IMDB index was built with or by Unicode's, and the ids that are no words."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable, Sequence
from functools import cache
from unicodedata import normalize as unicode_normalize

PAD, START, UNKNOWN = 0, 1, 2
FIRST_WORD = 4  # id of the most frequent word: its rank, 1, plus Keras' index_from, 3

# Keras' Tokenizer filters; apostrophes are kept, so that "don't" stays one word.
_SEPARATORS = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))


def imdb_words(text: str) -> list[str]:
    """Return the words of `text` as the IMDB index knows them: lower case, split at punctuation and spaces.

    `<br />` leaves the word `br`, as it did when the index was made. Only the space splits, not other white space:
    some words of the index hold characters such as U+0085.
    """
    return [word for word in text.lower().translate(_SEPARATORS).split(" ") if word]


# Only what HTML knows is a tag: in "<sarcasm>" and "a <b and c> d" the words are the author's. Every repetition is
# possessive (++, *+), so that a "<" costs no more than the text up to the next one.
_TAG = re.compile(
    r"""
    < (?: / NAME | NAME (?: \s++ [a-z][a-z0-9:_-]*+ \s*+ = \s*+ (?: "[^"<>]*+" | '[^'<>]*+' | [^\s"'<>]++ ) )*+ )
    \s*+ /? >
    """.replace(
        "NAME",
        r"(?: a | abbr | article | aside | b | big | blockquote | body | br | center | cite | code | dd | del | "
        r"div | dl | dt | em | figcaption | figure | font | footer | h[1-6] | head | header | hr | html | i | "
        r"iframe | img | ins | li | main | mark | nav | ol | p | pre | q | s | section | small | span | strike | "
        r"strong | sub | sup | table | tbody | td | tfoot | th | thead | title | tr | tt | u | ul )",
    ),
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)

# `html.unescape` gives these to `int`, which refuses more than some thousand digits; no character has so many.
_ENDLESS_REFERENCE = re.compile(r"&#[0-9]{20,}+;?")

# Letters and digits in another form, which are read as the plain ones: mathematical, circled, joined (ﬁ, Arabic
# presentation forms), of full and half width. Signs among them stay as they are.
_STYLED = frozenset((
    *map(ord, "ℂℇℊℋℌℍℎℏℐℑℒℓℕℙℚℛℜℝℤℨℬℭℯℰℱℳℴℼℽℾℿⅅⅆⅇⅈⅉ"), 0x133, *range(0x24D0, 0x24EA), *range(0xFB00, 0xFDFC),
    *range(0xFE70, 0xFEFD), *range(0xFF10, 0xFF9E), *range(0x1D400, 0x1D800), *range(0x1EE00, 0x1EF00),
))  # fmt: skip


class _Characters(dict[int, int | str | None]):
    """What case-folded characters become; others are added when they come, because a missing key takes long."""

    def __missing__(self, code: int) -> int | str:
        plain = unicode_normalize("NFKC", chr(code)).casefold() if code in _STYLED else ""
        result = plain if plain.isalnum() else code
        if code < 0x20000:  # where most letters and emoji are
            self[code] = result
        return result


_CHARACTERS = _Characters({
    # Control characters, and the zero-width space, which says that a word ends where no space is wanted.
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0x200B], " "),
    # ’ ‘ ʼ ＇, the Hebrew geresh, and what is left of ‘ ’ where Windows-1252 was read as Latin-1.
    **dict.fromkeys([0x2019, 0x2018, 0x02BC, 0xFF07, 0x05F3, 0x91, 0x92], "'"),
    # ŉ is one letter until it is case-folded.
    0x0149: "'n",
    # What does not show (Unicode's Default_Ignorable_Code_Point): it says nothing about the word that it is in.
    # U+FE0F and joiners make emoji and letters, and are dropped elsewhere by `unicode_words`.
    **dict.fromkeys([
        0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x200E, 0x200F,
        *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE0F), 0xFEFF, 0xFFA0,
        *range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000),
    ]),
    # What is most often the only thing in English that is not ASCII: text without it takes the short way.
    **dict.fromkeys(map(ord, "“”„«»–—…•\xa0"), " "),
})  # fmt: skip

_FLAG = re.compile("(🏴[\U000e0020-\U000e007f]+)")  # the only place where these tags show
# Of İ its folding leaves a dot above the i; marks of half width belong to the katakana before.
_LOOSE_MARKS = re.compile("(?<=i)\u0307+|(?<=[ァ-ヺ])[ﾞﾟ]+")
_PLAIN_MARKS = {0x307: None, 0xFF9E: 0x3099, 0xFF9F: 0x309A}

# Parts of the patterns, by the names that they have there and in the parts that come before them. Sets are asked in
# order: below U+0E00, where most text is, none of the exceptions is looked up.
_CLASSES = {
    # What may start a word and what may go on in it: not what makes keycaps (U+FE0F, U+20E3).
    "START": r"[[LOW&&[\p{L}\p{N}]][HIGH&&[\p{L}\p{N}]--SPACELESS--[ℹ\u3297\u3299]]]",
    "INSIDE": r"[[LOW&&ALNUM][HIGH&&ALNUM--SPACELESS--[ℹ\u3297\u3299]]]",
    # Scripts that put no spaces between words. To find the words takes a dictionary of each language, and what is no
    # word of it would be lost; a grapheme cluster (a letter with its marks) is the smallest thing that readers know.
    "SPACELESS": (
        r"[HIGH&&[\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}]"
        r"&&[\p{L}\p{N}]--[\p{Nd}\u3297\u3299]]"
    ),
    "ALNUM": r"[[\p{L}\p{N}\p{M}]--[\ufe0f\u20e3]]",
    "MARK": r"[[\p{M}\u0e33\u0eb3\uff9e\uff9f]--[\ufe0f\u20e3]]",  # and the letters that are written like marks
    "DIGIT": r"\p{Nd}",
    "JOINER": r"[\u200c\u200d]",
    "PICTURE": r"[HIGH&&\p{Extended_Pictographic}&&\p{Emoji}--SIGNS--[Ⓜ]]",
    "TEXTUAL": r"[\p{Extended_Pictographic}&&\p{Emoji}&&SIGNS]",
    "TAIL": r"[\p{M}\p{Emoji_Modifier}\U000e0020-\U000e007f]*+",  # the last are letters of flags
    # Symbols that are emoji only where U+FE0F says so; alone they are punctuation.
    "SIGNS": "[©®‼⁉™ℹ↔-↪▪▫▶◀◻◼〰〽➡⤴⤵⬅-⬇]",
    "LOW": r"[\x00-\u0dff]",
    "HIGH": r"[\u0e00-\U0010ffff]",
}

# On case-folded text, for `re` and `regex` alike. A bracket ends an emoticon right after a letter ("great:)"), all
# else must stand apart: "http://", "C:\dir", "10:30", "note:d" hold none. "):" is none, it ends "(this):".
_EMOTICONS = r"""
  (?= [:;=>(^\-<\\] ) (?:
    (?<!DIGIT) >?[:;=]'?[-^]? (?: \) | \((?!ALNUM) )
  | (?<!ALNUM) (?:
        [:;=]o\)
      | >?[:=] '?[-^]? (?: [\]\[}{|@*] | [dpo](?!ALNUM) | [/\\](?![/\\]|ALNUM) )
      | ;-?[dp](?!ALNUM) | :-?[sx](?!ALNUM) | [:=]3(?!ALNUM)
      | \('?-?[:;](?!\)|ALNUM)
      | (?: \^_?\^ | -_- | -\.- | >[_.]< | \\o/ )(?!ALNUM)
    )
  | (?<!DIGIT) </?3 (?!ALNUM|[.,]DIGIT)
  )
"""

_ASCII_CLASSES = {"ALNUM": "[a-z0-9]", "DIGIT": "[0-9]"}
_ASCII_WORDS = r"""
    [a-z0-9]++ (?: (?: ' | (?<=[0-9])[.,](?=[0-9]) ) [a-z0-9]++ )*+
  | EMOTICONS
"""

# In Indic scripts a joiner after a virama (class 9) is a part of the letter, also at the end of a word. U+1039 and
# U+17D2 stack the next letter of Burmese and Khmer below the one before.
_UNICODE_WORDS = r"""
    [0-9#*]\ufe0f?\u20e3
  | START INSIDE*+ (?: (?: '(?=START) | (?<=DIGIT)[.,٫٬](?=DIGIT) | JOINER++(?=INSIDE) ) INSIDE*+ )*+
    (?: (?<=\p{ccc=9})\u200d )?
  | SPACELESS (?: MARK | JOINER(?=MARK) | (?<=[\u1039\u17d2])SPACELESS )*+
  | \p{Regional_Indicator}{1,2}
  | (?: PICTURE | TEXTUAL\ufe0f ) TAIL (?: \u200d [PICTURETEXTUAL] TAIL )*+
  | \p{Emoji_Modifier}
  | EMOTICONS
"""


_ACCENTS = r"(?<=[\p{L}\p{M}])[`´](?=\p{L})"  # in the place of apostrophes
# In scripts whose letters do not join, with whatever marks there are in between.
_JOINERS = r"(?<=[\p{Latin}\p{Greek}\p{Cyrillic}\p{Han}\p{Hiragana}\p{Katakana}])[\p{M}\u200c\u200d]++"
_LONE_SELECTORS = r"(?<=\ufe0f)\ufe0f++|(?<!\p{Extended_Pictographic})(?<![0-9\#*](?=\ufe0f\u20e3))\ufe0f"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    classes = _ASCII_CLASSES if pattern == _ASCII_WORDS else _CLASSES
    for name, value in {"EMOTICONS": _EMOTICONS, **classes}.items():
        pattern = pattern.replace(name, value)
    if classes is _ASCII_CLASSES:
        return re.compile(pattern, re.VERBOSE)
    # Imported here: those who never leave ASCII need not wait for it, nor for the patterns.
    import regex  # type: ignore[import-untyped, unused-ignore] # has no type information

    compiled: re.Pattern[str] = regex.compile(pattern, regex.VERBOSE | regex.VERSION1)
    return compiled


def _composed(text: str) -> str:
    """Return the NFC of `text` without loose marks."""
    text = unicode_normalize("NFC", text)
    if "i\u0307" in text or "ﾞ" in text or "ﾟ" in text:
        text = unicode_normalize("NFC", _LOOSE_MARKS.sub(lambda match: match[0].translate(_PLAIN_MARKS), text))
    return text


def _plain(text: str) -> str:
    """Return case-folded `text` in plain letters, without what does not show."""
    if "🏴" not in text:
        return text.translate(_CHARACTERS)
    parts = enumerate(_FLAG.split(text))
    return "".join(part if index % 2 else part.translate(_CHARACTERS) for index, part in parts)


def unicode_words(text: str) -> list[str]:
    """Return the words, numbers, emoji and emoticons of `text` in any script, normalized and case-folded.

    - HTML tags separate words; entities are decoded, once, so that `&amp;lt;` is the text `&lt;`.
    - A word is a run of letters, marks and digits, with apostrophes inside: "don't", "l'été", "film's". Hyphens and
      underscores split. Every kind of apostrophe becomes "'", also an accent between letters.
    - Points and commas between digits stay: "3.5", "1,000".
    - An emoji is one token, whatever it is composed of. Emoticons are folded like the rest: ":D" is ":d".
    - Han, kana, Thai, Lao, Khmer and Burmese, written without spaces, give one token per letter with its marks.
    - Letters in another form are the plain ones: full and half width, mathematical, circled, ligatures; İ is i.
    - What does not show goes, such as soft hyphens and marks of direction; joiners stay where letters join, and in
      emoji.

    The words of the joined words are the same words, and canonically equivalent texts have the same. It accepts
    any str. What is a letter or an emoji is as new as the `regex` package, what folds and composes
    as Python's `unicodedata`.
    """
    # Composed first: "≮" is no "<", nor is it one when it comes in two parts.
    text = text if text.isascii() else _composed(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "&" in text:
        text = html.unescape(_ENDLESS_REFERENCE.sub("\ufffd", text))
    # Folded before anything else is looked at, because folding makes letters of marks (U+0345).
    text = _plain(text.casefold())
    if not text.isascii():
        text = _composed(text)
        if "\u200c" in text or "\u200d" in text or "\ufe0f" in text:
            text = _compiled(_LONE_SELECTORS).sub("", text)
            text = _compiled(_JOINERS).sub(lambda match: re.sub("[\u200c\u200d]", "", match[0]), text)
            text = _composed(text)
    if "`" in text or "´" in text:
        text = _compiled(_ACCENTS).sub("'", text)
    pattern = _ASCII_WORDS if text.isascii() else _UNICODE_WORDS  # the same words, in less time
    return _compiled(pattern).findall(text)


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"imdb": imdb_words, "unicode": unicode_words}

TOKENIZER_VERSION = 2  # texts are encoded again when this changes


def text_hash(text: str, words: Sequence[str]) -> int:
    """Return a hash of 64 bits of the words of a text; without words, of the text itself."""
    same = " ".join(words) or text
    return int.from_bytes(hashlib.blake2b(same.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
