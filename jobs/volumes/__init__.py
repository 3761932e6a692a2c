"""Volumes read by the box and written by the block, from whatever format, local or on S3."""
