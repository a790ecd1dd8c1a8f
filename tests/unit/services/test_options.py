"""A1111's options: kept when they fit, refused when not, never lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.modules.errors import ForbiddenError, RangeError, UnknownNameError
from webui.services.options import OptionsStore, defaults
from webui.settings import load


def title_of(option: str, name: str) -> str:
    if name == "gone":
        message = f"there is no {option} gone"
        raise UnknownNameError(message, hint="There are: others.")
    return f"{name} [0123456789]" if option == "sd_model_checkpoint" else name


def store_in(folder, **flags: object) -> OptionsStore:
    return OptionsStore(load(flags, environment={}, home=folder), title_of=title_of)


def test_a_change_holds_now_and_after_a_restart_and_keeps_the_rest_of_the_file(tmp_path) -> None:
    written = {"server": {"port": 7000}, "key_of_an_extension": [1], "s_churn": 2}
    (tmp_path / "config.json").write_text(json.dumps(written), encoding="utf-8")
    store = store_in(tmp_path)
    told: list[str] = []
    store.when_changed(lambda: told.append("changed"))

    store.update({"eta_ddim": 0.5, "sd_model_checkpoint": "cat"})

    assert store.current().number("eta_ddim") == 0.5
    assert told == ["changed"]
    again = store_in(tmp_path).current()
    assert (again.number("eta_ddim"), again.number("s_churn")) == (0.5, 2)
    assert again.text("sd_model_checkpoint") == "cat [0123456789]"
    kept = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert kept["server"] == {"port": 7000}
    assert kept["key_of_an_extension"] == [1]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"nonsense": 1}, UnknownNameError),
        ({"s_churn": "much"}, RangeError),
        ({"s_churn": float("nan")}, RangeError),
        ({"s_churn": True}, RangeError),
        ({"CLIP_stop_at_last_layers": 1.5}, RangeError),
        ({"CLIP_stop_at_last_layers": 99}, RangeError),
        ({"samples_format": "exe"}, RangeError),
        ({"save_to_dirs": "yes"}, RangeError),
        ({"quicksettings_list": "a"}, RangeError),
        ({"quicksettings_list": [1]}, RangeError),
        ({"samples_filename_pattern": "../x"}, RangeError),
        ({"directories_filename_pattern": "/etc"}, RangeError),
        ({"directories_filename_pattern": "C:\\x"}, RangeError),
        ({"outdir_txt2img_samples": "/tmp"}, ForbiddenError),
        ({"temp_dir": "/tmp"}, ForbiddenError),
        ({"sd_model_checkpoint": "gone"}, UnknownNameError),
        ({"sd_vae": "gone"}, UnknownNameError),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_changes_nothing(tmp_path, values, kind) -> None:
    store = store_in(tmp_path)

    with pytest.raises(kind) as told:
        store.update({"eta_ddim": 0.5, **values})

    assert told.value.hint
    assert store.current().as_dict() == dict(defaults())
    assert not (tmp_path / "config.json").exists()


def test_frozen_options_cannot_be_changed(tmp_path) -> None:
    with pytest.raises(ForbiddenError):
        store_in(tmp_path, frozen_options=True).update({"eta_ddim": 0.5})


def test_a_wrong_value_in_the_file_is_told_and_its_default_holds(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"s_churn": "x", "eta_ddim": 1}', encoding="utf-8")

    store = store_in(tmp_path)

    assert store.current().number("s_churn") == 0
    assert store.current().number("eta_ddim") == 1
    assert "s_churn" in store.problems[0]


@given(key=st.sampled_from(sorted(defaults())), value=st.one_of(st.floats(), st.text(), st.none()))
def test_nothing_that_is_said_for_one_request_leaks(tmp_path_factory, key, value) -> None:
    store = store_in(tmp_path_factory.mktemp("options"))
    before = store.current()

    try:
        own = store.current().with_overrides({key: value})
    except (RangeError, ForbiddenError):
        own = before

    assert store.current() is before
    assert before.as_dict() == dict(defaults())
    assert set(own.as_dict()) == set(defaults())


def test_every_default_fits_its_own_option(tmp_path) -> None:
    owners = {key for key in defaults() if key.startswith("outdir_")} | {"temp_dir", "font"}
    free = {key: value for key, value in defaults().items() if key not in owners}

    assert store_in(tmp_path).current().with_overrides(free).as_dict() == dict(defaults())
