"""Errors that are the user's to mend: shown as one message, without a traceback."""


class UserError(Exception):
    """Wrong usage or input. The message names the file or option and says what to do."""
