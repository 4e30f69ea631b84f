"""What the operator runs."""

from multiprocessing.managers import DictProxy

from benchmarks.rivals.manager.shared import Manager, manager, read

Manager.register("settings", proxytype=DictProxy)
client = manager()
client.connect()
client.settings().update(current=read())
print("published")
