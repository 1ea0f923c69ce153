"""Asking hosts: client, crawl policy, robots.txt, addresses, rate limit, browser."""
