"""In the same environment a loaded configuration equals `Cls()`, or is refused where that raises.

320 environments under 40 classes, whose options and sources are drawn by a seed.
"""

from __future__ import annotations

import enum
import functools
import json
import os
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from confcast import ConfigError, ConfigLoader

pytestmark = pytest.mark.usefixtures("here")

CLASSES = 40
EACH = 8


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Sub(pydantic.BaseModel):
    a: int = 1
    b: str = "b"
    many: dict[str, int] = {}


OPTIONS: dict[str, list[Any]] = {
    "env_prefix": ["", "APP_"],
    "env_nested_delimiter": [None, "__"],
    "case_sensitive": [False, False, True],
    "env_ignore_empty": [False, True],
    "env_parse_none_str": [None, "null"],
    "env_parse_enums": [None, True],
    "env_file": [None, ".env", (".env", "b.env")],
    "secrets_dir": [None, "sec", ("sec", "more")],
    "extra": ["forbid", "ignore", "allow"],
    "nested_model_default_partial_update": [False, True],
    "populate_by_name": [False, True],
}
FILES = {"yaml": YamlConfigSettingsSource, "toml": TomlConfigSettingsSource, "json": JsonConfigSettingsSource}
# What may be written for each name as text, and in a file.
GOOD: dict[str, tuple[list[str], list[Any]]] = {
    "name": (["x", "", "null", "é", "[1]"], ["x", ""]),
    "number": (["7", "-1"], [3, "4", 5.0]),
    "flag": (["true", "0"], [True, "no"]),
    "colour": (["blue", "red"], ["blue"]),
    "items": (["[]", '["p"]'], [[], ["p", "q"]]),
    "sub": (['{"a": 2}', '{"many": {"z": 1}}'], [{"a": 4}, {"b": "f", "many": {"y": 1}}, {}]),
    "sub__a": (["8"], []),
    "sub__many": (['{"w": 3}'], []),
    "sub__many__x": (["9"], []),
    "URL": (["big"], ["big"]),
    "url": (["small"], ["small"]),
    "token": (["t"], ["t"]),
    "optional": (['{"a": 3}'], [{"a": 6}, None]),
    "maybe": (["5", "[1, 2]"], [5, [1]]),
}
NAMES = list(GOOD)
BAD: tuple[list[str], list[Any]] = (["", "x", "{", "null", '{"a": "no"}'], ["x", None, [], {"zz": 1}])


def drawn(random_: random.Random, name: str, kind: int) -> Any:
    """A value for a name, as text or as data; now and then one that may be wrong."""
    choices = GOOD[name][kind] if random_.random() > 0.03 else BAD[kind]
    return random_.choice(choices or GOOD["name"][kind])


def made(random_: random.Random) -> type[BaseSettings]:
    """A class with drawn options, and drawn sources in a drawn order."""
    options = {name: random_.choice(choices) for name, choices in OPTIONS.items()}
    files = random_.sample(sorted(FILES), random_.randint(0, 2))
    options |= {f"{form}_file": f"a.{form}" for form in files}
    shuffled = random_.random() < 0.5
    order = random_.sample(range(4 + len(files)), 4 + len(files)) if shuffled else list(range(4 + len(files)))

    # A class that allows every key keeps the second name of a field as another one; we refuse that, as in every file.
    names = ["url"] if options["extra"] == "allow" else ["url", "URL"]

    class Drawn(BaseSettings):
        model_config = SettingsConfigDict(**options)
        name: str = "n"
        number: int = 1
        flag: bool = False
        colour: Colour = Colour.RED
        items: list[str] = []
        sub: Sub = Sub(b="default")
        url: str = Field("", validation_alias=AliasChoices(*names))
        token: SecretStr = SecretStr("")
        optional: Sub | None = None
        maybe: int | list[int] | None = None

        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **given: Any) -> Any:
            every = [*given.values(), *(FILES[form](settings_cls) for form in files)]
            return tuple(every[index] for index in order)

    return Drawn


def put(random_: random.Random, prefix: str, environment: pytest.MonkeyPatch) -> None:
    """Draw what the environment and each file have."""
    for name in NAMES:
        if random_.random() < 0.15:
            environment.setenv(_cased(random_, prefix + name), drawn(random_, name, 0))
    for file in (".env", "b.env"):
        lines = [f"{_cased(random_, prefix + name)}='{drawn(random_, name, 0)}'\n" for name in _some(random_)]
        Path(file).write_text("".join(lines))
    for folder in ("sec", "more"):
        Path(folder).mkdir()
        for name in _some(random_):
            Path(folder, prefix + name).write_text(drawn(random_, name, 0))
    values = {name: drawn(random_, name, 1) for name in _some(random_) if GOOD[name][1]}
    Path("a.yaml").write_text(yaml.safe_dump(values))
    Path("a.json").write_text(json.dumps(values))
    Path("a.toml").write_text(
        "".join(f"{name} = {_in_toml(value)}\n" for name, value in values.items() if value is not None)
    )


def _cased(random_: random.Random, name: str) -> str:
    return random_.choice([name, name, name.upper()])


def _some(random_: random.Random) -> list[str]:
    return [name for name in NAMES if random_.random() < 0.12]


def _in_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_in_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        yield patch


def loaded(cls: type[BaseSettings]) -> Any:
    return ConfigLoader(cls).load().config


def outcome(make: Callable[[], Any]) -> Any:
    """What a call makes, taken apart, with what was set; None where it raises what a bad configuration raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = make()
    except (ConfigError, ValueError):  # SettingsError and pydantic's are ValueErrors
        return None
    return found.model_dump(), found.model_extra, {name: type(value) for name, value in found}


def test_in_the_same_environment_it_is_what_the_constructor_makes(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    equal = refused = 0
    for seed in range(CLASSES):
        random_ = random.Random(seed)
        cls = made(random_)
        for number in range(EACH):
            folder = tmp_path / f"{seed}-{number}"
            folder.mkdir()
            with environment.context() as patch:
                patch.chdir(folder)
                put(random_, cls.model_config["env_prefix"], patch)
                wanted, found = outcome(cls), outcome(functools.partial(loaded, cls))
                assert found == wanted, (seed, number)
            equal, refused = equal + (wanted is not None), refused + (wanted is None)
    assert equal + refused == CLASSES * EACH
    assert min(equal, refused) > 30
