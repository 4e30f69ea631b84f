"""The application."""

import os

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType

from benchmarks.rivals.serving import application

api.set_provider_and_wait(
    FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=os.environ["JOB_FILE"])
)
client = api.get_client()
application = application(lambda: client.get_integer_value("left", -1), lambda: client.get_integer_value("right", 0))
