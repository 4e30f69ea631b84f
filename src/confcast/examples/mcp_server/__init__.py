"""An MCP server whose tools and limits change while clients are connected: the search service of `leindex`, as tools.

    mkdir -p ~/.leindex && cp src/confcast/examples/mcp_server/default.yaml ~/.leindex/mcp_server.yaml
    python -m confcast.examples.mcp_server --folder docs --workers 3        # http://127.0.0.1:8000/mcp
    python -m confcast.examples.mcp_server --folder docs --stdio            # for a client that starts it itself

Take a tool out of `tools.enabled` in the file, or lower a limit: within milliseconds every worker refuses the call,
and once all workers have the new list, every client that listens receives `notifications/tools/list_changed`.
`kill -HUP <master>` does the same on request.

The recipe, in reading order:

1. `schema.py`: the configuration of `leindex`, and `tools` and `limits` besides.
2. `config.py` and `settings.py`: the loader, and the process's copy, `settings = Replica(ServerConfig)`.
3. `tools.py`: which tools a version has, what they take, and what they answer, all by the configuration.
4. `server.py`: each message is pinned; `settings.subscribe(notify, select=shown, on="settled", loop=loop)`.
5. `app.py`: the ASGI application, without state between two requests, and the search service's subscriptions.
6. `__main__.py`: `confcast.servers.uvicorn.run(…)` for several workers; `stdio.py` for one process.

This package imports nothing: a process that imports the schema must not pay for the SDK.
"""
