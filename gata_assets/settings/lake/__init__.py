"""The settings of the ticket lake, a module by what they are about."""
