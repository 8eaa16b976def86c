"""``python -m switch`` is ``authswitch``."""

from switch.cli.main import main

main()
