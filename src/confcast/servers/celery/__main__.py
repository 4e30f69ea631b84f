"""`python -m confcast.servers.celery` says how celery is embedded: it has no launcher."""

import sys

if __name__ == "__main__":
    sys.exit("celery is embedded where its app is made: celery.install(app, loader) there; then start it as ever")
