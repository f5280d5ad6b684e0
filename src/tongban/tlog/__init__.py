"""The transparency log: RFC 9162 tree, durable entries, checkpoints, proofs, recovery."""
