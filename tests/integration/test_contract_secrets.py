"""A program of the typing contract, run as it is written: p12, a pool whose password is a file that is rotated.

The database is SQLite behind a dialect that asks for a password, which SQLite itself does not. The folder of secrets is
one of the test's own: everything else of the program's loader is as it is written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.installed import installed_or_skip

installed_or_skip("sqlalchemy")

_DEADLINE = 60
CONTRACT = Path(__file__).parents[1] / "typing" / "contract"

HARNESS = """\
from pathlib import Path
import msgspec
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from confcast import ConfigLoader, ConfigReloadManager, ReloadResult
from c import settings

wanted = "hunter2-1"

class Vault(SQLiteDialect_pysqlite):
    supports_statement_cache = True

    def connect(self, *arguments, password, **options):
        if password != wanted:
            raise PermissionError("password authentication failed")
        return super().connect(*arguments, **options)

registry.register("vault", "__main__", "Vault")

def put(password):
    Path("secrets/new").write_text(password + "\\n")
    Path("secrets/new").rename("secrets/db_password")

if __name__ == "__main__":
    Path("app.toml").write_text("[database]\\nsize = 7\\n")
    Path("ca.pem").touch()
    Path("secrets").mkdir()
    put("hunter2-1")
    import p12_secrets as p
    file, secrets, environment = p.loader.sources
    here = msgspec.structs.replace(secrets, path="secrets", shown="")
    with ConfigReloadManager(ConfigLoader("c:Settings", file, here, environment), watch=False) as manager:
        settings.attach()
        assert settings.latest.database.size == 7
        first = p.engine.current
        p.database_answers()
        assert manager.explain("database.password").origin == "secrets/db_password"
        assert manager.explain("database.url").origin == "environment variable DATABASE_URL"

        put("hunter2-typo")
        refused = manager.reload()
        assert refused.result is ReloadResult.REJECTED and refused.problems[0].key == "database", refused
        assert "password authentication failed" in str(refused)
        assert p.engine.current is first

        wanted = "hunter2-2"
        put("hunter2-2")
        event = manager.reload()
        assert event and [each.key for each in event.changes] == ["database.password"], event
        assert p.engine.current is not first
        p.database_answers()
        print(refused, event, manager.status(), manager.get_event_history())
        settings.close()
"""


def test_a_password_is_rotated_under_a_pool(tmp_path: Path) -> None:
    shutil.copytree(CONTRACT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "harness.py").write_text(HARNESS, encoding="utf-8")
    environment = {name: text for name, text in os.environ.items() if not name.startswith("APP_")}
    done = subprocess.run(
        [sys.executable, "harness.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
        env={**environment, "DATABASE_URL": "vault://"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr
