"""A ``.pt`` that we write passes the looks of A1111's reader, and reads back to the last bit.

A1111's rules (``modules/safe.py`` of 1.10) stand here in our own words: the names that members of
the archive may have, and the names that the description may use. Nothing is run.
"""

import pickletools
import re
import zipfile

import pytest
import torch

from webui.modules.errors import StorageError
from webui.modules.layers.embedding import read_embedding
from webui.modules.layers.hypernetwork import read_hypernetwork
from webui.modules.weights.pickles_out import write_embedding_pt, write_hypernetwork_pt
from webui.modules.weights.read import open_tensors

ALLOWED_MEMBERS = re.compile(
    r"^([^/]+)/((data/\d+)|version|byteorder|(\.data/serialization_id)|(data\.pkl))$"
)
ALLOWED_NAMES = {
    "collections OrderedDict",
    *(f"torch._utils {name}" for name in ("_rebuild_tensor_v2", "_rebuild_parameter")),
    *(f"torch {name}Storage" for name in ("Float", "Half", "Int", "Long", "Double", "Byte")),
    "torch BFloat16Storage",
}
PROTOCOL_2 = (0x80, 2)
"""The pickle protocol of every torch file."""


def looked_into_as_a1111_does(path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert ALLOWED_MEMBERS.match(name), f"bad file inside {path}: {name}"
        descriptions = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        assert len(descriptions) == 1
        program = archive.read(descriptions[0])
    assert tuple(program[:2]) == PROTOCOL_2
    for opcode, argument, _ in pickletools.genops(program):
        assert opcode.name != "STACK_GLOBAL"
        assert opcode.name not in ("REDUCE_EX", "INST", "OBJ")
        if opcode.name == "GLOBAL":
            assert argument in ALLOWED_NAMES, f"global {argument!r} is forbidden"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_embedding_is_one_that_a1111_reads(tmp_path, dtype) -> None:
    whole = torch.randn(8, 768, generator=torch.Generator().manual_seed(1)).to(dtype)
    path = tmp_path / "cat.pt"

    write_embedding_pt(
        path, whole[2:5], name="cat", step=7, checkpoint_hash="0123456789", checkpoint_name="base"
    )

    looked_into_as_a1111_does(path)
    assert torch.equal(read_embedding(path, "cat").vectors, whole[2:5].float())
    with open_tensors(path) as file:
        assert file.read("string_to_param.*").dtype is dtype
        assert dict(file.values()) == {
            "string_to_token.*": 265,
            "name": "cat",
            "step": 7,
            "sd_checkpoint": "0123456789",
            "sd_checkpoint_name": "base",
        }
    assert path.stat().st_size < 3 * 768 * 4 + 2000, "only the vectors that are meant"


def test_a_hypernetwork_is_one_that_a1111_reads(tmp_path) -> None:
    random = torch.Generator().manual_seed(2)

    def network(width: int) -> dict[str, torch.Tensor]:
        return {
            "linear.0.weight": torch.randn(2 * width, width, generator=random),
            "linear.0.bias": torch.randn(2 * width, generator=random),
            "linear.2.weight": torch.randn(width, 2 * width, generator=random),
            "linear.2.bias": torch.randn(width, generator=random),
        }

    networks = {width: (network(width), network(width)) for width in (16, 8)}
    settings = {
        "step": 3,
        "name": "style",
        "layer_structure": [1, 2, 1],
        "activation_func": "relu",
        "is_layer_norm": False,
        "activate_output": False,
    }
    path = tmp_path / "style.pt"

    write_hypernetwork_pt(path, networks, settings)

    looked_into_as_a1111_does(path)
    read = read_hypernetwork(path)
    assert (read.name, read.step, set(read.pairs)) == ("style", 3, {8, 16})
    context = torch.randn(2, 16, generator=random)
    for ours, theirs in zip(read.pairs[16], networks[16], strict=True):
        hidden = torch.relu(context @ theirs["linear.0.weight"].T + theirs["linear.0.bias"])
        expected = hidden @ theirs["linear.2.weight"].T + theirs["linear.2.bias"]
        assert torch.allclose(ours(context), expected, atol=1e-5)


def test_equal_tensors_give_equal_bytes_and_torch_reads_them(tmp_path) -> None:
    vectors = torch.ones(1, 768)
    for name in ("a.pt", "b.pt"):
        write_embedding_pt(tmp_path / name, vectors, name="x")

    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    read = torch.load(tmp_path / "a.pt", weights_only=True)
    assert torch.equal(read["string_to_param"]["*"], vectors)
    assert read["sd_checkpoint"] is None


def test_a_folder_that_is_not_there_is_told_and_nothing_is_left(tmp_path) -> None:
    with pytest.raises(StorageError, match=r"x\.pt cannot be written"):
        write_embedding_pt(tmp_path / "no" / "x.pt", torch.ones(1, 768), name="x")

    assert list(tmp_path.iterdir()) == []
