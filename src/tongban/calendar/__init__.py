"""Working days with make-up days, from dated notices."""
