"""Where the samples lie, and a folder of one's own made from one of them."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from switch.samples.secrets import write_secrets

PACKAGED = Path(__file__).with_name("configs")
"""Where the build lays the samples in an installed package."""

IN_SOURCE_TREE = Path(__file__).parents[2] / "configs"
CONFIG_NAME = "switch.toml"
SECRETS = "secrets"


def sample_folder() -> Path:
    """The folder with the sample configurations and the files that they name."""
    return PACKAGED if PACKAGED.is_dir() else IN_SOURCE_TREE


def sample_names() -> list[str]:
    """What a sample may be asked for by."""
    return sorted(path.stem for path in sample_folder().glob("*.toml"))


def write_sample(folder: Path, name: str) -> Path:
    """Make a folder from a sample: its configuration, what all samples name, and new keys and certificates.

    Args:
        folder: Is made, or is empty.
        name: One of ``sample_names()``.

    Returns:
        The configuration, ``folder / "switch.toml"``.

    Raises:
        FileExistsError: Something is in the folder already; nothing was written.
        OSError: The folder cannot be written.
    """
    samples = sample_folder()
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(errno.EEXIST, "is not empty; nothing was written", str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    for source in samples.iterdir():
        if source.is_dir() and source.name not in (SECRETS, "journal"):
            shutil.copytree(source, folder / source.name)
    config = folder / CONFIG_NAME
    text = (samples / f"{name}.toml").read_text(encoding="utf-8")
    config.write_text(text.replace(f"configs/{name}.toml", CONFIG_NAME), encoding="utf-8")
    write_secrets(folder / SECRETS, samples)
    return config
