"""The servers of a cluster on one machine: Ray, MLflow on PostgreSQL, S3; all on loopback, each with its own keys."""
