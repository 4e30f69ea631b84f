"""The example's service: the index's limits, the cache's clock, and what its observers do with a new configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from confcast.examples.leindex import index as index_module
from confcast.examples.leindex.index import MIB, Hit, Looked, TextIndex
from confcast.examples.leindex.schema import MCPConfig
from confcast.examples.leindex.search import AnswerCache, SearchService

HITS = (Hit("a", 1.0),)


def index_of(folder: Path, **texts: str) -> TextIndex:
    for name, text in texts.items():
        Path(folder, name).write_text(text)
    index = TextIndex(folder)
    index.look()
    return index


def names(index: TextIndex, query: str) -> list[str]:
    return [hit.name for hit in index.search(query, 10)]


def config(**sections: dict[str, object]) -> MCPConfig:
    return MCPConfig.model_validate(sections)


@pytest.fixture
def service(tmp_path: Path) -> SearchService:
    return SearchService(tmp_path)


def configure(service: SearchService, old: MCPConfig | None, new: MCPConfig) -> None:
    service.size_cache(old, new)
    service.size_index(old, new)


# ---- the index


def test_the_more_often_and_the_shorter_the_better_whatever_the_case(tmp_path: Path) -> None:
    index = index_of(tmp_path, once="reload " + "x " * 20, often="Reload " * 5 + "x " * 16, short="reload", none="x")
    assert names(index, "RELOAD") == ["short", "often", "once"]


def test_equal_scores_come_by_name_and_no_more_than_asked_for(tmp_path: Path) -> None:
    index = index_of(tmp_path, c="word", a="word", b="word")
    assert [hit.name for hit in index.search("word", 2)] == ["a", "b"]


def test_an_unknown_word_and_an_empty_query_find_nothing(tmp_path: Path) -> None:
    index = index_of(tmp_path, a="word", b="")
    assert (index.search("absent", 10), index.search("", 10)) == ((), ())


def test_a_look_finds_what_is_new_changed_or_gone(tmp_path: Path) -> None:
    index = index_of(tmp_path, changed="before", gone="gone")
    before = index.generation
    Path(tmp_path, "changed").write_text("otherwise")
    Path(tmp_path, "gone").unlink()
    Path(tmp_path, "new").write_text("new")
    assert index.look() == Looked(indexed=2, left_out=0)
    assert [names(index, word) for word in ("otherwise", "new", "before", "gone")] == [["changed"], ["new"], [], []]
    assert index.generation > before


def test_only_text_files_of_the_folder_are_read(tmp_path: Path) -> None:
    Path(tmp_path, "inner").mkdir()
    Path(tmp_path, "inner", "text.md").write_text("word")
    Path(tmp_path, ".hidden").write_text("word")
    Path(tmp_path, "binary").write_bytes(b"word\0")
    Path(tmp_path, "latin").write_bytes(b"word \xe9")
    Path(tmp_path, "link").symlink_to(Path(tmp_path, "inner", "text.md"))
    os.mkfifo(Path(tmp_path, "pipe"))
    assert names(index_of(tmp_path), "word") == ["inner/text.md"]


def test_a_folder_that_is_missing_has_no_files_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    index = TextIndex(tmp_path / "missing")
    assert index.look() == Looked(0, 0)
    assert "left out of the index: [Errno 2] No such file" in caplog.text


def test_the_memory_is_a_limit_up_to_its_last_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "WORD_BYTES", 128 * MIB)
    index = index_of(tmp_path, a="word " * 3, b="word and more", c="x y z")
    index.config = config(memory={"total_budget_mb": 1024, "global_index_mb": 512})
    assert index.look() == Looked(indexed=2, left_out=1)
    assert (names(index, "word"), names(index, "x"), index.used_bytes) == (["a", "b"], [], 512 * MIB)


def test_the_file_size_is_a_limit_that_follows_the_configuration(service: SearchService, tmp_path: Path) -> None:
    Path(tmp_path, "fits").write_text("x" * 1024)
    Path(tmp_path, "large").write_text("y" * 1025)
    small, larger = config(projects={"max_file_size": 1024}), config(projects={"max_file_size": 1025})
    configure(service, None, small)
    assert len(service.index) == 1
    configure(service, small, larger)
    assert len(service.index) == 2


def test_a_change_that_is_none_of_the_index_s_does_not_look_at_the_folder(
    service: SearchService, tmp_path: Path
) -> None:
    old, new = MCPConfig(), config(performance={"cache_ttl_seconds": 60})
    configure(service, None, old)
    Path(tmp_path, "later.txt").write_text("word")
    configure(service, old, new)
    assert len(service.index) == 0


# ---- the cache


def test_an_answer_is_given_for_the_time_to_live_of_the_asking_request(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    cache = AnswerCache()
    cache.resize(1)
    cache.put("q", HITS)
    now += 29.9
    assert cache.get("q", 30) == HITS
    now += 0.1
    assert (cache.get("q", 30), cache.get("q", 300)) == (None, HITS)


def test_what_was_not_asked_for_longest_goes_first() -> None:
    cache = AnswerCache()
    cache.put("none is stored before resize()", HITS)
    cache.resize(2)
    for key in ("a", "b"):
        cache.put(key, HITS)
    cache.get("a", 30)
    cache.put("c", HITS)
    assert [cache.get(key, 30) for key in "abc"] == [HITS, None, HITS]
    cache.resize(1)
    assert [cache.get(key, 30) for key in "abc"] == [None, None, HITS]


def test_an_answer_from_before_a_look_is_not_given_again(service: SearchService, tmp_path: Path) -> None:
    configure(service, None, MCPConfig())
    assert [service.search("word", MCPConfig()) for _ in range(2)] == [((), False), ((), True)]
    Path(tmp_path, "b.txt").write_text("word")
    service.index.look()
    answer, cached = service.search("word", MCPConfig())
    assert ([hit.name for hit in answer], cached) == (["b.txt"], False)


def test_a_cache_that_is_switched_off_is_emptied_and_not_asked(service: SearchService) -> None:
    on, off = MCPConfig(), config(performance={"cache_enabled": False})
    configure(service, None, on)
    service.search("word", on)
    assert service.status()["cache"]["answers"] == 1
    configure(service, on, off)
    assert [service.search("word", off)[1] for _ in range(2)] == [False, False]
    assert len(service.cache) == 0


def test_the_cache_has_what_the_index_leaves_below_the_warning_threshold(service: SearchService) -> None:
    limits = []
    for index_mb in (200, 800, 1000):
        service.size_cache(None, config(memory={"total_budget_mb": 2000, "global_index_mb": index_mb}))
        limits.append(service.cache.limit * 4096 // MIB)
    assert limits == [1400, 800, 600]


# ---- the vote


def test_a_version_that_the_index_has_no_room_in_is_refused(
    service: SearchService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "WORD_BYTES", 69 * MIB)
    Path(tmp_path, "large").write_text("two words")
    roomy, tight = MCPConfig(), config(memory={"total_budget_mb": 1024, "global_index_mb": 128})
    configure(service, None, roomy)
    with pytest.raises(ValueError, match=r"holds 138 MiB and memory\.global_index_mb would be 128"):
        service.refuse(roomy, tight)
    service.refuse(roomy, roomy)


def test_a_drill_refuses_the_next_version_only(service: SearchService) -> None:
    service.veto_next("a drill")
    with pytest.raises(ValueError, match="a drill"):
        service.refuse(MCPConfig(), MCPConfig())
    service.refuse(MCPConfig(), MCPConfig())
