"""Masks and photos on disk: how they are laid out, checked, read and written. Starts no Jittor."""
