"""Bulk work over shards: plan what is missing, lease it out, answer it, commit it. Ray carries descriptors only."""
