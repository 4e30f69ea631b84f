"""Bugs that the suite must find: each with what it breaks, where it goes, and which tests are to find it.

Realistic ones: a forgotten line, a condition that looks redundant, two lines in the other order. `text` occurs once in
its file, so that a bug whose place was rewritten is noticed at once, and not when it no longer bites. `found_by` are
tests of the normal suite, as few as are needed: what finds a bug in a second should not take a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

_OWNER, _WORKER, _CODEC = "owner", "worker", "config/codec"
_TABLE, _TRACES = "tests/core/test_owner_table.py", "tests/core/test_traces.py"
_OPERATIONS, _WINDOWS = "tests/core/test_operations.py", "tests/core/test_windows.py"
PROBATIONS = "tests/core/test_probations.py"
_LAST_GOOD = "tests/core/test_last_good.py"
TRIALS = "tests/core/test_trials.py"
_WORKERS_TABLE = "tests/core/test_worker_table.py"
_VOTES = "tests/core/test_votes.py"
FIRST_VOTE = "tests/core/test_first_vote.py"
_GOODBYES, _RECOVERY = "tests/unit/worker/connection/test_goodbyes.py", "tests/unit/owner/store/test_recovery.py"
_WATCHER = "tests/unit/owner/watch/test_watcher.py"
_FORMATS = "tests/unit/config/sources/formats"
BY_CHANCE = "tests/core/test_simulation.py::test_runs_by_chance_get_everywhere_and_hold"


@dataclass(frozen=True)
class Bug:
    """One replacement in one file of the package.

    Attributes:
        area: `core`, `shell`, `worker`, `journal`, `watcher`, `codec`, `load` or `serve`.
        name: What it does, in a few words.
        breaks: The guarantee or the rule that no longer holds.
        file: Under the package's folder.
        text: What is replaced.
        instead: What stands there then.
        found_by: Files or tests, as pytest names them.
    """

    area: str
    name: str
    breaks: str
    file: str
    text: str
    instead: str
    found_by: tuple[str, ...]


def _core(name: str, breaks: str, file: str, text: str, instead: str, *found_by: str) -> Bug:
    return Bug("core", name, breaks, f"{_OWNER}/{file}", text, instead, found_by)


def _shell(name: str, breaks: str, file: str, text: str, instead: str, *found_by: str) -> Bug:
    return Bug("shell", name, breaks, f"{_OWNER}/{file}", text, instead, found_by)


def _worker(name: str, breaks: str, file: str, text: str, instead: str, *found_by: str) -> Bug:
    return Bug("worker", name, breaks, f"{_WORKER}/{file}", text, instead, found_by)


def _journal(name: str, breaks: str, file: str, text: str, instead: str, test: str = "test_journal.py") -> Bug:
    return Bug("journal", name, breaks, f"{_OWNER}/{file}", text, instead, (f"tests/unit/owner/store/{test}",))


def _watcher(name: str, breaks: str, text: str, instead: str, *, file: str = "watch/watcher.py") -> Bug:
    return Bug("watcher", name, breaks, f"{_OWNER}/{file}", text, instead, (_WATCHER,))


def _codec(name: str, breaks: str, file: str, text: str, instead: str) -> Bug:
    return Bug("codec", name, breaks, f"{_CODEC}/{file}", text, instead, ("tests/unit/config/codec/test_codec.py",))


def _serve(name: str, breaks: str, text: str, instead: str, test: str) -> Bug:
    return Bug(
        "serve", name, breaks, "serve/successor.py", text, instead, (f"tests/unit/serve/test_take_over.py::{test}",)
    )


def _load(name: str, breaks: str, file: str, text: str, instead: str, *found_by: str) -> Bug:
    return Bug("load", name, breaks, file, text, instead, found_by)


BUGS = (
    # ---- core
    _core(
        "a server knows no worker of the one whose place it takes",
        "G3: whoever does not answer is named, also who has not found this server yet",
        "core/former_workers.py",
        "        roster.expect(sorted(self._pids))\n",
        "",
        "tests/core/test_former_workers.py",
    ),
    _core(
        "a trial by entity is used before all that were waited for have it",
        "E9: one entity, one version, in whichever worker",
        "core/trials.py",
        "self._canaries.begins_by and self._canaries.are_in(self.roster):",
        "self._canaries.begins_by and self._canaries.taken_up(self.roster):",
        f"{TRIALS}::test_by_entity_all_try_it_and_its_use_begins_when_all_have_it",
    ),
    _core(
        "a trial without evidence goes on for ever",
        "a trial has an end: once more the same time, then what `inconclusive` says",
        "core/trials.py",
        "        elif canaries.trial.extended:\n",
        "        elif canaries.trial.extended and taken_up:\n",
        TRIALS,
    ),
    _core(
        "the end of a window brings back a hold that a person has let go",
        "what takes itself back holds nothing",
        "core/windows.py",
        "return window.hold if window.hold == self.operator.hold else None",
        "return window.hold",
        _WINDOWS,
    ),
    _core(
        "a way back out of a window holds nothing where that content runs already",
        "D1: rollback() always holds",
        "core/windows.py",
        "msgspec.structs.replace(self.operator, window=None, hold=hold)\n            self._order_state_write()",
        "msgspec.structs.replace(self.operator, window=None)\n            self._order_state_write()",
        _WINDOWS,
    ),
    _core(
        "who confirms an older version confirms the newest",
        "F3: what a person has seen run is confirmed, and nothing else",
        "core/windows.py",
        "if asked.version not in (0, version):",
        "if asked.version > version:",
        _WINDOWS,
    ),
    _core(
        "a worker that counts anew takes back what it had counted",
        "the requests that have ended on a version only grow",
        "core/evidence.py",
        "if answered < before.answered:",
        "if answered < before.answered < 0:",
        "tests/core/test_evidence.py",
    ),
    _core(
        "what a worker had counted goes with it",
        "requests of workers that are gone are evidence, too",
        "core/evidence.py",
        "                seen.ended = seen.ended.plus(counts)\n\n    def renumbered",
        "                continue\n\n    def renumbered",
        "tests/core/test_evidence.py",
    ),
    _core(
        "all workers are asked at once, however long the last vote took",
        "slow builds: a version that can't be built costs one build",
        "core/first_vote.py",
        "return self.member is None or self.member is member",
        "return True",
        FIRST_VOTE,
    ),
    _core(
        "the worker that votes first is excused at the end of its turn, and so are those that were never asked",
        "slow builds: whoever is asked later has all of vote_timeout",
        "core/machine.py",
        "        if self._first_vote.member is not None:\n            self._ask_all()\n        else:\n",
        "        if True:\n",
        FIRST_VOTE,
    ),
    _core(
        "a version that no worker has had on trial is committed at its end",
        "E3: silence promotes nothing",
        "core/trials.py",
        "        if taken_up and (enough or",
        "        if (enough or",
        TRIALS,
    ),
    _core(
        "what was on trial may come back as soon as other content has ended it",
        "U1: the next owner's load commits it to everyone, untried",
        "core/trials.py",
        "unconfirmed=refused))",
        "unconfirmed=self.operator.unconfirmed))",
        TRIALS,
    ),
    _core(
        "a canary is told to try what it has not built yet",
        "E2: a canary that has not voted in the round gets Prepare, and agrees, first",
        "core/canaries.py",
        "        if member.agreed != self.round:",
        "        if member.agreed == -self.round:",
        TRIALS,
    ),
    _core(
        "the next owner goes on with a trial that it knows nothing of",
        "U7: it is undone before the first load",
        "core/trials.py",
        "            return (TRIAL_OF_DEAD_OWNER.format(trial.version),)",
        "            return ()",
        TRIALS,
    ),
    _core(
        "the trigger of the edit itself ends its trial",
        "E6: the same content leaves a trial alone",
        "core/trials.py",
        "        if given.digest == trial.digest:",
        "        if given.digest == trial.digest and self._requests.called:",
        TRIALS,
    ),
    _core(
        "expect is compared once more after the undo of the trial that it named",
        "D6: it is compared when the operation begins; a set that expects the number on trial is refused",
        "core/requests.py",
        "        requests = [_compared(each) for each in requests] if begun else requests",
        "        requests = list(requests)",
        TRIALS,
    ),
    _core(
        "what is provisional is what the next window falls back to",
        "U4: one fallback, which was proven when the window was opened",
        "core/steps.py",
        "if self.operator.window is not None or self.roster.is_declined(self.committed.version):",
        "if self.roster.is_declined(self.committed.version):",
        _WINDOWS,
    ),
    _core(
        "a value that was set in a window hides what the sources gave",
        "U1: what was undone is not committed again while the sources have it",
        "core/windows.py",
        'sources = digest_of(given.values) if given.values else b""',
        'sources = b""',
        _WINDOWS,
    ),
    _core(
        "a commit in a window begins its time anew",
        "F2: one deadline, unless somebody asks for another",
        "core/windows.py",
        "if proposal.confirm_within and self.committed.version:",
        "if (proposal.confirm_within or window is not None) and self.committed.version:",
        _WINDOWS,
    ),
    _core(
        "a no is forgotten once the probation is over",
        "U6: an undo that can't be written is tried until it is there",
        "core/probations.py",
        "not self._is_past(window) or self._against or self.state",
        "not self._is_past(window) or self.state",
        PROBATIONS,
    ),
    _core(
        "what supersedes a version on probation has what is left of its time",
        "each commit of new content sets the clock",
        "core/probations.py",
        "proves=self._now + self.rules.probation)",
        "proves=window.proves if window else self._now + self.rules.probation)",
        PROBATIONS,
        BY_CHANCE,
    ),
    _core(
        "a worker that dies before it has answered died of the version before",
        "the deaths of workers that a version kills at once speak against that version",
        "core/probations.py",
        "            version = member.given\n",
        "            version = member.runs\n",
        PROBATIONS,
    ),
    _core(
        "a no that comes in a write is tested against what is written only",
        "U3: what is spoken against is undone, also after a write that fails",
        "core/probations.py",
        "        self._weigh()\n        self._window_deadline()",
        "        if self.state is ProposalState.RECORDING:\n            return\n        self._weigh()\n"
        "        self._window_deadline()",
        PROBATIONS,
        BY_CHANCE,
    ),
    _core(
        "an end of a probation puts the write that is under way on none",
        "the row that is written says what is provisional",
        "core/probations.py",
        "or self.state is ProposalState.RECORDING:\n            return\n        self.operator",
        "or False:\n            return\n        self.operator",
        PROBATIONS,
    ),
    _core(
        "a hold is forgotten by the version that is set on it",
        "D5: a hold ends by what a person has asked for, and by nothing else",
        "core/operations.py",
        "        elif operator.hold is not None and (proposal.resumes or",
        "        elif operator.hold is not None and (proposal.asked is not None or",
        _OPERATIONS,
        BY_CHANCE,
    ),
    _core(
        "the end of a hold forgets what it has stopped",
        "an edit that a hold has stopped is loaded once the hold has ended, by whatever",
        "core/operations.py",
        "            self._requests.retry_stopped(proposal.digest)\n",
        "            pass\n",
        _WINDOWS,
        TRIALS,
    ),
    _core(
        "what a worker has on trial is known by its number alone",
        "one number never stands for two contents, whatever was lost",
        "core/members.py",
        "member.shows not in known or member.shown not in (nothing, known[member.shows])",
        "member.shows not in known",
        f"{TRIALS}::test_a_number_that_was_lost_with_its_trial_and_is_given_out_again_is_given_up",
    ),
    _core(
        "what a hold stops is not noted",
        "an edit that a hold has stopped is loaded once the hold has ended, by whatever",
        "core/machine.py",
        '            self._requests.stop(given.digest if self._is_held_back() else b"")\n',
        "            pass\n",
        _WINDOWS,
        TRIALS,
    ),
    _core(
        "a start on the last good version is held as a person holds one",
        "it ends by itself as soon as the sources are applied",
        "core/operator_state.py",
        "return self.hold is not None and not self.hold.boot",
        "return self.hold is not None",
        _LAST_GOOD,
        BY_CHANCE,
    ),
    _core(
        "every load that fails puts the last good version back",
        "only a first start does; a server that serves keeps what it has",
        "core/last_good.py",
        "self._may_fall_back, self._falls_back = False, failed and",
        "self._falls_back = failed and",
        _LAST_GOOD,
    ),
    _core(
        "expect is compared when a request comes",
        "D6: of two operations that expect one version, both succeed",
        "core/operations.py",
        "        if expect is not None and expect != newest:\n",
        "        if expect is not None and expect != newest and not self._requests:\n",
        _OPERATIONS,
        BY_CHANCE,
    ),
    _core(
        "what a person has set without a new number is not written",
        "D2: answered well, and still held",
        "core/machine.py",
        "        if proposal.operator.follows(self.operator) or proposal.confirm_within:",
        "        if proposal.confirm_within:",
        _OPERATIONS,
        BY_CHANCE,
    ),
    _core(
        "who is silent in a dry run counts as timed out",
        "C2: the next reload does not ask a worker that would have said no",
        "core/waits.py",
        "excuse = self._roster.excuse if dry else self._roster.mark_timed_out",
        "excuse = self._roster.mark_timed_out",
        _OPERATIONS,
    ),
    _core(
        "an undo keeps the overrides of what it undoes",
        "D3: the layer belongs to the version",
        "core/steps.py",
        "        proposal.operator = self._operator_before(previous, operator)\n",
        "",
        _OPERATIONS,
        BY_CHANCE,
    ),
    _journal(
        "what people have set is lost where its version is in SQLite already",
        "D1: what people have set outlives the owner",
        "store/entries.py",
        "        state = self.state if self.state_of >= version else None\n",
        "        state = self.state if rows else None\n",
    ),
    _load(
        "the content of a dry run counts as attempted",
        "C1: the watcher never loads an edit that was tried before it had noticed it",
        "owner/loop/load_thread.py",
        "    return not order.dry and not order.rebuild and order.edit is None\n",
        "    return not order.rebuild and order.edit is None\n",
        "tests/unit/owner/loop/test_load_thread_operations.py",
    ),
    _core(
        "a vote of another round counts",
        "G1: a late yes to one proposal commits the next",
        "core/member_inputs.py",
        "if vote.round != self.round or (excused and (vote.ok or member.prepared != self.round)):",
        "if excused and (vote.ok or member.prepared != self.round):",
        _TRACES,
    ),
    _core(
        "who has lost its pipe counts as having voted",
        "G1: the end of a pipe is taken for a death",
        "core/members.py",
        "self._nobody_misses(lambda member: member.vote)",
        "self._nobody_misses(lambda member: member.vote or member.pipe is None)",
        _TRACES,
    ),
    _core(
        "a refusal outlives the version that was refused",
        "G3: the next barrier does not wait for that worker",
        "core/steps.py",
        "        for member in self.roster:\n            member.declined = member.asked_again = None\n"
        "        self._write_snapshot(committed)",
        "        self._write_snapshot(committed)",
        BY_CHANCE,
    ),
    _core(
        "what is proposed is committed before it is checked",
        "G8: a worker may run what the owner has not loaded",
        "core/steps.py",
        "STAGING and self._proposal.checked and self.roster",
        "STAGING and self.roster",
        BY_CHANCE,
    ),
    _core(
        "who has not voted at the deadline is excused before the check has ended",
        "A2: an owed load is tried when a worker answers",
        "core/machine.py",
        "            self._ask_all()\n        else:\n            self._wait_for_check(given)\n",
        "            self._ask_all()\n        else:\n"
        "            self._excuse(self._proposal.loaded, fx.Timer.STAGE)\n            self._wait_for_check(given)\n",
        _TABLE,
    ),
    _core(
        "a no that comes before the check is forgotten",
        "G1: committed against a no that came in time",
        "core/steps.py",
        "proposal.vetoed = proposal.vetoed or problems",
        "pass",
        _TABLE,
    ),
    _core(
        "the answer that was still missing is awaited of who is gone",
        "G5: every outcome waits for the deadline",
        "core/members.py",
        "missing is not None and self._by_pid.get(missing.pid) is missing and not",
        "missing is not None and not",
        _TABLE,
    ),
    _core(
        "the number of a failed write is given out again",
        "G6: one number, two contents",
        "core/steps.py",
        "        self._numbers.retire(version)\n",
        "",
        _TABLE,
    ),
    _core(
        "a commit that waits gives way to the next proposal",
        "the outbox is a function: that worker never gets the version",
        "core/outbox.py",
        "if member.sent < self._version:",
        "if member.sent < self._version and state is not ProposalState.STAGING:",
        _TRACES,
    ),
    _core(
        "who does not wait for a settling never receives it",
        "an observer that comes later is called with the next version only",
        "core/outbox.py",
        "(member.follows or asks or self.deferred_until is None)",
        "(member.follows or asks)",
        "tests/core/test_owner_table.py",
    ),
    _core(
        "a newcomer gets the old version while the journal writes",
        "nothing for newcomers during the write",
        "core/outbox.py",
        "if state is ProposalState.RECORDING and not member.sent and not prepared:",
        "if state is ProposalState.RECORDING and not member.sent and prepared:",
        _TRACES,
    ),
    _core(
        "an edit that an override hides is forgotten when that ends",
        "G5: what the sources say, apart from what is set, runs",
        "core/requests.py",
        '            self.trigger(Cause("watch"))\n            self._hidden = b""\n',
        '            self._hidden = b""\n',
        BY_CHANCE,
    ),
    _core(
        "a trigger during a reload is forgotten",
        "G5: no trigger is lost",
        "core/requests.py",
        "return bool(self._waiting or self._triggers)",
        "return bool(self._waiting)",
        BY_CHANCE,
    ),
    _core(
        "a call joins the load that is running",
        "G5: the outcome of a load that began after the call",
        "core/requests.py",
        "self._waiting.append(Request(caller, cause, asked))",
        "(self._serving if self._serving else self._waiting).append("
        "caller if self._serving else Request(caller, cause, asked))",
        BY_CHANCE,
    ),
    _core(
        "the barrier has no deadline",
        "every wait has one: a caller waits for ever",
        "core/steps.py",
        "        self._wake_by(fx.Timer.BARRIER)\n",
        "",
        _TABLE,
    ),
    _core(
        "new content gets the number after the committed one",
        "G6: the floor; one number, two contents",
        "core/version_numbers.py",
        "return self.high_water + 1\n\n    def for_the_same",
        "return self.committed.version + 1\n\n    def for_the_same",
        _TRACES,
    ),
    _core(
        "a number that a Hello reported is forgotten with the owner",
        "G6: the next owner gives it to other content",
        "core/member_inputs.py",
        "            self._effects.append(fx.Retire(max(hello.version, member.shows)))",
        "            pass",
        _TRACES,
    ),
    _core(
        "who was late with its vote for nothing stays late",
        "a worker that is awake passes for silent",
        "core/steps.py",
        "        self.roster.reinstall_timed_out(self.committed.version, self.committed.digest)\n",
        "",
        BY_CHANCE,
    ),
    _core(
        "a caller is answered before the history has the outcome",
        "an owner killed in between leaves an outcome that nobody else sees",
        "core/steps.py",
        "        self._effects.append(fx.RecordEvent(event, self._proposal.subject))\n"
        "        self._effects += self._observing.answer(self._requests.served(), event, self._now)\n",
        "        self._effects += self._observing.answer(self._requests.served(), event, self._now)\n"
        "        self._effects.append(fx.RecordEvent(event))\n",
        _TRACES,
    ),
    _core(
        "a caller waits for the observers of the dead",
        "who died holds a caller for all of its seconds",
        "core/observing.py",
        "wait.open = {pid: names for pid, names in wait.open.items() if pid in waited_for}",
        "pass",
        "tests/core/test_observing.py",
    ),
    _core(
        "an answer to a question of another pipe counts",
        "a worker's word on an older version is taken for the newest",
        "core/observing.py",
        "if observed.number > member.observes:",
        "if not observed.number:",
        "tests/core/test_observing.py",
    ),
    # ---- the owner's shell
    _shell(
        "a thread that has lost the loop to another goes on with it",
        "one thread runs the core",
        "loop/relief.py",
        "        return not self.given\n",
        "        return True\n",
        "tests/unit/owner/loop/test_relief.py",
    ),
    _shell(
        "the result of a load that lasted is lost",
        "G5: a caller waits for the deadline of its load",
        "loop/load_thread.py",
        "            else:\n                self._post(result)\n        self._relief.step_ended()",
        "        self._relief.step_ended()",
        "tests/unit/owner/loop/test_load_thread.py",
    ),
    _shell(
        "a failed write counts as not there",
        "reading back a failed write: a failed version returns after the restart",
        "loop/event_loop.py",
        "self._not_recorded(row_state(holds), error)",
        "self._not_recorded(fx.RowState.ABSENT, error)",
        "tests/unit/owner/loop/test_event_loop.py",
    ),
    _shell(
        "a frame that left in part is begun again",
        "frames: the peer reads garbage",
        "loop/connections.py",
        "self.outgoing[0] = (rest[sent:], from_core)",
        "self.outgoing[0] = (rest, from_core)",
        "tests/unit/owner/loop/test_connections.py",
    ),
    _shell(
        "the owner of a living master is killed for its lock",
        "one owner per generation: two masters kill each other's",
        "store/runtime_lock.py",
        "if not successor and processes.is_alive(holder.master, holder.master_started):",
        "if not successor and not processes.is_alive(holder.master, holder.master_started):",
        "tests/unit/owner/store/test_runtime_lock.py",
    ),
    _shell(
        "what is loaded is not marked",
        "G6: the content that an owner died of is loaded over and over",
        "loop/load_thread.py",
        "            self._attempts.begin(seen)\n",
        "            pass\n",
        "tests/unit/owner/loop/test_load_thread.py",
    ),
    _shell(
        "a person's HUP does not load what an owner died of",
        "only watching skips marked content",
        "loop/load_thread.py",
        "if self._attempts.is_quarantined(seen) and not insist:",
        "if self._attempts.is_quarantined(seen):",
        "tests/unit/owner/loop/test_load_thread.py",
    ),
    _shell(
        "the death of a worker is not listened for",
        "G6: a dead worker leaves the vote",
        "loop/event_loop.py",
        "        self._watch_exit(self._exit_watch, effect.pid, lambda failed: fx.ProcessGone(effect.pid, failed))\n",
        "",
        "tests/unit/owner/loop/test_event_loop.py",
    ),
    # ---- replica and worker
    _worker(
        "what was staged outlives its round",
        "G1: a version that was never asked of precommit runs",
        "connection/machine.py",
        "staged, self._staged = self._staged, None",
        "staged = self._staged",
        _WORKERS_TABLE,
    ),
    _worker(
        "what is held changes its content under one number",
        "a replica never swaps content under one number",
        "connection/machine.py",
        'return version > self._shown or (version == self._shown and digest == self._tried != b"")',
        "return version >= self._shown",
        _WORKERS_TABLE,
    ),
    _worker(
        "Applied is said before the swap",
        "G3: SUCCESS while a request can still start on the old version",
        "connection/machine.py",
        "self._effects.append(Reply(Applied(version, self._follows())))",
        "self._effects.insert(0, Reply(Applied(version, self._follows())))",
        _WORKERS_TABLE,
    ),
    _worker(
        "the commit of any round swaps in what is staged",
        "rounds: a worker serves another content than the journal's",
        "connection/machine.py",
        "staged = self._staged if frame.round == self._round else None\n        if staged is not None and (frame",
        "staged = self._staged\n        if staged is not None and (frame",
        _WORKERS_TABLE,
    ),
    _worker(
        "open calls are not answered when the pipe ends",
        "a caller waits out its whole timeout for a dead owner",
        "connection/link.py",
        "            for call in list(self._calls.values()):\n                call.done.set()\n",
        "",
        "tests/unit/worker/connection/test_link.py",
    ),
    _worker(
        "a precommit function that exits ends the reading thread",
        "a refusal is a no, whatever was raised",
        "connection/attachment.py",
        "            except BaseException as error:  # also sys.exit(), a cancelled task or a green timeout",
        "            except Exception as error:  # also sys.exit(), a cancelled task or a green timeout",
        "tests/unit/worker/connection/test_attachment.py",
    ),
    _worker(
        "a closed pin goes on giving its version",
        "a task that outlives its request reads the newest",
        "pins.py",
        "        self.snapshot = None\n",
        "",
        "tests/unit/worker/test_pins.py",
    ),
    Bug(
        "worker",
        "a pin is entered for a request that is not served, and stays",
        "G2: the thread's next request sees an old version",
        "middleware/replicas.py",
        "            self.__exit__(None, None, None)\n            raise\n",
        "            raise\n",
        ("tests/unit/middleware/test_middleware.py",),
    ),
    _worker(
        "a replica that is declared late is not among the declared",
        "G2: a middleware that pins all that is declared leaves one out",
        "registry.py",
        "        _declared.append(weakref.ref(replica))\n        _changed()\n",
        "        _declared.append(weakref.ref(replica))\n",
        "tests/unit/worker/test_registry.py",
    ),
    _worker(
        "a served worker goes on waking up",
        "an idle worker sleeps until its owner sends something",
        "connection/link.py",
        "if not self._is_on_the_roster or connection.gettimeout() is not None:",
        "if not self._is_on_the_roster:",
        "tests/unit/worker/connection/test_link.py",
    ),
    _worker(
        "an observer is called for what it was given as its first value",
        "initial=True, with no gap and no repeat",
        "observers/dispatcher.py",
        "if subscription.since < run.number and",
        "if subscription.since <= run.number and",
        "tests/unit/worker/observers/test_dispatcher.py",
    ),
    _worker(
        "an undo asks and builds anew what was kept for it",
        "the undo builds nothing: what it puts back is in memory",
        "connection/machine.py",
        "new = self._known(frame.digest, undo=frame.undo)",
        "new = self._known(frame.digest)",
        "tests/core/test_worker_trials.py",
    ),
    _worker(
        "what is committed leaves the version on trial beside it",
        "no number goes down: pins of an entity go up to the committed version",
        "connection/machine.py",
        "        if self.slot is not None:\n            self.slot = None\n            self._effects.append(Slot())\n",
        "",
        "tests/core/test_worker_trials.py",
    ),
    # ---- journal
    _journal(
        "believes a torn row of a kept version",
        "each row's checksum is verified when it is read",
        "store/kept_versions.py",
        "if isinstance(body, bytes) and zlib.crc32(body) == checksum:",
        "if isinstance(body, bytes):",
        "test_kept_versions.py",
    ),
    _journal(
        "leaves contents that no version has any more",
        "of versions beyond keep_versions nothing is left: they are secrets",
        "store/kept_versions.py",
        '    ask("DELETE FROM content WHERE digest NOT IN (SELECT digest FROM kept)")\n',
        "",
        "test_kept_versions.py",
    ),
    _journal(
        "calls a version good that was declined later",
        "good: declined by no worker",
        "store/kept_versions.py",
        "verdict, good = self.verdict, good and self.good",
        "verdict, good = self.verdict, self.good",
        "test_kept_versions.py",
    ),
    _journal(
        "calls good what was on probation when a later version was undone",
        "a version is good if nothing was said against it, or a later one, in its time",
        "store/kept_versions.py",
        "return msgspec.structs.replace(self, provisional=True) if self.proves > date else self",
        "return self",
        "test_windows.py",
    ),
    _journal(
        "prunes what a window falls back to",
        "U4: the fallback is kept while the window is open, whatever the limit",
        "store/entries.py",
        "needed = self.state.needed if self.state is not None else 0",
        "needed = 0",
        "test_windows.py",
    ),
    _journal(
        "ends a window by the date",
        "a date that jumps neither ends nor lengthens a window",
        "loop/core_clock.py",
        "(when - _since_boot() + now or _LONG_AGO) if same",
        "time_of(state.window.by) if same",
        "test_windows.py",
    ),
    _journal(
        "leaves an undone version as it was judged before",
        "an undone version is rejected, in the write that undoes it",
        "store/entries.py",
        "if each is not None), *confirmed, *undone]",
        "if each is not None), *confirmed]",
        "test_kept_versions.py",
    ),
    _journal(
        "drops the version of a build that kept none",
        "a journal of the build before opens and goes on",
        "store/entries.py",
        "        kept_versions.adopt(ask)\n",
        "",
        "test_kept_versions.py",
    ),
    _journal(
        "the connection that failed is asked whether the write took place",
        "G6: it says no while the log on disk says yes",
        "store/journal.py",
        "        self._database.reopen()\n",
        "",
    ),
    _journal(
        "a payload is not compared with its checksum",
        "G6: bytes that nobody wrote are served",
        "store/journal.py",
        "if zlib.crc32(row.payload) != checksum:",
        "if len(row.payload) < 1 and checksum:",
    ),
    _journal(
        "a retired number is remembered in memory only",
        "G6: the next owner gives it out again",
        "store/journal.py",
        '                self._ask("UPDATE floor SET version = ?", (version,))\n',
        "                pass\n",
    ),
    _journal(
        "a deleted journal counts as in place",
        "G6: versions are committed into a file that nobody can find again",
        "store/sqlite_file.py",
        "return identity(self._name) == self._identity",
        "return self._identity is not None",
    ),
    _journal(
        "a transaction that fails stays open",
        "one failed event, and every later version is in a transaction that is never committed",
        "store/sqlite_file.py",
        '                self.ask("ROLLBACK")\n',
        "                pass\n",
    ),
    _journal(
        "an entry is not compared with its checksum",
        "G6: a version that a death or a flipped bit has torn is served",
        "store/ahead_file.py",
        " or zlib.crc32(view[end + _CHECKSUM.size : following]) != checksum:",
        ":",
        "test_ahead_file.py",
    ),
    _journal(
        "what a full disk took of an entry is left behind the last whole one",
        "G6: a version that was refused is there again when the machine comes back",
        "store/ahead_file.py",
        "                self._cut()\n            raise\n",
        "                pass\n            raise\n",
        "test_ahead_file.py",
    ),
    _journal(
        "SQLite does not keep the number of the last entry that it has",
        "each event is counted once: a kill between SQLite and the emptying of the file counts it twice",
        "store/entries.py",
        '        ask("INSERT OR REPLACE INTO folded VALUES (1, ?)", (number,))\n',
        "",
        "test_journal_ahead.py",
    ),
    _journal(
        "asks a receiver never again that has once wanted no more",
        "a server's start tries each webhook again",
        "store/deliveries.py",
        "due_fresh = 0, gone = 0, error = ''",
        "due_fresh = 0, error = ''",
        "test_deliveries.py",
    ),
    _journal(
        "sends what has failed before what was not tried",
        "one message that is refused holds up no other",
        "store/deliveries.py",
        "SET attempts = attempts + 1 WHERE",
        "SET attempts = attempts WHERE",
        "test_deliveries.py",
    ),
    _journal(
        "lets a few large messages grow without a bound",
        "a webhook owes 4 MiB at the most",
        "store/deliveries.py",
        "if count > MOST or size > MOST_BYTES:",
        "if count > MOST and size > MOST_BYTES:",
        "test_deliveries.py",
    ),
    _journal(
        "takes the undo of any version for one of the newest load",
        "the last load was good or not: what a person has set says nothing of it",
        "store/event_counts.py",
        "undone = event.result is ReloadResult.UNDONE and event.previous_version == counts.loaded",
        "undone = event.result is ReloadResult.UNDONE",
        "test_event_counts.py",
    ),
    # ---- watcher
    _watcher(
        "what is written in place is no event",
        "every lasting change of content is noticed",
        "_ANYTHING = 0xFCE\n",
        "_ANYTHING = 0xFC4\n",
        file="watch/dir_events.py",
    ),
    _watcher(
        "files are read before they have rested",
        "G7: half a file is loaded",
        "rest = max(since + self._quiet, self._not_before) - now",
        "rest = self._not_before - now",
    ),
    _watcher(
        "files are read while somebody writes them",
        "G7: half a file is loaded",
        "and not (writers := self._busy()):",
        "and not writers:",
    ),
    _watcher(
        "a directory that was replaced is not listened to",
        "every lasting change is followed by a call",
        "            self._watch_dirs()\n            if self._closing",
        "            if not self._watches._dirs:\n                self._watch_dirs()\n            if self._closing",
    ),
    _watcher(
        "a call that failed counts as made",
        "every lasting change is followed by a call",
        "                with self._lock:\n                    self._attempted = before\n                raise\n",
        "                raise\n",
        file="store/attempts.py",
    ),
    # ---- codec
    _codec(
        "sets are written in the order in which they were filled",
        "the encoding is canonical: equal values, equal digests",
        "writers.py",
        "members = sorted(encode(self[type(item)](item, depth + 1)) for item in value)",
        "members = [encode(self[type(item)](item, depth + 1)) for item in value]",
    ),
    _codec(
        "which fields were set is forgotten",
        "G8: type for type, model_fields_set included",
        "models.py",
        "return [index, sum(map(bit, fields_set)), *get(state)]",
        "return [index, -1, *get(state)]",
    ),
    _codec(
        "the second of two hours at the end of summer time becomes the first",
        "G8: a worker holds exactly what the owner validated",
        "leaves.py",
        "return [*date, value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo]",
        "return [*date, value.hour, value.minute, value.second, value.microsecond, 0, value.tzinfo]",
    ),
    _codec(
        "an int of 64 bits and one more is taken for one of 64",
        "G8: what can't be carried natively is carried all the same",
        "writers.py",
        "if -(2**63) <= value < 2**64:",
        "if -(2**63) <= value <= 2**64:",
    ),
    # ---- patches
    Bug(
        "codec",
        "what an object on the way holds beside its fields is that of the version before",
        "G8: a worker holds exactly what the owner validated, model_fields_set and extra values included",
        f"{_CODEC}/patch.py",
        "node: list[Any] = [len(after.parts), after.header]",
        "node: list[Any] = [len(after.parts), before.header]",
        ("tests/unit/config/codec/test_patch.py",),
    ),
    _core(
        "a patch goes to everybody who takes patches",
        "a patch is of what the worker holds; every other worker connects anew, at each reload",
        "core/members.py",
        "return self.patches and self.holds == base",
        "return self.patches",
        "tests/core/test_patches.py",
    ),
    _worker(
        "a patch of something else is applied to what is held",
        "G8: the number of one content, and another content",
        "connection/machine.py",
        "if held is None or held.digest != frame.base:",
        "if held is None:",
        _WORKERS_TABLE,
    ),
    # ---- votes that silence, work or death decides, and arrivals
    _core(
        "commits without a yes",
        "A1: nothing is committed without a yes where anybody has a vote",
        "core/members.py",
        "return not self._by_pid or any(member.vote for member in self._by_pid.values())",
        "return True",
        _VOTES,
    ),
    _core(
        "takes those who are late for nobody",
        "A1: late members count as being on the roster",
        "core/members.py",
        "return not self._by_pid or any(member.vote for member in self._by_pid.values())",
        "return not list(self.waited_for()) or any(member.vote for member in self._by_pid.values())",
        _VOTES,
    ),
    _core(
        "forgets what silence refused",
        "A2: the load is owed",
        "core/steps.py",
        "            self._requests.owe(proposal.cause, self.round)\n",
        "",
        _VOTES,
    ),
    _core(
        "takes work for silence",
        "A3: who works has precommit_timeout",
        "core/waits.py",
        "if m.working is None or now >= late)",
        "if m not in ())",
        _VOTES,
    ),
    _core(
        "lets a function work for ever",
        "A3: every wait has a deadline",
        "core/waits.py",
        "if m.working is None or now >= late)",
        "if m.working is None)",
        _VOTES,
    ),
    _core(
        "leaves what nobody runs",
        "A4: a version that nobody runs and somebody declined is undone",
        "core/steps.py",
        "return bool(self._ran) and self.roster.nobody_runs(self.committed.version)",
        "return False",
        _VOTES,
    ),
    _core(
        "takes the end of a pipe for the end of a version",
        "A4: what somebody runs is not undone, on whatever pipe it said so",
        "core/members.py",
        "return any(member.runs >= version for member in self._by_pid.values())",
        "return any(member.acked >= version for member in self._by_pid.values())",
        _VOTES,
    ),
    _core(
        "gives no more time to what silence refused",
        "A2: what is owed is committed in the end, if it can be built at all",
        "core/waits.py",
        "usual * float(2**self._tries)",
        "usual",
        _VOTES,
    ),
    _core(
        "forgets that the journal holds an undo",
        "U2: the frames of an undo ask nobody",
        "core/outbox.py",
        "undo=committed.undo,",
        "undo=False,",
        _VOTES,
    ),
    _core(
        "puts what was undone to the vote at every trigger",
        "U1: what was undone is refused until it changes",
        "core/machine.py",
        "if given.digest == self.refused and self._proposal.follows_sources and not self._requests.called:",
        "if not self.rules.name:",
        _VOTES,
    ),
    _core(
        "closes a barrier on who has connected",
        "B3: every barrier takes in who waits before it closes",
        "core/machine.py",
        "        if self.roster.all_answered(self.committed.version):\n            self._end_barrier()\n"
        "        else:\n",
        "        self._end_barrier()\n        if self.state is ProposalState.COMMITTING:\n",
        _VOTES,
    ),
    _shell(
        "takes nobody in at the end of a barrier",
        "B3: every barrier takes in who waits before it closes",
        "loop/event_loop.py",
        "        self._listening.accept_all()\n        self._inputs.append(fx.Accepted())",
        "        self._inputs.append(fx.Accepted())",
        "tests/unit/owner/loop/test_event_loop.py::test_a_worker_that_connects_while_an_owner_without_workers_writes_is_lagging",
    ),
    _shell(
        "takes a note away that is not in the journal",
        "B2: a note is removed once the roster is written",
        "store/recovery.py",
        "keep=frozenset(unwritten)",
        "keep=frozenset()",
        _RECOVERY,
    ),
    _shell(
        "leaves an old snapshot file behind",
        "G3: an orphan would start on it",
        "store/runtime_dir.py",
        "            snapshot_file.remove(self.folder)\n",
        "",
        _RECOVERY,
    ),
    _shell(
        "trusts a journal whose log was damaged",
        "G6: a committed version never un-happens",
        "store/recovery.py",
        "if saved is None or saved.version <= known or",
        "if saved is None or saved.version >= known or",
        _RECOVERY,
    ),
    _worker(
        "asks its functions whether it may go back",
        "U2: an undo asks no precommit",
        "connection/machine.py",
        "asks = self.held is not None and not frame.undo",
        "asks = self.held is not None",
        _WORKERS_TABLE,
    ),
    _worker(
        "works in silence",
        "A3: a worker says what it runs before it runs it",
        "connection/attachment.py",
        "            self._link.send(Working(round_, path_of(function)))  # sent first: a report prevents a time-out\n",
        "",
        "tests/unit/worker/connection/test_attachment.py::test_before_each_function_it_is_said_which_one_runs",
    ),
    _worker(
        "serves without a note",
        "B1: the note comes before all else",
        "connection/fallback.py",
        '            goodbye_files.write(folder, "here")\n',
        "",
        _GOODBYES,
    ),
    _worker(
        "does not connect anew where its Hello lies at a dead owner",
        "B1: it connects anew after the note",
        "connection/link.py",
        "        else:\n            return  # the connection has brought an answer, or its end, which is read next\n",
        "        else:\n            fresh = None\n",
        _GOODBYES,
    ),
    _worker(
        "follows whichever owner has the same name",
        "a process beside the server takes no other application's owner",
        "connection/discovery.py",
        "            fitting = rank(found)\n",
        "            fitting = found\n",
        "tests/unit/worker/connection/test_discovery.py",
    ),
    _worker(
        "asks an owner that may not be its own",
        "nobody else's owner is asked anything",
        "connection/link.py",
        "            if not self._owner.on_trial:\n                self._greeted.set()\n",
        "            self._greeted.set()\n",
        "tests/unit/worker/connection/test_link.py",
    ),
    _shell(
        "lets root attach as a worker",
        "what a worker leaves in the run-time folder would be root's",
        "loop/connections.py",
        'if message.role == "replica" and not pipe.attaches:',
        'if message.role == "replica" and pipe.peer.uid < 0:',
        "tests/unit/owner/loop/test_connections.py",
    ),
    _load(
        "lets the second of two equal keys win in plain YAML",
        "G7: what libyaml's walk refuses is refused",
        "config/sources/formats/plain_yaml.py",
        "        if name in table:\n            raise NotPlain\n",
        "",
        f"{_FORMATS}/test_plain_yaml.py",
    ),
    _load(
        "takes a list to go on where its table does",
        "a plain document is what libyaml makes of it",
        "config/sources/formats/plain_yaml.py",
        "while column < at or (column == at and type(found) is list):",
        "while column < at:",
        f"{_FORMATS}/test_plain_yaml.py",
    ),
    _load(
        "adds to a list that was written as a value",
        "a plain document is what tomllib makes of it",
        "config/sources/formats/plain_toml.py",
        "        elif id(around[name]) not in self._lists:\n            raise NotPlain\n",
        "",
        f"{_FORMATS}/test_plain_toml.py",
    ),
    _load(
        "remembers what it has written after a diff",
        "a diff is empty if and only if the two are equal",
        "config/diff.py",
        "        codec.sameness.forget()\n",
        "        pass\n",
        "tests/unit/config/test_diff.py",
    ),
    _load(
        "takes back what the schema's module says of the collector",
        "a load changes nothing but for its own time",
        "owner/loop/collector_at_rest.py",
        "if found[0] and gc.get_threshold() == ours:",
        "if found[0]:",
        "tests/unit/owner/loop/test_load_thread.py",
    ),
    # ---- serve
    _serve(
        "takes over what another user serves",
        "a take-over is between processes of one user: what is handed over has secrets",
        "if former.user() not in (os.geteuid(), -1):",
        "if former.user() < 0:",
        "test_nothing_is_taken_over_from_another_user",
    ),
    _serve(
        "takes a former that has closed the pipe, and lives on, for dead",
        "two owners of one address",
        '        if not _await_end(former.path):\n            raise AddressRefused(f"process {former.master} has',
        '        if former.master < 0:\n            raise AddressRefused(f"process {former.master} has',
        "test_a_former_that_closes_the_pipe_and_lives_on_keeps_its_place",
    ),
)
