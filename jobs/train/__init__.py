"""Training, whatever the network: settings -> request -> plan -> a job on every rank -> states, and what is to be seen.

`networks` is the table of what can be trained, `training` one rank's work, `outputs` what it leaves beside its states.
"""
