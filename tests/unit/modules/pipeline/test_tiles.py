"""Pieces of a large picture: they cover it, and joined again they are the picture."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.modules.pipeline.pieces import Mesh


@given(
    width=st.integers(64, 300),
    height=st.integers(64, 300),
    piece=st.sampled_from([(64, 64), (64, 96), (128, 64)]),
    overlap=st.sampled_from([0, 8, 16, 32]),
)
def test_pieces_that_nobody_changed_are_the_picture_again(width, height, piece, overlap) -> None:
    values = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = Image.fromarray(values)
    mesh = Mesh.of((width, height), piece, overlap)

    joined = mesh.joined(mesh.cut(picture))

    assert np.array_equal(np.asarray(joined), values)


@given(length=st.integers(100, 2000), overlap=st.integers(0, 48))
def test_neighbours_share_at_least_the_overlap(length: int, overlap: int) -> None:
    mesh = Mesh.of((length, 96), (96, 96), overlap)

    assert mesh.lefts[0] == 0
    assert mesh.lefts[-1] + 96 == length
    gaps = [right - left for left, right in zip(mesh.lefts, mesh.lefts[1:], strict=False)]
    assert max(gaps) <= 96 - overlap + 1


def test_a_piece_fades_in_over_the_one_before() -> None:
    mesh = Mesh.of((160, 64), (96, 64), 32)
    black, white = Image.new("RGB", (96, 64)), Image.new("RGB", (96, 64), (255, 255, 255))

    row = np.asarray(mesh.joined([black, white]))[10, :, 0]

    assert (row[:64] == 0).all()
    assert (np.diff(row[64:96].astype(int)) >= 0).all()
    assert (row[96:] == 255).all()
