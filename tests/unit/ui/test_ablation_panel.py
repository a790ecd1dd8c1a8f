"""What the page says of a strip: labels, numbers and maps, in both languages."""

from dataclasses import replace
from typing import get_args

from tests.unit.ui.test_stage import PICTURE, Seen
from webui.jobs.plans import StripChange
from webui.jobs.views import JobState
from webui.library.figures import Figures
from webui.services.ablation import ROWS
from webui.services.ablation_report import AblationReport, PlaceReport
from webui.services.strips import KINDS as NAMES
from webui.ui.ablation_panel import ENDS, KINDS, SIGNS, label, panel_html
from webui.ui.messages import load_words

WORDS = load_words()
PLACE = PlaceReport(
    change="with", kind="lora", name="thin", strength="0.8", label="+ LoRA thin (0.8)",
    picture="a" * 32, against="b" * 32,
    figures=Figures(mean=12.345, visible=0.5, likeness=0.25, furthest=99),
)  # fmt: skip
REPORT = AblationReport(
    state=JobState.DONE,
    strip=replace(PICTURE, job_id="j" * 32),
    brightest=99,
    places=(
        replace(PLACE, change="base", kind="", name="", strength="", figures=None, against=""),
        PLACE,
    ),
)


def test_every_kind_and_every_change_has_words() -> None:
    kinds = {row.kind.value for row in ROWS}
    assert set(KINDS) == set(NAMES) == kinds
    assert set(SIGNS) | set(ENDS) == set(get_args(StripChange))


def test_a_label_says_what_comes_and_how_strongly() -> None:
    said = Seen(label(PLACE, WORDS)).said

    assert "LoRA" in said
    assert "thin (0.8)" in said
    assert "去掉" in Seen(label(replace(PLACE, change="without"), WORDS)).said


def test_numbers_stand_below_the_map_and_in_the_table() -> None:
    html = panel_html(REPORT, WORDS)

    assert f'src="atelier/v1/ablation/{"j" * 32}/differences/1"' in html
    assert html.count("<figure>") == 2
    assert "12.3 · 50% · 0.25" in Seen(html).said
    assert '<td class="mean">12.35</td>' in html
    assert html.count("<tr>") == 2


def test_a_picture_that_was_not_drawn_leaves_a_gap() -> None:
    gone = replace(PLACE, picture="", figures=None)

    html = panel_html(replace(REPORT, places=(gone,)), WORDS)

    assert "<img" not in html
    assert 'class="gap"' in html


def test_names_of_files_cannot_become_markup() -> None:
    hostile = replace(PLACE, name="<script>x</script>", strength='"><b>')

    html = panel_html(replace(REPORT, places=(hostile,)), WORDS)

    assert "<script>" not in html
    assert '"><b>' not in html
