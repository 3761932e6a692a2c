"""Where and when work runs, and where its results are kept: MLflow, Ray's job server and the clock."""
