"""Settings of a training: every one is known, checked, and told why."""

from typing import Any, get_args, get_origin

import pytest

from webui.modules.errors import LimitError, RangeError, RequestError, UnknownNameError
from webui.modules.training.plan import TRAINABLE
from webui.modules.types import ModelKind
from webui.services.training_presets import SUBJECTS, preset, presets
from webui.services.training_request import read_settings_file, spoken
from webui.services.training_settings import RANGES, checked, known


def numbers(hint: Any) -> bool:
    return hint in (int, float) or (get_origin(hint) is tuple and any(map(numbers, get_args(hint))))


@pytest.mark.parametrize("kind", TRAINABLE)
def test_every_number_of_a_plan_has_a_range(kind: ModelKind) -> None:
    without = {name for name, hint in known(kind).items() if numbers(hint)} - set(RANGES)
    assert not without


@pytest.mark.parametrize("kind", TRAINABLE)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_preset_names_sound_settings_and_a_reason_for_each(
    kind: ModelKind, subject: str
) -> None:
    found = preset(kind, subject)
    assert checked(kind, found.settings()) == found.settings()
    assert {"steps", "correction.rate", "batch_size"} <= set(found.choices)
    for choice in found.choices.values():
        assert choice.why.en.endswith(".")
        assert choice.why.zh.endswith("。")


def test_the_subjects_of_a_kind_differ() -> None:
    assert len({str(each.settings()) for each in presets(ModelKind.LORA)}) == len(SUBJECTS)


def test_a_preset_is_found_as_people_say_it() -> None:
    assert preset(ModelKind.LORA, "A face").subject == "face"
    with pytest.raises(UnknownNameError, match="horse"):
        preset(ModelKind.LORA, "horse")


@pytest.mark.parametrize(
    ("said", "nearest"),
    [
        ({"data": {"resolutoin": 64}}, "data.resolution"),
        ({"learning": {"rate": 1}}, "correction.rate"),
        ({"what": {"rang": 4}}, "what.rank"),
        ({"step": 4}, "steps"),
    ],
)
def test_a_slip_of_the_pen_is_refused_with_the_nearest_right_name(
    said: dict[str, Any], nearest: str
) -> None:
    with pytest.raises(UnknownNameError) as problem:
        checked(ModelKind.LORA, said)
    assert nearest in problem.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 1.5),
        ("steps", True),
        ("steps", "many"),
        ("seed", -1),
        ("data.resolution", 100_000),
        ("data.resolution", 100),
        ("data.flip", "yes"),
        ("data.held_out", float("nan")),
        ("data.template", {"a": 1}),
        ("what.rank", 0),
        ("what.method", "magic"),
        ("what.blocks", ["IN04"]),
        ("what.blocks", [["IN99", 0.5]]),
        ("what.blocks", "SOMEWHERE"),
        ("what.ranks", [1, 2, 3]),
        ("what.ranks", [["IN04", -1]]),
        ("correction.rate", ["1e-4"]),
        ("noise.latents", "sometimes"),
        ("watch.sample.width", 65),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises((RangeError, UnknownNameError)) as problem:
        checked(ModelKind.LORA, {name: value})
    assert name in str(problem.value)


def test_a_text_without_end_is_refused() -> None:
    with pytest.raises(LimitError):
        checked(ModelKind.LORA, {"data.trigger": "word " * 5000})


def test_settings_of_another_kind_are_refused() -> None:
    with pytest.raises(UnknownNameError):
        checked(ModelKind.VAE, {"what.rank": 4})
    with pytest.raises(UnknownNameError, match="no rank"):
        spoken(ModelKind.VAE, {"rank": 4})


def test_numbers_may_be_written_as_texts_as_yaml_reads_them() -> None:
    found = checked(ModelKind.LORA, {"noise": {"offset": "5e-2"}, "correction": {"rate": 0.001}})
    assert found == {"noise.offset": 0.05, "correction.rate": "0.001"}


def test_lists_may_be_short_and_pairs_stay_pairs() -> None:
    found = checked(ModelKind.LORA, {"data.template": "a [name]", "what.blocks": [["IN04", 0.5]]})
    assert found == {"data.template": ("a [name]",), "what.blocks": (("IN04", 0.5),)}


@pytest.mark.parametrize(
    ("said", "left_alone", "untouched"),
    [("INS", "OUT03", "IN01"), ([1] * 12 + [0.5] + [2] * 13, None, "IN00"), ("ALL", None, "M00")],
)
def test_blocks_are_said_as_presets_rows_or_pairs(
    said: Any, left_alone: str | None, untouched: str
) -> None:
    found = dict(checked(ModelKind.LORA, {"what.ranks": said})["what.ranks"])
    assert untouched not in found
    assert left_alone is None or found[left_alone] == 0


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "a: [", "a: &x 1\nb: *x", "\x00"])
def test_a_file_that_is_no_settings_is_refused(tmp_path: Any, text: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match=r"settings\.yaml"):
        read_settings_file(path)
