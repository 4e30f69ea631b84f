"""Whether plain data is a configuration: every problem at once, for every kind of schema.

`validate.py` is the way in. `structs.py` does for msgspec Structs what pydantic does for the rest; `strictness.py` adds
what neither refuses (unknown keys, `true` for a number), `covered.py` what a higher layer hides from both, `doubled.py`
what one layer says twice;
`annotations.py` knows which keys a type accepts; `findings.py` turns what was found into problems with positions, and
keeps secrets out of them.
"""
