"""From a call to a card: data that page, e-mail, CSV and chat render alike. Pure: no Django, no HTML.

`present.build_card(CardInput) -> Card` is the way in. `registry` knows the formatters, `text` reveals what hides.
"""
