"""Infotext: what A1111's users read and paste."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plans import plan_of
from webui.library import infotext
from webui.modules.errors import InfotextError
from webui.modules.sampling.catalogue import SAMPLERS, settle_scheduler
from webui.modules.types import ModelKind, ModelRecord, NoiseRules, SamplingPlan, TextRules

EXAMPLE = (
    "a cat, (sitting:1.2)\nNegative prompt: dog\nSteps: 20, Sampler: DPM++ 2M, Schedule type: "
    "Karras, CFG scale: 7.5, Seed: 42, Size: 512x768, Model hash: 6ce0161689, "
    "Model: v1-5-pruned-emaonly, Variation seed: 3, Variation seed strength: 0.2, "
    "Seed resize from: 64x128, Clip skip: 2, ENSD: 31337, RNG: CPU, Eta: 0.5, Version: v1.10.1"
)


def test_a_plain_picture_reads_like_a1111s() -> None:
    assert infotext.write(plan_of(), 0, version="1.10.1") == (
        "a cat\nSteps: 8, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 7, "
        "Size: 128x64, Model hash: 8244b8ddea, Model: tiny-sd1, RNG: CPU, Version: 1.10.1"
    )


def test_a_pasted_text_asks_for_the_same_picture_again() -> None:
    fields = infotext.request_fields(infotext.parse(EXAMPLE))

    assert fields["prompt"] == "a cat, (sitting:1.2)"
    assert fields["negative_prompt"] == "dog"
    assert (fields["width"], fields["height"]) == (512, 768)
    assert (fields["steps"], fields["guidance"], fields["seed"]) == (20, 7.5, 42)
    assert (fields["sampler"], fields["scheduler"]) == ("DPM++ 2M", "Karras")
    assert (fields["subseed"], fields["subseed_strength"]) == (3, 0.2)
    assert fields["seed_resize_from"] == (64, 128)
    assert fields["checkpoint"] == "v1-5-pruned-emaonly [6ce0161689]"
    assert fields["options"]["eta_ancestral"] == 0.5
    assert fields["options"]["eta_noise_seed_delta"] == 31337


def test_two_settings_alone_are_taken_for_a_part_of_the_prompt() -> None:
    text = "a, b: c\nSteps: 20, Seed: 1"

    assert infotext.parse(text)["Prompt"] == text


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ('Steps: 1, Seed: 2, Hires prompt: "x, \\"q\\"\\ny"', "Hires prompt", 'x, "q"\ny'),
        ("Steps: 1, Seed: 2, Model: a, b, Size: 1x2", "Model", "a"),
        ("Steps: 1, Seed: 2, Sampler: Euler a", "Sampler", "Euler a"),
        ("cat\nSteps: 1, Seed: 2, Hypernet: foo, Hypernet strength: 0.5", "Prompt",
         "cat<hypernet:foo:0.5>"),
        ("cat\n\nSteps: 1, Seed: 2, Size: 8x8", "Prompt", "cat\n"),
    ],
)  # fmt: skip
def test_old_and_odd_texts_are_read_as_a1111_reads_them(text: str, key: str, value: str) -> None:
    assert infotext.parse(text)[key] == value


@pytest.mark.parametrize(
    ("version", "key"),
    [
        ("v1.5.1", "Old prompt editing timelines"),
        ("v1.5.1", "Pad conds v0"),
        ("v1.6.0", "Downcast alphas_cumprod"),
    ],
)
def test_pictures_of_old_releases_say_how_they_were_drawn(version: str, key: str) -> None:
    text = f"[a:b:5]\nSteps: 1, Sampler: DDIM, Seed: 2, Version: {version}"

    assert infotext.parse(text)[key] is True


def test_an_impossible_value_is_named() -> None:
    with pytest.raises(InfotextError, match="Steps: 'many'"):
        infotext.request_fields(infotext.parse("Steps: many, Seed: 2, Size: 8x8"))


@pytest.mark.parametrize("text", ["a" * 200_000, " " * 200_000, "a: " * 70_000, 'a: "' * 50_000])
def test_a_text_made_to_take_forever_does_not(text: str) -> None:
    started = time.perf_counter()

    infotext.parse(f"x\n{text}")

    assert time.perf_counter() - started < 2


words = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=40).map(
    lambda text: " ".join(text.split())
)
prompts = st.lists(words, max_size=3).map("\n".join).map(str.strip)
ordinary = prompts.filter(
    lambda text: "Negative prompt:" not in text and not text.startswith("Negative prompt")
)


@given(
    prompt=ordinary,
    negative=ordinary,
    seed=st.integers(0, 2**62),
    guidance=st.floats(0, 100, allow_subnormal=False),
    sampler=st.sampled_from(SAMPLERS),
    name=words.filter(bool).map(lambda text: text.replace("/", "_").replace("\\", "_")),
    skip=st.integers(1, 12),
    variation=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_what_is_written_is_read_again(  # noqa: PLR0917 - hypothesis gives them by name
    prompt, negative, seed, guidance, sampler, name, skip, variation
) -> None:
    plan = plan_of(
        checkpoint=ModelRecord(path=Path("x"), kind=ModelKind.CHECKPOINT, name=f"{name}.ckpt"),
        prompts=(prompt,),
        negative_prompts=(negative,),
        seeds=(seed,),
        sampling=SamplingPlan(
            sampler=sampler.label,
            scheduler=settle_scheduler(sampler, None).name,
            steps=5,
            guidance=guidance,
        ),
        text=TextRules(clip_skip=skip),
        noise=NoiseRules(variation=variation),
    )

    parsed = infotext.parse(infotext.write(plan, 0, version="atelier 0.1.0"))
    fields = infotext.request_fields(parsed)

    assert fields["prompt"] == prompt
    assert fields["negative_prompt"] == negative
    assert (fields["seed"], fields["guidance"]) == (seed, guidance)
    assert (fields["width"], fields["height"]) == (plan.width, plan.height)
    assert fields["sampler"] == sampler.label
    assert fields["clip_skip"] == skip
    assert fields.get("subseed_strength", 0.0) == variation
    assert parsed["Model"] == plan.checkpoint.stem.strip()


@given(text=st.text())
def test_quoting_loses_nothing(text: str) -> None:
    if not (text.startswith('"') and text.endswith('"')):
        assert infotext.unquote(infotext.quote(text)) == text


@given(text=st.text())
def test_any_text_can_be_read(text: str) -> None:
    parsed = infotext.parse(text)

    assert isinstance(parsed["Prompt"], str)
    assert json.dumps(parsed)
