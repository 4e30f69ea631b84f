# what the checker must refuse (each line an error) and what it can't (the last block: no error)
from confcast import Canary
from c import Settings, settings
from p01_engine_httpx import client, engine, make_engine
settings.derive(make_engine, lambda c: c.databse)  # type: ignore[arg-type,attr-defined]
settings.derive(make_engine, lambda c: c.api)  # type: ignore[arg-type,misc]
settings.derive(make_engine, lambda c: c.database, close=type(client.latest).close)  # type: ignore[arg-type]
settings.derive(make_engine)  # type: ignore[call-overload]
engine.override(client.latest)  # type: ignore[arg-type]
Canary(0.25)  # type: ignore[arg-type]
Canary(1, by="user")  # type: ignore[arg-type]
settings.set({"project": "x"}, expect="12")  # type: ignore[arg-type]
settings.set({"project": "x"}, until=600)  # type: ignore[call-arg]
settings.reload(confirm=["shrinks:limits"])  # type: ignore[call-arg]
settings.reload(canary=True)  # type: ignore[arg-type]
settings.diff("disk")  # type: ignore[arg-type]
# accepted, and wrong at run time: must be designed errors
def accepted() -> None:
    settings.set({"memroy.x": 1})
    settings.explain("databse.url")
    Canary("25")
    settings.set({"project": "x"}, ttl=-1)
    settings.reload(allow=["nosuch"])
@settings.healthcheck  # type: ignore[arg-type,type-var]
def nothing(config: Settings, extra: int) -> str: return "ok"
