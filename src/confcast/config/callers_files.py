"""Files that a configuration names only because of a caller who may not read what the config owner may.

The owner reads the files of `Watched` fields as its own user, and whoever set such a path would learn whether there is
such a file, and, as a worker, a digest of its content.

Guaranteed: of the files that a configuration names, none is read that what the sources give, with what trusted callers
have set above it, does not name as well; nor is it looked at, so whether it is there is not told, either. It does not
matter how a caller brings a file about: by its path, by a value of which a validator makes the path, or by the text of
a file that a dry run tries. What a caller has set is judged at each load, by who it was and by what the sources name
then. A default of a class is the application's own word, whoever has put a table of that class into the data.

How. The configuration is made once more, without what those callers gave, and its files are the ones that may be read.
Where it is not valid without that, a path that stands at the same key in the sources may still be. It is made only if
there is such a value, and a path that is neither so nor a default.

Rejected: to look for the path among the keys that were set (a validator may make it of other values), and to allow
each path that is a text somewhere in the sources (a key of root's that no field watches would have its digest shown).
"""

from __future__ import annotations

import os
from typing import Any

from confcast.config.contents import Named, named_in
from confcast.config.field_facts import SchemaField, default_of
from confcast.config.schema.key_path import value_at
from confcast.config.schema.kinds import fields_of
from confcast.config.sources.merge import Merged
from confcast.config.validation.field_errors import FieldError, Invalid
from confcast.config.validation.validate import validate
from confcast.wire.messages import Who

_ROOT = 0


def may_read_all(who: Who | None) -> bool:
    """Whether a caller may read all that this process may: a process of its user, or root's, that acts for itself.

    Not a worker of another user; and not `confcast admin`, which calls for whoever has one of its tokens, and says so.
    """
    return who is not None and who.uid in (os.geteuid(), _ROOT) and not who.actor


def errors(config: Any, schema: Any, trusted: Merged) -> list[FieldError]:
    """The errors about the files that a configuration names, and that these data, which are trusted, do not name.

    Raises whatever a validator of the user's raises but for its errors.
    """
    left = [each for each in named_in(config, schema) if not (_stands_in(trusted, each) or _is_default(config, each))]
    named = _named_by(trusted, schema) if left else set()
    return [FieldError(each.key, _text(), str(each.file)) for each in left if each.file not in named]


def _named_by(trusted: Merged, schema: Any) -> set[Any]:
    try:
        return {each.file for each in named_in(validate(schema, trusted.data), schema)}
    except Invalid:  # what was set mends what the sources lack
        return set()


def _stands_in(trusted: Merged, each: Named) -> bool:
    text = value_at(trusted.data, trusted.spelling.as_in(trusted.data, each.key))
    return isinstance(text, str | os.PathLike) and os.fspath(text) == str(each.file)


def _is_default(config: Any, each: Named) -> bool:
    """Whether a path is, or stands in, the default of the innermost field that has it."""
    value, field, held = config, None, None
    for part in each.key:
        if (fields := fields_of(type(value))) is not None:
            name = next(each.name for each in fields if each.key == part)
            field, value = SchemaField(None, type(value), name), getattr(value, name)
            held = value
        elif isinstance(value, dict | list | tuple):
            value = value[part]
        else:  # an item of a set has no index of its own
            break
    try:
        return field is not None and bool(default_of(field) == held)
    except Exception:  # of a default's maker, which may want the other values
        return False


def _text() -> str:
    uid = os.geteuid()
    return (
        f"the file is not named by the sources now, and the config owner (uid {uid}) reads no other one for a path "
        f"that comes from another user, or from a token: name it in a source, or have uid {uid} set it"
    )
