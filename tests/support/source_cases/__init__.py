"""Every source as a case of one suite: the next source is one file here and one line in `CASES`."""

from __future__ import annotations

from tests.support.source_cases.asked import CommandCase, HttpCase
from tests.support.source_cases.case import SourceCase
from tests.support.source_cases.dotenv import DotenvCase
from tests.support.source_cases.environment import EnvironmentCase
from tests.support.source_cases.file import JsonCase, JsoncCase, TableCase, TomlCase, YamlCase
from tests.support.source_cases.files import FilesCase
from tests.support.source_cases.ini import IniCase, InterpolatedIniCase
from tests.support.source_cases.referring import EscapedCase, IncludedCase, NamedInFileCase
from tests.support.source_cases.secret_files import NamedFilesCase, SecretsDirCase

CASES: tuple[type[SourceCase], ...] = (
    *(TomlCase, JsonCase, YamlCase, IniCase, InterpolatedIniCase, JsoncCase, TableCase),
    *(FilesCase, IncludedCase, EscapedCase, NamedInFileCase),
    *(EnvironmentCase, NamedFilesCase, SecretsDirCase, DotenvCase, HttpCase, CommandCase),
)
