"""A schema whose import has its process, the owner, try webhooks again in no time, and give up a try after a while."""

from __future__ import annotations

from pydantic import SecretStr

from confcast.owner.loop import webhook_post, webhooks
from confcast.wire import role
from tests.support.settings import Settings

SCHEMA = f"{__name__}:Quick"
WITHIN = 5.0
"""Seconds of a try. A receiver on a busy machine may take more than one."""

if role._owner:  # the test imports it, too
    webhooks._FIRST_PAUSE = 0.02
    webhook_post.WITHIN = WITHIN


class Quick(Settings):
    """The settings of most tests, with a secret."""

    password: SecretStr = SecretStr("")
