"""Jobs as pods of a Kubernetes cluster, through ``PipesK8sClient`` of ``dagster-k8s`` (extra ``kubernetes``).

A job gets what it is told in its environment and reports through its log, as Pipes has it. What is added here is what
becomes of pods that do not simply run and end: each is told of in words, at once, and none is left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import urllib3
from dagster_k8s import PipesK8sClient
from dagster_k8s.client import DagsterKubernetesClient
from dagster_k8s.pipes import PipesK8sPodLogsMessageReader
from kubernetes.client import ApiException, CoreV1Api
from kubernetes.config import ConfigException

from twin_resources.config.kubernetes import KubernetesSettings
from twin_resources.config.pools import PoolResources
from twin_resources.config.settings import Settings
from twin_resources.runtime import pods
from twin_resources.runtime.pods import PodError

_SILENT_SECONDS = 120.0
"""How long the API server may not answer while a pod is waited for; a control plane that is upgraded takes a minute."""


def run_pod(
    context: dg.AssetExecutionContext,
    command: Sequence[str],
    extras: Mapping[str, Any],
    environment: Mapping[str, str],
    settings: Settings,
) -> dg.PipesClientCompletedInvocation:
    """Run a command in a pod of its own, of the size of the asset's pool, and wait for its end.

    The pod is deleted afterwards, also where the run was cancelled.

    Raises:
        JobError: there is no such pool or cluster, the pod was refused or would not see its files, or it did not end
            well.
    """
    wanted, pool = settings.kubernetes, context.op_def.pool or ""
    resources = settings.pools.of(pool)
    client = _Client(wanted, pool, resources)
    try:
        core = client.connect()
        like = pod_to_be_like(core, wanted)
        _require_files(like, extras, settings)
        _end_leftovers(core, wanted.namespace, context)
        task = uuid.uuid4().hex
        made = pods.made_like(
            like,
            resources,
            labels={pods.TASK: task, pods.RUN: context.run.run_id},
            image=wanted.image,
            service_account=wanted.service_account,
        )
        try:
            return client.run(
                context=context,
                command=list(command),
                namespace=wanted.namespace,
                env=dict(environment),
                extras=dict(extras),
                base_pod_meta=made.metadata,
                base_pod_spec=made.spec,
                pod_wait_timeout=0,
                delete_pod_on_completion=False,
            )
        finally:
            _delete(core, wanted.namespace, f"{pods.TASK}={task}", context)
    except ApiException as error:
        raise PodError(f"the cluster refused: {_said(error)}") from error
    except (urllib3.exceptions.HTTPError, ConfigException) as error:
        raise PodError(f"the cluster's API cannot be reached: {error}") from error


class _Client(PipesK8sClient):
    """Dagster's, which waits for start and end of a pod by what is said of the pod as a whole.

    Dagster's own waits look at the container alone: one that was evicted, or that no node takes, is waited for up to a
    day.
    """

    def __init__(self, wanted: KubernetesSettings, pool: str, resources: PoolResources) -> None:
        inside = bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
        super().__init__(
            load_incluster_config=inside or None,
            kubeconfig_file=None if inside else os.environ.get("KUBECONFIG"),
            poll_interval=wanted.poll_seconds,
        )
        self._wanted, self._pool, self._resources = wanted, pool, resources

    def connect(self) -> CoreV1Api:
        """The cluster of this pod, or the one of ``KUBECONFIG``.

        Raises:
            ConfigException: neither is there.
        """
        self._load_k8s_config()
        return DagsterKubernetesClient.production_client().core_api

    @contextlib.contextmanager
    def consume_pod_logs(
        self,
        context: dg.OpExecutionContext | dg.AssetExecutionContext,
        client: DagsterKubernetesClient,
        namespace: str,
        pod_name: str,
        enable_multi_container_logs: bool = False,
        ignore_containers: set | None = None,
    ) -> Iterator[None]:
        """Read the log of a pod from its start to its end.

        Raises:
            PodError: it did not start, or did not end well.
        """
        core, reader = client.core_api, self.message_reader
        assert isinstance(reader, PipesK8sPodLogsMessageReader)
        context.log.info(f"the job is the pod {pod_name} in the namespace {namespace}")
        last = self._wait_for_start(core, namespace, pod_name)
        if pods.has_started(last):
            try:
                reader.consume_pod_logs(context=context, core_api=core, namespace=namespace, pod_name=pod_name)
            except (ApiException, urllib3.exceptions.HTTPError):
                last = self._seen(core, namespace, pod_name, last)
                if not pods.has_ended(last):
                    raise
        while not pods.has_ended(last):
            last = self._seen(core, namespace, pod_name, last)
            if not pods.has_ended(last):
                time.sleep(self.poll_interval)
        if why := pods.failure(last, self._pool, self._resources):
            raise PodError(f"its pod {namespace}/{pod_name} {why}")
        yield

    def _wait_for_start(self, core: CoreV1Api, namespace: str, name: str) -> Mapping[str, Any]:
        until = time.monotonic() + self._wanted.start_minutes * 60
        pod: Mapping[str, Any] = {"status": {}}
        while True:
            pod = self._seen(core, namespace, name, pod)
            if pods.has_started(pod) or pods.has_ended(pod):
                return pod
            if why := pods.never_starts(pod):
                raise PodError(f"its pod {namespace}/{name} {why}")
            if time.monotonic() > until:
                size = f"{self._resources.cpus:g} CPUs, {self._resources.memory_gib:g} GiB, {self._resources.gpus} GPUs"
                raise PodError(
                    f"its pod {namespace}/{name} did not start in {self._wanted.start_minutes:g} minutes; "
                    f"{pods.waits_for(pod)}. It asks for {size}: add such a node, or ask for less with "
                    f"TWIN_POOLS__{self._pool.upper()}__… (CPUS, MEMORY_GIB, GPUS)"
                )
            time.sleep(self.poll_interval)

    def _seen(self, core: CoreV1Api, namespace: str, name: str, last: Mapping[str, Any]) -> Mapping[str, Any]:
        """The pod as it stands; ``last`` is how it was seen before.

        Raises:
            PodError: it is there no more.
        """
        until = time.monotonic() + _SILENT_SECONDS
        while True:
            try:
                return _as_json(core, core.read_namespaced_pod(name, namespace))
            except ApiException as error:
                if error.status == 404:
                    raise PodError(f"its pod {namespace}/{name} {pods.gone(last)}") from error
                if time.monotonic() > until or (error.status or 0) < 429:
                    raise
            except urllib3.exceptions.HTTPError:
                if time.monotonic() > until:
                    raise
            time.sleep(self.poll_interval)


def _as_json(core: CoreV1Api, pod: Any) -> Mapping[str, Any]:
    found: Any = core.api_client.sanitize_for_serialization(pod)
    return found


def pod_to_be_like(core: CoreV1Api, wanted: KubernetesSettings) -> Mapping[str, Any]:
    """The pod that jobs and runs are like.

    Raises:
        PodError: none is named, or there is none of this name.
    """
    remedy = "give each pod its own name there, as deploy/kubernetes/components/jobs and runs do"
    if not wanted.pod:
        raise PodError(f"TWIN_KUBERNETES__POD is not set; {remedy}")
    try:
        return _as_json(core, core.read_namespaced_pod(wanted.pod, wanted.namespace))
    except ApiException as error:
        if error.status != 404:
            raise
        named = f"TWIN_KUBERNETES__POD names {wanted.pod}, which the namespace {wanted.namespace} has not"
        raise PodError(f"{named}; {remedy}") from error


def _require_files(like: Mapping[str, Any], extras: Mapping[str, Any], settings: Settings) -> None:
    """Refuse what would be missed only once the pod runs, on a GPU that was waited for."""
    shared = pods.shared_folders(like)
    remedy = (
        f"mount one claim, which several nodes can write to, at {settings.home} in {settings.kubernetes.pod}, as "
        "deploy/kubernetes/base/state.yaml and worker.yaml do"
    )
    if path := pods.unseen(extras, shared):
        raise PodError(f"it reads {path}, which lies where no other pod sees it; {remedy}")
    local = settings.artifacts.removeprefix("file://")
    if local.startswith("/") and pods.unseen([local], shared):
        raise PodError(
            f"artifacts lie in {local}, where no other pod sees them; name a bucket, as in "
            f"TWIN_ARTIFACTS_URL=s3://bucket/twin, or {remedy}"
        )


def _end_leftovers(core: CoreV1Api, namespace: str, context: dg.AssetExecutionContext) -> None:
    """Delete the pods of runs that ended without doing so, because their process was killed."""
    for pod in _listed(core, namespace, f"app={pods.APP},{pods.RUN}"):
        run_id = pod.metadata.labels[pods.RUN]
        run = context.instance.get_run_by_id(run_id)
        if run and run.is_finished:
            _delete(core, namespace, f"app={pods.APP},{pods.RUN}={run_id}", context)


def _listed(core: CoreV1Api, namespace: str, selector: str) -> list[Any]:
    found: Any = core.list_namespaced_pod(namespace, label_selector=selector)
    return found.items


def _delete(core: CoreV1Api, namespace: str, selector: str, context: dg.AssetExecutionContext) -> None:
    try:
        for pod in _listed(core, namespace, selector):
            try:
                core.delete_namespaced_pod(pod.metadata.name, namespace)
            except ApiException as error:
                if error.status != 404:
                    raise
    except (ApiException, urllib3.exceptions.HTTPError) as error:
        why = _said(error) if isinstance(error, ApiException) else str(error)
        remedy = f"kubectl -n {namespace} delete pod -l {selector}"
        context.log.warning(f"the pod of this job could not be deleted: {why}; do so with `{remedy}`")


def _said(error: ApiException) -> str:
    """What the API server says is wrong."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        return f"{error.status} {json.loads(error.body or '')['message']}"
    return f"{error.status} {error.reason}"
