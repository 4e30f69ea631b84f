#!/usr/bin/env bash
# pydantic 2.14.4: with extra="allow", the name of a field that its alias sets is kept beside the field, as an extra.
#
# One would guess that a class that takes a field by alias and by name refuses both at once, or takes one of them and
# has one value (with extra="forbid" it refuses). It has two: the attribute is that of the alias, model_extra has the
# other under the field's own name, and model_dump() gives only the extra, unvalidated: a text where an int is declared.
# Where only the alias is taken, the name alone does the same: the attribute keeps its default, the dump shows the text.
#
# Output seen:
#   both, forbid: extra_forbidden ('size',)
#   both, allow: attribute 1, extra {'size': 'two'}, dump {'size': 'two'}
#   name alone, allow: attribute 0, extra {'size': 'two'}, dump {'size': 'two'}
#   and validated again by name: int_parsing
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet "pydantic==2.14.4"
cat > "$room/try.py" <<'PYTHON'
from pydantic import BaseModel, Field, ValidationError


class Forbid(BaseModel, extra="forbid", populate_by_name=True):
    size: int = Field(0, alias="the-size")


class Allow(BaseModel, extra="allow", populate_by_name=True):
    size: int = Field(0, alias="the-size")


class ByAlias(BaseModel, extra="allow"):
    size: int = Field(0, alias="the-size")


def refused(cls, data):
    try:
        cls.model_validate(data)
    except ValidationError as error:
        return error.errors()[0]
    raise SystemExit(f"{cls.__name__} takes {data}")


both = {"the-size": 1, "size": "two"}
error = refused(Forbid, both)
print("both, forbid:", error["type"], error["loc"])
for words, cls, data, attribute in (("both", Allow, both, 1), ("name alone", ByAlias, {"size": "two"}, 0)):
    made = cls.model_validate(data)
    print(f"{words}, allow: attribute {made.size}, extra {made.model_extra}, dump {made.model_dump()}")
    assert (made.size, made.model_extra, made.model_dump()) == (attribute, {"size": "two"}, {"size": "two"})
again = refused(Allow, Allow.model_validate(both).model_dump())
print("and validated again by name:", again["type"])
assert (error["type"], again["type"]) == ("extra_forbidden", "int_parsing")
PYTHON
"$room/venv/bin/python" "$room/try.py"
