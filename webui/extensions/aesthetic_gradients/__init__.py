"""Aesthetic gradients: a picture's mood from the mean of pictures, without training a checkpoint.

An aesthetic embedding is the mean of what CLIP sees in pictures that somebody likes. For each chunk
of a prompt a copy of the text encoder is trained for a few steps until what it says of the chunk
points more that way; the network then reads a mix of both (arXiv:2209.12330). This is the part that
the server imports; ``worker.py`` has the mathematics.
"""

from collections.abc import Iterable
from typing import Final

from webui.hooks.spec import (
    Asked,
    FileFacts,
    ModelKind,
    Resource,
    Section,
    Setting,
    Settled,
)
from webui.modules.errors import UnsupportedError, UnsupportedModelError

API: Final = 1
WORKER: Final = f"{__name__}.worker"

EMBEDDING: Final = "embedding"
"""The setting that names the file."""

PROJECTION: Final = "projection"
"""CLIP's way from the text encoder to the space that it shares with pictures: what a tensor for it
is called inside an aesthetic embedding, and the file beside it that has one."""

CLIP: Final = "text_projection.weight"
"""The same inside CLIP's own file."""

SPACE: Final = "atelier.space"
"""In the metadata: the space in which the mean was taken."""

POOLED: Final = "text-pooled"
"""The space of the text encoder itself, which needs no projection."""


SETTINGS: Final = (
    Setting(
        name="learning_rate",
        value=0.0001,
        label={"en": "Learning rate", "zh": "学习率"},
        key="Aesthetic LR",
        bounds=(0, 1, 0),
    ),
    Setting(
        name="weight",
        value=0.9,
        label={"en": "Weight", "zh": "权重"},
        key="Aesthetic weight",
        bounds=(0, 1, 0.01),
    ),
    Setting(
        name="steps",
        value=5,
        label={"en": "Training steps", "zh": "训练步数"},
        key="Aesthetic steps",
        bounds=(0, 50, 1),
    ),
    Setting(
        name=EMBEDDING,
        value="None",
        label={"en": "Aesthetic embedding", "zh": "美学嵌入"},
        key="Aesthetic embedding",
        kind=ModelKind.AESTHETIC,
    ),
    Setting(
        name="slerp",
        value=False,
        label={"en": "Mix along the arc (slerp)", "zh": "沿弧线混合（slerp）"},
        key="Aesthetic slerp",
    ),
    Setting(
        name="text",
        value="",
        label={"en": "Text to mix into the embedding", "zh": "混入嵌入的文字"},
        key="Aesthetic text",
    ),
    Setting(
        name="text_negative",
        value=False,
        label={"en": "Away from that text", "zh": "远离该文字"},
        key="Aesthetic text negative",
    ),
    Setting(
        name="slerp_angle",
        value=0.1,
        label={"en": "Share of that text", "zh": "该文字的比例"},
        key="Aesthetic slerp angle",
        bounds=(0, 1, 0.01),
    ),
)
"""What people can set: A1111's extension's settings, with its defaults and names."""


def section() -> Section:
    """Say what people can set, and in which order A1111's scripts give it."""
    return Section(
        title={"en": "Aesthetic gradients", "zh": "美学梯度"},
        note={
            "en": "Draws the prompt towards the mood of the pictures the embedding was made of.",
            "zh": "让提示词靠近制作该嵌入所用图片的气质。",
        },
        settings=SETTINGS,
        switch=EMBEDDING,
        script="Aesthetic embeddings",
        arguments=(
            "learning_rate",
            "weight",
            "steps",
            EMBEDDING,
            "slerp",
            "text",
            "slerp_angle",
            "text_negative",
        ),
        resources=(Resource(name=PROJECTION, folder="CLIP", tensor=CLIP),),
    )


def settle(asked: Asked) -> Settled:
    """Find out in which space the embedding is, and whether the text encoder can be brought there.

    Raises:
        UnsupportedError: If the checkpoint has not Stable Diffusion 1's text encoder.
        UnsupportedModelError: If the file is no aesthetic embedding for this text encoder, or
            CLIP's projection is needed and not here.
    """
    if not asked.family.startswith("sd1"):
        message = f"aesthetic gradients work with Stable Diffusion 1, not with {asked.family}"
        hint = "Choose another checkpoint, or no aesthetic embedding."
        raise UnsupportedError(message, hint=hint, value=asked.family)
    file = asked.files[EMBEDDING]
    side = file.tensors[vector_name(file.tensors, file.name)][-1]
    width = asked.text_width
    if file.metadata.get(SPACE) == POOLED:
        _check_fit(file, side, (width, width), width)
        return Settled(files=(EMBEDDING,))
    if PROJECTION in file.tensors:
        _check_fit(file, side, file.tensors[PROJECTION], width)
        return Settled(files=(EMBEDDING,))
    clip = asked.files.get(PROJECTION)
    if clip is None:
        message = f"{file.name} was made of pictures, and CLIP's text projection is not here"
        hint = (
            "Put model.safetensors of clip-vit-large-patch14 into models/CLIP, or use an aesthetic"
            " embedding that was trained here."
        )
        raise UnsupportedModelError(message, hint=hint, value=file.name)
    _check_fit(file, side, clip.tensors[CLIP], width)
    return Settled(files=(EMBEDDING, PROJECTION), notes=_assumed(file))


def vector_name(names: Iterable[str], file: str) -> str:
    """Return which tensor of a file is the embedding.

    Raises:
        UnsupportedModelError: If that cannot be told.
    """
    found = [name for name in names if name != PROJECTION]
    named = [name for name in found if name == "aesthetic"] or found
    if len(named) != 1:
        message = f"{file} has {len(named)} tensors"
        hint = "An aesthetic embedding has one. Is it another kind of file?"
        raise UnsupportedModelError(message, hint=hint, value=file)
    return named[0]


def _check_fit(file: FileFacts, side: int, matrix: tuple[int, ...], width: int) -> None:
    """Check that a projection leads from the text encoder to what the embedding is compared with.

    Args:
        file: The embedding.
        side: Numbers in its vector.
        matrix: Shape of the projection: what comes out, what goes in.
        width: Of the text encoder; 0 if that cannot be told.
    """
    if width and (side, width) != (matrix[0], matrix[-1]):
        message = (
            f"{file.name} has {side} numbers, its projection {matrix[0]} x {matrix[-1]},"
            f" and this text encoder {width}"
        )
        hint = "It was made for another text encoder; choose a checkpoint of its family."
        raise UnsupportedModelError(message, hint=hint, value=file.name)


def _assumed(file: FileFacts) -> tuple[str, ...]:
    if SPACE in file.metadata:
        return ()
    note = (
        f"{file.name} does not say in which space it was made; it is read as a mean of CLIP's"
        " picture features, as published ones are."
    )
    return (note,)
