"""`confcast fleet VERB`: one configuration on many hosts, published through an engine; each verb has a file.

    confcast fleet publish app.toml --to rediss://config.example/0 --key shop --loader shop.settings:loader
    confcast fleet status

Nothing here asks a config owner: `confcast status` on a host says what came of it there. An engine's client library,
asyncio and the loader are imported when a verb runs, so that no other command pays for them.
"""

from __future__ import annotations

from typing import Any

from confcast.cli.commands import Verbs

VERBS = Verbs(
    __name__,
    {
        "publish": "publish",
        "status": "status",
        "history": "history",
        "diff": "diff",
        "rollback": "changes",
        "confirm": "changes",
        "gateway": "gateway",
    },
    {
        "abort": ("rollback",),
        "acks": ("status",),
        "apply": ("publish",),
        "audit": ("history",),
        "cancel": ("rollback",),
        "continue": ("confirm", "publish"),
        "deploy": ("publish",),
        "hosts": ("status",),
        "list": ("history", "status"),
        "log": ("history",),
        "ls": ("history", "status"),
        "pass": ("confirm",),
        "promote": ("confirm",),
        "push": ("publish",),
        "put": ("publish",),
        "resume": ("publish",),
        "revert": ("rollback",),
        "rollout": ("publish", "status"),
        "serve": ("gateway",),
        "set": ("publish",),
        "stop": ("rollback",),
        "undo": ("rollback",),
        "versions": ("history",),
    },
)
"""Each verb, as it is typed, and its file; and what people type first."""

_EXITS = (
    "exit codes: 0 done; 1 refused, or a rollout was stopped; 2 usage; 3 no engine answered, so that the outcome is "
    "not known; 5 another head is there than the one that was expected, or somebody else has published; 141 the reader "
    "of the report has gone"
)


def add_to(commands: Any) -> None:
    """Add the command; its verbs come with their own files."""
    parser = commands.add_parser(
        "fleet",
        help="publish one configuration to many hosts, in stages, and see what comes of it",
        description="Publishes a configuration to the hosts that follow a key in an engine (Redis or Valkey, etcd, "
        "PostgreSQL, NATS), and shows what comes of it there. Each verb has a --help of its own.",
        epilog=_EXITS,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.verbs = VERBS
