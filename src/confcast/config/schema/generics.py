"""Resolves aliases (`type X = …`, `X[int]`), type variables and annotations that are text.

Aliases and generic classes may be written as in Python 3.12 and 3.13, or, on 3.11, with `typing_extensions`.

Guaranteed: the parameters of an alias are replaced by name and not by position, so that `Table[int, str]` of
`type Table[K, V] = dict[V, K]` is a `dict[str, int]`, and inside generic pydantic models too, which are a class of
their own for each type. No alias is evaluated before its value is needed: it may name a type that does not exist, or
contain itself. msgspec replaces by position, so the codec refuses an alias with parameters in a Struct (supported.py).

Rejected: `X.__value__[int]` (it replaces by position, and a plain `T` takes no argument), and pydantic's own
`replace_types` (private, and a worker with a `msgspec` schema does not import pydantic).
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from typing import Annotated, Any, Literal, TypeVar, Union


def hints_of(cls: Any) -> dict[str, Any]:
    """The annotations of a class, resolved, `Annotated` kept. Raises NameError."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError:  # up to 3.12.3, the T of `class Box[T]` is not found in annotations that are text
        parameters = [each for base in cls.__mro__[::-1] for each in getattr(base, "__type_params__", ())]
        if not parameters:
            raise
        names = vars(cls) | {each.__name__: each for each in parameters}
        return typing.get_type_hints(cls, localns=names, include_extras=True)


def annotations_of(cls: type) -> dict[str, Any]:
    """The annotations in the body of a class, not resolved where they are text or name what can't be found."""
    if sys.version_info >= (3, 14):  # they are evaluated when asked for: one unknown name would lose all of them
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(cls)


def is_alias(annotation: Any) -> bool:
    """Whether an annotation is an alias made by `type X = …` or `TypeAliasType`, or such an alias with arguments."""
    return type(typing.get_origin(annotation) or annotation).__name__ == "TypeAliasType"


def value_of(alias: Any) -> Any:
    """The type that an alias stands for, its parameters replaced. Raises NameError if it uses an unknown name."""
    origin = typing.get_origin(alias)
    if origin is None:
        return alias.__value__
    return substituted(origin.__value__, given(origin.__type_params__, alias))


def given(parameters: tuple[Any, ...], annotation: Any) -> dict[Any, Any]:
    """The type variables of a generic class or alias, with the arguments that an annotation gives for them."""
    return dict(zip(parameters, typing.get_args(annotation), strict=False))


def substituted(annotation: Any, arguments: dict[Any, Any]) -> Any:
    """An annotation with type variables replaced."""
    if isinstance(annotation, TypeVar):
        return arguments.get(annotation, annotation)
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return _model(annotation, arguments)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (None, Literal):
        return annotation
    inside = tuple(substituted(arg, arguments) for arg in args)
    if inside == args:
        return annotation
    if origin is types.UnionType:
        return Union[inside]  # noqa: UP007 - of a tuple
    if origin is Annotated:
        return Annotated[(inside[0], *annotation.__metadata__)]
    return origin[inside if len(inside) > 1 else inside[0]]


def range_of(variable: Any) -> Any:
    """The type that pydantic takes for a type variable without an argument.

    That is its default, its bound, the union of its constraints, or Any.
    """
    if has_default(variable):
        return type(None) if variable.__default__ is None else variable.__default__
    if variable.__constraints__:
        return Union[variable.__constraints__]  # noqa: UP007 - of a tuple
    return Any if variable.__bound__ is None else variable.__bound__


def named_by(variable: Any) -> tuple[Any, ...]:
    """Every type that the declaration of a type variable names."""
    bound = () if variable.__bound__ is None else (variable.__bound__,)
    default = (variable.__default__,) if has_default(variable) else ()
    return (*variable.__constraints__, *bound, *default)


def has_default(variable: Any) -> bool:
    """Whether a type variable has a default: from Python 3.13 on, or by `typing_extensions`."""
    return hasattr(variable, "has_default") and bool(variable.has_default())


def _model(cls: Any, arguments: dict[Any, Any]) -> Any:
    """A generic pydantic model with its parameters replaced: its `Box[T]` is a class that `typing` can't look into."""
    open_ = getattr(cls, "__pydantic_generic_metadata__", {}).get("parameters", ())
    if not any(parameter in arguments for parameter in open_):
        return cls
    return cls[tuple(arguments.get(parameter, parameter) for parameter in open_)]
