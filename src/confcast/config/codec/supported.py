"""Reads from an annotation its text, the classes that it names, and the types in it that can't be serialised.

Guaranteed: every annotation is accepted or refused at start, before any value is seen. `Any`, `object` and type
variables name no class: where they stand, a value is accepted or refused when it is loaded. An alias that msgspec would
read as another type is refused in a Struct. Rejected: asking pydantic for its core schema (it describes validation, not
values, and Structs and stdlib dataclasses have none).
"""

from __future__ import annotations

import collections
import collections.abc as abc
import datetime as dt
import os
import pathlib
import sys
import types
import typing
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from confcast.config.codec.leaves import leaf_of
from confcast.config.codec.registered import registered
from confcast.config.schema.generics import given, has_default, hints_of, is_alias, named_by, substituted, value_of
from confcast.config.schema.kinds import is_secret_mark, is_url_mark
from confcast.texts import repr_of, str_of

Verdict: TypeAlias = str | None
"""Why a class can't be serialised and what to do, or None."""

_ATOMS = {type(None), bool, int, float, str, bytes, object, Any}
_CONTAINERS = {list, tuple, set, frozenset, dict, collections.deque, collections.OrderedDict}
_ABSTRACT = {abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet, abc.Mapping, abc.MutableMapping, abc.Hashable}
_BASES = {pathlib.Path, pathlib.PurePath, os.PathLike, dt.tzinfo}
_KNOWN = _ATOMS | _CONTAINERS | _ABSTRACT | _BASES

_PYDANTIC_STANDS_FOR = {"EmailStr", "Json", "PastDate", "FutureDate", "AwareDatetime", "NaiveDatetime"} | {
    "PastDatetime", "FutureDatetime", "IPvAnyAddress", "IPvAnyInterface", "IPvAnyNetwork"
}  # fmt: skip
"""pydantic's classes that stand in annotations for other types, whose values can be serialised."""

_QUALIFIERS = ("Final", "Required", "NotRequired", "ReadOnly")

_BY_NAME = "use a str or an Enum and look it up where it is used"
_IN_HAND = "use a list or a tuple"
_AT_RUN_TIME = "define or import it at run time too"
_ITERABLES = (abc.Iterable, abc.Iterator, abc.Generator, abc.Collection, abc.Container, abc.Reversible)
_ASYNC = (abc.AsyncIterable, abc.AsyncIterator, abc.AsyncGenerator, abc.Awaitable, abc.Coroutine)
_DICTS = (collections.defaultdict, collections.ChainMap)
_ADVICE: dict[Any, str] = {
    **dict.fromkeys((abc.Callable, type, types.FunctionType, types.BuiltinFunctionType, types.MethodType), _BY_NAME),
    **dict.fromkeys((*_ITERABLES, types.GeneratorType, *_ASYNC), _IN_HAND),
    **dict.fromkeys(_DICTS, "use dict"),
}
_WITHOUT_DEFAULTS = "msgspec does not know the defaults of type parameters; write {0}[…] with what is meant"
_MAKE_IT_SERIALISABLE = (
    "make it a pydantic model, a dataclass or a msgspec Struct, or register it in the schema's module"
    " (confcast.register_type), or keep it out of the configuration and build it where it is used"
)


class AnnotationText(NamedTuple):
    """The text of an annotation, its classes and its problems.

    Attributes:
        text: The annotation as text, the same in every process; constraints and validators are left out.
        classes: The classes of fields and enums that it names, in its order, once each.
        problems: A sentence for each type in it that can't be serialised, with what to do.
    """

    text: str
    classes: tuple[type, ...]
    problems: tuple[str, ...]


def read(annotation: Any, verdict: Callable[[type], Verdict], *, by_msgspec: bool = False) -> AnnotationText:
    """Read the text, the classes and the problems of an annotation.

    Args:
        annotation: Any annotation, its forward references resolved.
        verdict: Returns why a class that is no leaf and no container can't be serialised; None if it can.
        by_msgspec: Whether msgspec makes the values: a type that it would read as another is a problem, too.
    """
    visitor = _Visitor(verdict, by_msgspec=by_msgspec)
    visitor.visit(annotation)
    return AnnotationText(text_of(annotation), tuple(visitor.classes), tuple(dict.fromkeys(visitor.problems)))


def cannot(name: str, advice: str = _MAKE_IT_SERIALISABLE) -> str:
    """The sentence that refuses a type."""
    return f"{name} can't be carried to the workers; {advice}"


def advice_for(cls: Any) -> str | None:
    """What to use in place of a type of the standard library or pydantic that can't be serialised; None for others."""
    if isinstance(cls, type) and issubclass(cls, type):
        return _BY_NAME
    if cls.__module__ == "pydantic.types" and cls.__name__ == "ImportString":
        return _BY_NAME
    advice = _ADVICE.get(cls)
    return None if advice is None or registered(cls) else advice


class _Visitor:
    """Walks over one annotation, and enters each class and alias once."""

    def __init__(self, verdict: Callable[[type], Verdict], *, by_msgspec: bool) -> None:
        self.classes: dict[type, None] = {}
        self.problems: list[str] = []
        self._verdict, self._by_msgspec = verdict, by_msgspec
        self._seen: list[Any] = []
        self._around: list[Any] = []  # the aliases inside which the visit is
        self._scope: dict[str, Any] = {}  # the module in which the names of an alias's value are looked up

    def visit(self, annotation: Any) -> None:
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Annotated:
            self.visit(args[0])
        elif origin is Literal:
            self._visit_all(type(value) for value in args)
        elif origin in (typing.Union, types.UnionType):
            self._visit_all(args)
        elif isinstance(annotation, str | typing.ForwardRef):
            self._visit_name(annotation)
        elif not isinstance(annotation, type) or origin is not None:
            self._visit_special(annotation, origin, args)
        else:
            if self._by_msgspec and any(map(has_default, getattr(annotation, "__parameters__", ()))):
                self.problems.append(_WITHOUT_DEFAULTS.format(annotation.__name__))
            self._visit_class(annotation)

    def _visit_all(self, annotations: Iterable[Any]) -> None:
        for annotation in annotations:
            self.visit(annotation)

    def _visit_special(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> None:
        if is_alias(annotation):
            if self._by_msgspec and (problem := self._why_msgspec_cannot(annotation)) is not None:
                self.problems.append(problem)
            else:
                self._visit_once(annotation, self._visit_alias)
        elif isinstance(annotation, typing.TypeVar):
            self._visit_once(annotation, self._visit_variable)
        elif isinstance(annotation, typing.NewType):
            self.visit(annotation.__supertype__)
        elif getattr(origin, "_name", None) in _QUALIFIERS:
            self._visit_all(args)
        elif hasattr(origin, "__required_keys__"):
            self._visit_once(annotation, self._visit_typed_dict)
        elif isinstance(origin, type):
            before = len(self.problems)
            self._visit_class(origin)
            if len(self.problems) == before:
                self._visit_all(arg for arg in args if arg is not Ellipsis)
        elif annotation not in (None, Any, typing.LiteralString):
            self.problems.append(cannot(text_of(annotation)))

    def _why_msgspec_cannot(self, alias: Any) -> str | None:
        """Why msgspec would read an alias as another type, or without an end; None if it reads the alias rightly."""
        named = typing.get_origin(alias) or alias
        name = named.__name__
        if named.__type_params__:  # msgspec replaces them by position, in the order of their use
            return f"msgspec can't read the alias {name}, which has type parameters; write out what {name} stands for"
        if type(named).__module__ != "typing":
            return (
                f"msgspec does not know aliases of typing_extensions such as {name}; write out what {name} stands for"
            )
        holds_itself = f"msgspec can't read the alias {name}, which holds itself; make it a Struct, or use Any"
        return holds_itself if alias in self._around else None

    def _visit_alias(self, alias: Any) -> None:
        try:
            value = value_of(alias)
        except NameError as error:
            self.problems.append(f"in the alias {_name_of(alias)}, {error}; {_AT_RUN_TIME}")
            return
        outside, self._scope = self._scope, getattr(sys.modules.get(alias.__module__), "__dict__", {})
        self._around.append(alias)
        self.visit(value)
        self._around.pop()
        self._scope = outside

    def _visit_variable(self, variable: Any) -> None:
        try:
            named = named_by(variable)
        except NameError as error:
            self.problems.append(f"in the type parameter {variable.__name__}, {error}; {_AT_RUN_TIME}")
        else:
            self._visit_all(named)

    def _visit_name(self, name: str | typing.ForwardRef) -> None:
        shim: Any = types.SimpleNamespace(__annotations__={"name": name})
        try:
            found = typing.get_type_hints(shim, globalns=self._scope, include_extras=True)["name"]
        except NameError:
            self.problems.append(f"the name {text_of(name)} can't be resolved; import it at run time too")
        else:
            self.visit(found)

    def _visit_typed_dict(self, annotation: Any) -> None:
        cls = typing.get_origin(annotation) or annotation
        arguments = given(getattr(cls, "__parameters__", ()), annotation)
        self._visit_all(substituted(hint, arguments) for hint in hints_of(cls).values())

    def _visit_once(self, named: Any, visit: Callable[[Any], None]) -> None:
        if named not in self._seen:  # a TypedDict or an alias may hold itself
            self._seen.append(named)
            visit(named)

    def _visit_class(self, cls: Any) -> None:
        if cls in _KNOWN or leaf_of(cls) is not None or _stands_for_others(cls):
            return
        if (advice := advice_for(cls)) is not None:
            self.problems.append(cannot(cls.__name__, advice))
        elif hasattr(cls, "__required_keys__"):  # a TypedDict, of typing or of typing_extensions
            self._visit_once(cls, self._visit_typed_dict)
        elif (problem := self._verdict(cls)) is not None:
            self.problems.append(problem)
        else:
            self.classes[cls] = None


def _stands_for_others(cls: Any) -> bool:
    return cls.__module__ in ("pydantic.types", "pydantic.networks") and cls.__name__ in _PYDANTIC_STANDS_FOR


def text_of(annotation: Any) -> str:
    """An annotation as text, without addresses and modules; of the metadata of `Annotated` with the marks of secrets.

    An alias or a `NewType` is written as the type that it stands for; an alias inside itself is written by its name.
    """
    return _text_of(annotation, [])


def _text_of(annotation: Any, expanded: list[Any]) -> str:
    if is_alias(annotation) and annotation not in expanded:
        expanded.append(annotation)
        with suppress(NameError):
            return _text_of(value_of(annotation), expanded)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is None or annotation is type(None):
        return "None"
    if annotation is Ellipsis:
        return "..."
    if isinstance(annotation, list):  # the parameters of a Callable
        return f"[{_listed(annotation, expanded)}]"
    if isinstance(annotation, typing.NewType):
        return _text_of(annotation.__supertype__, expanded)
    if origin is Annotated:
        marks = ["Secret"] * any(map(is_secret_mark, args[1:])) + ["UrlSecret"] * any(map(is_url_mark, args[1:]))
        text = _text_of(args[0], expanded)
        return f"Annotated[{', '.join([text, *marks])}]" if marks else text
    if origin is Literal:
        return f"Literal[{', '.join(map(_literal_text, args))}]"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_text_of(arg, expanded) for arg in args)
    if origin is not None and args:
        return f"{_name_of(origin)}[{_listed(args, expanded)}]"
    return _name_of(annotation)


def _listed(annotations: Iterable[Any], expanded: list[Any]) -> str:
    return ", ".join(_text_of(annotation, expanded) for annotation in annotations)


def _literal_text(value: Any) -> str:
    return value._name_ if hasattr(value, "_name_") else repr_of(value)


def _name_of(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    for attribute in ("__forward_arg__", "__qualname__", "__name__"):
        if hasattr(annotation, attribute):
            return str(getattr(annotation, attribute))
    return str_of(annotation)
