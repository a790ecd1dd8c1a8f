"""Settings: who wins, what a damaged file costs, and when the server refuses to open itself."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.modules.errors import SettingsError
from webui.settings import load, read_config


def load_from(folder: Path, *, config: object = None, environment=None, **flags: object):
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return load(
        {name.replace("__", "."): value for name, value in flags.items()},
        environment=environment or {},
        home=folder,
    )


def test_flags_win_over_the_environment_and_that_over_the_config_file(tmp_path) -> None:
    config = {"server": {"port": 1001}, "device": {"threads": 3}, "limits": {"max_steps": 9}}
    environment = {"ATELIER_PORT": "1002", "ATELIER_THREADS": "2", "HOME": "/nowhere"}

    settings = load_from(tmp_path, config=config, environment=environment, server__port=1003)

    assert settings.server.port == 1003
    assert settings.device.threads == 2
    assert settings.limits.max_steps == 9
    assert settings.limits.max_batch_size == 16
    assert settings.problems == ()


def test_a_config_file_never_reads_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_FOR_TEST", "hunter2")
    config = {"device": {"attention": "${oc.env:SECRET_FOR_TEST}"}}

    settings = load_from(tmp_path, config=config)

    assert settings.device.attention == "${oc.env:SECRET_FOR_TEST}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server.port", "many"),
        ("server.port", 0),
        ("limits.max_steps", -1),
        ("device.precision", "fp8"),
        ("device.threads", -2),
        ("server.nonsense", 1),
    ],
)
def test_a_wrong_flag_is_named_with_its_value(tmp_path, name, value) -> None:
    with pytest.raises(SettingsError) as told:
        load({name: value}, environment={}, home=tmp_path)

    assert name in str(told.value)
    assert told.value.hint


def test_a_wrong_value_in_the_config_file_is_told_and_the_others_hold(tmp_path) -> None:
    config = {"server": {"port": "x", "browser": False}, "limits": [], "eta_ddim": 0.5}

    settings = load_from(tmp_path, config=config)

    assert settings.server.port == 7860
    assert settings.server.browser is False
    assert settings.options == {"eta_ddim": 0.5}
    assert "server.port is 'x'" in settings.problems[0]


DAMAGED = {
    "empty": b"",
    "cut": b'{\n    "eta_ddim": 0.5,\n    "samples_format": "pn',
    "hole": b'{\n    "eta_ddim": 0.5,\n    "tiling": ,\n    "s_churn": 1.0\n}',
    "zeros": b"\0" * 300,
    "array": b"[1, 2]",
    "deep": b"[" * 100_000,
    "bytes": b"\xff\xfe{}\x81",
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_config_file_is_copied_aside_and_its_good_keys_hold(tmp_path, damage) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(damage)

    settings = load_from(tmp_path)
    again = load_from(tmp_path)

    assert path.read_bytes() == damage
    assert [copy.read_bytes() for copy in tmp_path.glob("config.json.bad-*")] == [damage]
    assert "config.json.bad-1" in settings.problems[0]
    assert again == settings
    if b'"eta_ddim": 0.5' in damage:
        assert settings.options["eta_ddim"] == 0.5
    if b'"s_churn": 1.0' in damage:
        assert settings.options["s_churn"] == 1.0


def test_a_byte_order_mark_is_no_damage(tmp_path) -> None:
    (tmp_path / "config.json").write_bytes(b'\xef\xbb\xbf{"eta_ddim": 0.5}')

    assert load_from(tmp_path).options == {"eta_ddim": 0.5}


@given(values=st.dictionaries(st.text(min_size=1, max_size=8), st.integers()), cut=st.integers(1))
def test_whatever_survives_a_cut_is_what_was_written(tmp_path_factory, values, cut) -> None:
    folder = tmp_path_factory.mktemp("config")
    text = json.dumps(values, indent=4).encode()
    (folder / "config.json").write_bytes(text[: cut % (len(text) + 1)])

    kept = read_config(folder / "config.json").values

    assert kept.items() <= values.items()


def test_the_network_is_refused_without_people(tmp_path) -> None:
    with pytest.raises(SettingsError, match="nobody is named") as told:
        load_from(tmp_path, server__listen=True)

    assert "--auth" in told.value.hint


@pytest.mark.parametrize(
    "way", [{"server__auth": ("anna:secret",)}, {"server__invite": True}], ids=["auth", "invite"]
)
def test_the_network_is_open_to_named_people(tmp_path, way) -> None:
    server = load_from(tmp_path, server__listen=True, **way).server

    assert server.host == "0.0.0.0"  # noqa: S104 - what --listen means
    assert "secret" not in repr(server)


def test_people_can_stand_in_a_file(tmp_path) -> None:
    people = tmp_path / "people.txt"
    people.write_text("# the studio\nanna:se:cret\n\nbob:x\n", encoding="utf-8")

    server = load_from(tmp_path, server__listen=True, server__auth_file=people).server

    assert [(person.name, person.password) for person in server.people] == [
        ("anna", "se:cret"),
        ("bob", "x"),
    ]


def test_a_login_without_password_is_refused(tmp_path) -> None:
    with pytest.raises(SettingsError, match="anna"):
        load_from(tmp_path, server__listen=True, server__auth=("anna",))
