"""A Kubernetes API server for pods, and jobs of one pod: what it is asked to start runs as a process of this machine.

A pod goes on by one step each time it is read, so that no test depends on time: pending, its container being created,
running, ended. Its log is what the process wrote, line by line with the time, as the node keeps it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
TAKEN_FROM_NODE = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "PreemptionByScheduler",
    "message": "make room",
}
FATES: dict[str, dict[str, Any]] = {
    "Evicted": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
    "DeadlineExceeded": {"phase": "Failed", "reason": "DeadlineExceeded", "message": "Pod was active too long"},
    "NodeShutdown": {"phase": "Failed", "reason": "Terminated", "message": "Pod was terminated by a node shutdown."},
    "Unexplained": {"phase": "Failed"},
}
"""How a pod ends whose container nobody knows of any more."""


@dataclass
class _Running:
    """A pod, with the process of its container once it runs."""

    body: dict[str, Any]
    reads: int = 0
    process: subprocess.Popen[bytes] | None = None
    lines: list[bytes] = field(default_factory=list)
    readers: list[threading.Thread] = field(default_factory=list)
    spoke: threading.Event = field(default_factory=threading.Event)
    end: dict[str, Any] | None = None

    def write(self, stream: IO[bytes]) -> None:
        """Keep each line of the container with its time; those of one stream never break one of the other."""
        with stream:
            for line in stream:
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
                self.lines.append(f"{now}{len(self.lines) % 1000:03d}Z ".encode() + line.rstrip(b"\n") + b"\n")
                self.spoke.set()

    def wait(self) -> int:
        assert self.process
        code = self.process.wait()
        for reader in self.readers:
            reader.join()
        return 128 - code if code < 0 else code


@dataclass
class Cluster:
    """One namespace.

    Args:
        image: the environment that the image gives its containers.
        secrets: by name, what ``envFrom`` finds there.
        fate: what becomes of pods that are started, else they run and end.
        refusal: why pods are not accepted.
        silent: nothing is kept of what containers write.
        hears: a container has to write something before its fate meets it.
    """

    image: Mapping[str, str]
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    fate: str = ""
    refusal: str = ""
    silent: bool = False
    hears: bool = True
    pods: dict[str, _Running] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)
    """The pod of each job."""
    url: str = ""
    called: set[tuple[str, str]] = field(default_factory=set)
    """Verbs and resources that were asked for, as a role names them."""

    def add(self, body: dict[str, Any]) -> dict[str, Any]:
        """A pod that is there already, of which nothing has to be started."""
        body["metadata"] = {**body["metadata"], "uid": str(uuid.uuid4())}
        self.pods[body["metadata"]["name"]] = _Running({**body, "status": {"phase": "Running"}}, reads=-1)
        return body

    def create(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        body = {"apiVersion": "v1", "kind": "Pod", **body}
        if self.refusal:
            return 403, _status(403, self.refusal)
        try:
            kubernetes_validate.validate(body, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            return 422, _status(422, str(error))
        body["metadata"].update(uid=str(uuid.uuid4()), creationTimestamp="2026-01-01T00:00:00Z")
        self.created.append(json.loads(json.dumps(body)))
        pod = self.pods[body["metadata"]["name"]] = _Running({**body, "status": {"phase": "Pending"}})
        return 201, pod.body

    def create_job(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        body = {"apiVersion": "batch/v1", "kind": "Job", **body}
        try:
            kubernetes_validate.validate(body, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            return 422, _status(422, str(error))
        name = body["metadata"]["name"]
        template = json.loads(json.dumps(body["spec"]["template"]))
        labels = {**template["metadata"].get("labels", {}), "job-name": name}
        code, pod = self.create({"metadata": {"name": f"{name}-x", "labels": labels}, "spec": template["spec"]})
        if code == 201:
            self.jobs[name] = pod["metadata"]["name"]
        return code, body if code == 201 else pod

    def job(self, name: str) -> dict[str, Any]:
        """A job with the state of its pod."""
        pod = self.pods.get(self.jobs[name])
        phase = self.read(pod)["status"]["phase"] if pod else "Failed"
        counted = {"Succeeded": "succeeded", "Failed": "failed"}.get(phase, "active")
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "status": {counted: 1}}

    def read(self, pod: _Running) -> dict[str, Any]:
        """The pod, a step further than it was read before."""
        if pod.reads >= 0:
            pod.reads += 1
            pod.body["status"] = self._status(pod)
        return pod.body

    def _status(self, pod: _Running) -> dict[str, Any]:
        if pod.end:
            return pod.end
        if self.fate == "Unschedulable":
            said = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
            condition = {"type": "PodScheduled", "status": "False", "reason": self.fate, "message": said}
            return {"phase": "Pending", "conditions": [condition]}
        if pod.reads == 1:
            return {"phase": "Pending"}
        if pod.reads == 2:
            return _waiting("ContainerCreating")
        if self.fate == "ImagePullBackOff":
            return _waiting("ImagePullBackOff", "Back-off pulling image")
        if pod.process is None:
            if missing := self._start(pod):
                return _waiting("CreateContainerConfigError", f'secret "{missing}" not found')
            self._interfere(pod)
        if pod.process and pod.process.poll() is None and not pod.end:
            return _container("Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, ready=True)
        if not pod.end:
            code = pod.wait()
            ended = {"exitCode": code, "reason": "Error" if code else "Completed"}
            pod.end = _container("Failed" if code else "Succeeded", {"terminated": ended})
        return pod.end

    def _start(self, pod: _Running) -> str | None:
        """Start the container; returns the name of a secret that it would need and is not there."""
        container = pod.body["spec"]["containers"][0]
        given = dict(self.image)
        for source in container.get("envFrom", ()):
            name = source["secretRef"]["name"]
            if name not in self.secrets:
                return name
            given.update(self.secrets[name])
        for each in container.get("env", ()):
            own = each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "").removeprefix("metadata.")
            given[each["name"]] = {"namespace": "twin", **pod.body["metadata"]}[own] if own else each.get("value", "")
        program, *arguments = container.get("command", container.get("args"))
        command = [sys.executable if program == "python" else program, *arguments]
        pod.process = subprocess.Popen(command, env=given, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for stream in (pod.process.stdout, pod.process.stderr):
            assert stream
            thread = threading.Thread(target=pod.write, args=(stream,), daemon=True)
            thread.start()
            pod.readers.append(thread)
        return None

    def _interfere(self, pod: _Running) -> None:
        """Let happen to a container that has begun what :attr:`fate` says."""
        if self.fate in ("", "NodeLost"):
            return
        assert pod.process
        if self.hears:
            pod.spoke.wait(60)
        if self.fate == "Cancelled":
            os.kill(os.getpid(), signal.SIGINT)
            return
        pod.process.kill()
        code = pod.wait()
        if self.fate == "Preempted":
            pod.body["status"] = {**_waiting("ContainerCreating"), "conditions": [TAKEN_FROM_NODE]}
            pod.end = pod.body["status"]
            del self.pods[pod.body["metadata"]["name"]]
        elif self.fate == "OOMKilled":
            pod.end = _container("Failed", {"terminated": {"exitCode": code, "reason": "OOMKilled"}})
        else:
            pod.end = FATES[self.fate]

    def lose(self, name: str) -> None:
        """A node that is gone takes its pods along, and nobody reads their logs any more."""
        pod = self.pods.pop(name)
        assert pod.process
        pod.process.kill()
        pod.wait()

    def delete(self, name: str) -> None:
        pod = self.pods.pop(name)
        self.deleted.append(name)
        if pod.process:
            pod.process.terminate()
            pod.wait()

    def select(self, query: Mapping[str, str]) -> list[_Running]:
        wanted = [part.split("=", 1) for part in query.get("labelSelector", "").split(",") if part]
        name = query.get("fieldSelector", "").removeprefix("metadata.name=")

        def fits(pod: _Running) -> bool:
            labels = pod.body["metadata"].get("labels", {})
            known = all(key in labels and (not value or labels[key] == value[0]) for key, *value in wanted)
            return known and name in ("", pod.body["metadata"]["name"])

        return [pod for pod in list(self.pods.values()) if fits(pod)]


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


def _container(phase: str, state: dict[str, Any], *, ready: bool = False) -> dict[str, Any]:
    told = {"name": "job", "ready": ready, "restartCount": 0, "image": "twin", "imageID": "twin", "state": state}
    return {"phase": phase, "containerStatuses": [told]}


def _waiting(reason: str, message: str = "") -> dict[str, Any]:
    return _container("Pending", {"waiting": {"reason": reason, "message": message}})


@contextlib.contextmanager
def serving(cluster: Cluster, kubeconfig: Path) -> Iterator[Cluster]:
    """Have it listen, and write how ``kubectl`` and others reach it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": cluster.url}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {"token": "t"}}],
    }
    kubeconfig.write_text(yaml.safe_dump(told), encoding="utf-8")
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for name in list(cluster.pods):
            cluster.delete(name)


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kind, _, _, _ = self._asked("create", "create")
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(*(cluster.create_job(body) if kind == "jobs" else cluster.create(body)))

        def do_GET(self) -> None:
            kind, name, part, query = self._asked("get", "list")
            if not name:
                items = [cluster.read(pod) for pod in cluster.select(query)] if kind == "pods" else []
                return self._answer(200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items})
            if name not in (cluster.jobs if kind == "jobs" else cluster.pods):
                return self._missing(kind, name)
            if kind == "jobs":
                return self._answer(200, cluster.job(name))
            if part and cluster.fate == "NodeLost":
                cluster.lose(name)
                return self._missing(kind, name)
            if part:
                return self._log(cluster.pods[name])
            return self._answer(200, cluster.read(cluster.pods[name]))

        def do_DELETE(self) -> None:
            kind, name, _, _ = self._asked("delete", "deletecollection")
            if name not in (cluster.jobs if kind == "jobs" else cluster.pods):
                return self._missing(kind, name)
            if kind == "jobs":
                del cluster.jobs[name]
            else:
                cluster.delete(name)
            return self._answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

        def _asked(self, one: str, all_: str) -> tuple[str, str, str, dict[str, str]]:
            """Kind, name and part of what is asked for, and the query."""
            parts = urlsplit(self.path)
            called = r"/api(?:s/batch)?/v1/namespaces/twin/(pods|jobs|events)(?:/([^/]+)(/log|/status)?)?"
            found = re.fullmatch(called, parts.path)
            assert found, f"no such call: {self.path}"
            kind, name, part = found[1], found[2] or "", found[3] or ""
            cluster.called.add((one if name else all_, kind + part))
            return kind, name, part, {key: value[0] for key, value in parse_qs(parts.query).items()}

        def _missing(self, kind: str, name: str) -> None:
            self._answer(404, _status(404, f'{kind} "{name}" not found'))

        def _log(self, pod: _Running) -> None:
            """Every line so far, and those that follow until the container ended."""
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            sent, ended = 0, False
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while not ended:
                    ended = not any(reader.is_alive() for reader in pod.readers)
                    new = [] if cluster.silent else pod.lines[sent:]
                    sent += len(new)
                    self.wfile.write(b"".join(new))
                    if not ended:
                        pod.readers[-1].join(0.02)

        def _answer(self, code: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
