"""``python -m twin_serving.cli``."""

from twin_serving.cli.main import main

main()
