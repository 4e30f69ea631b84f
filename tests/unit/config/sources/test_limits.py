"""Input that is too much of something: refused with its place, after work in proportion to its size.

Where a text would take a careless reader hours, or more memory than there is, that is the test: it does not end else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, Environment, File
from confcast.config.sources import disk
from confcast.config.sources.formats import yaml as yaml_format

pytestmark = pytest.mark.usefixtures("here")

DEEP = 10_000
MANY = 1 << 20


class Open(BaseModel, extra="allow"):
    """Takes whatever a file says."""

    a: object = None


def refusal(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Open, name).load()
    assert caught.value.reason == "validation_failed"
    (problem,) = caught.value.problems
    return str(problem)


# ---- too large


@pytest.mark.parametrize("name", ["a.toml", "a.json", "a.yaml"])
def test_a_file_over_the_limit_of_size_is_refused_whatever_its_format(name):
    assert refusal(name, b" " * (disk.MAX_BYTES + 1)) == f"{name}: is larger than 16 MiB"


def test_of_a_file_without_end_no_more_is_read_than_is_allowed():
    path = Path("a.toml")
    path.touch()
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # a terabyte of holes
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        File(path).read()


# ---- too deep


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.json", '{"a": ' * DEEP, "1:601"),
        ("a.json", '{"a": ' + "[" * DEEP + "]" * DEEP + "}", "1:106"),
        ("a.json", '{"s": "]]]]",\n "a": ' + "[" * DEEP, "2:106"),
        ("a.toml", "a = " + "[" * DEEP + "]" * DEEP, "1:105"),
        ("a.toml", "b = '[['\na = " + "{a = " * DEEP, "2:505"),
        ("a.toml", "b = 1\n" + ".".join("a" * DEEP) + " = 1", "2:1"),
        ("a.toml", "[" + " . ".join(["'a b'"] * DEEP) + "]\nb = 1", "1:2"),
        ("a.toml", "[[x]]\n[x." + ".".join("y" * 60) + "]\n" + ".".join("z" * 60) + " = 1", "3:77"),
        ("a.yaml", "[" * DEEP + "]" * DEEP, "1:101"),
        ("a.yaml", '{"a": ' * DEEP, "1:601"),
        ("a.yaml", "- " * DEEP + "a", "1:201"),
        ("a.yaml", "? " * DEEP + "a", "1:201"),
        ("a.yaml", "b: 1\na: " + "[" * 999 + "]" * 999, "2:103"),
        ("a.yaml", "[" * 150 + "@", "1:101"),  # a parser that looks ahead meets the character first
        ("a.yaml", "b: é\r\na: " + "[" * 150 + "&", "2:103"),
        ("a.yaml", "[" * 150 + "'x", "1:101"),
        ("a.yaml", "[" * 150 + "]" * 150 + "}", "1:101"),
        ("a.yaml", "".join(" " * level + "a:\n" for level in range(1, DEEP // 10)), "101:102"),
        ("a.yaml", "b: 1\na: &a [*a]", "2:4"),
        ("a.yaml", "a: &a {<<: *a}", "1:4"),
    ],
)
def test_ten_thousand_levels_are_refused_at_the_first_that_is_too_many(name, text, place):
    assert refusal(name, text) == f"{name}:{place}: is nested more than 100 levels deep"


@pytest.mark.parametrize("text", ['{"a": ' * DEEP, "[" * DEEP + "]" * DEEP])
def test_so_they_are_in_a_variable(monkeypatch, text):
    class Settings(BaseModel):
        table: dict[str, object] = {}

    monkeypatch.setenv("DEEP_TABLE", text)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, Environment("DEEP_")).load()
    (problem,) = caught.value.problems
    assert (problem.location, problem.key) == ("environment variable DEEP_TABLE", "table")
    assert "is nested more than 100 levels deep (line 1, column " in problem.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps({"a": "[{" * DEEP})),
        ("a.toml", f"a = '{'[' * DEEP}' # {'a.' * DEEP}\nb = '''\n{'[a.b]' * DEEP}'''\n"),
        ("a.toml", 'a = "x"\nb = """' + 'a."' * DEEP + '\\""" [[ """'),
        ("a.toml", "[[x]]\n" * 1000 + "[y]\na.b = 1.5\nc = [[1.5, 2.5], {d = 2.5}]\n"),
        ("a.yaml", "a: '" + "[" * DEEP + "'"),
    ],
)
def test_brackets_and_dots_in_texts_and_comments_are_no_levels(name, text):
    Path(name).write_text(text)
    expected = {"a.json": json.loads, "a.toml": tomllib.loads, "a.yaml": yaml.safe_load}[name](text)
    assert File(name).read().data == expected


# ---- too much work


def test_a_text_with_something_wrong_in_each_line_is_not_parsed_for_each(monkeypatch):
    class Names(BaseModel):
        names: list[str]

    parsed = []
    notes = yaml_format.notes
    monkeypatch.setattr(yaml_format, "notes", lambda text: parsed.append(text) or notes(text))
    Path("a.yaml").write_text("names:\n" + "- 1\n" * 100)

    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Names, "a.yaml").load()

    assert len(caught.value.problems) == 100
    assert "put it in quotes" in caught.value.problems[-1].message
    assert len(parsed) == 1


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


def merged(entries: int, keys: int) -> str:
    defaults = "".join(f"  k{key}: v\n" for key in range(keys))
    return f"d: &d\n{defaults}list:\n" + "".join(f"  - <<: *d\n    name: m{entry}\n" for entry in range(entries))


@pytest.mark.parametrize(
    ("entries", "keys"), [(400, 10), (480, 10), (250, 20), (1000, 5), (100, 200), (40, 1000), (2000, 50)]
)
def test_many_entries_that_merge_their_defaults_are_an_honest_file(entries, keys):
    Path("a.yaml").write_text(merged(entries, keys))
    candidate = ConfigLoader(Open, "a.yaml").load()
    assert candidate.config.model_extra is not None
    last = candidate.config.model_extra["list"][-1]
    assert last == {f"k{key}": "v" for key in range(keys)} | {"name": f"m{entries - 1}"}
    assert candidate.origin_of(f"list.{entries - 1}.k{keys - 1}") == f"a.yaml:{1 + keys}:{len(str(keys - 1)) + 6}"


@pytest.mark.parametrize("text", [BOMB, merged(10, 10) + BOMB])
def test_a_small_text_that_stands_for_a_large_one_is_refused_after_work_in_proportion_to_it(text):
    most = yaml_format.most_expanded(text)
    assert most < 10_000 + 100 * len(text)
    assert refusal("a.yaml", text).endswith(f": has aliases that stand for more than {most} nodes")


def test_a_large_text_may_not_stand_for_more_than_a_million_nodes():
    text = f"# {'x' * 100_000}\n"
    assert refusal("a.yaml", text + BOMB).endswith(": has aliases that stand for more than 1000000 nodes")
    merges = "m: &a {x: 1, y: 2}\n" + "".join(f"b{n}: {{<<: [{', '.join(['*a'] * 100)}]}}\n" for n in range(2100))
    assert refusal("a.yaml", merges).endswith(": has aliases that stand for more than 1000000 nodes")


def test_a_node_counts_more_the_deeper_it_stands():
    nested = f"# {'x' * 10_000}\na: &a {'[' * 45}{','.join('x' * 1000)}{']' * 45}\nb: {'[' * 45}%s{']' * 45}\n"
    Path("a.yaml").write_text(nested % ",".join(["*a"] * 30))
    assert File("a.yaml").read().has(("b", *[0] * 45))
    told = "nodes, those of deep levels counted several times"
    assert refusal("a.yaml", nested % ",".join(["*a"] * 200)).endswith(told)


@pytest.mark.parametrize("form", ["b: [%s]", "b: {%s}"])
def test_aliases_of_a_long_text_are_refused_before_they_fill_the_memory(form):
    aliases = {"b: [%s]": "*a," * 2000, "b: {%s}": "".join(f"k{n}: *a," for n in range(2000))}[form]
    text = f"a: &a {'x' * MANY}\n{form % aliases}"
    assert refusal("a.yaml", text) == "a.yaml:1:4: has aliases that stand for more than 16777216 characters"


def test_a_long_key_is_multiplied_by_aliases_of_its_table_no_less():
    text = f"a: &a\n  ? {'k' * MANY}\n  : 1\nb: [{'*a,' * 2000}]"
    assert "has aliases that stand for more than 16777216 characters" in refusal("a.yaml", text)


def test_twenty_thousand_aliases_of_a_word_are_fine():
    assert len(yaml_format.parse("a: &a word\nb: [" + "*a," * 20_000 + "]")["b"]) == 20_000


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        # Each would be looked at again from each of a million places.
        ("a.json", "[" * 50 + "[]," * 100 + '"' + '\\"' * MANY, "is no valid JSON: Unterminated string"),
        ("a.toml", "[[x]]\n" * 100 + 'a = "' + '\\"' * MANY, "is no valid TOML: Unterminated string"),
        ("a.toml", "[[x]]\n" * 100 + 'a = """' + '\\"""' * MANY, "is no valid TOML: Unterminated string"),
        ("a.toml", "x." * MANY + "x = 1", "is nested more than 100 levels deep"),
        # The square of the number of digits.
        ("a.yaml", "a: 1" + ":1" * MANY, "is no valid YAML: not a valid int"),
        ("a.yaml", "a: 1" + ":1" * MANY + ".0", "is no valid YAML: not a valid float"),
        ("a.yaml", "a: " + "9" * MANY, "is no valid YAML: not a valid int"),
        ("a.json", '{"a": ' + "9" * MANY + "}", "a.json:1:7: a: is no valid JSON here: a number has too many digits"),
        ("a.toml", "a = " + "9" * MANY, "a.toml:1:5: a: is no valid TOML here: a number has too many digits"),
    ],
)
def test_a_text_that_would_take_hours_does_not(name, text, told):
    assert told in refusal(name, text)


def test_a_long_text_costs_no_memory_in_proportion_to_its_length():
    """In a process that may have 256 MiB more: a pattern that may go back takes two gigabytes for this text."""
    script = """
    import json, re, resource
    from confcast.config.sources.formats import json as form
    text = json.dumps({"a": [[] for _ in range(200)], "b": "x" * 16_000_000})
    used = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), resource.RLIM_INFINITY))
    assert len(form.parse(text)["b"]) == 16_000_000
    print(form.locate(text)["b",].key)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.stdout == "(1, 809)\n", outcome.stderr
