"""Reading what platforms give: archives, feeds, web pages."""
