"""Torch pickles that A1111 reads: embeddings and hypernetworks as ``.pt``.

A1111 looks into a ``.pt`` before it opens it (``modules/safe.py``): each member of the archive must
have one of the names that torch used then, and the description may name only what describes
tensors. What torch writes today has members that are refused. So torch describes, and the archive
is put together here, member by member in a fixed order and without dates: equal tensors give equal
bytes.
"""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from webui.modules.whole import written_whole

MEMBERS: Final = re.compile(r"[^/]+/(data\.pkl|byteorder|data/\d+|version)")
"""The members that are kept; A1111 allows them, and torch needs no other."""

STAR_TOKEN: Final = 265
"""The token of ``*`` in CLIP's vocabulary, for which an embedding stands in the file."""

Weights = Mapping[str, Tensor]
"""One of a hypernetwork's networks: ``linear.N.weight`` and ``linear.N.bias`` by name."""


def write_embedding_pt(
    path: Path,
    vectors: Tensor,
    *,
    name: str,
    step: int = 0,
    checkpoint_hash: str = "",
    checkpoint_name: str = "",
) -> None:
    """Write an embedding as A1111's training does.

    Args:
        path: The new file; an older one of this name is replaced at once.
        vectors: ``[count, width]``.
        name: What stands for it in prompts.
        step: How long it was trained.
        checkpoint_hash: First 10 hex digits of the checkpoint that it was trained on.
        checkpoint_name: Its name.

    Raises:
        StorageError: If it cannot be written.
    """
    write_pickle(
        path,
        {
            "string_to_token": {"*": STAR_TOKEN},
            "string_to_param": {"*": _plain(vectors)},
            "name": name,
            "step": step,
            "sd_checkpoint": checkpoint_hash or None,
            "sd_checkpoint_name": checkpoint_name or None,
        },
    )


def write_hypernetwork_pt(
    path: Path, networks: Mapping[int, tuple[Weights, Weights]], settings: Mapping[str, object]
) -> None:
    """Write a hypernetwork as A1111's training does.

    Args:
        path: The new file; an older one of this name is replaced at once.
        networks: For keys and for values, by the width of what they change.
        settings: ``layer_structure``, ``activation_func``, ``is_layer_norm``, ``activate_output``,
            ``name``, ``step`` and the others that A1111 writes: numbers, texts and lists.

    Raises:
        StorageError: If it cannot be written.
    """
    pairs = {
        width: tuple({name: _plain(tensor) for name, tensor in one.items()} for one in pair)
        for width, pair in sorted(networks.items())
    }
    write_pickle(path, {**pairs, **settings})


def write_pickle(path: Path, content: Mapping[Any, object]) -> None:
    """Write tensors and plain values as a ``.pt`` that A1111's reader allows.

    Raises:
        StorageError: If it cannot be written. Nothing is left behind then.
    """
    described = io.BytesIO()
    torch.save(dict(content), described)
    with (
        written_whole(path) as unfinished,
        zipfile.ZipFile(described) as torchs,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name in sorted(filter(MEMBERS.fullmatch, torchs.namelist()), key=_place):
            archive.writestr(zipfile.ZipInfo(name), torchs.read(name))


def _place(name: str) -> tuple[bool, str]:
    """Put the description first: torch takes the folder's name from the first member."""
    return not name.endswith("/data.pkl"), name


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor that lies alone in its memory: torch writes all that it lies on."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
