"""Text into masked words and sentences, for measures that chance must not flatter.

A random number, a pooled name and a formula are each one mask token, so that texts which differ
in nothing else are the same text. Public names are offered by stillroom.prose.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

NUMBER, NAME, FORMULA = "0", "NAME", "FORMULA"
"""The masks. All other tokens are lower case, so no text can write NAME or FORMULA itself."""

_NAME, _FORMULA, _STOP = "\ue000", "\ue001", "\ue002"
_DIGITS = re.compile("[\\d⁰¹²³⁴-⁹₀-₉¼-¾⅐-⅞]+")
_DECIMAL = re.compile(r"\d+(?:[.,:/]\d+)+")
_CODE = re.compile(r"`(?:``.*?```|`(?:[^`\n]|`(?!`))+``|[^`\n]+`)", re.DOTALL)
_TOKEN = re.compile(r"NAME|FORMULA|[^\W\d_]+(?:['’](?!s\b)[^\W\d_]+)*|['’]s\b|0|[^\w\s]|_")


def words(text: str, names: frozenset[str] = frozenset(), formulas: bool = True) -> list[str]:
    """The text's tokens in lower case: words, "'s", punctuation marks, and masks.

    Every run of digits is NUMBER, so are superscripts and fractions of one character. Every one of
    `names` that stands as a whole capitalised word is NAME. What stands between backticks is
    FORMULA, or, with formulas=False, its own tokens with digits and names masked. Markdown marks
    are punctuation. About one CPU-millisecond a text of 500 words.
    """
    if names:
        text = _pattern(names).sub(_NAME, text)
    text = _CODE.sub(_FORMULA, text) if formulas else text.replace("`", " ")
    text = _DIGITS.sub(NUMBER, text.lower())
    return _TOKEN.findall(text.replace(_NAME, f" {NAME} ").replace(_FORMULA, f" {FORMULA} "))


@lru_cache(maxsize=8)
def _pattern(names: frozenset[str]) -> re.Pattern[str]:
    longest = sorted({n[:1].upper() + n[1:] for n in names if n}, key=lambda n: (-len(n), n))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest)) or '(?!)'})(?!\w)")


_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[ \t]*$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"#{1,6}\s|[=\-*_~]{3,}\s*$|\|[\s:|-]+\|\s*$")
_BOLD = re.compile(r"(\*\*|__)(?=\S)([^*_]+)\1([.:]?)")
_ITEM = re.compile(r"(?:>\s?)*(?:(?:[-*+•]|\(?(?:\d{1,3}|[a-z])[.)])\s+)?")
_END = re.compile(
    rf"[.?!…]+(?:[*_]*(?=\s|{_STOP}|$)|[\"'”’)\]*_]+(?=\s+[^a-z\s]|{_STOP}|$))",
)
_GOES_ON = frozenset(["e.g", "i.e", "cf", "vs", "viz", "mr", "mrs", "ms", "dr", "prof", "st", "jr"])
_BEFORE_NUMBER = frozenset(["no", "nos", "p", "pp", "fig", "eq", "sec", "ch", "vol"])
_BEFORE_SMALL = frozenset(["etc", "al", "a.m", "p.m", "approx", "ca", "max", "min"])
LABEL = 5
"""Bold words of a label at most; more are a sentence."""
WRAPPED = 50
"""A shorter line without an end mark was not wrapped: its end is the end of a sentence."""


def sentences(text: str, names: frozenset[str] = frozenset()) -> list[list[str]]:
    """The sentences of a text, each as its masked words without the mark at its end.

    They end at . ? ! … outside formulas, numbers (3.5 is one NUMBER here) and common
    abbreviations, and at the end of a paragraph, a list item or a short line. None of its own is:
    a heading (a line of up to LABEL bold words and nothing else is one), a rule, a fenced block, a
    list mark, and what has no word (formulas that are displayed). A bold label (`**Check.**`: it
    ends with . or :) is left out of the sentence behind it, so labels neither make variety nor
    hide sameness; but where a formula, number or name is all that follows, label and mask are a
    sentence: "**Answer.** `x`" is "answer FORMULA".
    """
    if names:
        text = _pattern(names).sub(_NAME, text)
    text = _DECIMAL.sub(NUMBER, f"{_STOP}\n".join(_blocks(_FENCE.sub("\n\n", text))))
    found: list[list[str]] = [[]]
    for token in words(_END.sub(_stop, _CODE.sub(_FORMULA, text))):
        if token == _STOP:
            found.append([])
        elif token not in "*_":
            found[-1].append(token)
    for tokens in found:
        while tokens and tokens[-1] in ".?!…:;,)\"'”’":
            tokens.pop()
    return [tokens for tokens in found if any(map(_said, tokens))]


def _stop(mark: re.Match[str]) -> str:
    """What an end mark becomes: the end of a sentence, or itself after an abbreviation."""
    text, start = mark.string, mark.start()
    before = text[max(0, start - 8) : start].lower().replace("(", " ").split()
    if mark[0] != "." or not before:
        return _STOP
    word, then = before[-1], text[mark.end() + 1 : mark.end() + 2]
    goes_on = (
        word in _GOES_ON
        or (word in _BEFORE_NUMBER and then.isdigit())
        or (word in _BEFORE_SMALL and then.islower())
    )
    return "." if goes_on else _STOP


def _said(token: str) -> bool:
    """Whether a token is a word of its own: no mask and no mark."""
    return token[0].isalpha() and token not in (NAME, FORMULA)


def _blocks(text: str) -> Iterable[str]:
    """Paragraphs, list items and unwrapped lines, without headings, list marks and labels."""
    block = ""
    for raw in [*text.split("\n"), ""]:
        line = raw.strip()
        item = _ITEM.match(line)
        marks = item.end() if item else 0
        wrapped = len(block) >= WRAPPED and block[-1] not in ".?!…:"
        if block and (marks or not line or not wrapped or _HEADING.match(line)):
            yield _unlabelled(block)
            block = ""
        if line and not _HEADING.match(line):
            block = f"{block} {line[marks:]}".strip()
    if block:
        yield _unlabelled(block)


def _unlabelled(block: str) -> str:
    """The block without the bold label before it; nothing, where the label is all of it."""
    bold = _BOLD.match(block)
    if bold is None or "`" in bold[2] or len(bold[2].split()) > LABEL:
        return block
    label, rest = bold[2].strip(" .:"), block[bold.end() :]
    if not rest.strip():
        return ""
    if not (bold[3] or bold[2].endswith((".", ":"))):
        return block  # the first words of a sentence
    return rest if any(map(_said, words(rest))) else f"{label} {rest}"


def frames(texts: Iterable[str], names: frozenset[str] = frozenset()) -> Counter[str]:
    """How often each sentence frame occurs: sentences that differ by masks alone are one frame."""
    return Counter(" ".join(one) for text in texts for one in sentences(text, names))


def largest_frame(texts: Iterable[str], names: frozenset[str] = frozenset()) -> tuple[float, str]:
    """The largest share that one frame has among all sentences, and the frame; (0.0, "") if none.

    Of frames that are equally frequent it is the first in the alphabet.
    """
    return most_frequent(frames(texts, names))


def most_frequent(counts: "Counter[str]") -> tuple[float, str]:
    """The share and the name of what was counted most often; (0.0, "") for nothing."""
    if not counts:
        return 0.0, ""
    name, count = min(counts.items(), key=lambda one: (-one[1], one[0]))
    return count / counts.total(), name


def readability(text: str) -> float:
    """The Flesch-Kincaid grade: years of US school that a text asks for; nan without a sentence.

    0.39 words per sentence + 11.8 syllables per word - 15.59 (Kincaid, Fishburne, Rogers and
    Chissom, Navy Research Branch Report 8-75, 1975), over the sentences of `sentences`. A
    formula or number is one word of one syllable. It can fall below 0 for very plain text.
    """
    return grade(sentences(text))


def grade(found: Iterable[list[str]]) -> float:
    """The Flesch-Kincaid grade of sentences that are split already; a NAME counts two syllables."""
    count = total = spoken = 0
    for tokens in found:
        count += 1
        for token in tokens:
            if token[0].isalnum():
                total += 1
                spoken += syllables(token)
    if not total:
        return float("nan")
    return 0.39 * total / count + 11.8 * spoken / total - 15.59


_VOWELS = re.compile(r"[aeiouyàáâäèéêëìíîïòóôöùúûü]+")
_SILENT = re.compile(
    r"(?:[^aeiouylr]|[aeiouy][lr])e$|[^aeiouytd]ed$|(?:[^aeioulcsgxzh]|[aeiouy]l)es$"
)
_HIATUS = re.compile(r"(?<![tcsgxlh])i(?:a|o|u)|[aeiouy]ing$|[a-z][rd]ea$|eo$|creat|scien")


@lru_cache(maxsize=100_000)
def syllables(word: str) -> int:
    """Syllables of a masked word by rule: groups of vowels, at least one.

    Less one for a silent -e, -ed or -es (not "wanted", "boxes", "table"); one more where two
    vowels are spoken apart ("curious", "being", "idea", but not "nation").
    """
    if word in (NUMBER, FORMULA):
        return 1
    if word == NAME:
        return 2
    count = len(_VOWELS.findall(word)) - bool(_SILENT.search(word)) + bool(_HIATUS.search(word))
    return max(1, count)
