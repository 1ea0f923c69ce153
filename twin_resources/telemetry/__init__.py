"""Calls of the API as OpenTelemetry traces."""
