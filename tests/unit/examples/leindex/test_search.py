"""The example's service: ranking, limits, the cache's clock, and what its components do with a new configuration."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.examples.leindex import index as index_module
from confcast.examples.leindex.cache import QueryCache
from confcast.examples.leindex.components import MIB, MemoryProfiler, Refreshed, resident_bytes
from confcast.examples.leindex.index import Document, Stamp, TextIndex, words
from confcast.examples.leindex.pool import WorkerPool
from confcast.examples.leindex.schema import MCPConfig, MemoryConfig, PerformanceConfig
from confcast.examples.leindex.search import SearchService


def document(name: str, text: str) -> Document:
    return Document(name, Stamp(1, len(text)), Counter(words(text)))


def index_of(**texts: str) -> TextIndex:
    index = TextIndex()
    index.resize(MIB)
    for name, text in texts.items():
        assert index.put(document(name, text))
    return index


def names(index: TextIndex, query: str) -> list[str]:
    return [hit.name for hit in index.search(query)]


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SearchService]:
    service = SearchService(tmp_path)
    yield service
    service.pool.close()


def configure(service: SearchService, old: MCPConfig | None, new: MCPConfig) -> None:
    """What the observers do, in the order in which the application subscribes them."""
    service.memory_profiler.update_config(old and old.memory, new.memory)
    service.performance_monitor.update_config(old and old.performance, new.performance)
    service.global_index.update_config(old, new)


def config(**sections: dict[str, object]) -> MCPConfig:
    return MCPConfig.model_validate(sections)


# ---- the index


def test_a_word_is_found_whatever_its_case() -> None:
    assert names(index_of(a="The Owner loads", b="workers vote"), "OWNER") == ["a"]


def test_the_more_often_and_the_shorter_the_better() -> None:
    index = index_of(once="reload " + "other " * 20, often="reload " * 5 + "other " * 16, short="reload")
    assert names(index, "reload") == ["often", "short", "once"]


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    index = index_of(a="common rare", b="common common", c="common", d="common")
    assert names(index, "common rare")[0] == "a"


def test_equal_scores_come_by_name_and_no_more_than_asked_for() -> None:
    index = index_of(c="word", a="word", b="word")
    assert [hit.name for hit in index.search("word", limit=2)] == ["a", "b"]


def test_an_unknown_word_and_an_empty_query_find_nothing() -> None:
    assert index_of(a="word").search("absent") == ()
    assert index_of(a="word").search("") == ()
    assert TextIndex().search("word") == ()


def test_a_document_replaces_the_older_one_of_its_name() -> None:
    index = index_of(a="before")
    assert index.put(document("a", "after after"))
    assert names(index, "before") == []
    assert names(index, "after") == ["a"]
    assert index.used_bytes == document("a", "after").cost


def test_nothing_is_left_of_what_was_removed() -> None:
    index = index_of(a="one two", b="two")
    index.remove("a")
    index.remove("b")
    index.remove("b")
    assert (index.used_bytes, len(index), index.search("two")) == (0, 0, ())


def test_an_index_without_a_limit_set_takes_nothing() -> None:
    assert not TextIndex().put(document("a", "word"))


def test_a_new_document_without_room_is_left_out_whole() -> None:
    index = index_of(a="first")
    index.resize(index.used_bytes + document("b", "x").cost - 1)
    assert not index.put(document("b", "second"))
    assert names(index, "second") == []
    assert names(index, "first") == ["a"]


def test_a_document_exactly_as_large_as_the_room_is_taken() -> None:
    index = TextIndex()
    index.resize(document("a", "word").cost)
    assert index.put(document("a", "word"))


def test_a_document_that_outgrew_the_room_is_not_kept_in_its_old_state() -> None:
    index = TextIndex()
    index.resize(document("a", "word").cost)
    assert index.put(document("a", "word"))
    assert not index.put(document("a", "word and more"))
    assert names(index, "word") == []


def test_a_smaller_limit_drops_what_was_found_longest_ago() -> None:
    index = index_of(a="alpha", b="beta", c="gamma")
    index.search("alpha")
    assert index.resize(2 * document("a", "x").cost) == ["b"]
    assert names(index, "alpha beta gamma") == ["a", "c"]


def test_every_change_of_content_is_a_new_generation() -> None:
    index = index_of(a="alpha")
    seen = [index.generation]
    index.put(document("b", "beta"))
    seen.append(index.generation)
    index.remove("a")
    seen.append(index.generation)
    assert len(set(seen)) == 3
    index.search("beta")
    assert index.generation == seen[-1]


# ---- the cache


def test_an_answer_is_given_until_its_time_is_over() -> None:
    clock = Clock()
    cache: QueryCache[str] = QueryCache(clock)
    cache.resize(100)
    cache.put("q", "answer", 10)
    clock.now += 29.9
    assert cache.get("q", 30) == "answer"
    clock.now += 0.1
    assert cache.get("q", 30) is None
    assert (cache.hits, cache.misses, cache.used_bytes) == (1, 1, 0)


def test_the_time_to_live_is_the_asking_request_s() -> None:
    clock = Clock()
    cache: QueryCache[str] = QueryCache(clock)
    cache.resize(100)
    cache.put("q", "answer", 10)
    clock.now += 50
    assert cache.get("q", 300) == "answer"
    assert cache.get("q", 30) is None


def test_what_was_not_asked_for_longest_goes_first() -> None:
    cache: QueryCache[str] = QueryCache(Clock())
    cache.resize(20)
    cache.put("a", "A", 10)
    cache.put("b", "B", 10)
    cache.get("a", 30)
    cache.put("c", "C", 10)
    assert [cache.get(key, 30) for key in "abc"] == ["A", None, "C"]
    assert cache.used_bytes == 20


def test_a_smaller_limit_holds_at_once() -> None:
    cache: QueryCache[str] = QueryCache(Clock())
    cache.resize(30)
    for key in "abc":
        cache.put(key, key, 10)
    cache.resize(10)
    assert (len(cache), cache.used_bytes, cache.get("c", 30)) == (1, 10, "c")


def test_what_is_larger_than_the_cache_is_not_kept_and_drops_nothing_else() -> None:
    cache: QueryCache[str] = QueryCache(Clock())
    cache.resize(20)
    cache.put("a", "A", 10)
    cache.put("b", "B", 21)
    assert (cache.get("a", 30), cache.get("b", 30)) == ("A", None)


def test_a_key_put_twice_costs_once() -> None:
    cache: QueryCache[str] = QueryCache(Clock())
    cache.resize(20)
    cache.put("a", "A", 10)
    cache.put("a", "A2", 15)
    assert (cache.get("a", 30), cache.used_bytes) == ("A2", 15)


# ---- the pool


def test_every_item_is_worked_on_across_a_resize() -> None:
    pool = WorkerPool(workers=1, batch_size=2)
    running, go_on = threading.Event(), threading.Event()

    def work(item: int) -> int:
        running.set()
        assert go_on.wait(10)
        return item * 2

    results = pool.map(work, range(7))
    collected: list[int] = []
    collector = threading.Thread(target=lambda: collected.extend(results))
    collector.start()
    assert running.wait(10)
    pool.resize(workers=3, batch_size=5)
    assert pool.workers == 3
    go_on.set()
    collector.join(10)
    assert sorted(collected) == [0, 2, 4, 6, 8, 10, 12]
    assert sorted(pool.map(work, range(6))) == [0, 2, 4, 6, 8, 10]
    pool.close()


def test_as_many_threads_as_configured_work_at_the_same_time() -> None:
    pool = WorkerPool()
    pool.resize(workers=3, batch_size=1)
    together = threading.Barrier(3)
    assert list(pool.map(lambda _: together.wait(10) >= 0, range(3))) == [True] * 3
    pool.close()


def test_a_batch_is_one_thread_s_work() -> None:
    pool = WorkerPool()
    pool.resize(workers=4, batch_size=10)
    assert len(set(pool.map(lambda _: threading.get_ident(), range(10)))) == 1
    pool.close()


def test_what_the_work_raises_reaches_the_caller() -> None:
    pool = WorkerPool()
    with pytest.raises(ZeroDivisionError):
        list(pool.map(lambda item: 1 // item, [0]))
    pool.close()


# ---- the components


def test_the_first_configuration_sizes_everything_and_indexes_the_folder(
    service: SearchService, tmp_path: Path
) -> None:
    Path(tmp_path, "notes").mkdir()
    Path(tmp_path, "notes", "a.txt").write_text("owner and workers")
    assert not service.global_index.ready.is_set()
    configure(service, None, config(performance={"parallel_workers": 7, "batch_size": 11}))
    assert service.global_index.ready.is_set()
    assert (service.pool.workers, service.pool.batch_size) == (7, 11)
    assert service.index.limit_bytes == 512 * MIB
    assert service.cache.limit_bytes == 3072 * MIB * 80 // 100 - 512 * MIB
    assert names(service.index, "workers") == ["notes/a.txt"]


def test_a_new_configuration_resizes_cache_pool_and_index(service: SearchService) -> None:
    old = MCPConfig()
    configure(service, None, old)
    new = config(memory={"total_budget_mb": 1024, "global_index_mb": 128}, performance={"parallel_workers": 2})
    configure(service, old, new)
    assert service.index.limit_bytes == 128 * MIB
    assert service.cache.limit_bytes == 1024 * MIB * 80 // 100 - 128 * MIB
    assert service.pool.workers == 2


def test_the_cache_gets_nothing_when_the_index_takes_all_up_to_the_warning(service: SearchService) -> None:
    memory = {"total_budget_mb": 512, "global_index_mb": 256, "warning_threshold_percent": 50}
    configure(service, None, config(memory=memory))
    assert service.cache.limit_bytes == 0


def test_a_cache_that_is_switched_off_is_emptied_and_not_asked(service: SearchService, tmp_path: Path) -> None:
    Path(tmp_path, "a.txt").write_text("word")
    on, off = MCPConfig(), config(performance={"cache_enabled": False})
    configure(service, None, on)
    assert [service.search("word", on)[1] for _ in range(2)] == [False, True]
    service.performance_monitor.update_config(on.performance, off.performance)
    assert len(service.cache) == 0
    assert [service.search("word", off)[1] for _ in range(2)] == [False, False]
    assert len(service.cache) == 0


def test_an_answer_from_before_a_change_of_the_index_is_not_given_again(service: SearchService, tmp_path: Path) -> None:
    Path(tmp_path, "a.txt").write_text("word")
    configure(service, None, MCPConfig())
    service.search("word", MCPConfig())
    Path(tmp_path, "b.txt").write_text("word")
    service.global_index.refresh()
    answer, cached = service.search("word", MCPConfig())
    assert not cached
    assert {hit.name for hit in answer} == {"a.txt", "b.txt"}


def test_a_look_reads_only_what_is_new_changed_or_gone(service: SearchService, tmp_path: Path) -> None:
    for name in ("kept", "changed", "gone"):
        Path(tmp_path, name).write_text(name)
    configure(service, None, MCPConfig())
    assert service.global_index.refresh() == Refreshed(0, 0, 0)
    Path(tmp_path, "changed").write_text("otherwise")
    Path(tmp_path, "gone").unlink()
    Path(tmp_path, "new").write_text("new")
    assert service.global_index.refresh() == Refreshed(indexed=2, removed=1, left_out=0)
    assert names(service.index, "otherwise") == ["changed"]
    assert names(service.index, "gone") == []


def test_only_text_files_of_the_folder_are_read(service: SearchService, tmp_path: Path) -> None:
    folder = tmp_path
    Path(folder, "text.md").write_text("word")
    Path(folder, ".hidden").write_text("word")
    Path(folder, "binary").write_bytes(b"word\0")
    Path(folder, "latin").write_bytes(b"word \xe9")
    Path(folder, "link").symlink_to(Path(folder, "text.md"))
    os.mkfifo(Path(folder, "pipe"))
    configure(service, None, MCPConfig())
    assert names(service.index, "word") == ["text.md"]


def test_a_folder_that_is_missing_has_no_files_and_is_said(
    service: SearchService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.rename(tmp_path.with_name("moved"))
    configure(service, None, MCPConfig())
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"left out of the index: [Errno 2] No such file or directory: '{tmp_path}'"
    ]
    tmp_path.with_name("moved").rename(tmp_path)


def test_the_file_size_is_a_limit_that_follows_the_configuration(service: SearchService, tmp_path: Path) -> None:
    Path(tmp_path, "fits").write_text("x" * 1024)
    Path(tmp_path, "large").write_text("y" * 1025)
    small, larger = config(projects={"max_file_size": 1024}), config(projects={"max_file_size": 1025})
    configure(service, None, small)
    assert set(service.index.stamps()) == {"fits"}
    configure(service, small, larger)
    assert set(service.index.stamps()) == {"fits", "large"}
    configure(service, larger, small)
    assert set(service.index.stamps()) == {"fits"}


def test_a_change_that_is_none_of_the_index_s_does_not_look_at_the_folder(
    service: SearchService, tmp_path: Path
) -> None:
    old, new = MCPConfig(), config(performance={"cache_ttl_seconds": 60})
    configure(service, None, old)
    Path(tmp_path, "later.txt").write_text("word")
    configure(service, old, new)
    assert len(service.index) == 0


def test_the_thresholds_are_of_the_process_s_memory_and_an_emergency_empties_the_cache() -> None:
    taken = 0
    cache: QueryCache[str] = QueryCache(Clock())
    memory = MemoryConfig(total_budget_mb=1000, global_index_mb=128)
    profiler = MemoryProfiler(cache, measure=lambda: taken)
    profiler.update_config(None, memory)
    cache.put("q", "answer", 10)
    levels = []
    for percent in (79, 80, 92, 93, 97):
        taken = percent * 10 * MIB
        levels.append(profiler.check(memory))
    assert levels == ["normal", "warning", "warning", "prompt", "prompt"]
    assert len(cache) == 1
    taken = 980 * MIB
    assert profiler.check(memory) == "emergency"
    assert len(cache) == 0
    taken = 0
    assert profiler.check(memory) == "normal"


def test_a_process_knows_what_it_takes() -> None:
    assert 5 * MIB < resident_bytes() < 8192 * MIB


# ---- the vote


def test_a_version_that_the_index_has_no_room_in_is_refused(
    service: SearchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = config(memory={"total_budget_mb": 3072, "global_index_mb": 512})
    configure(service, None, roomy)
    monkeypatch.setattr(index_module, "POSTING_BYTES", 69 * MIB)
    assert service.index.put(document("large", "two words"))
    tight = config(memory={"total_budget_mb": 1024, "global_index_mb": 128})
    with pytest.raises(ValueError, match=r"holds 139 MiB and memory\.global_index_mb would be 128"):
        service.refuse(roomy, tight)
    service.refuse(roomy, roomy)


def test_a_drill_refuses_the_next_version_only(service: SearchService) -> None:
    service.veto_next("a drill")
    with pytest.raises(ValueError, match="a drill"):
        service.refuse(MCPConfig(), MCPConfig())
    service.refuse(MCPConfig(), MCPConfig())


def test_the_status_says_what_is_held(service: SearchService, tmp_path: Path) -> None:
    Path(tmp_path, "a.txt").write_text("word")
    configure(service, None, MCPConfig())
    service.search("word", MCPConfig())
    status = service.status(MCPConfig())
    assert status["index"]["documents"] == 1
    assert status["cache"]["answers"] == 1
    assert status["file_readers"] == PerformanceConfig().parallel_workers
