"""gunicorn's conf file."""

dirty_apps = ["gunicorn.dirty.app:DirtyApp"]
dirty_workers = 1
