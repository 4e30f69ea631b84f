"""References and tags in the values of a file, and included files.

An input is the main file and another one, each behind its length. Declared: ConfigError
(`config/sources/includes.py`). What holds is in `loading.py`: a problem may be in
either file.
"""

from __future__ import annotations

from confcast import ConfigLoader, File
from tests.fuzz.bounds import Cut, Finding, joined
from tests.fuzz.loading import SENTINEL, Outer, Text, outcome, own_folder, tokens

TOKENS = [
    *tokens("yaml"),
    *(
        b"${HOME}",
        b"${NOPE:-x}",
        b"${file:secret}",
        b"$$",
        b"!env HOME",
        b"!file secret",
        b"!include other.yaml",
        b"include: ",
        b"${",
    ),
]
_FOLDER = own_folder(__name__)
(_FOLDER / "secret").write_text(f"{SENTINEL}-of-the-file\n")


def seeds():
    yield joined(b"password: ${file:secret}\nx: a${HOME}b\na: {number: '${NOPE:-3}'}\n", b"")
    yield joined(b"include: [other.yaml]\nx: $${y}\n", b"a: {text: !env NOPE:-x}\npassword: !file secret\n")
    yield joined(b"a: !include other.yaml\nb: [!include other.yaml]\n", b"number: 3\ntext: ${NOPE}\n")


def one(data: bytes) -> None:
    cut = Cut(data)
    texts = [Text(str(_FOLDER / name), cut.chunk()) for name in ("main.yaml", "other.yaml")]
    for name, text in zip(("main.yaml", "other.yaml"), texts, strict=True):
        (_FOLDER / name).write_bytes(text.content)
    options = {"references": "env", "tags": ("env", "file", "include"), "includes": "include", "allow_empty": True}
    loader = ConfigLoader(Outer, File(_FOLDER / "main.yaml", **options))
    candidate, problems = outcome(loader.load)
    for problem in problems:
        if not any(text.has(problem.location.partition(", from ")[0]) for text in texts):
            raise Finding(f"a problem's place is in neither file: {problem}")
    said = " ".join(map(str, problems)) + repr(candidate)
    if f"{SENTINEL}-of-the-file" in said:
        raise Finding(f"a message quotes the secret's file: {said}")
