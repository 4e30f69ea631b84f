# what the checker must refuse (each line an error) and what it can't (the last block: no error)
from c import settings
settings.set({"project": "x"}, expect="12")  # type: ignore[arg-type]
settings.set({"project": "x"}, until=600)  # type: ignore[call-arg]
settings.reload(confirm=["shrinks:limits"])  # type: ignore[call-arg]
settings.diff("disk")  # type: ignore[arg-type]
# accepted, and wrong at run time: must be designed errors
def accepted() -> None:
    settings.set({"memroy.x": 1})
    settings.explain("databse.url")
    settings.set({"project": "x"}, ttl=-1)
