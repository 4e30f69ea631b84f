"""Guards of a loader: which changes are refused until a person allows them.

    from confcast import ConfigLoader
    from confcast.guards import changes, empties, shrinks, touches

    loader = ConfigLoader("settings:Settings", "app.toml", guards=[shrinks("upstreams"), touches("database")])

A guard compares what is to be committed with what runs. If it trips, the reload's result is GUARDED, which is false,
no worker is asked, and the event has the command that allows it: `confcast reload --allow shrinks:upstreams`. In a
program it is `settings.reload(allow=["shrinks:upstreams"])`. What only grows trips none.

Past all guards are a start (which warns), a way back, what ends by itself, and `force`. `resume()` is past them with
content that ran before.
"""

from confcast.config.guarding import Guard as Guard
from confcast.config.guarding import changes as changes
from confcast.config.guarding import empties as empties
from confcast.config.guarding import shrinks as shrinks
from confcast.config.guarding import touches as touches

__all__ = ["Guard", "changes", "empties", "shrinks", "touches"]
