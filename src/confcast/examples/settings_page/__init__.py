"""A shop whose settings are changed on a page of its own: gunicorn with `--preload`, several workers, Flask.

`python -m confcast.examples.settings_page` runs it, with files of its own. What it shows, and where:

1. `saving.py`: the page *sets* values, compared with the version that a person has seen; each outcome in words.
2. `form.py`: only what a person has changed is set, and of two people who change the same form, the second is told what
   the first has done.
3. `app.py`: the answer to a save sends the browser on, to a request that begins afterwards: whichever worker gets that
   one, it has the new version. Nothing in it waits for a worker.
4. `settings.py`: a password and the administrators' tokens are secrets by their type. They are in every worker's
   memory, since workers use them, and in no answer, log, history or error.
5. `session.py`: sessions that are signed with those tokens: a token that is replaced in its file ends its sessions.
6. `gunicorn_conf.py`: the line that embeds confcast.
"""
