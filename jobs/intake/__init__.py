"""The parts of ingest: which records are new, how they are cut into shards, and how a shard is written."""
