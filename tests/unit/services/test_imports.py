"""Who may bring model files, how large they may be, and what becomes of them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from webui.library.index import ModelIndex
from webui.modules.errors import ForbiddenError, LimitError, ModelError, UnsupportedModelError
from webui.modules.types import ModelKind
from webui.services.browsing import Search
from webui.services.catalogue import Catalogue
from webui.services.imports import Imports, Landed
from webui.services.models import Models, model_folders
from webui.settings import Settings, load

LORA = save({f"lora_unet_x.lora_{end}.weight": torch.zeros(4, 4) for end in ("up", "down")})


def stock(home: Path, **flags: object) -> tuple[Settings, Models]:
    settings = load(flags, environment={}, home=home)
    index = ModelIndex(settings.folders.database, model_folders(settings.folders), patience=0)
    return settings, Models(index)


def bring(imports: Imports, name: str, content: bytes, person: str = "anna") -> Landed:
    with imports.receive(name, person=person, size=len(content)) as arrived:
        arrived.write(content)
        return imports.file(arrived, person=person)


def test_the_owner_can_close_the_door(tmp_path: Path) -> None:
    imports = Imports(*stock(tmp_path, **{"server.uploads": False}))

    with pytest.raises(ForbiddenError, match="takes no model files"):
        bring(imports, "a.pt", LORA)
    assert not (tmp_path / "cache").exists()


def test_the_owner_can_name_who_may_bring_files(tmp_path: Path) -> None:
    imports = Imports(*stock(tmp_path, **{"server.uploaders": ("anna",)}))

    assert bring(imports, "a.safetensors", LORA).file == "models/Lora/a.safetensors"
    with pytest.raises(ForbiddenError, match="ben may not"):
        bring(imports, "b.safetensors", LORA, person="ben")


def test_a_file_has_a_largest_size_of_its_own(tmp_path: Path) -> None:
    imports = Imports(*stock(tmp_path, **{"limits.max_model_bytes": 100}))

    with pytest.raises(LimitError, match="too large"):
        bring(imports, "a.safetensors", LORA)
    with imports.receive("a", person="anna") as arrived, pytest.raises(LimitError):
        arrived.write(LORA)


def test_endings_tell_the_truth(tmp_path: Path) -> None:
    """A safetensors file called .pt is filed as what it is; a checkpoint is no VAE's neighbour."""
    settings, models = stock(tmp_path)
    imports = Imports(settings, models)

    assert bring(imports, "ink.pt", LORA).name == "ink.safetensors"
    checkpoint = {
        "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1, 4, 1, 1),
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": torch.zeros(1),
    }
    landed = bring(imports, "dream.vae.safetensors", save(checkpoint))
    assert (landed.kind, landed.name) == ("checkpoint", "dream.safetensors")
    assert [card.problem for card in models.checkpoints()] == [None]


def test_a_killed_server_leaves_nothing_for_long(tmp_path: Path) -> None:
    left = tmp_path / "cache" / "quarantine" / ".atelier-00"
    left.mkdir(parents=True)
    (left / "half.ckpt").write_bytes(b"half")

    Imports(*stock(tmp_path)).sweep()

    assert not left.exists()


def test_a_sound_file_of_no_kind_is_not_kept(tmp_path: Path) -> None:
    imports = Imports(*stock(tmp_path))

    with pytest.raises(UnsupportedModelError, match="no kind that we know"):
        bring(imports, "a.safetensors", save({"strange.name": torch.zeros(1, 2, 3, 4, 5)}))
    with pytest.raises(ModelError):
        bring(imports, "a.safetensors", LORA[:-10])
    assert list((tmp_path / "cache" / "quarantine").iterdir()) == []


def test_another_programs_tree_is_only_read(tmp_path: Path) -> None:
    home, tree = tmp_path / "ours", tmp_path / "theirs"
    (tree / "models" / "Lora").mkdir(parents=True)
    (tree / "models" / "Lora" / "a.safetensors").write_bytes(LORA)
    home.mkdir()
    settings, models = stock(home, **{"folders.a1111_home": tree})
    catalogue = Catalogue(settings, models)

    with pytest.raises(ForbiddenError, match="only read"):
        catalogue.write(ModelKind.LORA, "a.safetensors", {"notes": "x"})
    assert bring(Imports(settings, models), "b.safetensors", LORA).already
    assert sorted(path.name for path in (tree / "models" / "Lora").iterdir()) == ["a.safetensors"]


def test_a_page_looks_at_no_more_files_than_it_shows(tmp_path: Path) -> None:
    """Files of one layout of tensors are held against a checkpoint once."""
    settings, models = stock(tmp_path)
    imports = Imports(settings, models)
    for number in range(5):
        save_as = {**{f"lora_unet_x.lora_{end}.weight": torch.full((4, 4), float(number))
                      for end in ("up", "down")}}  # fmt: skip
        bring(imports, f"ink{number}.safetensors", save(save_as))
    found = Catalogue(settings, models).search(
        Search(kind=ModelKind.LORA, text="INK", offset=1, limit=2)
    )

    assert [card.record.stem for card in found.cards] == ["ink1", "ink2"]
    assert (found.more, found.total) == (True, 5)
    assert len({card.layout for card in models.add_ons(ModelKind.LORA)}) == 1
