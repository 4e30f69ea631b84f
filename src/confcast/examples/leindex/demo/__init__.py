"""The search service under load, reloaded in every way and broken in every way.

`python -m confcast.examples.leindex.demo` runs it. `stage.py` and `texts.py` make the files and edit them, `server.py`
runs gunicorn, `load.py` is the process that asks and `traffic.py` what it was answered, `owner.py` asks the config
owner what became of a reload, `acts.py` is the play, `verdict.py` judges it, `report.py` prints it.
"""
