"""Learned words: names in a prompt that stand for vectors of their own (textual inversion).

The text encoder sees them as more rows of its token table, behind the vocabulary's. Here their
names are found in a prompt and turned into the numbers of those rows; the vectors themselves are
laid on elsewhere. No torch.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from webui.modules.text.tokens import END, token_ids

VOCABULARY: Final = END + 1
"""Rows of CLIP's own token table; the first learned row has this number."""


class LearnedWords:
    """The words of one job and the numbers of their rows.

    Args:
        words: Name and number of vectors of each, in the order of their rows.
    """

    def __init__(self, words: Iterable[tuple[str, int]] = ()) -> None:
        self._by_token: dict[int, list[tuple[tuple[int, ...], range, str]]] = {}
        row = VOCABULARY
        for name, count in words:
            tokens = tuple(token_ids(name))
            if tokens:
                entry = (tokens, range(row, row + count), name)
                self._by_token.setdefault(tokens[0], []).append(entry)
            row += count
        for entries in self._by_token.values():
            entries.sort(key=lambda entry: len(entry[0]), reverse=True)

    def at(self, tokens: Sequence[int], place: int) -> tuple[range, int] | None:
        """Return the rows of the word at a place, and how many tokens its name takes.

        The longest name wins, as in A1111; None if there is no learned word.
        """
        for name, rows, _ in self._by_token.get(tokens[place], ()):
            if tuple(tokens[place : place + len(name)]) == name:
                return rows, len(name)
        return None

    def named_in(self, text: str) -> list[str]:
        """Return the names that stand in a text, each once, in order."""
        found: dict[str, None] = {}
        tokens, place = token_ids(text), 0
        while place < len(tokens):
            taken = 1
            for name, _, word in self._by_token.get(tokens[place], ()):
                if tuple(tokens[place : place + len(name)]) == name:
                    found[word] = None
                    taken = len(name)
                    break
            place += taken
        return list(found)
