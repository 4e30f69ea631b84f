"""A demonstration: the search service under load is reloaded in every way, and broken in every way.

`python -m confcast.examples.leindex.demo` runs it. `server.py` makes the files and runs gunicorn, `load.py` sends
requests, `acts.py` has the acts and asks the config owner for their outcomes, `verdict.py` judges.
"""
