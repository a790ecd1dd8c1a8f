"""Files in other containers read back to the last bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiny import ADD_ONS
from tests.unit.modules.layers.shelf import record_of, silent
from tests.unit.modules.weights.test_pickles_out import looked_into_as_a1111_does
from webui.modules.errors import PictureError, StorageError, UnsafeModelError, UnsupportedModelError
from webui.modules.layers.convert import convert
from webui.modules.layers.embedding import read_embedding
from webui.modules.layers.hypernetwork import read_hypernetwork
from webui.modules.types import ConvertPlan, ModelKind
from webui.modules.weights.describe import describe
from webui.modules.weights.header import read_header
from webui.modules.weights.read import open_tensors
from webui.modules.weights.write import Slot, stream_safetensors

EMBEDDINGS = sorted((ADD_ONS / "embeddings").iterdir())
HYPERNETWORKS = sorted((ADD_ONS / "models" / "hypernetworks").iterdir())


def converted(source: Path, to: str, folder: Path, kind: ModelKind | None = None) -> Path:
    record = record_of(source, kind or describe(source).kind)
    target = folder / f"{source.stem}.{to}"
    plan = ConvertPlan(source=record, to=to, target=target)  # pyright: ignore[reportArgumentType] - any
    result = convert(plan, silent)
    assert result["kind"] == record.kind
    return folder / str(result["name"])


@pytest.mark.parametrize("source", EMBEDDINGS, ids=lambda path: path.name)
def test_an_embedding_goes_through_all_its_containers(tmp_path, source) -> None:
    vectors = read_embedding(source, "").vectors
    path = source
    for to in ("pt", "safetensors", "png", "pt", "png", "safetensors"):
        path = converted(path, to, tmp_path)

        assert describe(path).kind is ModelKind.EMBEDDING
        assert torch.equal(read_embedding(path, "").vectors, vectors)
        if to == "pt":
            looked_into_as_a1111_does(path)


def test_what_an_embedding_says_of_itself_goes_along(tmp_path) -> None:
    first = converted(ADD_ONS / "embeddings" / "tiny-emb-pt.pt", "safetensors", tmp_path)
    told = read_header(ADD_ONS / "embeddings" / "tiny-emb-pt.pt").values
    back = read_header(converted(converted(first, "png", tmp_path), "pt", tmp_path)).values

    assert set(load_file(first)) == {"emb_params"}
    assert back["name"] == "tiny-emb-pt", "a card is called by its name, others by their file's"
    for key in ("step", "sd_checkpoint", "sd_checkpoint_name"):
        assert back[key] == told.get(key, back[key])


def test_the_pair_of_an_sdxl_embedding_stays_a_pair(tmp_path) -> None:
    random = torch.Generator().manual_seed(1)
    pair = {
        "clip_l": torch.randn(2, 768, generator=random),
        "clip_g": torch.randn(2, 1280, generator=random),
    }
    source = tmp_path / "xl.safetensors"
    save_file(pair, source)

    path = converted(source, "pt", tmp_path)

    looked_into_as_a1111_does(path)
    back = load_file(converted(path, "safetensors", tmp_path))
    assert all(torch.equal(back[name], tensor) for name, tensor in pair.items())
    with pytest.raises(UnsupportedModelError, match="for SDXL"):
        converted(source, "png", tmp_path)


@pytest.mark.parametrize("source", HYPERNETWORKS, ids=lambda path: path.name)
def test_a_hypernetwork_acts_the_same_in_both_containers(tmp_path, source) -> None:
    other = converted(source, "safetensors", tmp_path)
    back = converted(other, "pt", tmp_path)

    looked_into_as_a1111_does(back)
    first = read_hypernetwork(source)
    for path in (other, back):
        read = read_hypernetwork(path)
        assert (read.name, read.step, set(read.pairs)) == (first.name, first.step, set(first.pairs))
        for width, pair in first.pairs.items():
            context = torch.randn(2, width, generator=torch.Generator().manual_seed(width))
            for ours, theirs in zip(read.pairs[width], pair, strict=True):
                assert torch.equal(ours(context), theirs(context))


def test_an_aesthetic_embedding_gets_its_name(tmp_path) -> None:
    vector = torch.randn(768, generator=torch.Generator().manual_seed(1)).half()
    torch.save(vector, tmp_path / "mood.pt")

    path = converted(tmp_path / "mood.pt", "safetensors", tmp_path)

    assert describe(path).kind is ModelKind.AESTHETIC
    assert torch.equal(load_file(path)["aesthetic"], vector[None])


def test_a_card_shows_the_picture_beside_the_file(tmp_path) -> None:
    source = ADD_ONS / "embeddings" / "tiny-emb-st.safetensors"
    Image.new("RGB", (64, 96), (200, 30, 30)).save(tmp_path / "shown.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    record = record_of(source, ModelKind.EMBEDDING)
    plan = ConvertPlan(
        source=record, to="png", picture=tmp_path / "shown.png", target=tmp_path / "card.png"
    )

    convert(plan, silent)

    with Image.open(tmp_path / "card.png") as card:
        assert card.height == 96
        assert card.getpixel((card.width // 2, 48)) == (200, 30, 30)
    with pytest.raises(PictureError, match=r"broken\.png cannot be read"):
        convert(replace(plan, picture=tmp_path / "broken.png"), silent)


def test_a_vae_leaves_behind_what_only_training_needs(tmp_path) -> None:
    tensors = load_file(ADD_ONS / "models" / "VAE" / "tiny-vae.safetensors")
    source = tmp_path / "v.pt"
    torch.save({"state_dict": {**tensors, "loss.logvar": torch.zeros(1)}, "epoch": 3}, source)

    back = load_file(converted(source, "safetensors", tmp_path))

    assert set(back) == set(tensors)
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_any_pickle_becomes_safetensors_tensor_by_tensor(tmp_path) -> None:
    random = torch.Generator().manual_seed(1)
    tensors = {
        "model.diffusion_model.input_blocks.0.0.weight": torch.randn(4, 4, 3, 3, generator=random),
        "model.diffusion_model.half": torch.randn(3, generator=random).half(),
        "model.diffusion_model.bf": torch.randn(2, 2, generator=random).bfloat16(),
        "model.diffusion_model.turned": torch.randn(3, 4, generator=random).T,
        "whole": torch.arange(5),
        "one": torch.tensor(2.5),
        "none": torch.zeros(0, 3),
        "truth": torch.tensor([True, False]),
    }
    source = tmp_path / "old.ckpt"
    torch.save({"state_dict": tensors, "global_step": 7}, source)

    back = load_file(converted(source, "safetensors", tmp_path, ModelKind.CHECKPOINT))

    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_a_kind_that_is_not_kept_so_is_refused(tmp_path) -> None:
    lora = ADD_ONS / "models" / "Lora" / "tiny-lora.safetensors"
    with pytest.raises(UnsupportedModelError, match="of the kind lora"):
        converted(lora, "pt", tmp_path)
    with pytest.raises(UnsupportedModelError, match="of the kind unknown"):
        converted(lora, "safetensors", tmp_path, ModelKind.UNKNOWN)


def test_a_hostile_pickle_is_not_run(tmp_path) -> None:
    import pickle

    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'run')!r}, 'w')",))

    source = tmp_path / "evil.pt"
    source.write_bytes(pickle.dumps({"x": Evil()}, protocol=2))

    with pytest.raises(UnsafeModelError):
        converted(source, "safetensors", tmp_path, ModelKind.VAE)

    assert [path.name for path in tmp_path.iterdir()] == ["evil.pt"]


# --------------------------------------------------------------- writing tensor by tensor

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


@given(
    shapes=st.dictionaries(
        st.text("abc.é", min_size=1, max_size=6),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3)),
        max_size=8,
    ),
    texts=st.dictionaries(st.text("xyz", min_size=1), st.text(max_size=9), max_size=3),
)
@settings(max_examples=25)
def test_what_is_written_piece_by_piece_is_what_the_library_reads(
    tmp_path_factory, shapes, texts
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "x.safetensors"
    tensors = {
        name: torch.randint(0, 2, shape).to(dtype) for name, (dtype, shape) in shapes.items()
    }
    slots = {name: Slot(tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}

    stream_safetensors(path, slots, tensors.__getitem__, texts)

    back = load_file(path)
    assert set(back) == set(tensors)
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())
    assert dict(read_header(path).metadata) == texts
    with open_tensors(path) as file:
        assert set(file.names()) == set(tensors)


def test_a_tensor_that_cannot_be_had_leaves_no_file(tmp_path) -> None:
    def broken(_name: str) -> torch.Tensor:
        raise KeyError

    slots = {"a": Slot(torch.float32, (2,))}
    with pytest.raises(KeyError):
        stream_safetensors(tmp_path / "x.safetensors", slots, broken, {})
    with pytest.raises(StorageError):
        stream_safetensors(tmp_path / "no" / "x.safetensors", slots, broken, {})

    assert list(tmp_path.iterdir()) == []
