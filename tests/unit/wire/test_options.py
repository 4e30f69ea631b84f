"""A manager's options are refused where they are given, and in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from confcast import Canary, ConfigError, ConfigLoader, ConfigReloadManager
from confcast.wire.options import Options, checked

LOADER: ConfigLoader[Any] = ConfigLoader("tests.support.settings:Settings")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"silent": "refuze"}, "silent='refuze': 'proceed' or 'refuse' is expected"),
        ({"supervise": "tread"}, "supervise='tread': 'thread' or 'caller' is expected"),
        (
            {"log_level": "INFO"},
            "log_level='INFO': 'debug', 'info', 'warning', 'error' or 'critical' is expected",
        ),
        ({"vote_timeout": 0}, "vote_timeout=0: a number of seconds above 0 is expected"),
        ({"vote_timeout": -1.5}, "vote_timeout=-1.5: a number"),
        ({"vote_timeout": float("inf")}, "vote_timeout=inf: a number"),
        ({"load_timeout": "x"}, "load_timeout='x': a number of seconds"),
        ({"load_timeout": True}, "load_timeout=True: a number of seconds"),
        ({"history_limit": -1}, "history_limit=-1: a number of events is expected, 0 or more"),
        ({"keep_versions": 0}, "keep_versions=0: a number of versions is expected, 1 or more"),
        ({"canary": "25%"}, "canary='25%': a Canary is expected, such as Canary('25%', seconds=60), or None"),
        ({"probation": -1}, "probation=-1: a number of seconds above 0 is expected"),
        ({"max_deaths": 0}, "max_deaths=0: a number of deaths is expected, 1 or more"),
        (
            {"max_error_rate": 5},
            "max_error_rate=5: a share of the answers above 0, and at most 1, is expected, or None",
        ),
        ({"keep_versions": True}, "keep_versions=True: a number of versions is expected, 1 or more"),
        ({"on_start_error": "best"}, "on_start_error='best': 'fail' or 'last_good' is expected"),
        ({"name": " "}, "name=' ': a name is expected, such as 'app'"),
        ({"state_dir": ""}, "state_dir='': a folder is expected, or None"),
        ({"watch": "no"}, "watch='no': True or False is expected"),
        ({"enable_signal_handler": None}, "enable_signal_handler=None: True or False is expected"),
        ({"labels": "ring=canary"}, "labels='ring=canary': a mapping of names to values is expected, such as"),
        ({"labels": {"ring": 1}}, "labels={'ring': 1}: 1 is no name or value of a label: a letter or digit, then"),
        ({"labels": {"a=b": "x"}}, "'a=b' is no name or value of a label"),
        ({"labels": {"ring": "x" * 64}}, "63 at the most"),
        ({"labels": {str(number): "x" for number in range(17)}}, "16 labels at the most are expected, not 17"),
        ({"executable": ""}, "executable='': a Python interpreter is expected, or None"),
    ],
)
def test_a_value_that_an_option_can_t_have_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        ConfigReloadManager(LOADER, **options)
    assert words in str(caught.value)


def test_the_last_good_version_needs_a_folder_that_outlives_a_stop(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ConfigReloadManager(LOADER, on_start_error="last_good")
    (problem,) = caught.value.problems
    assert problem.key == "on_start_error"
    assert problem.message.startswith("'last_good' needs state_dir: ")
    assert ConfigReloadManager(LOADER, on_start_error="last_good", state_dir=tmp_path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("sources:loader", "'sources:loader': a ConfigLoader is expected; the one at this path is ConfigLoader.find("),
        (ConfigLoader, "a ConfigLoader is expected"),
    ],
)
def test_what_is_no_loader_is_refused(given: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        ConfigReloadManager(given)
    assert words in str(caught.value)


def test_an_option_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="'wach'"):
        ConfigReloadManager(LOADER, wach=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(("given", "kept"), [(0, False), (1, True), (False, False)])
def test_a_number_that_is_a_truth_value_is_kept_as_one(given: Any, kept: bool) -> None:
    """The owner's decoder takes no other."""
    options = checked({"watch": given, "enable_signal_handler": given})
    assert (options.watch, options.enable_signal_handler) == (kept, kept)
    assert type(options.watch) is type(options.enable_signal_handler) is bool


def test_the_options_of_trials_travel_to_the_owner() -> None:
    given = {"canary": Canary("5%", seconds=90, by="entity"), "probation": 0, "max_deaths": 3, "max_error_rate": 0.5}
    options = checked(given)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(options), type=Options) == options
    assert (options.canary, options.probation) == (Canary("5%", seconds=90, by="entity"), 0.0)
