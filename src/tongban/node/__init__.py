"""The program that stands at a department: gate, door, registers, fact tables."""
