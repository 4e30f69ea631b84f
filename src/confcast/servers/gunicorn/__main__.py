"""`python -m confcast.servers.gunicorn` says how gunicorn is embedded: it has no launcher."""

import sys

if __name__ == "__main__":
    sys.exit("gunicorn has a conf file to embed in: the line gunicorn.install(globals(), loader) there is all it takes")
