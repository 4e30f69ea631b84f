"""The user's type: its kind, its fields, where its secrets are, and the name by which another process finds it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import types
import zipfile
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import msgspec
import pydantic
import pydantic_settings
import pytest
import typing_extensions
from pydantic import BaseModel, SecretBytes, SecretStr

from confcast.config.schema.kinds import Secret, fields_of, import_path, kind_of, reads_by_itself, resolve
from confcast.config.schema.secrets import contains_secret

T = TypeVar("T")


class Model(BaseModel):
    plain: int = 1
    renamed: int = pydantic.Field(1, alias="otherName")
    choice: int = pydantic.Field(1, validation_alias=pydantic.AliasChoices("a", "b"))
    password: SecretStr = SecretStr("x")
    token: Annotated[str, Secret] = "x"


@dataclasses.dataclass
class Data:
    plain: int = 1
    token: Annotated[str, Secret] = "x"


@pydantic.dataclasses.dataclass
class PydanticData:
    plain: int = 1
    token: Annotated[str, Secret] = "x"


class Record(msgspec.Struct, rename="camel"):
    some_thing: int = 1
    api_token: Annotated[str, Secret] = "x"


class Tree(BaseModel):
    children: list[Tree] = []


class SecretTree(BaseModel):
    children: list[SecretTree] = []
    token: SecretStr | None = None


class Generic_(BaseModel, Generic[T]):
    x: T


class Typed(TypedDict):
    token: SecretStr


class OtherTyped(typing_extensions.TypedDict):
    token: SecretStr


class Named(NamedTuple):
    token: Annotated[str, Secret()]


class Outer:
    class Inner(BaseModel):
        x: int = 1


class FromEnvironment(pydantic_settings.BaseSettings):
    x: int = 1


@dataclasses.dataclass
class Unresolved:
    x: Nowhere  # noqa: F821


@pytest.mark.parametrize(
    ("cls", "kind"),
    [(Model, "pydantic"), (Data, "dataclass"), (PydanticData, "pydantic_dataclass"), (Record, "struct")],
)
def test_each_kind_of_schema_is_recognised(cls, kind):
    assert kind_of(cls) == kind


@pytest.mark.parametrize("cls", [int, dict, list[int], Typed, Model(), "Model", Model | None])
def test_what_is_no_schema_is_refused_in_words(cls):
    with pytest.raises(TypeError, match="can't be a schema: it has to be a class"):
        kind_of(cls)
    assert fields_of(cls) is None


def test_base_settings_are_models_that_read_by_themselves_and_the_bare_class_is_only_a_base():
    assert kind_of(FromEnvironment) == "pydantic"
    assert [reads_by_itself(each) for each in (FromEnvironment, Model, Data, "Model")] == [True, False, False, False]
    with pytest.raises(TypeError, match="can't be a schema: it has to be a class"):
        kind_of(pydantic_settings.BaseSettings)


def test_fields_have_the_attribute_the_key_in_files_and_whether_they_are_secret():
    assert [(f.name, f.key, contains_secret(f.annotation)) for f in fields_of(Model) or ()] == [
        ("plain", "plain", False),
        ("renamed", "otherName", False),
        ("choice", "choice", False),
        ("password", "password", True),
        ("token", "token", True),
    ]
    assert [(f.name, f.key, contains_secret(f.annotation)) for f in fields_of(Record) or ()] == [
        ("some_thing", "someThing", False),
        ("api_token", "apiToken", True),
    ]


@pytest.mark.parametrize("cls", [Data, PydanticData])
def test_dataclasses_keep_the_mark_of_a_secret(cls):
    plain, token = fields_of(cls) or ()
    assert plain.annotation is int
    assert token.annotation == Annotated[str, Secret]


@pytest.mark.parametrize(
    "annotation",
    [
        SecretStr,
        SecretBytes,
        pydantic.Secret[int],
        Annotated[str, Secret],
        Annotated[str, "other", Secret()],
        SecretStr | None,
        dict[str, list[SecretStr]],
        list[Annotated[str, Secret]],
        Model,
        tuple[int, Model],
        Data,
        Record,
        SecretTree,
        Typed,
        OtherTyped,
        Named,
        Generic_[SecretStr],
    ],
)
def test_a_secret_is_found_wherever_it_stands(annotation):
    assert contains_secret(annotation)


@pytest.mark.parametrize(
    "annotation", [int, str, None, Any, Tree, dict[str, int], Literal["Secret"], Annotated[int, 3], Generic_[int], T]
)
def test_what_is_no_secret_is_none(annotation):
    assert not contains_secret(annotation)


def test_an_annotation_that_cannot_be_resolved_is_a_type_error_that_names_the_class():
    with pytest.raises(TypeError, match=r"the annotations of Unresolved can't be resolved: name 'Nowhere'"):
        fields_of(Unresolved)


@pytest.mark.parametrize("cls", [Model, Record, Outer.Inner])
def test_a_class_is_found_again_by_its_import_path(cls):
    assert resolve(import_path(cls)) is cls


def test_classes_that_no_other_process_can_import_are_refused():
    class Local(BaseModel):
        x: int = 1

    with pytest.raises(TypeError, match="is local to a function"):
        import_path(Local)
    with pytest.raises(TypeError, match="is not what its module has under that name"):
        import_path(type("Ghost", (BaseModel,), {}))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("confcast.errors", "names no class"),
        ("confcast.errors:", "names no class"),
        ("confcast.errors:Nothing", "has nothing of that name"),
        ("confcast.wire.messages:decode_to_owner", "has a function there, not a class"),
    ],
)
def test_a_path_that_names_no_class_is_refused_in_words(path, text):
    with pytest.raises(TypeError, match=text):
        resolve(path)


SCRIPT = """
import msgspec
from confcast.config.schema.kinds import import_path, resolve
class Settings(msgspec.Struct):
    x: int = 1
if __name__ == "__main__":
    path = import_path(Settings)
    assert resolve(path) is Settings
    print(path)
"""


@pytest.mark.parametrize("arguments", [("program.py",), ("-m", "program"), ("folder",), ("-m", "folder")])
def test_a_class_of_the_main_program_is_found_by_another_process(tmp_path, arguments):
    (tmp_path / "program.py").write_text(SCRIPT)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(SCRIPT)
    run = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True}
    path = subprocess.run([sys.executable, *arguments], **run).stdout.strip()
    other = (
        "import sys; from confcast.config.schema.kinds import import_path, resolve; "
        "cls = resolve(sys.argv[1]); assert cls.__module__ == '__mp_main__'; "
        "assert resolve(sys.argv[1]) is cls; print(import_path(cls))"
    )
    found = subprocess.run([sys.executable, "-c", other, path], **run).stdout.strip()
    assert found == path


FIRST_TO_IMPORT = """
from __future__ import annotations
import multiprocessing
import pydantic
class Part(pydantic.BaseModel):
    password: pydantic.SecretStr = pydantic.SecretStr("")
class Settings(pydantic.BaseModel):
    part: Part = Part()
if __name__ == "__main__":
    from confcast.config.schema.kinds import import_path
    print(import_path(Settings))
"""


def test_a_main_program_that_is_the_first_to_import_multiprocessing_is_still_the_module_of_its_classes(tmp_path):
    """That import makes `__mp_main__` a name of the process's own program, in which pydantic finds no annotation."""
    (tmp_path / "program.py").write_text(FIRST_TO_IMPORT)
    run = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True}
    path = subprocess.run([sys.executable, "-m", "program"], **run).stdout.strip()
    other = (
        "import sys; from confcast.config.schema.kinds import resolve; "
        "assert 'multiprocessing' not in sys.modules; print(resolve(sys.argv[1])().part)"
    )
    assert subprocess.run([sys.executable, "-c", other, path], **run).stdout == "password=SecretStr('')\n"


def test_one_of_an_archive_is_refused_by_the_archive_s_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", SCRIPT)
    run = subprocess.run([sys.executable, "app.pyz"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert "TypeError: Settings is defined in __main__ of " in run.stderr
    assert "app.pyz, an archive, and can't be imported by another process: put it into a module of its" in run.stderr


def test_one_of_a_frozen_program_is_refused_by_the_program_s_name(monkeypatch):
    main = types.ModuleType("__main__")
    main.__file__ = "/srv/app/_internal/program.py"
    main.Settings = type("Settings", (msgspec.Struct,), {"__module__": "__main__"})
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/srv/app/program")
    with pytest.raises(TypeError, match="Settings is defined in the main program of /srv/app/program, which is frozen"):
        import_path(main.Settings)


def test_one_of_a_program_that_a_profiler_runs_is_refused_with_the_cause(tmp_path):
    (tmp_path / "program.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "cProfile", "-o", "profile", "program.py"]
    run = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    if sys.version_info >= (3, 14):  # cProfile gives the program its own __main__
        assert run.stdout == f"{tmp_path / 'program.py'}:Settings\n"
        return
    assert "(where a profiler or a debugger runs the program, __main__ is its own)" in run.stderr
    assert "give it a name at the top of a module" in run.stderr


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("no_such_module:Settings", "no folder of sys.path has a module 'no_such_module'. Put the class into a module"),
        ("no_such_package.settings:Settings", "has a module 'no_such_package'. Put"),
        ("confcast.no_such_module:Settings", "has a module 'confcast.no_such_module'. Put"),
    ],
)
def test_a_module_that_is_not_found_is_said_with_the_class_and_the_way_out(path, told):
    with pytest.raises(ModuleNotFoundError) as caught:
        resolve(path)
    assert str(caught.value).startswith(f"{path!r} can't be had in the process ")
    assert told in str(caught.value)


def test_a_module_that_it_imports_in_turn_is_said_as_python_says_it(tmp_path, monkeypatch):
    (tmp_path / "schema_that_needs.py").write_text("import no_such_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'no_such_module'$"):
        resolve("schema_that_needs:Settings")


MAIN = """
from confcast import ConfigLoader
from pydantic import BaseModel
class Settings(BaseModel):
    x: int = 1
if __name__ == "__main__":
    print(ConfigLoader("__main__:Settings")._to_spec().schema)
    try:
        ConfigLoader("__main__:Other")._to_spec()
    except TypeError as error:
        print(error)
"""


def test_a_schema_in_main_is_that_of_the_program_which_says_so_by_its_name_and_by_its_path(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(MAIN)
    run = subprocess.run([sys.executable, program], check=True, capture_output=True, text=True)
    found, refused = run.stdout.splitlines()
    assert found == f"{program}:Settings"  # what the config owner, whose own main program is another, can find
    where = f"(it is the program of this process, {program})"
    assert refused == f"'__main__:Other': the module was imported {where}, but has nothing of that name"


def test_a_class_that_was_typed_in_is_refused():
    imports = "import msgspec\nfrom confcast.config.schema.kinds import import_path\n"
    code = f"{imports}class S(msgspec.Struct): pass\nimport_path(S)"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "TypeError: S was typed in, or passed with -c" in run.stderr


def test_naming_a_structs_fields_imports_no_pydantic():
    code = (
        "import sys, msgspec; from confcast.config.schema.kinds import fields_of\n"
        "class S(msgspec.Struct):\n x: int = 1\n"
        "print(fields_of(S)[0].key, 'pydantic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "x False\n"
