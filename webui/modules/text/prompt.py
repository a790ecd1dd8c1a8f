"""A1111's prompt language: from what the person typed to timed, weighted pieces of text. No torch.

Four small languages lie inside each other, and each has its own function, from the outside in:

1. ``a AND b:0.5``      several prompts at once, each with a weight      -> :func:`split_and`
2. ``[a:b:0.5] [a|b]``  texts that change while drawing                  -> :func:`timeline`
3. ``(a:1.2) [a]``      words that count more or less                    -> :func:`weighted`
4. ``BREAK``            begin a new chunk of 75 tokens here              -> a piece of its own

The rules, oddities included, are those of github.com/AUTOMATIC1111/stable-diffusion-webui 1.10, so
that a shared settings text gives the same picture. Each function takes time in proportion to the
length of the text.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from webui.modules.errors import RangeError

ROUND_FACTOR: Final = 1.1
"""What one pair of round brackets does to the words in it."""

SQUARE_FACTOR: Final = 1 / 1.1
"""What one pair of square brackets does."""

BREAK: Final = "BREAK"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text with one weight; ``BREAK`` with weight -1 ends a chunk."""

    text: str
    weight: float

    @property
    def ends_chunk(self) -> bool:
        """Whether this is the mark that begins a new chunk."""
        return self.text == BREAK and self.weight == -1


@dataclass(frozen=True, slots=True)
class Timed:
    """A text and the last step, counted from 1, for which it holds."""

    until: int
    text: str


# 1. Several prompts at once ---------------------------------------------------------------------

AND: Final = re.compile(r"\bAND\b")
_AND_WEIGHT: Final = re.compile(r"[-+]?(?:\d+\.?|\d*\.\d+)")


def split_and(prompt: str) -> list[tuple[str, float]]:
    """Return the parts of ``a AND b:0.5`` with their weights, 1 where none is given."""
    return [_and_part(part) for part in AND.split(prompt)]


def _and_part(part: str) -> tuple[str, float]:
    text = part.rstrip()
    head, colon, tail = text.rpartition(":")
    if colon and _AND_WEIGHT.fullmatch(tail.strip()):
        return head.rstrip(), float(tail)
    return text, 1.0


# 2. Texts that change while drawing -------------------------------------------------------------

_TOKENS: Final = re.compile(r"\\.|[\[\]():|]|[^\\\[\]():|]+|\\", re.DOTALL)
_NUMBER: Final = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Edit:
    """``[before:after:when]``."""

    before: "tuple[Node, ...]"
    after: "tuple[Node, ...]"
    when: str


@dataclass(frozen=True, slots=True)
class Alternation:
    """``[first|second|...]``."""

    options: "tuple[tuple[Node, ...], ...]"


Node = str | Edit | Alternation
Nodes = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class _Open:
    """An opened bracket: where it stands in the content, and where the marks after it stand."""

    bracket: str
    start: int
    marks: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """How ``when`` is counted.

    Attributes:
        steps: Steps of this pass, times two for samplers that ask the network twice a step.
        first_pass: Steps of the pass before it for the second pass of hires fix, else 0.
        old: Read numbers as A1111 did before 1.6.
    """

    steps: int
    first_pass: int = 0
    old: bool = False

    def step(self, when: str) -> int:
        """Return the last step before the change, 0 or less for "at once", at most ``steps``."""
        value = float(when)
        if self.old:
            value = value * self.steps if value < 1 else value
        elif "." in when:
            value = (value - (1 if self.first_pass else 0)) * self.steps
        else:
            value -= self.first_pass
        return int(min(max(value, -1), self.steps))


def timeline(prompt: str, clock: Clock) -> list[Timed]:
    """Return the texts that ``prompt`` stands for, each with the last step for which it holds.

    A text that cannot be read, such as one with a ``|`` outside brackets, stands for itself.
    """
    content = read_changes(prompt)
    if content is None:
        return [Timed(clock.steps, prompt)]
    changes = {clock.steps}
    for node in changes_in(content):
        if isinstance(node, Alternation):
            changes.update(range(1, clock.steps + 1))
        elif (step := clock.step(node.when)) >= 1:
            changes.add(step)
    return [Timed(step, _at(content, step, clock)) for step in sorted(changes)]


def read_changes(prompt: str) -> Nodes | None:
    """Return the prompt with its edits and alternations found; None if it cannot be read.

    Marks and words go one after another into ``content``. A bracket that closes and makes sense is
    replaced there by what it means. One that makes no sense was only a character, and so was every
    bracket that is still open around it.
    """
    content: list[Node] = []
    opened: list[_Open] = []
    for match in _TOKENS.finditer(prompt):
        mark = match[0]
        if mark in ("\\", "\\\n") or (mark == "|" and not opened):
            return None
        if mark in ("[", "("):
            opened.append(_Open(mark, len(content)))
        elif mark in (":", "|") and opened:
            opened[-1].marks.append(len(content))
        elif mark in ("]", ")"):
            if opened and _understand(content, opened[-1], mark):
                opened.pop()
                continue
            if _holds_bar(content, opened):
                return None
            opened.clear()
        content.append(mark)
    return None if _holds_bar(content, opened) else tuple(content)


def _holds_bar(content: list[Node], opened: list[_Open]) -> bool:
    """Tell whether a ``|`` would be left outside brackets, which the language does not know."""
    return any(content[mark] == "|" for bracket in opened for mark in bracket.marks)


def _understand(content: list[Node], top: _Open, closer: str) -> bool:
    """Put what the closed bracket means in its place; tell whether it means anything."""
    if top.bracket != {"]": "[", ")": "("}[closer]:
        return False
    marks = [content[mark] for mark in top.marks]
    if not marks or (top.bracket == "(" and marks == [":"]):
        content.append(closer)
        return True
    edges = [top.start, *top.marks, len(content)]
    parts = [tuple(content[start + 1 : end]) for start, end in pairwise(edges)]
    node = None if top.bracket == "(" else _meaning(marks, parts)
    if node is None:
        return False
    content[top.start :] = [node]
    return True


def _meaning(marks: list[Node], parts: list[Nodes]) -> Edit | Alternation | None:
    """Return the edit or alternation that square brackets with these parts are, if any."""
    if set(marks) == {"|"}:
        return Alternation(tuple(parts))
    last = parts[-1]
    number = _NUMBER.fullmatch(last[0]) if len(last) == 1 and isinstance(last[0], str) else None
    if marks not in ([":"], [":", ":"]) or number is None:
        return None
    before = parts[0] if len(parts) == 3 else ()  # noqa: PLR2004 - before, after, when
    return Edit(before, parts[-2], number[1])


def changes_in(content: Nodes) -> Iterator[Edit | Alternation]:
    """Yield every edit and alternation, however deep."""
    waiting: list[Node] = list(content)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Edit):
            yield node
            waiting += [*node.before, *node.after]
        elif isinstance(node, Alternation):
            yield node
            waiting += [inner for option in node.options for inner in option]


def _at(content: Nodes, step: int, clock: Clock) -> str:
    """Return the text that holds at this step."""
    words: list[str] = []
    waiting: list[Node] = list(reversed(content))
    while waiting:
        node = waiting.pop()
        if isinstance(node, Edit):
            chosen = node.before if step <= clock.step(node.when) else node.after
            waiting += reversed(chosen)
        elif isinstance(node, Alternation):
            waiting += reversed(node.options[(step - 1) % len(node.options)])
        else:
            words.append(node)
    return "".join(words)


# 3 and 4. Words that count more or less ---------------------------------------------------------

EMPHASIS: Final = re.compile(r"\\[()\[\]\\]|\\|\(|\[|:\s*([+-]?[.\d]+)\s*\)|\)|\]|[^\\()\[\]:]+|:")
_BREAK: Final = re.compile(r"\s*\bBREAK\b\s*")


@dataclass(frozen=True, slots=True)
class _Span:
    """Pieces from ``start`` up to ``end`` weigh ``factor`` times as much."""

    start: int
    end: int
    factor: float


def weighted(text: str) -> list[Piece]:
    """Return the text in pieces of equal weight, brackets and backslashes taken out.

    Raises:
        RangeError: If a weight such as ``(a:1.2.3)`` is not a number.
    """
    reader = _Reader()
    for match in EMPHASIS.finditer(text):
        reader.take(match[0], match[1])
    return reader.end()


@dataclass(slots=True)
class _Reader:
    """Collects words, and the spans of words that brackets enclose."""

    texts: list[str] = field(default_factory=list[str])
    breaks: set[int] = field(default_factory=set[int])
    rounds: "_Brackets" = field(default_factory=lambda: _Brackets(ROUND_FACTOR))
    squares: "_Brackets" = field(default_factory=lambda: _Brackets(SQUARE_FACTOR))

    def take(self, mark: str, number: str | None) -> None:
        """Take one mark or run of words; ``number`` is the weight in a mark such as ``:1.2)``."""
        place = len(self.texts)
        if mark == "(":
            self.rounds.opened.append(place)
        elif mark == "[":
            self.squares.opened.append(place)
        elif number is not None and self.rounds.opened:
            self.rounds.close(place, _weight(number))
        elif mark == ")" and self.rounds.opened:
            self.rounds.close(place, ROUND_FACTOR)
        elif mark == "]" and self.squares.opened:
            self.squares.close(place, SQUARE_FACTOR)
        elif mark[0] == "\\":
            self.texts.append(mark[1:])
        else:
            self._take_words(mark)

    def _take_words(self, words: str) -> None:
        for number, part in enumerate(_split_break(words)):
            if number:
                self.breaks.add(len(self.texts))
                self.texts.append(BREAK)
            self.texts.append(part)

    def end(self) -> list[Piece]:
        """Weigh each piece and join neighbours of equal weight."""
        rounds, squares = (kind.factors(len(self.texts)) for kind in (self.rounds, self.squares))
        pieces: list[tuple[list[str], float]] = []
        by_round = by_square = 1.0
        for place, text in enumerate(self.texts):
            by_round = rounds.get(place, by_round)
            by_square = squares.get(place, by_square)
            weight = by_square * by_round * (-1.0 if place in self.breaks else 1.0)
            if pieces and pieces[-1][1] == weight:
                pieces[-1][0].append(text)
            else:
                pieces.append(([text], weight))
        return [Piece("".join(parts), weight) for parts, weight in pieces] or [Piece("", 1.0)]


@dataclass(slots=True)
class _Brackets:
    """One kind of bracket: those still open, and the spans of those that closed."""

    factor: float
    opened: list[int] = field(default_factory=list[int])
    spans: list[_Span] = field(default_factory=list[_Span])

    def close(self, place: int, factor: float) -> None:
        """End the innermost bracket before this place."""
        self.spans.append(_Span(self.opened.pop(), place, factor))

    def factors(self, end: int) -> dict[int, float]:
        """Return, for each place at which the total factor changes, the total from there on.

        Brackets of one kind nest, so one walk with a stack suffices; open ones reach to the end.
        """
        while self.opened:
            self.close(end, self.factor)
        changes: dict[int, float] = {}
        around: list[tuple[int, float]] = []
        for span in sorted(self.spans, key=lambda span: (span.start, -span.end)):
            _leave(around, changes, span.start)
            total = span.factor * (around[-1][1] if around else 1.0)
            around.append((span.end, total))
            changes[span.start] = total
        _leave(around, changes, None)
        return changes


def _leave(around: list[tuple[int, float]], changes: dict[int, float], start: int | None) -> None:
    """Close the spans that end at or before ``start``; all of them if it is None."""
    while around and (start is None or around[-1][0] <= start):
        end, _ = around.pop()
        changes[end] = around[-1][1] if around else 1.0


def _split_break(token: str) -> list[str]:
    """Split at the word BREAK; most texts do not hold it."""
    return _BREAK.split(token) if BREAK in token else [token]


def _weight(number: str) -> float:
    try:
        return float(number)
    except ValueError as error:
        message = f"the weight {number!r} in the prompt is not a number"
        raise RangeError(message, hint="Write weights like (word:1.2).", value=number) from error


# Tags of add-ons --------------------------------------------------------------------------------

_TAG_HEAD: Final = re.compile(r"<(\w+):(?!>)")


@dataclass(frozen=True, slots=True)
class Tag:
    """``<kind:name:first:second:key=value>``: an add-on that the prompt asks for."""

    kind: str
    arguments: tuple[str, ...]
    named: tuple[tuple[str, str], ...] = ()


def take_tags(prompt: str) -> tuple[str, list[Tag]]:
    """Return the prompt without its tags, and the tags.

    A tag is ``<``, a word, ``:`` and all up to the next ``>``; where there is none, nothing is.
    """
    kept: list[str] = []
    tags: list[Tag] = []
    place = 0
    for start, end, tag in _tags(prompt):
        kept.append(prompt[place:start])
        tags.append(tag)
        place = end
    return "".join([*kept, prompt[place:]]), tags


def without_tags(prompt: str, unwanted: Callable[[Tag], bool]) -> str:
    """Return the prompt without some of its tags; the others stay as they are written."""
    kept: list[str] = []
    place = 0
    for start, end, tag in _tags(prompt):
        if unwanted(tag):
            kept.append(prompt[place:start])
            place = end
    return "".join([*kept, prompt[place:]])


def _tags(prompt: str) -> Iterator[tuple[int, int, Tag]]:
    """Yield where each tag begins and ends, and what it says."""
    place = 0
    while (head := _TAG_HEAD.search(prompt, place)) and (end := prompt.find(">", head.end())) >= 0:
        yield head.start(), end + 1, _tag(head[1], prompt[head.end() : end])
        place = end + 1


def _tag(kind: str, inside: str) -> Tag:
    parts = inside.split(":")
    named = (part.partition("=") for part in parts if "=" in part)
    return Tag(
        kind,
        tuple(part for part in parts if "=" not in part),
        tuple((key, value) for key, _, value in named),
    )
