"""The OpenAPI document: valid, of each route, and each route is a command's."""

from __future__ import annotations

from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from confcast.admin.app import Admin
from confcast.admin.calls import Calls
from confcast.admin.limits import Limits
from confcast.admin.openapi import document
from confcast.admin.owners import Owners, Which
from confcast.admin.table import CHANGES, READS
from confcast.admin.tokens import Tokens
from confcast.cli.commands import COMMANDS
from confcast.worker.client.verbs import Verbs

OF_THE_API_ALONE = {"/v1/session", "/v1/openapi.json"}
COMMANDS_OF = {"/v1/owners": "status --all", "/v1/events": "history --follow", "/v1/fleet": "fleet status"}


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_it_has_each_route_and_no_other(tmp_path: Path) -> None:
    calls = Calls(1, 1.0)
    admin = Admin(Owners(Which(), calls), calls, Tokens(tmp_path / "tokens"), Limits())
    served = {
        (each.path, method)
        for each in admin.routes()
        if isinstance(each, Route) and each.path.startswith("/v1/")
        for method in (each.methods or ())
        if method != "HEAD"
    }
    assert {(path, method.upper()) for path, found in document()["paths"].items() for method in found} == served


def test_whatever_the_api_does_a_command_does_on_the_host() -> None:
    named = {each.path: each.command for each in (*READS, *CHANGES)} | COMMANDS_OF
    assert set(document()["paths"]) == named.keys() | OF_THE_API_ALONE
    assert {command.split()[0] for command in named.values()} <= COMMANDS.keys()


def test_every_verb_is_a_route() -> None:
    verbs = {"reload", "check", "set", "unset", "rollback", "resume", "confirm"}
    assert verbs <= {name for name in vars(Verbs) if not name.startswith("_")}
    assert {each.path.removeprefix("/v1/") for each in CHANGES} == verbs
    assert {"status", "stats", "workers", "versions", "history", "diff", "explain"} <= {
        each.path.removeprefix("/v1/") for each in READS
    }


def test_only_a_dry_run_wants_no_version_that_was_seen() -> None:
    wanting = {
        path
        for path, found in document()["paths"].items()
        if any(each["name"] == "If-Match" for each in found.get("post", {}).get("parameters", ()))
    }
    assert wanting == {each.path for each in CHANGES} - {"/v1/check"}
