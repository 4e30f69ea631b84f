"""Validates plain data against every kind of schema, and reports every problem at once.

`validate.py` is called first: pydantic validates models, dataclasses and tables, msgspec validates Structs.
`strictness.py` refuses what neither does (unknown keys, `true` for a number), `infinite.py` texts that would become an
infinite number, `shadowed.py` values that a higher layer hides from both and fields that one layer sets twice;
`leftovers.py` warns of placeholders. `raising.py` finds the value for which a validator raised. `field_errors.py` turns
field errors into problems with positions, and keeps secrets out of them.
"""
