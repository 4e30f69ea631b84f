"""What stands behind `type X = …`, behind `X[int]`, and behind a type variable.

Here is what the classes and aliases of Python 3.12 and 3.13 ask for; those of `typing_extensions` are the same on 3.11.

Guaranteed: the parameters of an alias are replaced by what they are given for, by name and not by position, so that
`Table[int, str]` of `type Table[K, V] = dict[V, K]` is a `dict[str, int]`, and inside generic pydantic models too,
which are classes of their own for each type. Nothing is evaluated before it is asked for: the value of an alias is
written anywhere, may name what is not there, and may hold the alias itself.

Rejected: `X.__value__[int]` (by position, and a plain `T` takes no argument), and pydantic's own `replace_types`
(private, and a worker with a `msgspec` schema does not have it).
"""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Literal, TypeVar, Union


def hints_of(cls: Any) -> dict[str, Any]:
    """The annotations of a class, resolved, `Annotated` kept. Raises NameError."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError:  # up to 3.12.3 the T of `class Box[T]` is not found in annotations that are text
        parameters = [each for base in cls.__mro__[::-1] for each in getattr(base, "__type_params__", ())]
        if not parameters:
            raise
        names = vars(cls) | {each.__name__: each for each in parameters}
        return typing.get_type_hints(cls, localns=names, include_extras=True)


def is_alias(annotation: Any) -> bool:
    """Whether it is a `type X = …`, or `X[int]`; of `typing` or of `typing_extensions`."""
    return type(typing.get_origin(annotation) or annotation).__name__ == "TypeAliasType"


def value_of(alias: Any) -> Any:
    """What an alias stands for, its parameters replaced. Raises NameError when it names what is not there."""
    origin = typing.get_origin(alias)
    if origin is None:
        return alias.__value__
    return substituted(origin.__value__, given(origin.__type_params__, alias))


def given(parameters: tuple[Any, ...], annotation: Any) -> dict[Any, Any]:
    """The type variables of a generic class or alias, with the arguments that stand for them in an annotation."""
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
    """What may stand where a type variable was given nothing, as pydantic sees it.

    Its default, its bound, one of its constraints, or anything.
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
    """`Box[T]` of a generic pydantic model is a class, with nothing that `typing` could look into."""
    open_ = getattr(cls, "__pydantic_generic_metadata__", {}).get("parameters", ())
    if not any(parameter in arguments for parameter in open_):
        return cls
    return cls[tuple(arguments.get(parameter, parameter) for parameter in open_)]
