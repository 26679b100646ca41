"""Processes on machines, whoever gave us the machine: a pool of workers, ranks that run one job together, what each
inherits, its share of the cores, its outputs, and what it leaves behind."""
