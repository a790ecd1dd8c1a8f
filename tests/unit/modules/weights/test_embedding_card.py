"""Embeddings in pictures: cards of A1111 are read to the last bit, and written as it reads them."""

import base64
import io
import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.layers.embedding import read_embedding
from webui.modules.types import ModelKind
from webui.modules.weights.describe import describe
from webui.modules.weights.embedding_card import TEXT, EmbeddingCard, card_picture, read_card
from webui.modules.weights.header import read_header


def card(count: int = 2, width: int = 768, seed: int = 0, name: str = "cat") -> EmbeddingCard:
    drawn = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return EmbeddingCard(name=name, terms={"*": drawn}, values={"step": 500})


def shown(width: int = 256, height: int = 256, colour: tuple[int, int, int] = (200, 30, 40)) -> Any:
    return Image.new("RGB", (width, height), colour)


def stripped(content: bytes, path: Path) -> Path:
    """Write a picture without its texts, as sites do."""
    image = Image.open(io.BytesIO(content))
    Image.fromarray(np.asarray(image)).save(path, lossless=True)
    return path


def a1111_reads(content: bytes) -> dict[str, Any]:
    """Take the data out of pixels step by step, as A1111's description of the format says."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) & 0x0F
    black = [place for place in range(pixels.shape[1]) if not pixels[:, place].any()]
    blocks = pixels[:, : min(black)], pixels[:, max(black) + 1 :]
    halves: list[list[int]] = []
    for block in blocks:
        state, found = 0, []
        for value in block.flatten().tolist():
            state = (1664525 * state + 1013904223) % 2**32
            found.append(value ^ (state % 255 & 0x0F))
        halves.append(found)
    packed = bytes(high << 4 | low for low, high in zip(*halves, strict=True))
    return json.loads(zlib.decompressobj().decompress(packed))


def test_the_layout_is_a1111_s() -> None:
    content = card_picture(card(), shown())

    told = a1111_reads(content)

    assert Image.open(io.BytesIO(content)).size == (298, 256)
    assert told["name"] == "cat"
    assert told["string_to_token"] == {"*": 265}
    vectors = np.array(told["string_to_param"]["*"]["TORCHTENSOR"]).astype(np.float32)
    assert np.array_equal(vectors, card().terms["*"])


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_the_pixels_alone_carry_it(ending: str, tmp_path: Path) -> None:
    path = stripped(card_picture(card(), shown()), tmp_path / f"found.{ending}")

    facts, embedding = describe(path), read_embedding(path, "")

    assert (facts.kind, facts.family, facts.format) == (ModelKind.EMBEDDING, "sd1", ending)
    assert facts.metadata["name"] == "cat"
    assert torch.equal(embedding.vectors, torch.from_numpy(card().terms["*"]))


@settings(max_examples=12)
@given(st.integers(1, 4), st.sampled_from([16, 64, 768]), st.integers(32, 200), st.integers(0, 99))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, count: int, width: int, side: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("card")
    given_card = card(count, width, seed)
    content = card_picture(given_card, shown(side, side, (seed, 0, 0)))
    (folder / "text.png").write_bytes(content)

    for path in (folder / "text.png", stripped(content, folder / "pixels.png")):
        found = read_card(path)
        assert found is not None
        assert (found.name, found.values) == ("cat", {"step": 500})
        assert np.array_equal(found.terms["*"], given_card.terms["*"])


def test_a_preview_and_a_plain_picture_are_no_embeddings(tmp_path: Path) -> None:
    preview, plain = tmp_path / "cat.preview.png", tmp_path / "plain.png"
    preview.write_bytes(card_picture(card(), shown()))
    shown().save(plain)

    for path in (preview, plain):
        assert read_card(path) is None
        assert describe(path).kind is ModelKind.UNKNOWN
        with pytest.raises(UnsupportedModelError, match=r"carries no embedding"):
            read_embedding(path, "")


def test_an_embedding_without_vectors_is_not_written() -> None:
    with pytest.raises(UnsupportedModelError, match="has no vectors"):
        card_picture(EmbeddingCard(name="void", terms={}), shown())


# ------------------------------------------------------------------------ hostile cards


def with_text(text: str | bytes, path: Path, *, packed: bool = False) -> Path:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(TEXT, base64.b64encode(text if isinstance(text, bytes) else text.encode()),
                    zip=packed)  # fmt: skip
    shown(8, 8).save(path, pnginfo=chunks)
    return path


def tensor(nested: object) -> str:
    return json.dumps({"string_to_param": {"*": {"TORCHTENSOR": nested}}, "name": "x"})


HOSTILE = {
    "no JSON": "{",
    "brackets without end": "[" * 100_000,
    "a list": "[]",
    "no tensor": '{"string_to_param": {"*": [1]}}',
    "words for numbers": tensor([["a"]]),
    "rows of different length": tensor([[1, 2], [3]]),
    "a number beyond all": tensor([[10**400]]),
    "broken letters": b"\xff\xfe{",
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_spoiled_card_is_refused(how: str, tmp_path: Path) -> None:
    path = with_text(HOSTILE[how], tmp_path / "card.png")

    with pytest.raises(ModelFileError, match=r"card\.png") as refused:
        read_header(path)

    assert refused.value.hint


def test_a_text_that_swells_is_refused_before_it_does(tmp_path: Path) -> None:
    path = with_text(b"\0" * (200 << 20), tmp_path / "bomb.png", packed=True)

    with pytest.raises(ModelFileError, match=r"bomb\.png"):
        read_header(path)


def test_pixels_that_swell_are_cut_short(tmp_path: Path) -> None:
    """A gigabyte of blanks takes a megabyte when packed, and fits into a picture's pixels."""
    packing = zlib.compressobj(9)
    blanks = b" " * (1 << 20)
    packed = b"".join(packing.compress(blanks) for _ in range(200)) + packing.flush()
    bomb = pixels_with(packed, tmp_path / "bomb.png")

    assert read_card(bomb) is None


def pixels_with(packed: bytes, path: Path) -> Path:
    from webui.modules.weights import embedding_card

    height = 512
    halves = np.frombuffer(packed, np.uint8)
    filled = -(-len(halves) // (3 * height)) * 3 * height
    numbers = embedding_card._numbers(filled)
    low, high = (
        (np.resize(half, filled) ^ numbers).reshape(height, -1, 3) | 0x80
        for half in (halves & 0x0F, halves >> 4)
    )
    black = np.zeros((height, 1, 3), np.uint8)
    Image.fromarray(np.concatenate([low, black, high[:, :4], black, high], axis=1)).save(path)
    return path


def test_a_picture_that_claims_to_be_vast_is_refused_from_its_header(tmp_path: Path) -> None:
    content = bytearray(card_picture(card(), shown()))
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    path = tmp_path / "vast.png"
    path.write_bytes(content)

    with pytest.raises(ModelFileError, match=r"vast\.png"):
        read_header(path)


@given(st.integers(0, 4000), st.integers(0, 255))
def test_a_changed_byte_never_ends_the_program(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    content = bytearray(card_picture(card(1, 16), shown(16, 16)))
    content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "changed.png"
    path.write_bytes(content)

    with suppress(ModelFileError):
        assert describe(path).kind in {ModelKind.EMBEDDING, ModelKind.UNKNOWN}
