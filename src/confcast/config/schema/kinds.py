"""Says which kind of class a schema is, which fields it has, and by which name another process imports it.

A schema is a pydantic `BaseModel`, a dataclass (stdlib or pydantic) or a `msgspec.Struct`. Guarantees: nothing here
imports pydantic (a class can only be a pydantic model if something imported pydantic before), so that a worker with a
`msgspec` schema imports `msgspec` only; nothing runs the user's validators; all answers are cached per class.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec

from confcast.config.schema.generics import hints_of
from confcast.config.schema.marks import is_mark

TRANSPARENT = ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
"""The qualifiers that may be around a type, by name: some are of `typing_extensions` on 3.11."""

Kind: TypeAlias = Literal["pydantic", "pydantic_dataclass", "dataclass", "struct"]

_DECLARED = {"__annotations__", "__annotate_func__", "__annotations_cache__"}
"""A class has one of these if its body annotates a name: the first up to Python 3.13, and by the future import."""

_MAIN = ("__main__", "__mp_main__")
_SETTINGS = ("pydantic_settings.main", "BaseSettings")


class Secret:
    """Marks a plain value as a secret: `Annotated[str, Secret]`.

    The value keeps its type (a `str`), and is masked in diffs, events, error messages and logs. A pydantic `SecretStr`
    or `SecretBytes` needs no mark.
    """


def is_secret_mark(part: Any) -> bool:
    """Whether a part of an annotation is `Secret`, or an instance of it."""
    return part is Secret or isinstance(part, Secret)


class UrlSecret:
    """Marks a text as a URL with a password in it: `Annotated[str, UrlSecret]`.

        broker: Annotated[str, UrlSecret] = "redis://localhost"

    The value keeps its type. Wherever it is shown its password is masked, and the rest is not:
    `redis://:**********@queue:6379/0`. Parameters that are secrets by their names (`?password=`, `&token=`) are masked,
    too, and so is the password of a text such as `host=db password=…`. In a container each text is such a URL.
    pydantic's own types, `AnyUrl`, `HttpUrl`, `PostgresDsn` and the like, need no mark.
    """


def is_url_mark(part: Any) -> bool:
    """Whether a part of an annotation is `UrlSecret`, or an instance of it."""
    return part is UrlSecret or isinstance(part, UrlSecret)


class Field(NamedTuple):
    """One field of a class.

    Attributes:
        name: The attribute.
        key: The field's key in files: its alias if that is one plain string, otherwise its name.
        annotation: The field's type, with the marks of `Annotated` kept: `Secret`, `UrlSecret`, `Watched`,
            `NeedsRestart`.
    """

    name: str
    key: str
    annotation: Any


def kind_of(schema: Any) -> Kind:
    """Which kind of schema a class is. Raises TypeError for everything that can't be a schema."""
    if isinstance(schema, type):
        if issubclass(schema, msgspec.Struct):
            return "struct"
        base = loaded("pydantic.main", "BaseModel")
        # pydantic never completes BaseModel itself, and neither base has a field
        if issubclass(schema, base) and schema is not base and schema is not loaded(*_SETTINGS):
            return "pydantic"
        if dataclasses.is_dataclass(schema):
            return "pydantic_dataclass" if "__pydantic_fields__" in vars(schema) else "dataclass"
    raise TypeError(
        f"{schema!r} can't be a schema: it has to be a class that is a pydantic BaseModel, a dataclass"
        " or a msgspec.Struct"
    )


def reads_by_itself(schema: Any) -> bool:
    """Whether a class is a BaseSettings of pydantic-settings, whose constructor reads the environment and files."""
    return isinstance(schema, type) and issubclass(schema, loaded(*_SETTINGS))


def fields_of(cls: Any) -> tuple[Field, ...] | None:
    """The fields of a class of fields, in their order; None for any other type.

    Raises:
        TypeError: An annotation of the class can't be resolved (a forward reference to an unknown name).
    """
    return _fields(cls) if isinstance(cls, type) else None


def import_path(cls: type) -> str:
    """The name by which another process finds a class; `resolve` is the inverse.

    For example `pkg.settings:Settings`; for a class of the main program `/srv/app.py:Settings` or
    `-m pkg.app:Settings`: that program is run again under the name `__mp_main__`, as multiprocessing's spawn does.

    Raises:
        TypeError: No other process could find the class: it is local to a function, made at run time or typed in.
    """
    module, qualname = cls.__module__, cls.__qualname__
    if "<locals>" in qualname:
        raise TypeError(f"{module}.{qualname} is local to a function, so no other process can import it: move it up")
    if _attribute(sys.modules.get(module), qualname) is not cls:
        program = " (where a profiler or a debugger runs the program, __main__ is its own)" if module in _MAIN else ""
        raise TypeError(
            f"{module}.{qualname} is not what its module has under that name{program}, so no other process can import"
            " it: give it a name at the top of a module (for a generic: class Settings(Base[int]): …)"
        )
    return f"{_main_program(module, qualname) if module in _MAIN else module}:{qualname}"


def resolve(path: str) -> type:
    """Import the class that `import_path` named.

    Raises:
        TypeError: The path is malformed, or names no class.
        ImportError: The module can't be imported.
    """
    place, _, qualname = path.rpartition(":")
    if not place or not qualname:
        raise TypeError(f"{path!r} names no class: write it as 'package.module:Class'")
    found = _attribute(_import(place, path), qualname)
    if not isinstance(found, type):
        what = "has nothing of that name" if found is None else f"has a {type(found).__name__} there, not a class"
        main = f" (it is the program of this process, {_started()})" if is_of_main(path) else ""
        raise TypeError(f"{path!r}: the module was imported{main}, but {what}")
    return found


def is_of_main(path: str) -> bool:
    """Whether a path names the main program, which differs from process to process."""
    return path.rpartition(":")[0] in _MAIN


def _started() -> str:
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    return f"-m {spec.name}" if spec is not None else str(getattr(main, "__file__", None) or "typed in")


@functools.cache
def _fields(cls: type) -> tuple[Field, ...] | None:
    try:
        kind = kind_of(cls)
    except TypeError:
        return None
    found = {"struct": _struct_fields, "dataclass": _dataclass_fields}.get(kind, _pydantic_fields)
    try:
        return tuple(found(cls))
    except NameError as error:
        raise TypeError(f"the annotations of {cls.__qualname__} can't be resolved: {error}") from None


def loaded(module: str, name: str) -> Any:
    """A class of a library if the library was imported and has it, else an empty tuple: no object is of one."""
    return getattr(sys.modules.get(module), name, ())


def _pydantic_fields(cls: Any) -> Iterator[Field]:
    if not cls.__dict__.get("__pydantic_complete__", True):
        rebuild = getattr(cls, "model_rebuild", None) or functools.partial(_rebuild_dataclass, cls)
        if not rebuild(raise_errors=False):
            raise TypeError(f"{cls.__qualname__} has a forward reference that can't be resolved")
    for name, field in cls.__pydantic_fields__.items():
        alias = field.validation_alias if field.validation_alias is not None else field.alias
        marks = [
            *([Secret] if any(map(is_secret_mark, field.metadata)) else ()),
            *([UrlSecret] if any(map(is_url_mark, field.metadata)) else ()),
            *filter(is_mark, field.metadata),
        ]
        hint = Annotated[(field.annotation, *marks)] if marks else field.annotation
        yield Field(name, alias if isinstance(alias, str) else name, hint)


def _rebuild_dataclass(cls: Any, **options: Any) -> bool:
    from pydantic.dataclasses import rebuild_dataclass

    return bool(rebuild_dataclass(cls, **options))


def _dataclass_fields(cls: Any) -> Iterator[Field]:
    hints = hints_of(cls)
    for field in dataclasses.fields(cls):
        alias = alias_of(cls, field.name, hints[field.name], getattr(cls, "__pydantic_config__", {}))
        yield Field(field.name, alias if isinstance(alias, str) else field.name, hints[field.name])


def _struct_fields(cls: Any) -> Iterator[Field]:
    for field in msgspec.structs.fields(cls):
        yield Field(field.name, field.encode_name, field.type)


def is_record(cls: Any) -> bool:
    """Whether a class is a TypedDict (of `typing` or `typing_extensions`) or a NamedTuple with annotations."""
    if not isinstance(cls, type) or _DECLARED.isdisjoint(vars(cls)):
        return False
    return (issubclass(cls, dict) and hasattr(cls, "__total__")) or (issubclass(cls, tuple) and hasattr(cls, "_fields"))


def alias_of(cls: Any, name: str, annotation: Any, config: Any) -> Any:
    """The alias, a text or choices, of a field in a class that pydantic did not make; None if it has none."""
    given = getattr(cls, "__dataclass_fields__", {}).get(name)
    marks = (*_marks(annotation), getattr(given, "default", None))
    infos = [mark for mark in marks if isinstance(mark, loaded("pydantic.fields", "FieldInfo"))]
    for alias in (each for info in reversed(infos) for each in (info.validation_alias, info.alias)):
        if alias is not None:
            return alias
    generator = config.get("alias_generator")
    generator = getattr(generator, "validation_alias", None) or getattr(generator, "alias", None) or generator
    return generator(name) if callable(generator) else None


def _marks(annotation: Any) -> Iterator[Any]:
    """The metadata of `Annotated` around a field's type, also within `Required`, `Final` and the like."""
    origin = typing.get_origin(annotation)
    while origin is Annotated or getattr(origin, "_name", None) in TRANSPARENT:
        yield from getattr(annotation, "__metadata__", ())
        annotation = typing.get_args(annotation)[0]
        origin = typing.get_origin(annotation)


def _attribute(holder: Any, qualname: str) -> Any:
    for part in qualname.split("."):
        holder = getattr(holder, part, None)
    return holder


def _main_program(module: str, qualname: str) -> str:
    main = sys.modules[module]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":  # "__main__" is the __main__.py of a folder or an archive
        return f"-m {spec.name}"
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        raise TypeError(
            f"{qualname} {_defined(file, in_archive=spec is not None)} can't be imported by another process: put it "
            "into a module of its own beside that, such as settings.py, and import it from there"
        )
    return str(Path(file).absolute())


def _defined(file: str | None, *, in_archive: bool) -> str:
    """The place where a class was defined whose main program is no file."""
    if file is None:
        return "was typed in, or passed with -c or on stdin, and"
    if getattr(sys, "frozen", False):
        return f"is defined in the main program of {sys.executable}, which is frozen, and"
    return (
        f"is defined in __main__ of {Path(file).parent}, an archive, and" if in_archive else f"is defined in {file} and"
    )


def _import(place: str, path: str) -> types.ModuleType:
    if not place.startswith("-m ") and not place.endswith(".py"):
        return _import_module(place, path)
    for name in _MAIN:
        main = sys.modules.get(name)
        # A program on stdin, or one that embeds Python, has neither a spec nor a file, so it is not the one meant.
        if main is not None and (getattr(main, "__spec__", None) or getattr(main, "__file__", None)):
            try:
                same = _main_program(name, "") == place
            except TypeError:
                same = False
            if same:
                return main
    return _run_main(place)


def _import_module(name: str, path: str) -> types.ModuleType:
    """Import a module. Its ImportError says what to do if this module is missing, not if one that it imports is."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        frozen = "; a frozen program has only those that it imports by a statement" if hasattr(sys, "frozen") else ""
        raise ModuleNotFoundError(
            f"{path!r} can't be had in the process {os.getpid()}: no folder of sys.path has a module {error.name!r}"
            f"{frozen}. Put the class into a module that is found by its name, or the folder into sys.path before the "
            "manager starts (for modules that pytest imports in its mode importlib: pytest's option pythonpath)",
            name=error.name,
        ) from None


def _run_main(place: str) -> types.ModuleType:
    """Run the main program of another process as multiprocessing's spawn does, under the name `__mp_main__`."""
    # Its first import makes `__mp_main__` a name of this process's own program: before the run, and not during it, when
    # pydantic looks the classes' annotations up in the module of that name.
    importlib.import_module("multiprocessing")
    import runpy  # imported here: few schemas are in a main program

    try:
        if place.startswith("-m "):
            content = runpy.run_module(place[3:], run_name="__mp_main__", alter_sys=True)
        else:
            content = runpy.run_path(place, run_name="__mp_main__")
    except FileNotFoundError as error:
        raise ImportError(f"the main program {place} is gone: {error}") from None
    module = types.ModuleType("__mp_main__")
    vars(module).update(content)
    sys.modules["__mp_main__"] = module
    return module
