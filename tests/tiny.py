"""The tiny real checkpoint of the tests, unpacked into a data dir."""

import lzma
import shutil
from pathlib import Path
from typing import Final

GOLDEN: Final = Path(__file__).parent / "golden" / "models"
NAME: Final = "tiny-sd1.safetensors"
ADD_ONS: Final = Path(__file__).parent / "golden" / "add_ons"


def furnish(data_dir: Path) -> Path:
    """Put the tiny checkpoint where a data dir has its checkpoints, and return the data dir."""
    folder = data_dir / "models" / "Stable-diffusion"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(lzma.decompress((GOLDEN / f"{NAME}.xz").read_bytes()))
    shutil.copyfile(GOLDEN / "tiny-sd1.yaml", folder / "tiny-sd1.yaml")
    return data_dir


def add_to(data_dir: Path) -> Path:
    """Put the tiny LoRA files, hypernetworks, embeddings and the VAE into a data dir."""
    shutil.copytree(ADD_ONS, data_dir, dirs_exist_ok=True)
    return data_dir
