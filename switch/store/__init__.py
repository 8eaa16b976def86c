"""The back office's database: opened, migrated, changed with an audit of every row, copied and proved."""

import logging

logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each look at a version, and of its own parts
