"""What a prompt does that its writer hardly meant; found in linear time, nothing is changed.

A1111's language takes every text, and does something without a word where the writer slipped. The
picture here is the same one; these sentences say what happened.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from webui.modules.text.prompt import (
    AND,
    BREAK,
    EMPHASIS,
    Alternation,
    Clock,
    Edit,
    Node,
    Nodes,
    changes_in,
    read_changes,
    split_and,
    take_tags,
    timeline,
    weighted,
)

KNOWN_TAGS: Final = frozenset({"lora", "lyco", "hypernet"})
"""Kinds of add-ons that a tag can call."""

FAR_WEIGHT: Final = 10.0
"""No network has learned what a word means that weighs more than this."""

MOST_NOTES: Final = 12
"""So many slips are told one by one; more would hide the picture."""

_SHOWN: Final = 60
_MOST_TEXT: Final = 500_000
_BRACKETS: Final = re.compile(r"\\.|[()\[\]]|\bAND\b", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How prompts are read in one job.

    Attributes:
        clocks: How ``when`` is counted: in the first pass and, with hires fix, in the second.
        emphasis: Whether brackets weigh words.
    """

    clocks: tuple[Clock, ...]
    emphasis: bool = True


def prompt_notes(prompt: str, negative: str, reading: Reading) -> tuple[str, ...]:
    """Return what is surprising in two prompts, one sentence each.

    Raises:
        RangeError: If a weight such as ``(a:1.2.3)`` is not a number.
    """
    return tuple(islice(dict.fromkeys(_all_notes(prompt, negative, reading)), MOST_NOTES))


def _all_notes(prompt: str, negative: str, reading: Reading) -> Iterator[str]:
    bare, tags = take_tags(prompt)
    for tag in tags:
        if tag.kind not in KNOWN_TAGS:
            yield f"<{_cut(tag.kind)}:...> is no tag that is known here, and was left out."
    yield from _of_and(bare)
    yield from _of_negative(negative)
    for part, _ in split_and(bare):
        yield from _of_part(part, reading)
    yield from _of_part(negative, reading)


def _of_and(prompt: str) -> Iterator[str]:
    """Look at ``AND`` and at weights of whole prompts."""
    parts = split_and(prompt)
    if len(parts) == 1 and parts[0][1] != 1:
        number = prompt.rstrip().rpartition(":")[2].strip()
        yield (
            f"The prompt ends in :{_cut(number)}, which was read as its weight and left out. "
            "Write something behind the number to keep it."
        )
    if len(parts) > 1 and _inside_brackets(prompt):
        yield "AND inside brackets splits the prompt there, so these brackets lose their meaning."


def _inside_brackets(prompt: str) -> bool:
    depth: Counter[str] = Counter()
    for match in _BRACKETS.finditer(prompt):
        mark = match[0]
        if mark == "AND" and depth.total():
            return True
        if mark in "([":
            depth[mark] += 1
        elif mark in ")]":
            opener = "(" if mark == ")" else "["
            depth[opener] = max(0, depth[opener] - 1)
    return False


def _of_negative(negative: str) -> Iterator[str]:
    if AND.search(negative):
        yield "AND in the negative prompt is an ordinary word; it splits only prompts."
    for tag in take_tags(negative)[1][:3]:
        yield (
            f"<{_cut(tag.kind)}:...> in the negative prompt is read as words. "
            "Add-ons are called in the prompt."
        )


# One of several prompts -------------------------------------------------------------------------


def _of_part(part: str, reading: Reading) -> Iterator[str]:
    content = read_changes(part)
    if content is None:
        if "[" in part:
            yield "A | that is no [a|b], or a lone \\, switches off every [a:b:when] and [a|b]."
    else:
        yield from _vanished(content, reading)
        yield from _literal(content)
    if reading.emphasis:
        yield from _of_brackets(part)
        yield from _of_weights(part, reading)


def _vanished(content: Nodes, reading: Reading) -> Iterator[str]:
    """Tell words that are to come after the last step, as in ``[word:1.2]``."""
    for node in changes_in(content):
        if not isinstance(node, Edit) or any(word.strip() for word in _words(node.before)):
            continue
        if all(clock.step(node.when) >= clock.steps for clock in reading.clocks):
            word, steps = _cut("".join(_words(node.after))), reading.clocks[0].steps
            yield (
                f"[{word}:{node.when}] never comes: {node.when} is a time, and there are {steps} "
                f"steps. For a weight write ({word}:{node.when})."
            )


def _words(content: Nodes) -> Iterator[str]:
    """Yield the first words of a text, whatever brackets they stand in."""
    waiting: list[Node] = list(reversed(content[:_SHOWN]))
    for _ in range(_SHOWN):
        if not waiting:
            return
        node = waiting.pop()
        if isinstance(node, Edit):
            waiting += [*reversed(node.after), *reversed(node.before)]
        elif isinstance(node, Alternation):
            waiting += [inner for option in node.options for inner in option]
        else:
            yield node


def _literal(content: Nodes) -> Iterator[str]:
    """Tell square brackets that look like an edit and are none, as in ``[a:b]``."""
    levels = [content]
    for change in changes_in(content):
        levels += (change.before, change.after) if isinstance(change, Edit) else change.options
    for level in levels:
        yield from _literal_at(level)


@dataclass(slots=True)
class _Group:
    """Square brackets that are still open, with what stood in them so far."""

    words: list[str] = field(default_factory=list[str])
    length: int = 0
    marked: bool = False

    def take(self, word: str) -> None:
        """Keep the beginning of what stands here."""
        if self.length <= _SHOWN:
            self.words.append(word)
            self.length += len(word)


def _literal_at(level: Nodes) -> Iterator[str]:
    opened: list[_Group] = []
    for node in level:
        word = node if isinstance(node, str) else "..."
        if word == "[":
            opened.append(_Group())
            continue
        if word == "]" and opened:
            group = opened.pop()
            shown = _cut("".join(group.words))
            if group.marked:
                yield f"[{shown}] is no [before:after:when] and no [a|b], and was read as words."
            word = f"[{shown}]"
        if opened:
            opened[-1].marked |= word in (":", "|")
            opened[-1].take(word)


def _of_brackets(part: str) -> Iterator[str]:
    """Count brackets without a partner; an edit's own brackets have theirs."""
    opened, alone = Counter[str](), Counter[str]()
    for match in EMPHASIS.finditer(part):
        mark = match[0]
        if mark in ("(", "["):
            opened[mark] += 1
        elif mark[-1] in ")]" and mark[0] != "\\":
            opener = "(" if mark[-1] == ")" else "["
            if opened[opener]:
                opened[opener] -= 1
            else:
                alone[mark[-1]] += 1
    act = {"(": "weighs all that follows more", "[": "weighs all that follows less"}
    for opener, count in opened.items():
        if count:
            yield f"{count} opened {opener} without its partner: it {act[opener]}."
    for closer, count in alone.items():
        yield f"{count} closing {closer} without its partner: it is read as a letter."


def _of_weights(part: str, reading: Reading) -> Iterator[str]:
    """Look at each text that the prompt stands for, unless they are too many to look at now."""
    for text in _texts(part, reading.clocks):
        for piece in weighted(text):
            if piece.text == BREAK and not piece.ends_chunk:
                yield "BREAK inside weighted brackets is read as a word; put it outside."
            elif abs(piece.weight) > FAR_WEIGHT and piece.text.strip():
                yield (
                    f"{_cut(piece.text)!r} weighs {piece.weight:.4g}, far more than a network can "
                    "make sense of."
                )


def _texts(part: str, clocks: Iterable[Clock]) -> list[str]:
    if "[" not in part:
        return [part]
    texts: dict[str, None] = {}
    room = _MOST_TEXT
    for clock in clocks:
        for timed in timeline(part, clock) if len(part) * clock.steps <= _MOST_TEXT else ():
            if timed.text not in texts and room > 0:
                texts[timed.text] = None
                room -= len(timed.text)
    return list(texts)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
