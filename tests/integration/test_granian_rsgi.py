"""granian under confcast's launcher, with an application of its own interface, which is its default."""

from __future__ import annotations

import pytest

from tests.support.embedding import Embedding, OtherInterface
from tests.support.granian import RsgiServer


class TestGranianRsgi(OtherInterface):
    kind = RsgiServer


@pytest.mark.slow
class TestGranianRsgiToo(Embedding):
    kind = RsgiServer
