"""What one does with a finished results folder: look at it, pick the best of it, pack it."""
