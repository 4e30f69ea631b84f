"""The application."""

from benchmarks.rivals.confcast.settings import settings
from benchmarks.rivals.serving import application

application = application(lambda: settings.current.left, lambda: settings.current.right)
