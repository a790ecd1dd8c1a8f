"""Laws of laying on: off to the last bit, whatever was worn before, and as if computed anew."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from tests.tiny import ADD_ONS
from webui.modules.layers.blocks import BLOCKS, block_of
from webui.modules.layers.deltas import LayerChange
from webui.modules.layers.lora import LoraUse, Networks, read_lora
from webui.modules.layers.room import Room, is_ample, size_of
from webui.modules.layers.stack import Wardrobe
from webui.modules.layers.times import acts
from webui.modules.layers.worn import Worn
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.pipeline.dressing import Dressing
from webui.modules.pipeline.engine import Engine
from webui.modules.types import LayerUse, ModelKind, ModelRecord

FOLDER = ADD_ONS / "models" / "Lora"
METHODS = sorted(path.stem for path in FOLDER.iterdir())
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(engine: Engine, tiny: ModelRecord) -> Checkpoint:
    return engine.load(tiny)


@pytest.fixture(scope="module")
def networks(checkpoint: Checkpoint) -> Networks:
    return Networks(checkpoint.unet, checkpoint.text, checkpoint.architecture.unet)


@pytest.fixture(scope="module")
def loras() -> dict[str, Any]:
    return {name: read_lora(FOLDER / f"{name}.safetensors") for name in METHODS}


def weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    return {
        f"{kind}.{name}": parameter.detach().clone()
        for kind, network in (("unet", checkpoint.unet), ("text", checkpoint.text))
        for name, parameter in network.named_parameters()
    }


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in one.items() if not torch.equal(tensor, other[name])}


def use_of(name: str, **said: Any) -> LayerUse:
    path = FOLDER / f"{name}.safetensors"
    record = ModelRecord(path=path, kind=ModelKind.LORA, name=path.name)
    return LayerUse(model=record, name=name, **said)


# ------------------------------------------------------------------------ off, to the last bit


@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_off_to_the_last_bit(
    method: str, checkpoint: Checkpoint, networks: Networks, loras: dict[str, Any]
) -> None:
    before = weights(checkpoint)

    with networks.changed_by([LoraUse(lora=loras[method], weight=0.7)]) as notes:
        assert notes == ()
        assert differing(before, weights(checkpoint))

    assert differing(before, weights(checkpoint)) == set()


def test_jobs_in_jobs_come_off_in_their_order(checkpoint: Checkpoint, engine: Engine) -> None:
    before = weights(checkpoint)
    dressing = Dressing(Wardrobe(), engine.device)

    def dressed() -> dict[str, Tensor]:
        dressing.put_on(checkpoint)
        return weights(checkpoint)

    with dressing.wearing([use_of("tiny-lora")]):
        first = dressed()
        with dressing.wearing([use_of("tiny-dora"), use_of("tiny-lora", weight=0.5)]):
            assert differing(first, dressed())
            with dressing.wearing([]):
                assert differing(before, dressed()) == set()
        assert differing(first, dressed()) == set()

    assert differing(before, weights(checkpoint)) == set()


OPERATION = st.lists(
    st.tuples(
        st.sampled_from(["tiny-lora", "tiny-ia3", "tiny-dora"]), st.sampled_from([0, 0.5, 1])
    ),
    max_size=2,
)


@settings(max_examples=5)
@given(wardrobe=st.lists(OPERATION, min_size=2, max_size=5), ample=st.booleans())
def test_what_is_worn_depends_on_nothing_that_was_worn_before(
    wardrobe: list[list[tuple[str, float]]],
    ample: bool,
    checkpoint: Checkpoint,
    loras: dict[str, Any],
) -> None:
    """Weights that are kept, and memory that is written again, leave no trace."""
    shape = checkpoint.architecture.unet
    before = weights(checkpoint)
    kept = Networks(checkpoint.unet, checkpoint.text, shape, has_room=lambda _device: ample)
    for choice in wardrobe:
        uses = [LoraUse(lora=loras[name], weight=w, text_weight=w) for name, w in choice]
        kept.wear(uses, uses)
        worn = weights(checkpoint)
        kept.take_off()
        assert differing(before, weights(checkpoint)) == set()
        with Networks(checkpoint.unet, checkpoint.text, shape).changed_by(uses):
            assert differing(worn, weights(checkpoint)) == set()


def test_the_same_again_is_the_same_memory(
    checkpoint: Checkpoint, networks: Networks, loras: dict[str, Any]
) -> None:
    """Kept weights cost nothing the second time; with no memory to spare they are let go."""
    uses = [LoraUse(lora=loras["tiny-lora"])]
    (layer,) = [
        name for name, _ in checkpoint.unet.named_parameters() if name.endswith("ff.net.2.weight")
    ][:1]

    def place() -> int:
        with networks.changed_by(uses):
            return checkpoint.unet.get_parameter(layer).data_ptr()

    first = place()
    assert place() == first
    networks.spare(everything=True)
    with networks.changed_by(uses):
        assert checkpoint.unet.get_parameter(layer).data_ptr() != 0


# ----------------------------------------------------------------------------- nought, and order


def test_nought_is_nothing_and_takes_no_memory(
    checkpoint: Checkpoint, loras: dict[str, Any]
) -> None:
    worn = Networks(checkpoint.unet, checkpoint.text, checkpoint.architecture.unet)
    before = {name: each.data_ptr() for name, each in checkpoint.unet.named_parameters()}
    nothing = (("BASE", 0.0), *((block, 0.0) for block in BLOCKS[1:]))
    uses = [
        LoraUse(lora=loras["tiny-lora"], weight=0, text_weight=0),
        LoraUse(lora=loras["tiny-locon"], blocks=nothing),
    ]

    with worn.changed_by(uses):
        after = {name: each.data_ptr() for name, each in checkpoint.unet.named_parameters()}

    assert after == before


def test_loras_of_different_layers_commute_bit_for_bit(
    checkpoint: Checkpoint, networks: Networks, loras: dict[str, Any]
) -> None:
    low = [LoraUse(lora=loras["tiny-lora"], text_weight=0, blocks=only("IN"))]
    high = [LoraUse(lora=loras["tiny-dora"], text_weight=0, blocks=only("OUT"))]
    with networks.changed_by(low + high):
        one = weights(checkpoint)
    with networks.changed_by(high + low):
        assert differing(one, weights(checkpoint)) == set()


@pytest.mark.parametrize(
    ("other", "rounding"), [("tiny-locon", 1e-6), ("tiny-loha", 1e-3), ("tiny-lokr", 1e-3)]
)
def test_sums_do_not_depend_on_their_order_but_for_rounding(
    other: str,
    rounding: float,
    checkpoint: Checkpoint,
    networks: Networks,
    loras: dict[str, Any],
) -> None:
    """As A1111 does, LoHa and LoKr are added in the number format of their file, 16 bits here."""
    uses = [LoraUse(lora=loras["tiny-lora"], weight=0.6), LoraUse(lora=loras[other])]
    with networks.changed_by(uses):
        one = weights(checkpoint)
    with networks.changed_by(uses[::-1]):
        for name, tensor in weights(checkpoint).items():
            assert torch.allclose(tensor, one[name], atol=rounding, rtol=rounding)


def only(begin: str) -> tuple[tuple[str, float], ...]:
    return tuple((block, 0.0) for block in BLOCKS if not block.startswith(begin))


# ------------------------------------------------------------------------------- blocks and times


@pytest.mark.parametrize("block", ["IN01", "IN04", "M00", "OUT03", "OUT11", "BASE"])
def test_a_block_weight_acts_in_its_block_alone(
    block: str, checkpoint: Checkpoint, networks: Networks, loras: dict[str, Any]
) -> None:
    before = weights(checkpoint)
    uses = [LoraUse(lora=loras["tiny-lora"])]
    with networks.changed_by(uses):
        all_of_it = differing(before, weights(checkpoint))
    blocks = tuple((each, 0.0) for each in BLOCKS if each != block)
    with networks.changed_by([LoraUse(lora=loras["tiny-lora"], blocks=blocks)]):
        touched = differing(before, weights(checkpoint))

    assert touched <= all_of_it
    if block == "BASE":
        assert touched == {name for name in all_of_it if name.startswith("text.")}
    elif block in {"IN01", "M00", "OUT11"}:
        place = {"IN01": "down_blocks.0", "M00": "mid_block", "OUT11": "up_blocks.3"}[block]
        assert all(place in name for name in touched)


def test_a_factor_on_every_block_is_a_factor_on_the_whole(
    checkpoint: Checkpoint, networks: Networks, loras: dict[str, Any]
) -> None:
    lora = loras["tiny-lora"]
    with networks.changed_by([LoraUse(lora=lora, weight=0.5, text_weight=0.5)]):
        one = weights(checkpoint)
    halves = tuple((block, 0.5) for block in BLOCKS)
    with networks.changed_by([LoraUse(lora=lora, blocks=halves)]):
        assert differing(one, weights(checkpoint)) == set()


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("input_blocks.0.0", "IN00"),
        ("input_blocks.11.0.in_layers.2", "IN11"),
        ("middle_block.1.proj_in", "M00"),
        ("output_blocks.3.1.transformer_blocks.0.attn1.to_q", "OUT03"),
        ("time_embed.0", "BASE"),
        ("out.2", "BASE"),
    ],
)
def test_blocks_are_those_of_the_ldm_code(name: str, block: str) -> None:
    assert block_of(name) == block


@pytest.mark.parametrize(
    ("start", "stop", "steps", "acting"),
    [
        (0.0, 1.0, 4, {0, 1, 2, 3}),
        (0.5, 1.0, 4, {2, 3}),
        (0.0, 0.5, 4, {0, 1}),
        (0.3, 0.7, 10, {3, 4, 5, 6}),
        (0.2, 0.8, 20, set(range(4, 16))),
        (5, 12, 20, set(range(5, 12))),
        (2, 1.0, 4, {2, 3}),
        (1.0, 1.0, 4, set()),
        (9, 12, 4, set()),
        (0.0, 0.01, 10, {0}),
    ],
)
def test_shares_and_numbers_of_steps(
    start: float, stop: float, steps: int, acting: set[int]
) -> None:
    use = use_of("tiny-lora", start=start, stop=stop)

    assert {taken for taken in range(steps) if acts(use, taken, steps)} == acting


def test_weights_change_between_steps_and_back_to_the_last_bit(
    checkpoint: Checkpoint, engine: Engine
) -> None:
    before = weights(checkpoint)
    wardrobe = Wardrobe()
    late = use_of("tiny-lora", start=0.5)
    early = use_of("tiny-ia3", stop=0.5)
    with wardrobe.laid_on(checkpoint, [late], engine.device) as laid:
        laid.at(3, 4)
        with_late = weights(checkpoint)
    with wardrobe.laid_on(checkpoint, [late, early], engine.device) as laid:
        seen: dict[int, dict[str, Tensor]] = {}
        for taken in (0, 1, 2, 3, 0, 4):
            laid.at(taken, 4)
            seen[taken] = weights(checkpoint)
    assert differing(seen[0], seen[1]) == set()
    assert differing(seen[2], seen[3]) == set()
    unet = {name for name in before if name.startswith("unet.")}
    assert differing(seen[2], with_late) & unet == set()
    assert differing(seen[0], before) & unet
    text = set(before) - unet
    assert differing(seen[0], seen[2]) & text == set(), "the text encoder knows no steps"
    assert differing(seen[0], before) & text
    assert differing(before, weights(checkpoint)) == set()


# ------------------------------------------------------------------- merged, and at run time


@contextmanager
def at_run_time(networks: Networks, lora: Any, strength: float) -> Generator[None]:
    """Add ``up(down(x))`` to what each layer of the denoising network answers."""
    with ExitStack() as hooks:
        for name, parts in lora.layers.items():
            layer = networks.find(name)
            assert layer is not None
            if layer.network == "unet":
                module = networks.layer(layer)
                hook = module.register_forward_hook(running(parts, strength))
                hooks.callback(hook.remove)
        yield


def running(parts: dict[str, Tensor], strength: float) -> Callable[..., Tensor]:
    up, down = parts["lora_up.weight"].float(), parts["lora_down.weight"].float()
    scale = float(parts["alpha"]) / down.shape[0] * strength if "alpha" in parts else strength
    middle = parts.get("lora_mid.weight")

    def hook(module: nn.Module, given: Sequence[Tensor], answer: Tensor) -> Tensor:
        x = given[0]
        if not isinstance(module, nn.Conv2d):
            low = functional.linear(x, down.flatten(1))
            return answer + scale * functional.linear(low, up.flatten(1))
        kernel = down if middle is None else middle.float()
        low = x if middle is None else functional.conv2d(x, down)
        kernel = kernel.reshape(len(kernel), -1, *module.kernel_size)
        assert not isinstance(module.padding, str)
        low = functional.conv2d(low, kernel, None, module.stride, module.padding)
        return answer + scale * functional.conv2d(low, up.reshape(*up.shape[:2], 1, 1))

    return hook


@pytest.mark.parametrize("method", ["tiny-lora", "tiny-locon", "tiny-locon-cp"])
def test_merged_weights_answer_as_the_file_does_at_run_time(
    method: str, checkpoint: Checkpoint, networks: Networks, loras: dict[str, Any]
) -> None:
    unet, lora = checkpoint.unet, loras[method]
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 16, 16, generator=generator)
    text = torch.randn(2, 77, checkpoint.architecture.unet.context, generator=generator)

    def answer() -> Tensor:
        with torch.inference_mode():
            return unet(latents, torch.tensor([500.0, 20.0]), text, return_dict=False)[0]

    plain = answer()
    with networks.changed_by([LoraUse(lora=lora, weight=0.8)]):
        merged = answer()
    with at_run_time(networks, lora, 0.8):
        run = answer()

    assert float((merged - plain).abs().max()) > 1e-3
    assert float((merged - run).abs().max() / run.abs().max()) <= 1e-5
    assert torch.equal(answer(), plain)


# ----------------------------------------------------------------------- formats and orders


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_every_number_format_and_order_gets_the_sum_rounded_once(
    dtype: torch.dtype, order: torch.memory_format
) -> None:
    layer = nn.Conv2d(6, 8, 3)
    own = layer.weight.detach().to(dtype).contiguous(memory_format=order)
    layer.weight = nn.Parameter(own.clone(), requires_grad=False)
    up, down = torch.randn(8, 2, 1, 1), torch.randn(2, 6, 3, 3)
    parts = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(1.0)}
    change = LayerChange(source="x", path="0", parts=parts, strength=0.5)
    worn = Worn(nn.Sequential(layer))

    worn.wear([change])

    wide = own.float() + 0.25 * (up.flatten(1) @ down.flatten(1)).reshape(own.shape)
    assert layer.weight.stride() == own.stride()
    assert torch.allclose(layer.weight.float(), wide, rtol=torch.finfo(dtype).eps, atol=1e-6)
    worn.wear([])
    assert torch.equal(layer.weight, own)


def test_a_room_is_written_again_and_asks_the_machine(tmp_path: Path) -> None:
    tensors = [torch.randn(3, 5), torch.randn(7, dtype=torch.float64)]
    room = Room(size_of(tensors), CPU)
    for place, tensor in zip(room.like(tensors), tensors, strict=True):
        assert torch.equal(place.copy_(tensor), tensor)
    first, _ = room.like(tensors)

    assert torch.equal(first, tensors[0])
    assert is_ample(CPU) in (True, False)


def test_all_methods_of_the_other_libraries_come_off_as_well() -> None:
    """The layers that LyCORIS made, each method worn and taken off one layer."""
    answers = load_file(Path(__file__).with_name("lycoris.safetensors"))
    for case in sorted({name.split("|")[0] for name in answers}):
        weight, bias = answers[f"{case}|weight"], answers[f"{case}|bias"]
        layer = nn.Module()
        layer.inner = nn.Module()
        layer.inner.weight = nn.Parameter(weight.clone(), requires_grad=False)
        layer.inner.bias = nn.Parameter(bias.clone(), requires_grad=False)
        begin = f"{case}|part|"
        parts = {
            name.removeprefix(begin): part
            for name, part in answers.items()
            if name.startswith(begin)
        }
        worn = Worn(layer)

        failed = worn.wear([LayerChange(source=case, path="inner", parts=parts, strength=0.9)])

        assert failed == {}
        assert not torch.equal(layer.inner.weight, weight), case
        worn.wear([])
        assert torch.equal(layer.inner.weight, weight)
        assert torch.equal(layer.inner.bias, bias)
