"""Files made to do harm: nothing in them is run, nobody waits for them, and each is refused."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.modules.weights import hostile
from webui.modules.errors import ModelConfigError, ModelError, ModelFileError, UnsafeModelError
from webui.modules.weights.architecture import derive
from webui.modules.weights.describe import describe
from webui.modules.weights.header import TensorFacts, read_header
from webui.modules.weights.read import open_tensors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE: Final = 5.0
"""Seconds of computing on a busy machine; an idle one needs less than one."""

READERS: Final[tuple[Callable[[Path], Any], ...]] = (read_header, describe)
OPENERS: Final[tuple[Callable[[Path], Any], ...]] = (
    *READERS,
    lambda path: open_tensors(path).__enter__(),
)


def refusal(
    read: Callable[[Path], Any], path: Path, *, error: type[ModelError] = ModelError
) -> ModelError:
    """Return how a file is refused: with a way out, soon, and with the file as it was."""
    before, began = path.read_bytes(), time.process_time()
    with pytest.raises(error) as refused:
        read(path)
    assert refused.value.hint
    assert time.process_time() - began < PATIENCE
    assert path.read_bytes() == before
    return refused.value


def written(folder: Path, content: bytes, name: str = "model.ckpt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


MARKER: Final = "it-was-run"
HARMFUL: Final = sorted(hostile.harmful_pickles("", ""))
LAYOUTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "zip": hostile.zipped,
    "old stream": hostile.legacy,
    "bare": lambda description: description,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("how", HARMFUL)
def test_no_pickle_is_ever_run(how: str, layout: str, tmp_path: Path) -> None:
    marker = tmp_path / MARKER
    pickles = hostile.harmful_pickles(f"touch {marker}", str(marker))
    path = written(tmp_path, LAYOUTS[layout](pickles[how]))

    for read in OPENERS:
        assert path.name in str(refusal(read, path))

    assert not marker.exists()


@pytest.mark.parametrize("how", ["GLOBAL and REDUCE", "STACK_GLOBAL", "INST", "OBJ", "eval"])
def test_a_refusal_says_that_the_file_wanted_to_run_something(how: str, tmp_path: Path) -> None:
    pickles = hostile.harmful_pickles("true", str(tmp_path / MARKER))
    path = written(tmp_path, hostile.zipped(pickles[how]))

    assert path.name in str(refusal(read_header, path, error=UnsafeModelError))


def test_a_harmful_pickle_in_front_of_a_sound_archive_is_not_run(tmp_path: Path) -> None:
    """Both a pickle and a zip, depending on who looks."""
    marker = tmp_path / MARKER
    harmful = hostile.harmful_pickles(f"touch {marker}", str(marker))["GLOBAL and REDUCE"]
    sound = hostile.zipped(hostile.tensor_on(b"0"), **{"0": b"abcd"})

    for place, content in enumerate((harmful + sound, sound[:-22] + harmful + sound[-22:])):
        path = written(tmp_path, content, f"both-{place}.ckpt")
        assert path.name in str(refusal(read_header, path))

    assert not marker.exists()


SHORT: Final = {
    **hostile.endless_pickles(),
    **hostile.spoiled_archives(),
    **hostile.spoiled_safetensors(),
}


@pytest.mark.parametrize("what", SHORT)
def test_a_spoiled_file_is_refused_soon(what: str, tmp_path: Path) -> None:
    path = written(tmp_path, SHORT[what])

    for read in OPENERS:
        assert path.name in str(refusal(read, path))


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()

    for begin in (b"", b"\x80\x02", b"PK\x03\x04"):
        path = written(folder, begin + content, "any.ckpt")
        assert path.name in str(refusal(read_header, path))


@given(st.data())
def test_no_cut_is_taken_for_a_whole_file(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = data.draw(
        st.sampled_from(
            [
                hostile.zipped(hostile.tensor_on(b"0"), **{"0": b"abcd"}),
                hostile.safetensors({"a": hostile.entry()}, b"abcd"),
            ]
        )
    )
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    path = written(tmp_path_factory.getbasetemp(), cut, "cut.ckpt")

    assert path.name in str(refusal(read_header, path))


@pytest.mark.parametrize("read", READERS)
def test_more_tensors_than_any_model_has_are_refused(
    read: Callable[[Path], Any], tmp_path: Path
) -> None:
    many = {f"t{place}": hostile.entry((0,), (0, 0)) for place in range(150_000)}
    path = written(tmp_path, hostile.safetensors(many), "many.safetensors")

    assert path.name in str(refusal(read, path, error=ModelFileError))


# ------------------------------------------------------------------------ things that are no file


@pytest.mark.parametrize("read", OPENERS)
def test_a_missing_file_is_said(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"gone\.safetensors"):
        read(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("read", OPENERS)
def test_an_empty_file_is_said(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="empty"):
        read(written(tmp_path, b""))


@pytest.mark.parametrize("read", OPENERS)
def test_a_folder_is_no_model_file(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=tmp_path.name):
        read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("read", OPENERS)
def test_nobody_waits_for_a_named_pipe(read: Callable[[Path], Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")

    with pytest.raises(ModelFileError, match=r"pipe\.safetensors"):
        read(tmp_path / "pipe.safetensors")


def test_a_link_in_a_circle_is_said(tmp_path: Path) -> None:
    circle = tmp_path / "circle.safetensors"
    circle.symlink_to(circle)

    with pytest.raises(ModelFileError, match="circle"):
        read_header(circle)


# ------------------------------------------------------------------------------------ the yaml


PARAMS: Final = "model:\n  params:\n    "
BOMB: Final = "a: &a [x, x]\n" + "".join(
    f"{one}: &{one} [*{last}, *{last}, *{last}, *{last}, *{last}, *{last}, *{last}, *{last}]\n"
    for last, one in zip("abcdefghij", "bcdefghijk", strict=True)
)
MERGES: Final = "a: &a {x: 1}\n" + "".join(
    f"{one}: &{one} {{<<: [*{last}, *{last}, *{last}, *{last}]}}\n"
    for last, one in zip("abcdefghijklmn", "bcdefghijklmno", strict=True)
)

CONFIGS: Final = {
    "calls python": PARAMS + "x: !!python/object/apply:os.system ['touch {marker}']\n",
    "calls python anew": PARAMS + "x: !!python/object/new:os.system ['touch {marker}']\n",
    "names a python name": PARAMS + "x: !!python/name:os.system\n",
    "is an alias bomb": BOMB + PARAMS + "scale_factor: *k\n",
    "is a bomb of merges": MERGES + PARAMS + "scale_factor: *o\n",
    "is deep": "[" * 30_000,
    "is long": "a: 1\n" * 40_000,
    "is no yaml": "a: [",
    "is no text": "\udcff",
    "is empty": "",
    "is a list": "- 1\n- 2\n",
    "has no params": "model: {}\n",
    "has a date that never was": PARAMS + "x: 2020-13-45\n",
    "has a number that is none": PARAMS + "x: !!int '0b'\n",
    "asks for the environment": PARAMS + "scale_factor: ${oc.env:HOME}\n",
    "scales by nothing": PARAMS + "scale_factor: 0\n",
    "scales by infinity": PARAMS + "scale_factor: .inf\n",
    "scales by no number": PARAMS + "scale_factor: .nan\n",
    "scales by a list": PARAMS + "scale_factor: [1, 2]\n",
    "has infinitely many timesteps": PARAMS + "timesteps: .inf\n",
    "has timesteps that are no number": PARAMS + "timesteps: .nan\n",
    "has a million timesteps": PARAMS + "timesteps: 1000000\n",
    "has negative noise": PARAMS + "linear_start: -1\n",
    "has no heads": PARAMS + "unet_config: {params: {num_heads: 0}}\n",
    "has heads that do not fit": PARAMS + "unet_config: {params: {num_heads: 7}}\n",
    "has wide heads": PARAMS + "unet_config: {params: {num_head_channels: 4096}}\n",
    "has a list of heads": PARAMS + "unet_config: {params: {num_heads: [8]}}\n",
    "has groups that do not fit": PARAMS + "unet_config: {params: {norm_groups: 7}}\n",
    "has a list of groups": PARAMS
    + "first_stage_config: {params: {ddconfig: {norm_groups: []}}}\n",
}


@pytest.fixture(scope="module")
def facts(tiny: Any) -> Any:
    return read_header(tiny.path).tensors


@pytest.mark.parametrize("how", CONFIGS)
def test_a_yaml_is_data_and_nothing_else(how: str, facts: Any, tmp_path: Path) -> None:
    marker = tmp_path / MARKER
    content = CONFIGS[how].replace("{marker}", str(marker))
    path = written(tmp_path, content.encode("utf-8", "surrogateescape"), "model.yaml")

    refused = str(refusal(lambda path: derive(facts, path), path, error=ModelConfigError))

    assert path.name in refused
    assert not marker.exists()
    assert os.environ["HOME"] + "," not in refused


def test_classes_that_a_yaml_names_are_not_looked_up(facts: Any, tmp_path: Path) -> None:
    content = PARAMS + "target: os.system\n    unet_config: {target: no.such.Thing, params: {}}\n"
    path = written(tmp_path, content.encode(), "model.yaml")

    assert derive(facts, path).unet.widths == (32, 64, 96, 96)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_nobody_waits_for_a_yaml_that_is_a_pipe(facts: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.yaml")

    with pytest.raises(ModelConfigError, match=r"model\.yaml"):
        derive(facts, tmp_path / "model.yaml")


# ------------------------------------------------------------------------- names without end


def test_a_network_of_endless_blocks_is_refused_soon() -> None:
    began = time.process_time()
    names = {
        f"model.diffusion_model.input_blocks.{place}.0.out_layers.3.weight": TensorFacts(
            (8,), "F32"
        )
        for place in range(100_000)
    }

    with pytest.raises(ModelError):
        derive(names, None)

    assert time.process_time() - began < PATIENCE


# ------------------------------------------------------------------------ folders of diffusers


FOLDERS: Final = {
    "deep": "[" * 30_000,
    "no JSON": "{",
    "a list for a number": '{"cross_attention_dim": [768], "in_channels": {}}',
    "long": '{"a": "' + "x" * 100_000 + '"}',
}


@pytest.mark.parametrize("how", ["deep", "no JSON", "long"])
def test_a_spoiled_folder_is_refused(how: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "config.json").write_text(FOLDERS[how])

    with pytest.raises(ModelFileError, match="folder"):
        describe(folder)


def test_a_folder_with_odd_numbers_is_described_as_well_as_can_be(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "unet" / "config.json").write_text(FOLDERS["a list for a number"])

    assert describe(tmp_path).family == "sd1"
