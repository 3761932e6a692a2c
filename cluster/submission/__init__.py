"""Jobs on a cluster: a frozen value packed, checked, sent to Ray's job server, and followed there.

`submit.submit(job, key=...)` is the whole of it from Python: the name of a submission is made from the job and the key,
so that the same twice is one. On the cluster `driver` runs `safelight run` and runs it again when it is killed.
"""
