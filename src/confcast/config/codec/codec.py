"""Encodes a configuration to bytes and decodes it, exactly.

The bytes are self-describing: the type of each value decides how it is encoded; annotations only limit the classes that
may appear. A value need not match its annotation (defaults are not validated, validators return anything, a subclass
replaces its annotated base), so a codec that trusts annotations is not exact. Values of msgpack's own types are encoded
as such; every other value becomes a msgpack extension whose payload is msgpack again.

A payload begins with 8 bytes of the table's fingerprint, because the indexes of classes are valid only for the table
that gave them: bytes of another schema, or of another version of it, are never decoded into these classes.

Guaranteed: `decode(encode(c))` equals `c` type for type, with everything that a pydantic model holds; equal values have
equal bytes whatever the order of their sets, so that the digest identifies the value; decoding runs none of the user's
code; a value that can't be serialised is refused, with its path, at start or when it is loaded, and never changed.

Rejected: dump-and-validate (validators run twice, excluded fields vanish, secrets are dumped masked, tuples become
lists), msgspec's typed coding (zones become UTC, `__post_init__` runs), pickle (it runs code that the bytes name).
"""

from __future__ import annotations

import functools
import hashlib
import threading
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec

from confcast.config.codec.explain import not_serialisable
from confcast.config.codec.leaves import Unsupported
from confcast.config.codec.masked_header import header_of, masked_of, without_masked
from confcast.config.codec.patch import Patches
from confcast.config.codec.reader import Decoder
from confcast.config.codec.sameness import Sameness
from confcast.config.codec.table import Table
from confcast.config.codec.writers import Writers, encode
from confcast.config.schema.masked_keys import mask_keys
from confcast.errors import NotCarried, Problem, ProtocolError

T = TypeVar("T")

_PATCHED_FROM = 2048
"""Bytes of the smallest payload that is worth a patch: to find and prove one costs the owner 1.3 times a decode."""


class Patched(NamedTuple, Generic[T]):
    """A patch, and what it makes of the configuration that it was found for; both share what it does not name."""

    patch: bytes
    config: T


def digest(payload: bytes) -> bytes:
    """The hash, 16 bytes, that stands for a payload, whatever masked keys are before it."""
    return hashlib.blake2b(without_masked(payload), digest_size=16).digest()


def codec_of(schema: type[T]) -> Codec[T]:
    """The codec of a schema, made at the first call in this process. Raises NotCarried."""
    return _codec_of(cast("Any", schema))


@functools.cache
def _codec_of(schema: Any) -> Codec[Any]:
    return Codec(schema)


class Codec(Generic[T]):
    """Serialises configurations of one schema. Immutable; any thread may use it.

    Args:
        schema: A pydantic model, a dataclass (of the standard library or pydantic) or a msgspec Struct.

    Attributes:
        schema: As given.
        fingerprint: 16 bytes, equal in two processes if and only if each decodes the other's bytes exactly.
        changeable: Why its configurations always travel whole, a part of a sentence for each class that is the reason;
            empty if two versions may share what is equal in both (`patch.py` has the rule).

    Raises:
        NotCarried: The schema has fields whose types can't be serialised exactly, or that msgspec can't read;
            `problems` names each by its dotted path.
    """

    def __init__(self, schema: type[T]) -> None:
        self.schema = schema
        self._table = Table(schema)
        self.fingerprint = self._table.fingerprint
        self.changeable = self._table.changeable
        self._prefix = self.fingerprint[:8]
        self._fast = Writers(self._table.shapes, "fast")
        self._careful = Writers(self._table.shapes, "careful")
        self._comparing = Writers(self._table.shapes, "comparing")
        self._reader = Decoder(self._table.shapes.values())
        self._patches = Patches(self._table.shapes)
        self._in_thread = threading.local()

    @property
    def sameness(self) -> Sameness:
        """Compares parts of configurations by their bytes; each thread has one, which a diff empties at its end."""
        found: Sameness | None = getattr(self._in_thread, "sameness", None)
        if found is None:
            found = self._in_thread.sameness = Sameness(self._table.shapes)
        return found

    @functools.cached_property
    def fields(self) -> dict[str, str]:
        """The type of each field as text, by dotted path through nested classes, to compare two differing schemas."""
        return self._table.fields()

    def encode(self, config: T) -> bytes:
        """Encode the configuration; without masked keys, which `with_masked` puts before the bytes.

        Raises:
            NotCarried: It holds values that can't be serialised; `problems` has their paths, not the values.
        """
        if not isinstance(config, self.schema):
            raise NotCarried([Problem("", f"expected a {self.schema.__qualname__}, got a {type(config).__qualname__}")])
        try:
            return self._prefix + encode(self._fast[type(config)](config, 0))
        except (OverflowError, UnicodeEncodeError):  # an int of more than 64 bits, or a str that UTF-8 does not have
            return self._prefix + self._written_by(self._careful, config)
        except (Unsupported, RecursionError):
            raise not_serialisable(config, self._table) from None

    def decode(self, payload: bytes) -> T:
        """Rebuild the configuration without running any code of its classes; note the masked keys before the payload.

        Raises:
            ProtocolError: This codec did not write the payload.
        """
        if header := header_of(payload):
            try:
                mask_keys(self.schema, masked_of(payload))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise ProtocolError("the keys of secrets before these bytes can't be read") from None
            payload = payload[len(header) :]
        if payload[:8] != self._prefix:
            raise ProtocolError(f"these bytes were not written with this version of {self.schema.__qualname__}")
        return self._of_the_schema(self._reader.read(payload[8:]))

    def patch(self, held: T, old: bytes, new: bytes) -> Patched[T] | None:
        """The change from one payload to another, for a process that holds what the first one stands for.

        Guaranteed: a copy of `held` that is patched with it encodes to the very bytes of `new`. So if `old` decodes to
        what encodes to `old`, `new` decodes to what encodes to `new`: what both have in common is decoded alike, and
        the rest was decoded of the patch.

        Args:
            held: A configuration that encodes to `old`, and that nobody has changed in place.
            old: Its payload.
            new: The payload that is to be decoded elsewhere.

        Returns:
            The patch, and the copy; None where the payload should travel whole: the schema is changeable, a patch
            saves too little, or other keys are masked.
        """
        if header_of(old) != header_of(new):
            return None
        old, new = without_masked(old), without_masked(new)
        if self.changeable or len(new) < _PATCHED_FROM or not old[:8] == new[:8] == self._prefix:
            return None
        found = self._patches.find(old[8:], new[8:])
        return self._proven(held, found, new) if len(found) * 2 <= len(new) else None

    def _proven(self, held: T, patch: bytes, new: bytes) -> Patched[T] | None:
        try:
            config = self.patched(held, patch)
            return Patched(patch, config) if self.encode(config) == new else None
        except (ProtocolError, NotCarried):
            return None

    def patched(self, held: T, patch: bytes) -> T:
        """The configuration that a patch makes of the one that is held, without running any code of its classes.

        What the patch does not name is the same object in both; `held` stays as it is.

        Raises:
            ProtocolError: The patch does not fit: it is of another configuration, or `held` was changed in place.
        """
        node = self._reader.read(patch)
        try:
            config = self._patches.apply(held, node)
        except Exception as error:  # whatever the application has made of `held`
            raise ProtocolError(f"a patch does not fit what is held here: {type(error).__name__}") from None
        return self._of_the_schema(config)

    def comparable(self, value: Any) -> bytes:
        """Encode any part of a configuration to bytes that are equal for equal values.

        Values are compared by type and encoding; `model_fields_set` and the order of dict keys don't count.

        Raises:
            NotCarried: The value holds a part that can't be serialised.
        """
        return self._written_by(self._comparing, value)

    def parts(self, value: Any) -> dict[str, Any] | None:
        """The parts of an object of the table's classes, by name and in order; None for any other value."""
        shape = self._table.shapes.get(type(value))
        return None if shape is None else shape.parts(value)

    def _of_the_schema(self, config: Any) -> T:
        if not issubclass(type(config), self.schema):
            raise ProtocolError(f"expected a {self.schema.__qualname__}, got a {type(config).__qualname__}")
        assert isinstance(config, self.schema)
        return config

    def _written_by(self, writers: Writers, value: Any) -> bytes:
        try:
            return encode(writers[type(value)](value, 0))
        except (Unsupported, RecursionError):
            raise not_serialisable(value, self._table) from None
