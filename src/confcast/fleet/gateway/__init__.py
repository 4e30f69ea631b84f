"""The gateway: follows the heads of an engine once, and serves them to many hosts. `confcast fleet gateway` runs it.

The engine has one subscription and one connection, however many hosts there are. A host has one stream (what is said
on it: `fleet/engines/gateway_lines.py`), and asks for a payload, or reports, by short requests.

Guarantees:

- Nothing listens before a head is known, from the engine or from the copy on disk.
- While the engine is away, the last head and its payloads are served; each line says for how long it has been away.
- A payload is fetched from the engine once, compared with its digest, and kept on disk under it. Only digests that the
  present head or the one before it names are looked for: a host can't make the gateway ask for others.
- A host that does not take what it is sent is cut off; nothing is queued for it. It comes back, and gets the newest.
- Each number of hosts, connections, requests, bytes and seconds has a bound (`limits.py`). A host that breaks one
  disturbs no other.
- What the hosts report is kept in memory, and written as one summary, at most four times a second.

How. One asyncio loop, one thread; aiohttp speaks HTTP. `topic.py` is one key: its follower, and whoever waits for its
next head. `payloads.py`, `hosts.py`, `disk.py` are what it keeps. `streams.py` serves hosts, `doors.py` says who may
come in, `server.py` puts it together, `running.py` is the process. Files are read and written in another thread: a slow
disk delays the copy on it, and no host.

Rejected: the payload's file sent by the kernel (a read of a slow disk would stop the loop), one task that writes to all
streams (a stream that raises would end there for all), and to forward each report on its own (a thousand writes of an
engine for one reload of a fleet).
"""
