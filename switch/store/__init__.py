"""The back office's database: opened, migrated, changed with an audit of every row, copied and proved."""
