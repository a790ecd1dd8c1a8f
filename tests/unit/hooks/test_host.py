"""Extensions are found, checked, and switched off one by one, with the reason."""

from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

import pytest
import torch

from tests.plans import plan_of
from webui.hooks.host import Extension, candidates, collect
from webui.hooks.isolate import IsolatedSteps
from webui.hooks.spec import GROUP
from webui.modules.conditioning import TextChunk
from webui.modules.types import ExtensionUse

SECTION = """
    from webui.hooks.spec import Section, Setting, Settled
    API = 1
    WORKER = "{name}_worker"
    def section():
        on = Setting(name="on", value=False, label={{"en": "On", "zh": "开"}}, key="{name}")
        said = {{"en": "Test", "zh": "测试"}}
        return Section(title=said, note=said, settings=(on,), switch="on")
"""
"""The server part of a sound extension."""

STEP = """
    from webui.hooks.worker import Reworked
    def condition(use, chunk):
        {body}
"""
"""A worker part."""

USE = ExtensionUse(name="mine", settings=(("on", True),))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder from which modules can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(site: Path, name: str, text: str) -> None:
    (site / f"{name}.py").write_text(dedent(text), encoding="utf-8")


def installed(site: Path, module: str, text: str, name: str = "mine") -> Extension:
    """Write an extension and collect it as an installed one."""
    write(site, module, text)
    (found,) = collect([(name, module, False)])
    return found


def chunk() -> TextChunk:
    def nothing(*_: object) -> NoReturn:
        raise AssertionError

    return TextChunk(
        tokens=torch.zeros(1, 77, dtype=torch.long),
        states=torch.ones(1, 77, 4),
        skip=1,
        copy=nothing,
        tokens_of=nothing,
        names=nothing,
        read=nothing,
    )


def test_the_built_in_ones_are_found_and_sound() -> None:
    found = collect(candidates())

    assert [each.name for each in found if each.built_in] == [
        "aesthetic_gradients",
        "prompt_captions",
    ]
    assert [each.problem for each in found if each.built_in] == ["", ""]


def test_an_installed_package_names_its_extension_by_an_entry_point(site: Path) -> None:
    write(site, "sample_point", SECTION.format(name="sample_point"))
    info = site / "sample-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nsample = sample_point\n")

    assert [point.value for point in entry_points(group=GROUP)] == ["sample_point"]
    found = {each.name: each for each in collect(candidates())}
    assert found["sample"].section
    assert not found["sample"].built_in


@pytest.mark.parametrize(
    ("module", "text", "reason"),
    [
        ("raises", "raise ValueError('broken wheel')", "ValueError: broken wheel"),
        ("exits", "import sys; sys.exit(3)", "SystemExit: 3"),
        ("imports", "import no_such_library", "no_such_library"),
        ("syntax", "def (", "SyntaxError"),
        ("says_nothing", "", "made for version None"),
        ("later", "API = 99", "made for version 99"),
        ("adds_nothing", "API = 1", "none of the functions"),
        ("mute", "API = 1\ndef captions(): return {'en': 'x'}", "'zh'"),
        ("without", "API = 1\ndef settle(asked): ...", "no section"),
        ("other_words", "API = 1\ndef section(page): ...", "takes (page)"),
        ("unlike", "API = 1\ndef section(): return 5", "no section"),
        ("unsaid", SECTION.replace('"zh": "开"', '"zh": ""'), "'zh'"),
        ("switchless", SECTION.replace('switch="on"', 'switch="off"'), "'off'"),
    ],
)
def test_one_that_does_not_load_is_switched_off_with_its_reason(
    site: Path, module: str, text: str, reason: str
) -> None:
    broken = f"broken_{module}"
    write(site, broken, text.format(name=broken) if "Section" in text else text)
    write(site, "sound_beside", SECTION.format(name="sound_beside"))

    first, second = collect([("mine", broken, False), ("other", "sound_beside", False)])

    assert first.section is None
    assert reason in first.problem
    assert second.problem == ""


def test_a_name_can_be_taken_only_once(site: Path) -> None:
    write(site, "first_of_two", SECTION.format(name="first_of_two"))
    write(site, "second_of_two", SECTION.format(name="second_of_two"))

    found = collect([("mine", "first_of_two", False), ("mine", "second_of_two", False)])

    assert [each.module for each in found] == ["first_of_two"]


def test_a_step_may_change_what_the_text_encoder_says(site: Path) -> None:
    found = installed(site, "doubling", SECTION.format(name="doubling"))
    write(site, "doubling_worker", STEP.format(body="return Reworked(states=chunk.states * 2)"))
    steps = IsolatedSteps([found])

    assert float(steps(USE, chunk()).states.mean()) == 2
    assert steps.faults() == {}


@pytest.mark.parametrize(
    ("module", "body", "reason"),
    [
        ("failing", "raise KeyError('lost')", "KeyError: 'lost'"),
        ("wordless", "return None", "did not return"),
        ("shorter", "return Reworked(states=chunk.states[:, :5])", "did not return"),
        ("endless", "return Reworked(states=chunk.states / 0)", "not-a-number"),
    ],
)
def test_a_step_that_fails_is_left_out_and_stays_off(
    site: Path, module: str, body: str, reason: str
) -> None:
    found = installed(site, module, SECTION.format(name=module))
    write(site, f"{module}_worker", STEP.format(body=body))
    steps, given = IsolatedSteps([found]), chunk()

    first, second = steps(USE, given), steps(USE, given)

    assert torch.equal(first.states, given.states)
    assert reason in first.notes[0]
    assert "switched off" in second.notes[0]
    assert reason in steps.faults()["mine"]


def test_a_worker_part_that_cannot_be_imported_is_left_out(site: Path) -> None:
    steps = IsolatedSteps([installed(site, "half", SECTION.format(name="half"))])

    assert "half_worker" in steps(USE, chunk()).notes[0]


def test_a_step_that_refuses_is_left_out_and_stays_on(site: Path) -> None:
    found = installed(site, "picky", SECTION.format(name="picky"))
    body = """
        from webui.modules.errors import ModelFileError
        raise ModelFileError("mood is damaged", hint="Copy it again.", value="mood")
    """
    write(site, "picky_worker", STEP.format(body=body.strip()))
    steps = IsolatedSteps([found])

    assert "mood is damaged. Copy it again." in steps(USE, chunk()).notes[0]
    assert steps.faults() == {}


def test_running_out_of_memory_is_no_fault_of_the_extension(site: Path) -> None:
    found = installed(site, "large", SECTION.format(name="large"))
    write(site, "large_worker", STEP.format(body="raise MemoryError"))
    steps = IsolatedSteps([found])

    with pytest.raises(MemoryError):
        steps(USE, chunk())
    assert steps.faults() == {}


def test_one_that_is_gone_is_told_with_the_picture() -> None:
    plan = plan_of(extensions=(USE,))

    assert "no such extension" in IsolatedSteps([])(plan.extensions[0], chunk()).notes[0]
