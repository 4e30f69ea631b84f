"""Whole programs, as a user writes them: one process, a schema in the main program, and what is refused in words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.programs import LIFETIME, run

Program = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path, config: Path) -> Program:
    """Writes a program beside `app.toml`."""

    def write(text: str, name: str = "program.py") -> Path:
        path = tmp_path / name
        path.write_text(dedent(text))
        return path

    return write


SETTINGS = """
    from pydantic import BaseModel
    from confcast import Replica

    class Settings(BaseModel):
        number: int
        twin: int

    settings = Replica(Settings, name="app")
"""


def test_a_program_of_one_process_uses_the_same_api(program: Program) -> None:
    program(SETTINGS, "settings.py")
    script = program(
        """
        from pathlib import Path
        from confcast import ConfigLoader, initialize_reload_manager, reload_config
        from settings import Settings, settings

        manager = initialize_reload_manager(ConfigLoader(Settings, "app.toml"), watch=False)
        settings.attach()
        seen = []
        settings.subscribe(lambda old, new: seen.append((old.number, new.number)), on="commit")
        Path("app.toml").write_text("number = 2\\ntwin = 2\\n")
        print(reload_config().value, settings.latest.number, manager.version)
        manager.close()
        print(settings.latest.number)
        """
    )

    done = run(script)

    assert (done.returncode, done.stdout) == (0, "success 2 2\n2\n"), done.stderr


def test_a_schema_defined_in_the_main_program_works(program: Program) -> None:
    script = program(
        """
        import multiprocessing
        from dataclasses import dataclass
        from pathlib import Path
        from confcast import ConfigLoader, ConfigReloadManager, Replica

        @dataclass(frozen=True)
        class Settings:
            number: int
            twin: int

        settings = Replica(Settings, name="app")

        def worker(pipe):
            pipe.send(settings.attach().latest.number)
            pipe.recv()
            pipe.send(settings.latest.number)
            settings.close()

        if __name__ == "__main__":
            with ConfigReloadManager(ConfigLoader(Settings, "app.toml"), watch=False) as manager:
                here, there = multiprocessing.Pipe()
                process = multiprocessing.get_context("spawn").Process(target=worker, args=(there,))
                process.start()
                print(here.recv())
                Path("app.toml").write_text("number = 2\\ntwin = 2\\n")
                print(manager.reload().result.value)
                here.send(None)
                print(here.recv(), manager.current)
                process.join()
        """
    )

    done = run(script)

    assert done.stdout == "1\nsuccess\n2 Settings(number=2, twin=2)\n", done.stderr
    assert done.returncode == 0


def test_a_local_class_is_refused_in_words(program: Program) -> None:
    script = program(
        """
        from pydantic import BaseModel
        from confcast import ConfigLoader, ConfigReloadManager

        def main():
            class Settings(BaseModel):
                number: int

            ConfigReloadManager(ConfigLoader(Settings, "app.toml")).start()

        main()
        """
    )

    done = run(script)

    assert done.returncode == 1
    assert "Settings is local to a function, so no other process can import it: move it up" in done.stderr


def test_a_schema_defined_at_a_prompt_is_refused_in_words(program: Program) -> None:
    script = program(
        """
        import subprocess, sys
        code = '''
        from pydantic import BaseModel
        from confcast import ConfigLoader, ConfigReloadManager
        class Settings(BaseModel):
            number: int
        ConfigReloadManager(ConfigLoader(Settings, "app.toml")).start()
        '''
        sys.exit(subprocess.run([sys.executable, "-c", "\\n".join(map(str.strip, code.splitlines()))
                 .replace("number", "    number", 1)]).returncode)
        """
    )

    done = run(script)

    assert done.returncode == 1
    assert "Settings was typed in, or passed with -c or on stdin, and can't be imported" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(3 * LIFETIME)  # it runs pytest twice
def test_of_a_schema_that_pytest_has_imported_by_a_file_s_path_the_error_says_how_others_find_it(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    program(
        """
        from pydantic import BaseModel
        from confcast import ConfigLoader, ConfigReloadManager

        class Settings(BaseModel):
            number: int
            twin: int

        def test_it():
            with ConfigReloadManager(ConfigLoader(Settings, "app.toml"), watch=False) as manager:
                assert manager.reload()
        """,
        "sub/test_it.py",
    )
    command = [sys.executable, "-P", "-m", "pytest", "--import-mode=importlib", "-p", "no:cacheprovider", "sub"]

    def run_pytest(*options: str) -> str:
        done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=LIFETIME)
        return done.stdout

    said = run_pytest()
    assert "'sub.test_it:Settings' can't be had in the process " in said
    assert "no folder of sys.path has a module 'sub'. Put the class into a module that is found by its name" in said
    assert "pytest's option pythonpath)" in said
    assert "1 passed" in run_pytest("-o", "pythonpath=.")  # the way out


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ('settings.attach("nowhere")', "attach()"),
        ('ConfigReloadManager(ConfigLoader(Settings, "app.toml")).start()', "start()"),
        ('initialize_reload_manager(ConfigLoader(Settings, "app.toml"))', "initialize_reload_manager()"),
    ],
    ids=["attach", "start", "initialize"],
)
def test_attaching_or_starting_in_the_module_that_the_owner_imports_is_refused_in_words(
    call: str, named: str, program: Program
) -> None:
    """Only the owner's import does it here: as in a module whose guard was forgotten."""
    program(
        dedent(SETTINGS)
        + "import sys\n"
        + "from confcast import ConfigLoader, ConfigReloadManager, initialize_reload_manager\n"
        + f"if sys.argv[0].endswith('__main__.py'):\n    {call}\n",
        "settings.py",
    )
    script = program(
        """
        from confcast import ConfigLoader, ConfigReloadManager
        ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml")).start()
        """
    )

    done = run(script)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert named in last
    assert "in a module imported by the config owner; guard it with if __name__ == '__main__'" in last


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ('ConfigReloadManager(ConfigLoader(Settings, "app.toml")).start()', "start()"),
        ('initialize_reload_manager(ConfigLoader(Settings, "app.toml"))', "initialize_reload_manager()"),
    ],
    ids=["start", "initialize"],
)
def test_a_script_with_its_own_schema_and_no_main_guard_is_refused_in_words_and_starts_no_second_owner(
    call: str, named: str, program: Program
) -> None:
    script = program(
        dedent(SETTINGS)
        + "from confcast import ConfigLoader, ConfigReloadManager, initialize_reload_manager\n"
        + f"{call}\nprint('served')\n"
    )

    done = run(script)

    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert named in last
    assert "imported by the config owner; guard it with if __name__ == '__main__'" in last


def test_the_master_never_imports_a_schema_that_was_given_by_name(program: Program) -> None:
    program(SETTINGS, "settings.py")
    script = program(
        """
        import sys
        from confcast import ConfigLoader, ConfigReloadManager
        with ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml"), watch=False) as manager:
            manager.reload()
            print("settings" in sys.modules)
            print(manager.current.number, "settings" in sys.modules)
        """
    )

    done = run(script)

    assert done.stdout == "False\n1 True\n", done.stderr


def test_a_first_load_that_fails_ends_a_program_with_its_problems(program: Program, config: Path) -> None:
    program(SETTINGS, "settings.py")
    config.write_text('number = "one"\ntwin = 1\n')
    script = program(
        """
        from confcast import ConfigError, ConfigLoader, ConfigReloadManager
        try:
            ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml")).start()
        except ConfigError as error:
            for problem in error.problems:
                print(problem.key, problem.location.rpartition("/")[2])
        """
    )

    done = run(script)

    assert done.stdout == "number app.toml:1:10\n", done.stderr


def test_standard_output_is_the_program_s_own(program: Program) -> None:
    """A program may speak a protocol on it; what the owner's imports print goes to standard error."""
    program(dedent(SETTINGS) + 'print("imported")\n', "settings.py")
    script = program(
        """
        from confcast import ConfigLoader, ConfigReloadManager
        with ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml")) as manager:
            print("mine")
        """
    )

    done = run(script)

    assert done.stdout == "mine\n"
    assert "imported" in done.stderr
