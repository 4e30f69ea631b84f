"""Whether plain data is a configuration: every problem at once, for every kind of schema.

`validate.py` is the way in: pydantic validates models, dataclasses and tables, msgspec validates Structs.
`strictness.py` refuses what neither does (unknown keys, `true` for a number), `infinite.py` texts that would become an
infinite number, `shadowed.py` what a higher layer hides from both and what one layer says twice, `leftovers.py` warns
of placeholders. `raising.py` finds the value for which a validator raised. `field_errors.py` turns all that was found
into problems with positions, and keeps secrets out of them.
"""
