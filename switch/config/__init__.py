"""The configuration of the daemon: one TOML file, read and checked in one go."""

from switch.config.addresses import Address
from switch.config.loader import load_config, read_config
from switch.config.models import Config, LinkSection, ListenerSection
from switch.files.problems import ConfigError, Problem

__all__ = [
    "Address",
    "Config",
    "ConfigError",
    "LinkSection",
    "ListenerSection",
    "Problem",
    "load_config",
    "read_config",
]
