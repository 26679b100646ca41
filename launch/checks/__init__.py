"""What the doctor asks of this machine, a module for each subject.

A check is a function with `@check("its row")` in the file of its subject; what Jittor needs is asked in
`ecgan.runtime.requirements`, since the start refuses by the same list. A new subject has a `rows` like the others'
and its place in the table in `launch/doctor.py`.
"""
