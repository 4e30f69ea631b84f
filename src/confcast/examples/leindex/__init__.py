"""A small search service whose configuration changes while it serves.

It indexes the text files of a folder and answers queries, within the memory and the limits that a YAML file gives.
The names and the schema are those of LeIndex. Run it, and then change the file, or send HUP:

    mkdir -p ~/.leindex && cp src/confcast/examples/leindex/default.yaml ~/.leindex/mcp_config.yaml
    LEINDEX_FOLDER=docs gunicorn -c python:confcast.examples.leindex.gunicorn_conf
    curl 'http://127.0.0.1:8000/search?q=reload'
    kill -HUP <pid of the gunicorn master>

`python -m confcast.examples.leindex.demo` does all of this under load, and breaks the server on purpose.

The recipe, in reading order:

1. `schema.py`: the configuration as a type, every rule a validator of the field that it is about.
2. `config.py`: where the values come from, `ConfigLoader("pkg.schema:MCPConfig", "config.yaml")` under another name.
3. `settings.py`: `settings = Replica(MCPConfig, name="app")`, imported by each module that reads the configuration.
4. `app.py`: a request reads `settings.snapshot` once; what has to be resized when the configuration changes
   subscribes with `initial=True`; what must not happen is refused with `precommit`.
5. `gunicorn_conf.py`: one line, `confcast.servers.gunicorn.install(globals(), loader)`.

`search.py` and `index.py` are the service itself; they know the schema, and nothing of confcast.

In a program without a server, as users of LeIndex know it:

    config_mgr = GlobalConfigManager()
    reload_mgr = initialize_reload_manager(config_mgr)
    reload_mgr.subscribe(on_config_change)      # on_config_change(old, new)
    result = reload_config()                    # ReloadResult.SUCCESS

This package imports nothing: a worker that imports the schema must not pay for the loader.
"""
