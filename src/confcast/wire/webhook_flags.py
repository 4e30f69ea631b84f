"""The flags by which a command line names webhooks: those of a launcher, and of `confcast serve`.

    --webhook https://ops.example/a --webhook-secret-file /run/secrets/a
    --webhook https://ops.example/b --webhook-secret-file /run/secrets/b --webhook-on refused,undone

The first file is the first URL's, and so on. A secret is never an argument, since every user of the machine sees these;
a URL with a token in it belongs into the program, too (`install(webhooks=[…])`). Their parser is handed in, since only
a command line imports argparse.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from confcast.wire.webhooks import EVENTS, Webhook, WebhookEvent

if TYPE_CHECKING:
    from argparse import ArgumentParser

FURTHER = {"--webhook-secret-file": "webhook_secret_files", "--webhook-on": "webhook_on"}
"""The flags beside `--webhook`, each with its destination."""


def add_to(parser: ArgumentParser, text: str) -> None:
    """Add the flags. `text`: the help of the first one."""
    parser.add_argument("--webhook", dest="webhooks", action="append", metavar="URL", help=text)
    parser.add_argument(
        "--webhook-secret-file",
        dest="webhook_secret_files",
        action="append",
        metavar="FILE",
        help="the file with the secret that signs what is posted; one for each --webhook, in their order",
    )
    parser.add_argument(
        "--webhook-on",
        dest="webhook_on",
        action="append",
        metavar="EVENTS",
        help=f"what is posted, such as refused,undone ({','.join(EVENTS)}); one for all, or for each --webhook",
    )


def taken(options: dict[str, Any]) -> list[Webhook]:
    """Take what these flags have given out of the options; an empty list where there is no webhook.

    Raises ValueError: They don't fit.
    """
    found = options.pop("webhooks", None) or []
    files = options.pop("webhook_secret_files", None) or []
    events = options.pop("webhook_on", None) or []
    if len(files) != len(found):
        raise ValueError(
            "--webhook-secret-file FILE is expected once for each --webhook URL: "
            f"there are {len(files)} for {len(found)}"
        )
    if len(events) not in (0, 1, len(found)) or (events and not found):
        raise ValueError("--webhook-on EVENTS is expected once for all, or once for each --webhook URL")
    each_on = [_events(text) for text in events] or [list(EVENTS)]
    each_on *= len(found) if len(each_on) == 1 else 1
    return [_made(*each) for each in zip(range(1, len(found) + 1), found, files, each_on, strict=False)]


def _made(number: int, url: str, file: str, on: list[WebhookEvent]) -> Webhook:
    try:
        return Webhook(url, Path(file), on=on)
    except ValueError as error:
        raise ValueError(f"--webhook {number}: {error}") from None  # its URL may be secret


def _events(text: str) -> list[WebhookEvent]:
    found = [each.strip() for each in text.split(",")]
    for each in found:
        if each not in get_args(WebhookEvent):
            raise ValueError(f"--webhook-on: {each!r} is no event: one or more of {','.join(EVENTS)} are expected")
    return [each for each in EVENTS if each in found]
