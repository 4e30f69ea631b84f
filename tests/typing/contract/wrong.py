# what the checker must refuse (each line an error) and what it can't (the last block: no error)
from confcast import Canary
from c import settings
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
