#!/usr/bin/env bash
# structlog 26.1.0 on CPython 3.11: a record of logging whose `extra` has a field `event` loses its message.
#
# One would guess that ExtraAdder, which gives the lines of other libraries their `extra`, adds to what is there: logging
# itself refuses an `extra` that would replace an attribute of the record. But the message of such a record stands under
# the key `event` of structlog's dictionary, `event` is no attribute of a record, and so the field replaces the message:
# it is in no output, and nothing says so. An application that logs `extra={"event": "payment_failed"}` for a formatter
# like python-json-logger's, where both are there, loses every such text when it moves to structlog. Way around: list the
# fields to be added (`ExtraAdder(allow={"order"})`), or give fields a prefix.
#
# Output seen:
#   {"event": "card declined", "order": 7}
#   {"event": "payment_failed"}
#   {"message": "card declined", "event": "payment_failed"}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check structlog==26.1.0 python-json-logger==4.2.0
cat >"$folder/lines.py" <<'END'
import logging, sys
import structlog
from pythonjsonlogger.json import JsonFormatter

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(
    structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
)
logger = logging.getLogger("shop")
logger.addHandler(handler)
logger.error("card declined", extra={"order": 7})
logger.error("card declined", extra={"event": "payment_failed"})
handler.setFormatter(JsonFormatter())
logger.error("card declined", extra={"event": "payment_failed"})
END
seen=$("$folder/venv/bin/python" "$folder/lines.py")
echo "$seen"
[ "$seen" = '{"event": "card declined", "order": 7}
{"event": "payment_failed"}
{"message": "card declined", "event": "payment_failed"}' ]
