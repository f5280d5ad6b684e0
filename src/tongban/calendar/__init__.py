"""The day by law, and working days with make-up days, from dated notices."""
