"""How Django admin writes dates and times: as the desk's own pages do (`templates/components/time.html`)."""
