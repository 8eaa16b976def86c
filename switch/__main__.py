"""``python -m switch`` is ``authswitch``."""

from switch.cli import main

main()
