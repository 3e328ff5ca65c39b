"""The desk's pages: each view asks for access, reads a form, calls a write function and renders."""
