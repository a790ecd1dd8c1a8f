"""An embedding explained: how long its vectors are, and which words of the vocabulary lie near."""

from typing import Final

from torch import Tensor
from torch.nn.functional import normalize

from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.embedding import read_embedding
from webui.modules.layers.explain_help import Explained, Help, lengths, token_table
from webui.modules.text.tokens import token_word
from webui.modules.types import ExplainPlan

NEAREST: Final = 8
"""So many words are named for each vector."""

WORD_END: Final = "</w>"
"""The vocabulary's mark of the end of a word."""


def explain_embedding(plan: ExplainPlan, hand: Help) -> Explained:
    """Explain an embedding.

    Returns:
        ``width``; ``vocabulary_norm``, the mean length of the vocabulary's vectors; and
        ``vectors``, each with its ``norm`` and the ``nearest`` words with their ``cosine``. A word
        that ends in "-" is the beginning of longer ones. Without a checkpoint, only lengths.

    Raises:
        ModelError: If a file is damaged, or the widths differ.
    """
    vectors = read_embedding(plan.model.path, plan.model.stem).vectors
    norms = [float(length) for length in lengths(vectors)]
    told: Explained = {"width": vectors.shape[1], "vocabulary_norm": None}
    if plan.checkpoint is None:
        return {**told, "vectors": [{"norm": norm, "nearest": []} for norm in norms]}
    hand.tell(0, 1, plan.checkpoint.name)
    table = token_table(plan.checkpoint)
    if table.shape[1] != vectors.shape[1]:
        message = (
            f"{plan.model.name} has vectors of {vectors.shape[1]} numbers,"
            f" and the words of {plan.checkpoint.name} {table.shape[1]}"
        )
        hint = "Choose a checkpoint of the family that it was made for."
        raise UnsupportedModelError(message, hint=hint, value=plan.model.name)
    near = nearest_words(vectors, table)
    both = zip(norms, near, strict=True)
    return {
        **told,
        "vocabulary_norm": float(lengths(table).mean()),
        "vectors": [{"norm": norm, "nearest": words} for norm, words in both],
    }


def nearest_words(vectors: Tensor, table: Tensor) -> list[list[dict[str, object]]]:
    """Return for each vector the words that point most nearly the same way, the nearest first.

    Args:
        vectors: ``[count, width]``.
        table: ``[words, width]``.
    """
    likeness = normalize(vectors, dim=1) @ normalize(table, dim=1).T
    found = likeness.topk(min(NEAREST, len(table)), dim=1)
    return [
        [
            {"word": _spelt(int(token)), "cosine": float(cosine)}
            for cosine, token in zip(cosines, tokens, strict=True)
        ]
        for cosines, tokens in zip(found.values, found.indices, strict=True)
    ]


def _spelt(token: int) -> str:
    word = token_word(token)
    if word.endswith(WORD_END):
        return word.removesuffix(WORD_END)
    return word if word.startswith("<|") else f"{word}-"
