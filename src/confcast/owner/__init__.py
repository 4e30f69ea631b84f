"""The config owner's process: the state machine, the loop that drives it, the journal, and the watching of sources.

Glossary, for the whole package:

abort           The end of a round without a version; workers drop what they have staged.
ahead file      The file beside the journal with the versions and events that SQLite has not yet.
backoff         The growing pause between a worker's attempts to connect, or a supervisor's to start an owner.
barrier         The wait, after the journal write, until every worker that is not excused has applied or declined.
canary          A worker that runs a version on trial; in a trial by entity, each worker that knows trials.
candidate       A validated configuration, between its load and the end of its vote.
channel         The socket pair between a master and its owner: StartupConfig, Ready, Pause, Leave.
commit          The journal write of a version; also the message that tells a worker to swap in what it has staged.
deadline        The end of a wait, fixed when the wait begins; a timer of the core, or a caller's own timeout.
decline         A worker's answer that it keeps what it holds, though another version is committed.
delivery        A message that a webhook is owed; it stays in the journal until it was taken, or is dropped.
digest          The hash of a snapshot's payload; it is never logged, since a short payload can be guessed from it.
disabled        Said of loading where the schema's code has changed: only a full reload of the server helps.
dry run         A load whose candidate is put to the vote and dropped: no version, no event, nobody counts as timed out.
effect          What the core wants done; the event loop carries it out.
excused         Said of a worker that a proposal does not wait for; the outcome names it.
fingerprint     The hash of a schema's fields (owner and workers compare it), or of the files of a source.
fold            To take what is in the ahead file into SQLite, in one transaction.
follow          To keep a connection on which a server tells of changes by itself; a source with a `follow()` does.
full reload     A restart of a server's master with new code, by its own signal; it makes a new generation.
former workers  Those of a `confcast serve` that has ended, which live on and look for the next one at its address.
gathering       The wait of an owner that lacks a whole roster, since its journal was lost or the server before it was
                killed, until each living worker has had time to connect.
generation      The workers of one master program, with their owner and runtime directory.
good            Said of a version that was settled, declined by no worker, and not undone.
handover        The copy of the journal that one generation leaves for the next.
high-water number  The highest version number known to have been given out; new content gets the number above it.
hold            What a way back leaves: no load that nobody forces is put to the workers until a person resumes. That of
                a boot on the last good version stops no load, and ends with the first one that is applied.
in-progress file   Names the content whose load is under way; after a crash that content is quarantined.
journal         The SQLite file with the kept versions, the high-water number, the roster and the history.
kept version    One of the last committed versions: its content, when it came, what caused it, who called, its verdict.
layer           The values of one source, with their places, before they are merged.
load            One reading and validation of all sources, in a thread of its own.
mailbox         The queue through which other threads and signal handlers hand inputs to the event loop.
master          The process that starts the owner and the workers; it holds a ConfigReloadManager.
operation       A request that runs alone, in its turn: all but a plain reload.
operator state  What people have set: a hold, overrides; one value beside the committed version, in its transaction.
orphan          A worker whose master, and so whose owner, is gone.
outbox          The function that computes the next frame of a pipe; nothing is queued.
outcome         The ReloadEvent that a caller is answered, and that the history keeps; of a content, what came of what a
                source that follows gave, which that source is told.
override        A value that was set at run time, above all sources.
owed load       A load that was refused because workers timed out; it is tried again when a worker answers.
owner           The one process that loads, commits and hands out the configuration of a generation.
pin             The hold of a request on one snapshot: the request sees that one until it ends.
poll            A look whether a source that can't be watched has changed; each such source has a thread of its own.
precommit       A function of the application that may refuse a candidate, in each worker, before it votes.
prepare         The message that puts a candidate to the vote.
promotion       The commit of what was on trial, under its own number, after a vote of its own.
proposal        One load's way to its outcome; there is one at a time.
quarantined     Said of content during whose load an owner died: only a call or a signal loads it again.
quiet period    The time without changes that the watcher waits for before it requests a load.
reissue         A journal write of the committed content under a new number, since a worker holds a newer number.
replica         A worker's copy of the configuration.
retire          To note that a number was given out and is in no row, so that it is never used again.
roster, member  The worker processes that must be waited for, from Hello to death or Goodbye.
round           The number of a vote, counted up while an owner runs; a late vote of another round does not count.
runtime directory  The folder of one generation, with its control socket, snapshot file and description.
settled         Said of a version whose barrier is closed.
snapshot        One version of the configuration, immutable: number, digest and payload.
snapshot file   The committed snapshot on disk, on which a worker starts when no owner answers.
stale           Said of a server that is a source, and does not answer: its last document stays in use.
state folder    The folder with the lock, the journal and the in-progress file, which outlive a master (`state_dir`).
supervisor      The thread of a master that starts a new owner when one has died.
timed out       Said of a worker that a deadline excused, until it has answered the committed version.
trial           The time in which canaries run a version beside the committed one; it ends in a promotion or an undo.
undo            A journal write, without a vote, of the content before a version that no worker runs.
values          What the sources gave, merged, below the overrides; kept with each version.
version         The number of a committed snapshot.
vote            A worker's yes or no to a candidate.
wakeup socket   The socket pair that ends a loop's select when another thread has something for it.
"""
