"""``python -m probe`` is ``probe``."""

from probe.cli.main import main

main(prog_name="probe")
