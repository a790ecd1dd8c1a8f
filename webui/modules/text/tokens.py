"""Words to token ids with CLIP's own byte-pair vocabulary, which ships with the package.

Without torch, so that the page can count tokens while the person types. The pipeline is the one of
CLIP (github.com/openai/CLIP, ``simple_tokenizer.py``): broken Unicode mended, lower case, single
spaces, byte pairs.
"""

from functools import cache
from importlib.resources import files
from typing import Final

import ftfy
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

START: Final = 49406
"""Opens every chunk."""

END: Final = 49407
"""Closes every chunk and fills it up."""

CHUNK: Final = 75
"""Tokens of text in one chunk, between start and end."""

_WORD: Final = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


@cache
def clip_tokenizer() -> Tokenizer:
    """Return the tokenizer; built once, then shared, since it is never changed."""
    folder = files("webui.modules.text") / "clip_vocabulary"
    tokenizer = Tokenizer(
        models.BPE.from_file(  # pyright: ignore[reportUnknownMemberType] - its types are partial
            str(folder / "vocab.json"),
            str(folder / "merges.txt"),
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            fuse_unk=False,
            unk_token="<|endoftext|>",  # noqa: S106 - CLIP's name of a token, not a secret
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def token_ids(text: str) -> list[int]:
    """Return the ids of ``text`` without start and end, however long it is."""
    return clip_tokenizer().encode(ftfy.fix_text(text), add_special_tokens=False).ids


def token_word(token: int) -> str:
    """Return the vocabulary's own spelling of a token, ``</w>`` marking the end of a word."""
    return clip_tokenizer().id_to_token(token) or ""


def count(text: str) -> int:
    """Return how many tokens the text takes, start and end not counted."""
    return len(token_ids(text))
