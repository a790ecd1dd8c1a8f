"""Wishes for the workshop: every name found, every number checked, every result in a free place."""

import shutil
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import add_to, furnish
from webui.library.index import ModelIndex
from webui.modules.errors import (
    ForbiddenError,
    ModelFileError,
    RangeError,
    RequestError,
    UnknownNameError,
    WebuiError,
)
from webui.modules.types import (
    BakePlan,
    ConvertPlan,
    JoinPlan,
    MergePlan,
    ModelKind,
    ModelRecord,
    UnfoldPlan,
)
from webui.services.imports import Imports
from webui.services.models import Models, model_folders
from webui.services.work import Workshop
from webui.services.work_bench import Bench, check_family
from webui.services.work_plans import merged_name, patterns, plan_work
from webui.services.work_requests import (
    BakeRequest,
    ConvertRequest,
    ExtractRequest,
    Ingredient,
    MergeRequest,
    ResizeRequest,
)
from webui.settings import load

TINY = "tiny-sd1.safetensors"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = add_to(furnish(tmp_path_factory.mktemp("bench")))
    checkpoints = folder / "models" / "Stable-diffusion"
    for name in ("other", "broken"):
        shutil.copyfile(checkpoints / TINY, checkpoints / f"{name}.safetensors")
    (checkpoints / "broken.safetensors").write_bytes(b"\0" * 99)
    return folder


@pytest.fixture(scope="module")
def bench(home: Path) -> Bench:
    settings = load({}, environment={}, home=home)
    folders = settings.folders
    index = ModelIndex(folders.database, model_folders(folders), hashing=True)
    return Bench(models=Models(index), home=home)


def test_a_merge_names_its_files_and_takes_as_names_what_a1111_takes(bench, home) -> None:
    plan = plan_work(MergeRequest(first="tiny-sd1", second="other"), bench)

    assert isinstance(plan, MergePlan)
    assert plan.second is not None
    assert (plan.first.name, plan.second.name, plan.third) == (TINY, "other.safetensors", None)
    assert plan.first.sha256
    assert plan.target == home / "models/Stable-diffusion/0.7(tiny-sd1) + 0.3(other).safetensors"
    assert plan.config == home / "models/Stable-diffusion/tiny-sd1.yaml"


def test_a_name_that_is_taken_gets_a_number_and_never_leaves_its_folder(bench, home) -> None:
    folder = home / "models" / "Stable-diffusion"
    for wished, expected in (
        ("other", "other-2.safetensors"),
        ("../../../etc/passwd", "passwd.safetensors"),
        ("v1.5 mix", "v1.5 mix.safetensors"),
        ("con", "_con.safetensors"),
        ("mix.vae", "mix.safetensors"),
    ):
        plan = plan_work(MergeRequest(first=TINY, second="other", name=wished), bench)
        assert isinstance(plan, MergePlan)
        assert plan.target == folder / expected


@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        (MergeRequest(first=""), RequestError, "A is not chosen"),
        (MergeRequest(first=TINY), RequestError, "B is not chosen"),
        (MergeRequest(first=TINY, second="other", method="add difference"), RequestError, "C is"),
        (MergeRequest(first="nowhere", second="other"), UnknownNameError, "nowhere"),
        (MergeRequest(first=TINY, second="broken"), ModelFileError, "broken"),
        (MergeRequest(first=TINY, second="other", share=3), RangeError, "M is 3"),
        (MergeRequest(first=TINY, second="other", blocks=(1.0,) * 25), RangeError, "25 numbers"),
        (MergeRequest(first=TINY, second="other", blocks=(9.0,) * 26), RangeError, "BASE is 9"),
        (MergeRequest(first=TINY, second="other", vae="no.pt"), UnknownNameError, r"no\.pt"),
        (MergeRequest(first=TINY, second="other", discard="(a+)+$"), RangeError, r"\(a\+\)\+"),
        (MergeRequest(first=TINY, second="other", discard="a" * 501), RangeError, "501 letters"),
        (ExtractRequest(base=TINY, tuned=""), RequestError, "tuned is not chosen"),
        (ExtractRequest(base=TINY, tuned="other", rank=-1), RangeError, "rank is -1"),
        (ExtractRequest(base=TINY, tuned="other", by="sv_fro", value=2), RangeError, "value is 2"),
        (ResizeRequest(lora="tiny-lora", by="sv_ratio"), RangeError, "value is 0"),
        (ResizeRequest(lora="nothing"), UnknownNameError, "nothing"),
        (BakeRequest(loras=()), RequestError, "no LoRA is chosen"),
        (BakeRequest(loras=(Ingredient(name="tiny-lora", weight=1e9),)), RangeError, "tiny-lora"),
        (
            ConvertRequest(kind=ModelKind.LORA, source="tiny-lora"),
            RequestError,
            "a .safetensors file already",
        ),
        (
            ConvertRequest(kind=ModelKind.LORA, source="tiny-lora", to="pt"),
            RequestError,
            r"not written as \.pt",
        ),
        (
            ConvertRequest(kind=ModelKind.HYPERNETWORK, source="tiny-hyper", to="png"),
            RequestError,
            r"not written as \.png",
        ),
        (
            ConvertRequest(kind=ModelKind.HYPERNETWORK, source="tiny-hyper", to="lora"),
            RequestError,
            "the checkpoint is not chosen",
        ),
        (
            ConvertRequest(kind=ModelKind.EMBEDDING, source="tiny-emb-pt", to="lora"),
            RequestError,
            "of the kind embedding",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_at_once(bench, wish, error, said) -> None:
    with pytest.raises(error, match=said) as refused:
        plan_work(wish, bench)

    assert isinstance(refused.value, WebuiError)
    assert refused.value.hint


def test_checkpoints_of_two_families_do_not_mix(bench) -> None:
    def of(family: str) -> ModelRecord:
        return ModelRecord(path=Path("x"), kind=ModelKind.CHECKPOINT, name="x", family=family)

    check_family(of("sd1"), of("sd1-inpainting"))
    check_family(of("sd2"), of(""))
    with pytest.raises(WebuiError, match="family sd1 and x of sdxl"):
        check_family(of("sd1"), of("sdxl"))


def test_other_wishes_lead_to_the_right_folder(bench, home) -> None:
    one, two = Ingredient(name="tiny-lora", weight=0.5), Ingredient(name="tiny-locon")
    plans: dict[type, Any] = {
        type(plan): plan
        for plan in (
            plan_work(wish, bench)
            for wish in (
                BakeRequest(loras=(one,), checkpoint=TINY),
                BakeRequest(loras=(one, two)),
                ConvertRequest(kind=ModelKind.EMBEDDING, source="tiny-emb-pt", to="png"),
                ConvertRequest(
                    kind=ModelKind.HYPERNETWORK, source="tiny-hyper", to="lora", checkpoint=TINY
                ),
            )
        )
    }

    targets = {kind: plan.target.relative_to(home).as_posix() for kind, plan in plans.items()}
    assert targets == {
        BakePlan: "models/Stable-diffusion/tiny-sd1 + tiny-lora.safetensors",
        JoinPlan: "models/Lora/tiny-lora + tiny-locon.safetensors",
        ConvertPlan: "embeddings/tiny-emb-pt.png",
        UnfoldPlan: "models/Lora/tiny-hyper.safetensors",
    }
    assert plans[BakePlan].loras[0].text_weight == 0.5


@pytest.mark.parametrize(
    ("method", "family", "name"),
    [
        ("weighted sum", "sd1", "0.75(a) + 0.25(b)"),
        ("add difference", "sd1", "a + 0.25(b - c)"),
        ("no interpolation", "sd1-instruct", "a.instruct-pix2pix"),
        ("weighted sum", "sd1-inpainting", "0.75(a) + 0.25(b).inpainting"),
    ],
)
def test_results_are_called_as_in_a1111(method, family, name) -> None:
    a, b, c = (
        ModelRecord(
            path=Path(f"{letter}.ckpt"), kind=ModelKind.CHECKPOINT, name=f"{letter}.ckpt",
            family=family,
        )
        for letter in "abc"
    )  # fmt: skip
    wish = MergeRequest(first="a", second="b", third="c", method=method, share=0.25)

    assert merged_name(wish, a, b, c) == name


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("model_ema", {"model_ema.decay"}),
        (r"^first_stage_model\..*", {"first_stage_model.encoder.x"}),
        ("stage_model.*x$ | betas", {"first_stage_model.encoder.x", "betas"}),
        ("^model", {"model_ema.decay", "model.diffusion_model.out.0"}),
        ("", set()),
    ],
)
def test_patterns_mean_what_they_mean_in_a1111(text, left_out) -> None:
    names = (
        "first_stage_model.encoder.x", "cond_stage_model.transformer.y", "betas",
        "model.diffusion_model.out.0", "model_ema.decay",
    )  # fmt: skip

    found = {name for name in names if any(fnmatchcase(name, each) for each in patterns(text))}

    assert found == left_out


@given(st.text("ab*?.|$^( +)", max_size=60))
def test_no_pattern_hangs(text) -> None:
    began = time.monotonic()
    try:
        for pattern in patterns(text):
            fnmatchcase("a" * 200 + "c", pattern)
    except RangeError:
        pass
    assert time.monotonic() - began < 1


def test_who_may_bring_no_files_may_make_none(home, bench) -> None:
    settings = load({"server.uploaders": ("anna",)}, environment={}, home=home)
    office: Any = type("Office", (), {"queue": None, "executor": None, "bell": None})
    workshop = Workshop(office, bench, Imports(settings, bench.models))

    with pytest.raises(ForbiddenError, match="bob may not"):
        workshop.order(MergeRequest(first=TINY, second="other"), owner="bob")
