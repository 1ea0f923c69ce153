"""The Model Context Protocol at ``/mcp``: the calls of the API as tools of other programs' assistants."""
