"""Sealing: what a database may still reach once somebody's text is run in it.

Here lives the one way a connection of DuckDB is shut: no file but those under named folders, no network, no extension, no setting.
Add here when DuckDB learns another way out. Must not know whose text it is: `mappings` and `condition` judge the texts themselves.
"""

from __future__ import annotations

import glob
from collections.abc import Collection
from pathlib import Path

import duckdb

from userops_pipeline.ground.sql import quoted


def seal(connection: duckdb.DuckDBPyConnection, *folders: Path, changeable: Collection[str] = ()) -> duckdb.DuckDBPyConnection:
    """Shut the whole database of this connection for as long as it is open, and give the connection back.

    What lies under `folders` can be read and written, through no link that leads out of them; DuckDB adds the database's own file and
    its folder for what does not fit into memory. `changeable` settings can still be set, others not; nothing opens it again.
    """
    # Asked of a pattern is the pattern itself, in which a folder's own [ and * are escaped.
    spellings = dict.fromkeys(spelling for folder in folders for spelling in (str(folder.resolve()), glob.escape(str(folder.resolve()))))
    listed = ", ".join(map(quoted, spellings))
    changing = ", ".join(quoted(name) for name in changeable)
    connection.execute(
        "set python_enable_replacements = false; set autoinstall_known_extensions = false; set autoload_known_extensions = false;"
        f"set allow_community_extensions = false; set allowed_directories = [{listed}]; set allowed_configs = [{changing}];"
        "set enable_external_access = false; set lock_configuration = true"
    )
    return connection
