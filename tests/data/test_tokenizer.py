from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.data.tokenizer import TOKENIZERS, imdb_words, unicode_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n ", []),
        ("...!?", []),
        ("A Film", ["a", "film"]),
        ("don't  'quote'", ["don't", "'quote'"]),
        ("one<br /><br />two", ["one", "br", "br", "two"]),
        ("half-baked,tired/old", ["half", "baked", "tired", "old"]),
        ("a\tb\nc", ["a", "b", "c"]),
        ("10/10", ["10", "10"]),
        ("ÉTÉ naïve", ["été", "naïve"]),
        # White space that the index keeps inside its words.
        ("a\x85b c\xa0d e\rf", ["a\x85b", "c\xa0d", "e\rf"]),
        ("no – dash… “quotes”", ["no", "–", "dash…", "“quotes”"]),
    ],
)
def test_words_are_those_of_the_imdb_index(text: str, words: list[str]) -> None:
    assert imdb_words(text) == words


PIECES = st.text() | st.sampled_from([*"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n '", "İ", "ß", "\x85", "Word"])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_words_are_those_of_keras(text: str) -> None:
    from keras.src.legacy.preprocessing.text import text_to_word_sequence

    assert imdb_words(text) == text_to_word_sequence(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("", ""),
        ("One<br />Two<BR>Three<br/>Four", "One Two Three Four"),
        ('<p>A</P >B<a href="x>y">C', ' A B<a href="x>y">C'),
        ("<a href='/x' class=\"y z\">A</a>", " A "),
        ('<img src=http://x.org/?a=b alt="">A', " A"),
        # No tags.
        ("a < b > c <3 <sarcasm> a <b and c> d <br", "a < b > c <3 <sarcasm> a <b and c> d <br"),
        ("<br>\u0338", "<br≯"),
        # Entities, once.
        ("&eacute;t&#233; &amp;amp; &lt;br&gt; &copy &#x1F600;", "été amp br 😀"),
        (f"&#{'9' * 5000};", "\ufffd"),
        # Apostrophes.
        ("it’s ‘it’ itʼs it＇s don`t don´t don\x92t", "it's 'it' it's it's don't don't don't"),
        ("`code` a´ ´a", "`code` a´ ´a"),
        # What does not show.
        ("a\tb\nc\x00d\x85e\x7ff", "a b c d e f"),
        ("so\u00adft \ufeffbom wo\u2060rd \u200eltr\u202c zero\u200bspace", "soft bom word ltr zero space"),
        ("wo\ufe0frd 葛\U000e0100 fo\u200do a\u200c\u0301\u200d", "word 葛 foo á"),
        ("❤\ufe0f ❤\ufe0f\ufe0f 1\ufe0f\u20e3 1\ufe0f 👩\u200d🚀", "❤\ufe0f ❤\ufe0f 1\ufe0f\u20e3 1 👩\u200d🚀"),
        ("می\u200cخواهم ക്\u200dഷ", "می\u200cخواهم ക്\u200dഷ"),
        # One spelling.
        ("e\u0301 \u212b \u1100\u1161", "é Å 가"),
    ],
)
def test_words_of_a_text_are_those_of_its_clean_form(text: str, clean: str) -> None:
    assert unicode_words(text) == unicode_words(clean)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        (" \t\n\u00a0\u2003 ", ""),
        ("...!? – — “” « » § © ™ € + = ~ → ★ ½", "½"),
        ("A FILM, isn't it?<br /><br />Yes&nbsp;it&rsquo;s.", "a film isn't it yes it's"),
        (
            "rock'n'roll film's dogs' 'tis 'hello' ‘hello’ ''a''b'' I`m",
            "rock'n'roll film's dogs tis hello hello a b i'm",
        ),
        (
            "3.5 1,000 1,000.50 10/10 v1.5 80's '80s 2nd end.5 3. .5",
            "3.5 1,000 1,000.50 10 10 v1.5 80's 80s 2nd end 5 3 5",
        ),
        ("well-made a_b __init__ #tag @name R&B", "well made a b init tag name r b"),
        ("http://www.x.org/a?b=c&d me@x.org C:\\dir", "http www.x.org a b c d me x.org c dir".replace(".", " ")),
        ("L’été où j’étais à l'œuvre : « ça va »", "l'été où j'étais à l'œuvre ça va"),
        ("Straße STRASSE ẞ ÜBER ÄÖ", "strasse strasse ss über äö"),
        ("ΣΊΣΥΦΟΣ Σίσυφος ᾳ", "σίσυφοσ σίσυφοσ αι"),
        ("İstanbul IĞDIR ılık", "istanbul iğdir ılık"),
        ("ŉ rockŉroll ﬁlm", "n rock'nroll film"),
        ("Привет, МИР! Ещё м'я", "привет мир ещё м'я"),
        ("مُحَمَّد كِتَابٌ، می‌خواهم ٣٫٥", "مُحَمَّد كِتَابٌ می‌خواهم ٣٫٥"),
        ("שָׁלוֹם עוֹלָם צ׳ק", "שָׁלוֹם עוֹלָם צ'ק"),
        ("हिन्दी किताबें। ক্ষ தமிழ் ന്\u200d", "हिन्दी किताबें ক্ষ தமிழ் ന്\u200d"),
        ("สวัสดีน้ำ ๑๒๓", "ส วั ส ดี น้ำ ๑๒๓"),
        ("ພາສາ ខ្មែរ မြန်မာ", "ພ າ ສ າ ខ្មែ រ မြ န် မာ"),
        ("中文很好。东京tower 葛\U000e0100", "中 文 很 好 东 京 tower 葛"),
        ("日本のラーメンはTシャツ、ｱﾊﾟ々", "日 本 の ラ ー メ ン は t シ ャ ツ ア パ 々"),
        ("が か\u3099", "が が"),
        ("안녕하세요 세계!", "안녕하세요 세계"),
        ("wo\u00adrd \ufeffword wo\ufe0frd \ud800 a\udfffb", "word word word a b"),
        # Emoji.
        ("Great😀😀fun 👍🏽", "great 😀 😀 fun 👍🏽"),
        ("👩‍👩‍👧‍👦👨🏻‍⚕️ 🏳️‍🌈 🕵🏻‍♂️ 👩‍x", "👩‍👩‍👧‍👦 👨🏻‍⚕️ 🏳️‍🌈 🕵🏻‍♂️ 👩 x"),
        ("🇫🇷🇩🇪🇯 🏴\U000e0067\U000e0062\U000e007f", "🇫🇷 🇩🇪 🇯 🏴\U000e0067\U000e0062\U000e007f"),
        ("1️⃣2️⃣#️⃣*⃣ 21️⃣", "1️⃣ 2️⃣ #️⃣ *⃣ 21"),
        ("❤️ ❤ ☺️ ©️ ↔️ ↔ ㊗️ 🏻 🚬⃠", "❤️ ❤ ☺️ ©️ ↔️ ㊗️ 🏻 🚬⃠"),
        # Emoticons.
        (":) :-) :-( ;) ;-) =) :] :| :* >:( :'( :’( :o)", ":) :-) :-( ;) ;-) =) :] :| :* >:( :'( :'( :o)"),
        (":D :-P XD :O :3 ;D :S", ":d :-p xd :o :3 ;d :s"),
        (":/ :-/ :\\ <3 </3 &lt;3 ^_^ ^^ -_- >_< \\o/ (: (-:", ":/ :-/ :\\ <3 </3 <3 ^_^ ^^ -_- >_< \\o/ (: (-:"),
        ("great:) sad:( love<3 (ha :)) ❤️:/", "great :) sad :( love <3 ha :) ❤️ :/"),
        (
            "10:30 (see: p) (see:p) (this): note:d :Drama list:(a) 1<3 <30 <3.5",
            "10 30 see p see p this note d drama list a 1 3 30 3.5",
        ),
        ("3:0 a:/b x:// ://", "3 0 a b x"),
    ],
)
def test_unicode_words(text: str, words: str) -> None:
    assert unicode_words(text) == words.split()


@pytest.mark.parametrize(
    "variants",
    [
        # Case, also of the Turkish i, composed or lowered by another program.
        "IZMIR İZMİR İzmir I\u0307ZMI\u0307R i\u0307zmi\u0307r izmir",
        "dİ\u0301z Di\u0307\u0301z díz",
        # Letters in another form.
        "Film ＦＩＬＭ ｆｉｌｍ 𝐟𝐢𝐥𝐦 𝑭𝒊𝒍𝒎 𝓕𝓲𝓵𝓶 𝔉𝔦𝔩𝔪 𝕗𝕚𝕝𝕞 𝖋𝖎𝖑𝖒 𝙵𝚒𝚕𝚖 Ⓕⓘⓛⓜ ﬁlm ﬁｌ𝗆",
        "Hello ℋℯ𝓁𝓁ℴ ℌ𝔢𝔩𝔩𝔬 ℍ𝕖𝕝𝕝𝕠",
        "10,000 １０,０００ 𝟏𝟎,𝟎𝟎𝟎 𝟣𝟢,𝟬𝟘𝟶",
        "don't ｄｏｎ＇ｔ 𝒹ℴ𝓃’𝓉",
        "café ｃａｆｅ\u0301 𝖼𝖺𝖿𝖾́ ⓒⓐⓕⓔ\u0301",
        "ijsje ĳsje ĲSJE",
        "ガ ｶﾞ カﾞ カ\u3099 ｶ\u3099 ｶ\u200dﾞ",
        "سلام ﺳﻼم ﺳﻼﻡ",
        # What does not show.
        "good go\u3164od \uffa0good go\u115fod go\u1160od go\u2061od go\u2064od go\ufe01od go\U000e0101od",
        "bad b\U000e0061ad bad\U000e0062\U000e007f b\u180bad b\U0001d173ad b\U000e0001ad",
        "한글 한\u3164글 \u1112\u1160\u1161\u11ab글",
    ],
)
def test_what_readers_take_for_one_word_is_one(variants: str) -> None:
    assert len({tuple(unicode_words(variant)) for variant in variants.split()}) == 1
    assert len(unicode_words(variants)) == len(variants.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("½ ² ① Ⅷ ª ᵃ ʟ", "½ ² ① ⅷ ª ᵃ ʟ"),
        ("…™ № ℡ ℃ ℹ ⅀ 𝛁 🄶 ⒢ ﷼ ￥ ＋ ｟", ""),
        ("😀\U000e0067 👍\U000e007f x\U000e0067", "😀 👍 x"),
        ("🏴\U000e0067\U000e0062\U000e007f\U000e0001🏴x\U000e0067", "🏴\U000e0067\U000e0062\U000e007f 🏴 x"),
        ("🅰️ ™️ ℹ️ ㊗️", "🅰️ ™️ ℹ️ ㊗️"),
        ("(ﾟДﾟ) うﾞ", "ﾟ д ﾟ うﾞ"),
        ("j\u0307 e\u0307 ı\u0307 i\u0323\u0307", "j\u0307 ė ı\u0307 ị\u0307"),
    ],
)
def test_signs_and_other_marks_stay(text: str, words: str) -> None:
    assert unicode_words(text) == words.split()


def test_each_character_alone() -> None:
    text = "".join(map(chr, range(sys.maxunicode + 1)))
    words = unicode_words(" ".join(text))

    assert unicode_words(" ".join(words)) == words
    assert not [word for word in words if not word or re.search(r"\s", word)]
    # Every letter and digit makes a word, except an apostrophe, a sign and Hangul fillers that Unicode calls letters.
    lost = [c for c in text if c.isalnum() and len(unicode_words(c)) != 1]
    assert lost == ["ʼ", "\u115f", "\u1160", "ℹ", "\u3164", "\uffa0"]


SPECIAL = [
    *"<>&;:'’`´=()-^_*#/\\|.,٫@3dpo1 \t\x85\xa0\u200b\u200c\u200d\ufe0e\ufe0f\ufeff\xad\u20e3\u2060\u3099",
    *"aAéIİıßŉΣςᾳΐǰ\u0307\u0345\u0301\u0316\u0308\u0338\u0344\u0f71\u0f73\u034fKÅ≮",
    *"𝔤𝐈ⓘⒼｉＡﬁĳﷲﻻカｶﾞ\u1160\u3164\uffa0\u17b4\u2062",
    *"中のーﾊﾟกำ้เກຳក្ရမ္ာ각\u1100\u1161\u11a8क्षि\u094dم\u064bی٣๑ℹⓂ㊗ש׳",
    *"😀❤👍👩🏽🇫🇷🏴\U000e0020\U000e0067\U000e007f©↔♂\ud800\udfff\U000e0100\U0010ffff",
    *[
        "<br />",
        "<b>",
        "&amp;",
        "&lt;",
        "&#769;",
        "&#8205;",
        "&#x338",
        ":-)",
        ":'(",
        "<3",
        "don't",
        "3.5",
        "1\ufe0f\u20e3",
    ],
]
TEXTS = st.lists(st.sampled_from(SPECIAL) | st.text(max_size=3), max_size=20).map("".join)
SURROGATES = st.text(st.characters(exclude_categories=[]))


@settings(derandomize=True, deadline=None, max_examples=2000)
@given(TEXTS | SURROGATES)
def test_unicode_words_of_joined_words_are_the_same(text: str) -> None:
    words = unicode_words(text)

    assert unicode_words(" ".join(words)) == words
    assert not [word for word in words if not word or re.search(r"\s", word)]
    assert [unicodedata.normalize("NFC", word) for word in words] == words


@settings(derandomize=True, deadline=None, max_examples=2000)
@given(TEXTS)
def test_canonically_equivalent_texts_have_the_same_words(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))

    assert unicode_words(text) == unicode_words(composed) == unicode_words(decomposed)


@settings(derandomize=True, deadline=None, max_examples=2000)
@given(
    st.lists(
        st.sampled_from([*":;=>(^-'.,<\\/)3dpox1` ", "</3", "&gt;", "<b>", "“", "—", "’"])
        | st.text(st.characters(max_codepoint=127), max_size=3)
    ).map("".join)
)
def test_ascii_takes_a_short_cut_to_the_same_words(text: str) -> None:
    # A letter that is not ASCII sends all of the text the long way.
    assert unicode_words(text + " ж") == [*unicode_words(text + " "), "ж"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        *[
            "<",
            ">",
            "'",
            "a'",
            "é'",
            ":",
            "&",
            ";",
            "`",
            "a`",
            "-",
            "(",
            "1.",
            "é1.",
            " ",
            "\xa0",
            "\x00",
            "a",
            "é",
            "中",
        ],
        *["<a ", "<a b='", "<p a=b", "&#", "&amp", "a\u0301", "\u200d", "م\u200c"],
        *["i\u0307", "カﾞ", "ﾞ", "🏴", "🏴\U000e0067", "𝔤", "ⓖ\u0301"],
        *["a\u200d\u0301", "\ufe0f", "1\ufe0f", "👩\u200d", "🇫", "🏻", "\U000e0067", "ក្", "ก็", "\ud800", ":-", "^_"],
    ],
)
def test_a_megabyte_of_the_same_ends(piece: str) -> None:
    words = unicode_words(piece * (10**6 // len(piece)))

    assert all(words)


def test_a_megabyte_of_digits_in_an_entity() -> None:
    assert unicode_words(f"&#{'9' * 10**6};") == []
    assert unicode_words(f"&#x{'f' * 10**6};") == []


def test_tokenizers_by_name() -> None:
    assert TOKENIZERS["imdb"] is imdb_words
    assert TOKENIZERS["unicode"] is unicode_words
