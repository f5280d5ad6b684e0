"""What every room stands on: errors, canonical bytes, keys, signed statements, time, identifiers of things."""
