"""Serialises a configuration exactly: a value to bytes and back, type for type, without running the user's code.

`codec.py` is what others import. `table.py` lists the classes that may appear, by what `supported.py` reads from
annotations; `leaves.py` has a row per leaf type; `classes.py`, `models.py`, `enums.py`, `urls.py` and `registered.py`
have a shape per kind of class; `writers.py` encodes and `reader.py` decodes; `patch.py` makes one
configuration of another; `explain.py` finds a refused value's path.
"""

from confcast.config.codec.codec import Codec as Codec
from confcast.config.codec.codec import Patched as Patched
from confcast.config.codec.codec import codec_of as codec_of
from confcast.config.codec.codec import digest as digest
