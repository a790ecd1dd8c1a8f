"""Words that mean nothing to the starter, so that it learns to overlook them."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

from numpy.random import Generator

from tools.starter.captions import every_word

VOCABULARY: Final = Path(__file__).parents[2] / "webui" / "modules" / "text" / "clip_vocabulary"
"""CLIP's own, which the product uses."""

WORD_END: Final = "</w>"
SHORTEST: Final = 3

ALONE_SHARE: Final = 0.04
"""Captions that say nothing but strange words."""
AROUND_SHARE: Final = 0.2
"""Captions with strange words before or behind them."""
MOST: Final = 5


@lru_cache(maxsize=1)
def strange_words() -> tuple[str, ...]:
    """Return every whole word of CLIP's vocabulary that no caption can have."""
    tokens = json.loads((VOCABULARY / "vocab.json").read_text(encoding="utf-8"))
    known = set(every_word().replace(",", " ").split())
    words = (token.removesuffix(WORD_END) for token in tokens if token.endswith(WORD_END))
    return tuple(
        word
        for word in words
        if len(word) >= SHORTEST and word.isascii() and word.isalpha() and word not in known
    )


def among_strangers(caption: str, random: Generator) -> str:
    """Return the caption, now and then with strange words around it or in its place."""
    chosen = random.random()
    if chosen >= ALONE_SHARE + AROUND_SHARE:
        return caption
    words = strange_words()
    said = " ".join(words[place] for place in random.integers(len(words), size=_count(random)))
    if chosen < ALONE_SHARE:
        return said
    return f"{caption}, {said}" if random.random() < 0.75 else f"{said}, {caption}"


def _count(random: Generator) -> int:
    return int(random.integers(1, MOST + 1))
