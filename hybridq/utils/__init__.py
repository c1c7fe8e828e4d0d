"""Files, text, memory and checks that every part uses."""
