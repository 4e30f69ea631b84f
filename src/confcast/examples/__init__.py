"""Programs that a reader can run: each is a small real service, and each docstring is a recipe.

`leindex`: a search service under gunicorn, with its own demonstration (`python -m confcast.examples.leindex.demo`).
"""
