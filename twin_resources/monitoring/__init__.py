"""What readers asked and how it went, as the report and the API tell it."""
