"""Every byte in and out of storage; nothing else opens files or buckets."""
