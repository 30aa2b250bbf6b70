"""How Dagster's record of runs is kept: in its own SQLite files, through connections that stay open while a run writes.

Here lives the storage that a home's dagster.yaml names; add here when the record itself should be kept otherwise.
Must not change what is recorded or where: a home that names Dagster's own storage reads and writes the same files.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME as INDEX
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event


class OpenEventLog(SqliteEventLogStorage):
    """Dagster's event log, the index and the run written last kept open.

    Dagster makes an engine for each of a run's thousand events: every statement is compiled anew and every commit waits for the disk.
    """

    @classmethod
    def config_type(cls) -> Any:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "OpenEventLog":
        """In the folder that Dagster takes by default, found anew each time: a home may be moved."""
        return cls(str(Path(os.environ["DAGSTER_HOME"]) / "history" / "runs"), inst_data)

    @cached_property
    def _engines(self) -> dict[str, Engine]:
        return {}

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.get(shard) or self._open(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        engine = self._engines.get(INDEX) or self._open(INDEX)
        with engine.connect() as connection:  # without the lock: it is asked between and within transactions
            return bool(engine.dialect.has_table(connection, table_name))

    def _open(self, shard: str) -> Engine:
        for other in self._engines.keys() - {INDEX, shard}:
            self._engines.pop(other).dispose()
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=QueuePool,
            pool_size=1,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )
        # With a write-ahead log a power cut may cost the record's last seconds, never the record.
        event.listen(engine, "connect", lambda opened, _: opened.execute("pragma synchronous = normal"))
        self._engines[shard] = engine
        return engine

    def dispose(self) -> None:
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()
