"""The guide's counts: what a file of each kind changes of a checkpoint, from tables of contents."""

from pathlib import Path

from tests.tiny import ADD_ONS
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.header import read_header
from webui.services.guide import touched


def counts(tiny: ModelRecord, kind: ModelKind, path: Path) -> dict[str, int]:
    return touched(kind, read_header(path).tensors, read_header(tiny.path).tensors)


def test_each_kind_changes_its_own_part_of_the_painter(tiny: ModelRecord) -> None:
    whole = counts(tiny, ModelKind.CHECKPOINT, tiny.path)
    lora = counts(tiny, ModelKind.LORA, ADD_ONS / "models/Lora/tiny-lora.safetensors")
    network = counts(tiny, ModelKind.HYPERNETWORK, ADD_ONS / "models/hypernetworks/tiny-hyper.pt")
    vae = counts(tiny, ModelKind.VAE, ADD_ONS / "models/VAE/tiny-vae.safetensors")
    word = counts(tiny, ModelKind.EMBEDDING, ADD_ONS / "embeddings/tiny-emb-st.safetensors")

    assert set(whole) == {"text", "unet", "vae"}
    assert all(whole.values())
    assert 0 < lora["text"] < whole["text"]
    assert 0 < network["unet"] < lora["unet"] < whole["unet"]
    assert vae == {"vae": whole["vae"]}
    assert word == {}
