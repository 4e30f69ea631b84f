"""A schema whose import has its process, the owner, try webhooks again in no time, and give up a try after a second."""

from __future__ import annotations

from pydantic import SecretStr

from confcast.owner.loop import webhook_post, webhooks
from confcast.wire import role
from tests.support.settings import Settings

SCHEMA = f"{__name__}:Quick"

if role._owner:  # the test imports it, too
    webhooks._FIRST_PAUSE = 0.02
    webhook_post.WITHIN = 1.0


class Quick(Settings):
    """The settings of most tests, with a secret."""

    password: SecretStr = SecretStr("")
