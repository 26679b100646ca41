"""Training as a job: settings -> plan -> ranks, each running TrainJob -> states, metrics and samples."""
