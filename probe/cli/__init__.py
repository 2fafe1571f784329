"""The command line, a file for each command: the only package that prints or exits."""
