"""What a training leaves to be seen: metrics, pictures on a page, and a log for TensorBoard."""
