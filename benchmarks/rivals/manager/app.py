"""The application."""

from multiprocessing.managers import DictProxy

from benchmarks.rivals.manager.shared import Manager, manager
from benchmarks.rivals.serving import application

Manager.register("settings", proxytype=DictProxy)
client = manager()
client.connect()
settings = client.settings()
application = application(lambda: settings["current"]["left"], lambda: settings["current"]["right"])
