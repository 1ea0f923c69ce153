"""Makes one more copy of a deployment with another image: ``kubectl get deployment serving -o json | canary.py IMAGE``.

Its service looks at the label ``app`` alone, so the copy gets its share of the requests; the label ``track`` tells the
two apart.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def canary(deployment: dict[str, Any], image: str) -> dict[str, Any]:
    """The manifest of the copy.

    Args:
        deployment: as the cluster gives it.
        image: what the copy runs.

    Raises:
        ValueError: the deployment has more than one container, and it is not said which is meant.
    """
    template = deployment["spec"]["template"]
    if len(template["spec"]["containers"]) != 1:
        raise ValueError(f"{deployment['metadata']['name']} has several containers; one is expected")
    name = deployment["metadata"]["name"]
    labels = {**template["metadata"]["labels"], "track": "canary"}
    container = {**template["spec"]["containers"][0], "image": image}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{name}-canary", "labels": {"app": name, "track": "canary"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name, "track": "canary"}},
            "template": {"metadata": {"labels": labels}, "spec": {**template["spec"], "containers": [container]}},
        },
    }


if __name__ == "__main__":
    json.dump(canary(json.load(sys.stdin), sys.argv[1]), sys.stdout)
