"""Settings of NCCL: defaults fill in what the user has not set, and nothing else. No claim about NCCL itself."""

from picochat.distributed.nccl import SETTINGS, effective_settings, set_nccl_defaults


def test_a_user_s_value_stays_and_the_rest_is_filled_in(monkeypatch):
    first, *others = SETTINGS
    for setting in others:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv(first.name, "mine")
    assert effective_settings() == {first.name: "mine"} | {s.name: s.value for s in others}
    for setting in others:
        monkeypatch.setenv(setting.name, "")  # so that monkeypatch puts the environment back
        monkeypatch.delenv(setting.name)
    set_nccl_defaults()
    assert effective_settings() == {first.name: "mine"} | {s.name: s.value for s in others}


def test_every_setting_has_a_reason():
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS) and all(s.why and s.value for s in SETTINGS)
