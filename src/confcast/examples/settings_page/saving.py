"""A save, from the values that a person typed to the sentences that the page says.

What is saved is *set* (`Replica.set`), above the file. It is validated and voted on like a changed file, compared with
the version that the person has seen, and written with the version that it makes: there is no moment at which one place
has the value and another has not, and a value that is refused is nowhere. It has a reason, and an end by `unset`.
Rejected: writing the file and loading it. That takes two steps, so a crash between them leaves a file that nobody has
checked, and the next start fails on a refused value; it needs a worker that may write the file, it loses the comments
of whoever maintains it, and it races with them.

Guarantees: "saved" is said when every worker that answers has the version, and the others are named. An owner that dies
meanwhile leaves no doubt: the next one is asked whether it was written, by the mark that each save carries as its
reason. Saving the same form twice is safe, since both compare with the same version. What a person has typed comes back
whenever it was not saved, but for a password, which the page asks for once more.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from confcast import Change, ConfcastError, OwnerUnavailable, ReloadEvent, ReloadResult, WorkerStatus
from confcast.examples.settings_page.form import FIELDS, Form
from confcast.examples.settings_page.settings import settings

T = TypeVar("T")
_ASKED_FOR = 15.0
_PAUSE = 0.1
_NO_SUCH = "There is no such save"
_LABELS = {field.key: field.label for field in FIELDS}
SAVED, PARTLY, REFUSED, CONFLICT, UNKNOWN = 200, 202, 422, 409, 503
"""Statuses of the answer: saved everywhere, not yet everywhere, not at all, not since another was first, not known."""


class Outcome(NamedTuple):
    """What the page says.

    Attributes:
        status: Of the HTTP answer.
        title: In a few words.
        sentences: What else there is to say.
        problems: By the key of an input, what is wrong with it.
        form: The form to show beside it; None for that of what runs.
    """

    status: int
    title: str
    sentences: tuple[str, ...] = ()
    problems: Mapping[str, str] = MappingProxyType({})
    form: Form | None = None


def new_mark(name: str) -> str:
    """The reason of a save: who, and which one."""
    return f"{_marks_of(name)}{secrets.token_hex(4)}"


def _marks_of(name: str) -> str:
    return f"settings page, {name}, save "


def save(form: Form, mark: str) -> Outcome:
    """Save what the person has changed."""
    values = form.changed()
    if not values:
        return Outcome(SAVED, "Nothing to save", ("No field was changed.",))
    if both := form.contradictions():
        return _refused(form, dict.fromkeys(both, "Either type one, or have none."))
    return _outcome(settings.set(values, expect=form.version, reason=mark), form, mark)


def give_back(key: str, version: int, mark: str) -> Outcome:
    """End what this page has set for a key, if this version runs: the file's value counts again."""
    return _outcome(settings.unset([key], expect=version, reason=mark), None, mark)


def saved(mark: str, name: str) -> Outcome:
    """What became of a save of this person's, from the history: for the page that a browser is sent to afterwards.

    The mark comes from the page's address, which anybody may have written; other reasons of the history are no saves.
    """
    if not mark.startswith(_marks_of(name)):
        return Outcome(REFUSED, _NO_SUCH)
    events = _asked(lambda: [each for each in settings.get_event_history(50) if each.reason == mark])
    if events:
        return _in_words(events[0], None)
    version = _version_of(mark)
    if version is None:
        return Outcome(UNKNOWN, "No config owner answers", ("Whether it was saved will be seen here: load it again.",))
    return _spread(version) if version else Outcome(REFUSED, _NO_SUCH)


def _outcome(event: ReloadEvent, form: Form | None, mark: str) -> Outcome:
    return _after_a_loss(form, mark) if event.result is ReloadResult.OWNER_UNAVAILABLE else _in_words(event, form)


def _in_words(event: ReloadEvent, form: Form | None) -> Outcome:
    if event.result is ReloadResult.CONFLICT and form is not None:
        return _conflict(form)
    if event.result is ReloadResult.ON_TRIAL:
        return Outcome(PARTLY, f"Version {event.version} is on trial", ("Some workers run it; it is not saved yet.",))
    if event:
        return _committed(event.version, len(event.applied), event.lagging, event.changes)
    problems = {each.key: each.message for each in event.problems if each.key in _LABELS}
    others = [": ".join(filter(None, (each.key, each.message))) for each in event.problems if each.key not in _LABELS]
    if not event.problems and event.error_message:
        others = [event.error_message]
    refused = _refused(form, problems, others)
    return refused._replace(status=CONFLICT) if event.result is ReloadResult.CONFLICT else refused


def _refused(form: Form | None, problems: Mapping[str, str], others: Iterable[str] = ()) -> Outcome:
    """The summary says which fields have problems, too: whoever can't see the page would have to search them."""
    labels = [field.label for field in FIELDS if field.key in problems]
    number = "One field needs" if len(labels) == 1 else f"{len(labels)} fields need"
    which = (f"{number} another look: {', '.join(labels)}.",) if labels else ()
    return Outcome(REFUSED, "Not saved: nothing has changed", (*which, *others), problems, form)


def _committed(version: int, applied: int, lagging: list[WorkerStatus], changes: list[Change]) -> Outcome:
    said = tuple(_in_a_line(each) for each in changes)
    if not lagging:
        return Outcome(SAVED, f"Saved: version {version} runs in every worker ({applied})", said)
    late = tuple(f"Worker {each.pid} does not run it yet: {each.reason or each.state}." for each in lagging)
    title = f"Saved as version {version}, but not every worker runs it yet"
    then = "It takes this version as soon as it goes on. Until then its answers may be old ones."
    return Outcome(PARTLY, title, (*late, then, *said))


def _conflict(form: Form) -> Outcome:
    """Somebody was first: say what has changed, and keep what this person has typed."""
    again = "What you have typed is still below. Save once more to set it on top of that."
    try:
        now = settings.status()
        changes = settings.diff(form.version, now.version)
    except ConfcastError:  # the version that was seen is no longer kept, or the owner has died since
        unknown = "What has changed since the version that you have seen can't be told."
        newer = form.above(Form.of(settings.current, settings.version))
        return Outcome(CONFLICT, "Not saved: another version runs by now", (unknown, again), form=newer)
    said = [_in_a_line(each) for each in changes]
    by = f" ({now.reason})" if now.reason else ""
    return Outcome(
        CONFLICT,
        f"Not saved: version {now.version} runs by now{by}",
        (*said, again),
        form=form.after(now.version, changes),
    )


def _after_a_loss(form: Form | None, mark: str) -> Outcome:
    version = _version_of(mark)
    if version:
        return _spread(version)
    if version is None:
        said = "No config owner answers. The workers serve on with what they have."
    else:
        said = "The config owner ended, or took too long, before it wrote anything; what ran before still runs."
    again = "Save once more: should the first one be written after all, the second is told so, and changes nothing."
    return Outcome(UNKNOWN, "Not saved as far as can be seen", (said, again), form=form)


def _version_of(mark: str) -> int | None:
    """The version that this save made; 0 for none. None: no owner has answered."""
    versions = _asked(settings.versions)
    return versions if versions is None else next((each.version for each in versions if each.reason == mark), 0)


def _spread(version: int) -> Outcome:
    """Of a version that an owner wrote before it died: who runs it, as the next owner sees it."""
    deadline = time.monotonic() + _ASKED_FOR
    while True:
        workers = _asked(settings.workers) or []
        behind = [each for each in workers if each.version < version]
        if (workers and not behind) or time.monotonic() > deadline:
            return _committed(version, len(workers) - len(behind), behind, [])
        time.sleep(_PAUSE)


def _asked(verb: Callable[[], T]) -> T | None:
    """An owner's answer; the next owner's if one has died just now. None: none has answered for a while."""
    deadline = time.monotonic() + _ASKED_FOR
    while True:
        try:
            return verb()
        except OwnerUnavailable:
            if time.monotonic() > deadline:
                return None
            time.sleep(_PAUSE)


def _in_a_line(change: Change) -> str:
    return f"{_LABELS.get(change.key, change.key)}: {change.old} → {change.new}"
