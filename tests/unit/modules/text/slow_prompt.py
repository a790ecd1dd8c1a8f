"""A1111's prompt language once more: slow, plain, straight from its rules, for comparison only.

Brackets are matched by counting, each pair is read by itself, and everything is tried again at each
place; that takes quadratic time and more, and is easy to believe.
"""

from __future__ import annotations

import re

NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
CLOSERS = {"[": "]", "(": ")"}
OPENERS = {"]": "[", ")": "("}
FACTORS = {"(": 1.1, "[": 1 / 1.1}


# ----------------------------------------------------------------------------------- weights


def slow_weights(text: str) -> list[float]:
    """Return one weight for each letter that is drawn, in order; BREAK must not stand in the text.

    Raises:
        ValueError: If a weight is no number.
    """
    weights: list[float] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}
    place = 0
    while place < len(text):
        rest = text[place:]
        number = re.match(r":\s*([+-]?[.\d]+)\s*\)", rest)
        if rest[0] == "\\":
            if len(rest) > 1 and rest[1] in "()[]\\":
                weights.append(1.0)
                place += 1
        elif rest[0] in opened:
            opened[rest[0]].append(len(weights))
        elif number and opened["("]:
            _multiply(weights, opened["("].pop(), float(number[1]))
            place += len(number[0]) - 1
        elif opened.get(OPENERS.get(rest[0], "")):
            _multiply(weights, opened[OPENERS[rest[0]]].pop(), FACTORS[OPENERS[rest[0]]])
        elif number:
            weights += [1.0] * len(number[0])
            place += len(number[0]) - 1
        else:
            weights.append(1.0)
        place += 1
    for bracket, factor in FACTORS.items():
        for start in opened[bracket]:
            _multiply(weights, start, factor)
    return weights


def _multiply(weights: list[float], start: int, factor: float) -> None:
    for place in range(start, len(weights)):
        weights[place] *= factor


# --------------------------------------------------------------------------------- schedules


def slow_text_at(prompt: str, step: int, steps: int) -> str:
    """Return the text of one step, 1 to ``steps``."""
    said = _loose(prompt, step, steps)
    return prompt if said is None else said


def _loose(text: str, step: int, steps: int) -> str | None:
    """Read the outermost level, on which a bracket may also be an ordinary letter."""
    said, place = "", 0
    while place < len(text):
        letter = text[place]
        end = _closer(text, place) if letter in CLOSERS else None
        group = None if end is None else _group(text[place : end + 1], step, steps)
        if group is not None and end is not None:
            said += group
            place = end
        elif letter == "|":
            return None
        elif letter == "\\":
            if place + 1 == len(text) or text[place + 1] == "\n":
                return None
            said += text[place : place + 2]
            place += 1
        else:
            said += letter
        place += 1
    return said


def _strict(text: str, step: int, steps: int) -> str | None:
    """Read the inside of a bracket, in which every bracket and mark must mean something."""
    said, place = "", 0
    while place < len(text):
        letter = text[place]
        if letter in CLOSERS:
            end = _closer(text, place)
            group = None if end is None else _group(text[place : end + 1], step, steps)
            if group is None or end is None:
                return None
            said += group
            place = end
        elif letter in "])|:":
            return None
        elif letter == "\\":
            if place + 1 == len(text) or text[place + 1] == "\n":
                return None
            said += text[place : place + 2]
            place += 1
        else:
            said += letter
        place += 1
    return said


def _closer(text: str, start: int) -> int | None:
    """Return where the bracket that opens here is closed; None if brackets cross or it is not."""
    waiting: list[str] = []
    place = start
    while place < len(text):
        letter = text[place]
        if letter == "\\":
            place += 1
        elif letter in CLOSERS:
            waiting.append(CLOSERS[letter])
        elif letter in CLOSERS.values():
            if waiting.pop() != letter:
                return None
            if not waiting:
                return place
        place += 1
    return None


def _group(text: str, step: int, steps: int) -> str | None:
    """Return what a bracket and all in it says at this step; None if it means nothing."""
    parts, marks = _split(text[1:-1])
    chosen: str | None
    if text[0] == "(":
        if "|" in marks or len(marks) > 1:
            return None
        said = [_strict(part, step, steps) for part in parts]
        return None if None in said else f"({':'.join(part or '' for part in said)})"
    said = [_strict(part, step, steps) for part in parts]
    if not marks:
        return None if said[0] is None else f"[{said[0]}]"
    if set(marks) == {"|"}:
        return None if None in said else said[(step - 1) % len(said)]
    if marks not in ([":"], [":", ":"]) or not NUMBER.fullmatch(parts[-1]) or None in said[:-1]:
        return None
    before, after = ("", said[0]) if len(parts) == 2 else (said[0], said[1])
    when = float(parts[-1]) * (steps if "." in parts[-1] else 1)
    chosen = before if step <= int(min(max(when, -1), steps)) else after
    return chosen


def _split(text: str) -> tuple[list[str], list[str]]:
    """Return the parts between the marks ``:`` and ``|`` outside inner brackets, and the marks."""
    parts, marks, place = [""], [], 0
    while place < len(text):
        letter = text[place]
        end = _closer(text, place) if letter in CLOSERS else None
        if end is not None:
            parts[-1] += text[place : end + 1]
            place = end
        elif letter == "\\":
            parts[-1] += text[place : place + 2]
            place += 1
        elif letter in ":|":
            marks.append(letter)
            parts.append("")
        else:
            parts[-1] += letter
        place += 1
    return parts, marks
