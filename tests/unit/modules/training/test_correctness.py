"""The mathematics of training, held against closed forms or another way to compute the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from tests.trainings import BASE, KINDS, Beside, carry_out, pictures, plan_of
from webui.modules.device import Device, choose
from webui.modules.errors import UnsupportedError
from webui.modules.layers.blocks import BLOCKS
from webui.modules.layers.lora import LoraUse, Networks, read_lora
from webui.modules.networks.build import build_text, build_unet
from webui.modules.networks.checkpoint import Checkpoint, load_checkpoint
from webui.modules.training.chance import chance
from webui.modules.training.objective import draw_noise, levels, snr_weights, zero_terminal
from webui.modules.training.parameterisations.checkpoint import Painter
from webui.modules.training.parameterisations.embedding import Word
from webui.modules.training.parameterisations.hypernetwork import Networks as Hypernetwork
from webui.modules.training.parameterisations.lora import LoraFamily
from webui.modules.training.plan import (
    CheckpointPlan,
    CorrectionPlan,
    EmbeddingPlan,
    HypernetworkPlan,
    LoraPlan,
    NoisePlan,
)
from webui.modules.weights.architecture import Architecture, TextShape, UNetShape, VaeShape
from webui.modules.weights.write import write_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ("lora", "loha", "lokr", "dora")


@pytest.fixture(scope="module")
def device() -> Device:
    return choose("cpu", "exact")


@pytest.fixture
def base(device: Device) -> Checkpoint:
    return load_checkpoint(BASE, device)


def answer(base: Checkpoint) -> Tensor:
    """Return what the painter answers to one fixed question."""
    random = torch.Generator().manual_seed(3)
    noisy = torch.randn(1, 4, 8, 8, generator=random)
    said = base.text(input_ids=torch.tensor([[49406, 320, 2368, *[49407] * 74]]))
    return base.unet(noisy, torch.tensor([400]), said.last_hidden_state, return_dict=False)[0]


def family(base: Checkpoint, method: str) -> LoraFamily:
    plan = cast("LoraPlan", KINDS[method][1])
    return LoraFamily(base, replace(plan, conv_rank=2 if method == "lora" else 0), seed=5)


@torch.no_grad()
@pytest.mark.parametrize("method", METHODS)
def test_a_lora_that_has_learned_nothing_changes_nothing(method: str, base: Checkpoint) -> None:
    before = answer(base)

    with family(base, method).worn():
        assert torch.equal(answer(base), before)
    assert torch.equal(answer(base), before)


@torch.no_grad()
@pytest.mark.parametrize("method", METHODS)
def test_what_is_trained_is_what_the_file_draws(
    method: str, base: Checkpoint, tmp_path: Path
) -> None:
    learned = family(base, method)
    random = torch.Generator().manual_seed(1)
    for parameter in learned.parameters.values():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    with learned.worn():
        trained = answer(base)
    write_safetensors(tmp_path / "f.safetensors", learned.tensors(dict(learned.parameters)), {})

    networks = Networks(base.unet, base.text, base.architecture.unet)
    use = LoraUse(lora=read_lora(tmp_path / "f.safetensors"))
    networks.wear([use], [use])
    drawn = answer(base)
    networks.take_off()

    assert float((trained - drawn).abs().max() / drawn.abs().max()) <= 1e-5
    assert float((answer(base) - drawn).abs().max()) > 1e-3


@pytest.mark.parametrize(
    "kind", ["lora", "embedding", "hypernetwork", "checkpoint", "vae", "aesthetic"]
)
def test_only_what_is_learned_moves(kind: str, tmp_path: Path, device: Device) -> None:
    painters: list[Checkpoint] = []
    plan = plan_of(tmp_path, kind)
    plan = replace(plan, watch=replace(plan.watch, sample_every=1, sample=_any_sample()))

    carry_out(plan, Beside(look=lambda watched: painters.append(watched.checkpoint)))

    own = dict(_tensors(load_checkpoint(BASE, device)))
    now = dict(_tensors(painters[-1]))
    moved = {name for name, tensor in own.items() if not torch.equal(tensor, now[name])}
    prefixes = {"checkpoint": ("unet.", "text."), "vae": ("vae.decoder.", "vae.post_quant_conv.")}
    if kind in prefixes:
        assert moved
        assert all(name.startswith(prefixes[kind]) for name in moved)
    else:
        assert not moved


def test_names_are_those_of_the_frozen_table() -> None:
    lines = (Path(__file__).parent / "kohya_names.txt").read_text(encoding="utf-8").splitlines()[1:]
    with_convolutions = {line.removeprefix("+") for line in lines}
    without = {line for line in lines if not line.startswith("+")}
    base = _empty_sd1()

    few = LoraFamily(base, LoraPlan(rank=4), seed=0)
    many = LoraFamily(base, LoraPlan(rank=4, conv_rank=4), seed=0)

    assert _layers(few) == without
    assert _layers(many) == with_convolutions
    assert len(without) == 264
    assert len(with_convolutions) == 350


def test_blocks_have_ranks_and_rates_of_their_own(base: Checkpoint) -> None:
    ranks = (("BASE", 0.0), ("IN01", 0.5), ("IN02", 0.0), ("M00", 2.0), ("OUT11", 0.01))
    blocks = (("IN01", 0.25), ("OUT11", 0.0))
    learned = LoraFamily(base, LoraPlan(rank=4, alpha=8, ranks=ranks, blocks=blocks), seed=0)
    numbers = {name: len(each) for name, each in learned.parameters.items() if "lora_down" in name}
    alphas = learned.tensors(dict(learned.parameters))

    assert not any(name.startswith("lora_te") for name in learned.parameters)
    down = {name.split("_transformer")[0].split("_proj")[0]: rank for name, rank in numbers.items()}
    assert down["lora_unet_down_blocks_0_attentions_0"] == 2
    assert "lora_unet_down_blocks_0_attentions_1" not in down
    assert down["lora_unet_mid_block_attentions_0"] == 8
    assert "lora_unet_up_blocks_3_attentions_2" not in down
    for name, rank in numbers.items():
        assert float(alphas[f"{name.partition('.')[0]}.alpha"]) == 2 * rank
        quarter = name.startswith("lora_unet_down_blocks_0_attentions_0")
        assert learned.factor(name, 1.0) == (0.25 if quarter else 1)


def test_a_lora_that_changes_no_block_is_refused(base: Checkpoint) -> None:
    nothing = tuple((block, 0.0) for block in BLOCKS)

    for plan in (LoraPlan(ranks=nothing), LoraPlan(blocks=nothing)):
        with pytest.raises(UnsupportedError, match="no layer"):
            LoraFamily(base, plan, seed=0)


def test_an_embedding_begins_with_the_vectors_of_its_words(base: Checkpoint) -> None:
    table = cast("nn.Embedding", base.text.get_input_embeddings()).weight
    spread = Word(base, EmbeddingPlan(vectors=3, words="a cat"), "new").parameters["vectors"]
    empty = Word(base, EmbeddingPlan(vectors=2, words=""), "new").parameters["vectors"]

    assert torch.equal(spread, table[torch.tensor([320, 320, 2368])])
    assert not empty.any()


@torch.no_grad()
def test_a_hypernetwork_has_a1111s_layers_at_a1111s_places(base: Checkpoint) -> None:
    plan = HypernetworkPlan(activation="relu", layer_norm=True, dropout=(0, 0.3, 0))
    pair = Hypernetwork(base, plan, "h", seed=0).pairs[128]

    kinds = [type(layer) for layer in pair[0]]
    assert kinds == [nn.Linear, nn.ReLU, nn.LayerNorm, nn.Dropout, nn.Linear, nn.LayerNorm]
    first = cast("nn.Linear", pair[0][0])
    assert abs(float(first.weight.std()) - 0.01) < 1e-3
    assert not first.bias.any()


# -------------------------------------------------------------------- noise and its weights


@given(
    kept=st.floats(1e-4, 0.9999),
    limit=st.floats(0.5, 20),
    prediction=st.sampled_from(["epsilon", "v"]),
)
def test_min_snr_follows_its_paper(kept: float, limit: float, prediction: Any) -> None:
    snr = kept / (1 - kept)
    expected = min(snr, limit) / (snr if prediction == "epsilon" else snr + 1)

    found = snr_weights(torch.tensor([kept], dtype=torch.float64), prediction, limit)

    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_the_last_level_of_zero_terminal_noise_has_no_signal(base: Checkpoint) -> None:
    kept = zero_terminal(base.alphas_cumprod.double())

    assert float(kept[-1]) == 0
    assert float(kept[0]) == pytest.approx(float(base.alphas_cumprod[0]), rel=1e-6)
    assert bool((kept.diff() < 0).all())


def test_a_painter_that_guesses_noise_is_refused_zero_terminal_noise(base: Checkpoint) -> None:
    with pytest.raises(UnsupportedError, match="predicts velocity"):
        levels(base.alphas_cumprod, "epsilon", NoisePlan(zero_terminal=True))


def test_noise_and_velocity_are_two_views_of_one_truth(base: Checkpoint) -> None:
    both = {
        prediction: levels(base.alphas_cumprod, prediction, NoisePlan())
        for prediction in ("epsilon", "v")
    }
    random = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(2, 4, 3, 3, generator=random) for _ in range(2))
    times = torch.tensor([10, 900])
    noisy = both["v"].noised(clean, noise, times)
    signal = both["v"].kept[times][:, None, None, None].sqrt()
    blur = (1 - signal.square()).sqrt()

    velocity = both["v"].truth(clean, noise, times)

    assert torch.equal(both["epsilon"].truth(clean, noise, times), noise)
    torch.testing.assert_close(signal * noisy - blur * velocity, clean, rtol=1e-5, atol=1e-5)


def test_noise_offset_shifts_each_channel_by_one_number() -> None:
    like = torch.zeros(4, 6, 6)
    plain = draw_noise(like, NoisePlan(), chance(0, "turn", 1))
    shifted = draw_noise(like, NoisePlan(offset=0.1), chance(0, "turn", 1))

    shift = shifted - plain
    torch.testing.assert_close(shift, shift.mean(dim=(1, 2), keepdim=True).expand_as(shift))
    assert len(set(shift[:, 0, 0].tolist())) == 4


def test_pyramid_noise_keeps_its_strength() -> None:
    found = draw_noise(torch.zeros(4, 32, 32), NoisePlan(pyramid=6), chance(0, "turn", 1))

    assert float(found.std()) == pytest.approx(1, rel=1e-5)


# ------------------------------------------------------------------------- how much counts


def gradients(plan_changes: dict[str, Any], folder: Path) -> list[float]:
    """Return the length of the gradients of two steps."""
    beside = Beside()
    carry_out(plan_of(folder, steps=2, **plan_changes), beside)
    return [line["length"] for line in beside.lines]


def test_four_times_one_picture_is_once_four_pictures(tmp_path: Path) -> None:
    together = gradients({"batch_size": 4}, tmp_path / "4x1")
    one_by_one = gradients(
        {"correction": CorrectionPlan(rate="1e-3", accumulate=4)}, tmp_path / "1x4"
    )

    assert one_by_one == pytest.approx(together, rel=1e-5)


def test_saving_memory_changes_no_bit(tmp_path: Path) -> None:
    plain = carry_out(plan_of(tmp_path / "plain", "checkpoint"))
    correction = CorrectionPlan(rate="1e-3", save_memory=True)

    assert carry_out(plan_of(tmp_path / "saving", "checkpoint", correction=correction)) == plain


@pytest.mark.parametrize("kind", ["lora", "hypernetwork"])
def test_what_waits_in_main_memory_changes_no_bit(kind: str, tmp_path: Path) -> None:
    plain = carry_out(plan_of(tmp_path / "plain", kind))
    correction = CorrectionPlan(rate="1e-3", offload=True)

    assert carry_out(plan_of(tmp_path / "apart", kind, correction=correction)) == plain


def test_a_mask_that_is_white_all_over_changes_nothing(tmp_path: Path) -> None:
    plain = carry_out(plan_of(tmp_path / "plain"))
    plan = plan_of(tmp_path / "masked")
    for number in range(4):
        width = 96 if number % 2 else 64
        Image.new("L", (width, 64), 255).save(tmp_path / "masked" / "data" / f"{number}.mask.png")

    assert carry_out(replace(plan, data=replace(plan.data, masks=True))) == plain


def test_what_is_masked_out_teaches_nothing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    for number in range(4):
        Image.new("L", (64, 64), 0).save(tmp_path / "data" / f"{number}.mask.png")
    beside = Beside()

    carry_out(replace(plan, data=replace(plan.data, masks=True)), beside)

    assert beside.losses == [0, 0, 0, 0]
    assert {line["length"] for line in beside.lines} == {0}


def test_regular_pictures_count_by_their_weight(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, batch_size=2, steps=1)
    regular = pictures(tmp_path / "regular", 1)
    lone = pictures(tmp_path / "lone", 1)

    def loss(weight: float, folder: Path | None) -> float:
        beside = Beside()
        data = replace(plan.data, folder=lone, regular=folder, regular_weight=weight)
        run = tmp_path / "training" / f"{weight}{folder}".replace("/", "_")
        carry_out(replace(plan, run=run, data=data), beside)
        return beside.losses[0]

    without, half, full = loss(0, regular), loss(0.5, regular), loss(1, regular)

    assert full - without == pytest.approx(2 * (half - without), rel=1e-5)
    assert full > without > 0


# ------------------------------------------------------------------------------- helpers


def _any_sample() -> Any:
    from tests.plans import plan_of as drawing

    return drawing()


def _tensors(base: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    for prefix, network in (("unet", base.unet), ("text", base.text), ("vae", base.vae)):
        for name, tensor in network.named_parameters():
            yield f"{prefix}.{name}", tensor.detach()


def _layers(family: LoraFamily) -> set[str]:
    return {name.partition(".")[0] for name in family.parameters}


def _empty_sd1() -> Checkpoint:
    """Return networks of Stable Diffusion 1's shape that take no memory."""
    unet = UNetShape(
        in_channels=4, out_channels=4, widths=(320, 640, 1280, 1280), blocks=2,
        depths=(1, 1, 1, 0), context=768, heads=(8, 8, 8, 8), groups=32, linear=False,
    )  # fmt: skip
    text = TextShape(vocabulary=49408, positions=77, width=768, inner=3072, layers=12, heads=12)
    vae = VaeShape(widths=(128, 256, 512, 512), blocks=2, latent=4, groups=32)
    return Checkpoint(
        record=BASE,
        architecture=Architecture(unet=unet, vae=vae, text=text),
        unet=build_unet(unet),
        vae=cast("Any", None),
        text=build_text(text),
        alphas_cumprod=torch.ones(1000),
    )


def test_a_checkpoint_is_trained_whole_or_in_parts(base: Checkpoint) -> None:
    unet = Painter(base, CheckpointPlan())
    both = Painter(base, CheckpointPlan(text=True))

    assert all(name.startswith("unet.") for name in unet.parameters)
    assert {name.partition(".")[0] for name in both.parameters} == {"unet", "text"}
