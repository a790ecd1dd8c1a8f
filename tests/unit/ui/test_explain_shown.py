"""Explanations as HTML: names of strangers are escaped, bars keep within their lanes."""

from webui.ui.explain_shown import bars, counted, explanation, small_share
from webui.ui.messages import load_words


def test_names_and_texts_of_strangers_are_escaped() -> None:
    told = {
        "kind": "aesthetic",
        "norm": 1.0,
        "width": 4,
        "notes": ["<b>note</b>"],
        "prompts": [{"text": "<script>x</script>", "similarity": -0.5}],
    }

    shown = explanation(told, load_words())

    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "&lt;b&gt;note" in shown
    assert "width:0.0%" in shown


def test_the_longest_bar_fills_its_lane() -> None:
    shown = bars([("a", 2.0, "2"), ("b", 1.0, "1")])

    assert shown.index("width:100.0%") < shown.index("width:50.0%")
    assert "width:0.0%" in bars([("none", 0.0, "0")])


def test_numbers_are_told_as_people_say_them() -> None:
    assert [counted(each) for each in (7, 1234, 859_520_964)] == ["7", "1.23 k", "860 M"]
    assert [small_share(each) for each in (0.5, 0.0123, 0.0000151)] == ["50%", "1.2%", "0.0015%"]
