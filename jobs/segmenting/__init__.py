"""A volume segmented in stages: fragments, edges, agglomeration, labels, scores."""
