"""The line of a file beside a problem: whole where nothing is a secret, else no more than the key's own plain value."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, SecretStr

from confcast import Secret
from confcast.config.excerpts import excerpt, with_excerpts
from confcast.errors import Problem

HIDDEN = "hunter2"


class Open(BaseModel):
    """No secret anywhere."""

    size: int = 1


class Login(BaseModel):
    user: str = ""
    password: SecretStr = SecretStr("")
    pin: Annotated[int, Secret] = 0


class Closed(BaseModel):
    """A secret below."""

    size: int = 1
    login: Login = Login()


@pytest.mark.parametrize("line", ['size = "many"', "anything: [at, all", "  - x", 'a = {b = 1, c = "x"}  # why'])
def test_without_secrets_a_line_is_shown_as_it_is(line: str) -> None:
    assert excerpt(line, 1, "", Open) == line


@pytest.mark.parametrize(
    ("line", "key", "shown"),
    [
        ('size = "many"', "size", 'size = "many"'),
        ("size: many", "size", "size: many"),
        ('    "size": "many",', "size", '    "size": "many",'),
        ('password = "hunter2"', "login.password", "password = **********"),
        ("  pin: hunter2", "login.pin", "  pin: **********"),
        ('login.password = "hunter2"', "login.password", "login.password = **********"),
        ('size = "x"  # hunter2', "size", "size = **********"),
        ('size = {user = "x", password = "hunter2"}', "size", "size = **********"),
        (r'size = "\u0068unter2"', "size", "size = **********"),
        ("password: hunter2", "size", ""),  # another key's line
        ('password = "hunter2', "", ""),  # it does not parse: nobody knows what it is
        ("hunter2abc=", "", ""),  # a line of a key that has several
        ('login = {user = 1, password = "hunter2"}', "login.user", ""),
        ("- hunter2", "login", ""),
        ('pasword = "hunter2"', "login.pasword", "pasword = **********"),  # a misspelt one may be a secret
        ("size = 1", 'levels."a.b"', ""),
    ],
)
def test_with_secrets_a_line_shows_no_more_than_its_key_s_own_value(line: str, key: str, shown: str) -> None:
    assert excerpt(line, 1, key, Closed) == shown
    assert HIDDEN not in excerpt(line, 1, key, Closed)


def test_tabs_are_blanks_and_a_line_that_is_long_or_too_short_is_not_shown() -> None:
    assert excerpt("\tsize = x", 2, "size", Open) == " size = x"
    assert excerpt("size = x", 9, "size", Open) == "size = x"
    assert excerpt("size = x", 10, "size", Open) == ""
    assert excerpt("s" * 201, 1, "size", Open) == ""
    assert excerpt("   ", 1, "", Open) == ""


def test_the_line_is_that_of_the_file_that_the_problem_names() -> None:
    texts = {"app.toml": "a = 1\r\nsize = x\r\n", "b:1.yaml": "size: y"}
    given = [
        Problem("size", "is wrong", "app.toml:2:8"),
        Problem("size", "is wrong", "b:1.yaml:1:7"),
        Problem("size", "is wrong", "app.toml:9:1"),
        Problem("size", "is wrong", "gone.toml:1:1"),
        Problem("size", "is wrong", "environment variable APP_SIZE"),
    ]
    found = list(with_excerpts(given, Open, texts.get))
    assert [each.excerpt for each in found] == ["size = x", "size: y", "", "", ""]
    assert [str(each) for each in found] == [str(each) for each in given]
