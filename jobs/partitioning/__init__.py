"""The globe's cells from geotags: positions read, counted shard by shard, divided in rounds, written once."""
