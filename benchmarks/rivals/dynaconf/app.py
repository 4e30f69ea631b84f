"""The application."""

import os

from dynaconf import Dynaconf, Validator

from benchmarks.rivals.serving import application

settings = Dynaconf(
    settings_files=[os.environ["JOB_FILE"]],
    fresh_vars=["LEFT", "RIGHT"],
    validators=[Validator("LEFT", must_exist=True, is_type_of=int), Validator("RIGHT", default=0, is_type_of=int)],
)
application = application(lambda: settings.LEFT, lambda: settings.RIGHT)
