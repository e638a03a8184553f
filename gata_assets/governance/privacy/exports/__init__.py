"""All that there is of a person, as files for them."""
