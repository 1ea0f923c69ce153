def tick(n: int) -> int:
    return n + 1
