"""What runs: every module here that defines a `Job` named after its file is a command of `safelight run`."""
