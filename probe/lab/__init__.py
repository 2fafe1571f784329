"""A small world with faults, for the demo and the tests only.

Start it with ``probe.lab.world.open_world`` in the caller's loop, or with
``probe.lab.process.open_lab_process`` as a process of its own.
"""
