"""Params of jobs: all that decides what comes out, in one order, and nothing else."""

from ferrari.common import section_params, settings

SECTION = {"b": {"z": 1, "a": [{"y": 2, "x": 3}]}, "a": 4, "timeout_s": 5, "batch": 6}


def test_the_order_in_a_settings_file_does_not_count():
    turned = {"timeout_s": 5, "a": 4, "batch": 6, "b": {"a": [{"y": 2, "x": 3}], "z": 1}}
    assert repr(section_params.settled(SECTION)) == repr(section_params.settled(turned))
    assert section_params.settled(SECTION) == SECTION


def test_limits_and_means_are_no_param():
    assert section_params.what_matters(SECTION) == {"a": 4, "b": SECTION["b"]}
    assert section_params.what_matters(SECTION, but=["b"]) == {"a": 4}


def test_each_section_with_limits_has_both():
    config = settings.load()
    for name in ("probe", "extract", "detect", "mask", "caption"):
        found = section_params.limits(config[name])
        assert list(found) == ["timeout_s", "memory_mb"]
        assert not set(found) & set(section_params.what_matters(config[name]))
