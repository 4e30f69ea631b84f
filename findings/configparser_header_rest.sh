#!/usr/bin/env bash
# configparser of CPython 3.11 to 3.13: what stands behind a section's header is dropped, and no error says so.
#
# One would guess that `[server] port = 8080` in one line is an error, or sets the port: the parser is strict by
# default, refuses a key that is there twice, and refuses a line without a delimiter. But the pattern of a header is
# matched at the line's begin and not up to its end, so the section is there and the port is not, and the application
# runs on its default. The same holds for `[server]port = 8080`; a `]` further on belongs to the section's name instead:
# `[server] hosts = [a]` is a section that is called `server] hosts = [a`. Way around: look for more than a comment
# behind the last `]` of each header.
#
# Output seen:
#   {'server': {'host': 'a'}}
#   {'server': {'host': 'a'}}
#   {'server] hosts = [a': {'host': 'a'}}
#   ParsingError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/headers.py" <<'END'
import configparser

for header in ("[server] port = 8080", "[server]port = 8080", "[server] hosts = [a]", "[server]\nport 8080"):
    parser = configparser.ConfigParser()
    try:
        parser.read_string(f"{header}\nhost = a\n")
        print({name: dict(parser[name]) for name in parser.sections()})
    except configparser.Error as error:
        print(type(error).__name__)
END
seen=$("${PYTHON:-python3}" "$folder/headers.py")
echo "$seen"
[ "$seen" = "{'server': {'host': 'a'}}
{'server': {'host': 'a'}}
{'server] hosts = [a': {'host': 'a'}}
ParsingError" ]
