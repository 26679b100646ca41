"""G on the CPU: convolutions by Winograd's way, and a painter whose maps lie in channels last, (N, H, W, C)."""
