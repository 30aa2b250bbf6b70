"""shop.yml: what is said of a shop as a whole, and how it becomes the settings of a process.

Here lives what the file may say. Add a key when something is of the shop and of no source, rule or machine alone. Must not read a rule or a source.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from userops_pipeline.ground.home import SHOP_FILE, UserOpsError, shop_folder


class ShopFile(BaseModel):
    """A shop: who it is, where its data come from, and what of the engine's settings differs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    template: str = ""
    """The kind of shop its rules were taken from; compared by `userops rules diff`."""
    made_with: str = ""
    """The version of the engine it was made with, or last brought up to."""
    sources: tuple[str, ...] = ()
    """Folders under sources/, or names of sources of the engine."""
    hour: int | None = Field(default=None, ge=0, le=23)
    schedule_zone: str | None = None
    engine: str | None = None
    memory: str | None = None
    nights_at_once: int | None = Field(default=None, ge=1)


# What the environment says wins; a key of the file stands for its variable where that is not set.
VARIABLES = {
    "hour": "USEROPS_HOUR",
    "schedule_zone": "USEROPS_SCHEDULE_ZONE",
    "engine": "USEROPS_ENGINE",
    "memory": "USEROPS_MEMORY",
    "nights_at_once": "USEROPS_NIGHTS_AT_ONCE",
}


def read(folder: Path) -> ShopFile:
    """What the shop in a folder says.

    Raises:
        UserOpsError: shop.yml is not readable, or has a key or a value that it may not have.
    """
    file = folder / SHOP_FILE
    try:
        return ShopFile.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserOpsError(f"{SHOP_FILE} is not readable YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        known = f" Known keys: {', '.join(ShopFile.model_fields)}." if first["type"] == "extra_forbidden" else ""
        raise UserOpsError(f"{SHOP_FILE}: {place}: {first['msg']}.{known}") from None


def enter() -> None:
    """Let the shop around be that of this process and of those it starts; what the environment says already stays."""
    folder = shop_folder()
    if folder is None:
        return
    shop = read(folder)
    said = {variable: str(value) for key, variable in VARIABLES.items() if (value := getattr(shop, key)) is not None}
    if shop.sources:
        said["USEROPS_SOURCE"] = ",".join(_place_of(folder, name) for name in shop.sources)
    for variable, value in {"USEROPS_SHOP": str(folder), **said}.items():
        os.environ.setdefault(variable, value)


def _place_of(folder: Path, name: str) -> str:
    own = folder / "sources" / name
    return str(own) if own.is_dir() else name
