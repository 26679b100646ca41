"""A fresh machine to try the README on, run by hand as root: python -m tests.fresh trixie

A root of a Debian distribution gets what the README names and nothing else; in it an ordinary user runs the README's
two commands, and `make demo` again where something is missing. docs/fresh-machines.md says what was seen.
It needs debootstrap and Git, and of Python nothing that is not its own.
"""
