"""Launches each run as a Kubernetes job of its own, in a pod like that of the daemon.

``K8sRunLauncher`` takes image, secrets and volumes by name from its configuration, which then has to repeat what the
manifests say, with names that Kustomize makes anew for each content. As on ECS, a run gets them from who launches it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from dagster._serdes import ConfigurableClassData
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from dagster_k8s.models import k8s_snake_case_dict
from kubernetes.client import V1Container, V1PodSpec

from twin_resources.config.settings import Settings
from twin_resources.runtime import pods
from twin_resources.runtime.kubernetes_jobs import pod_to_be_like

LABELS = {"app": "run", "part-of": "twin"}
"""What network policies know runs by; no service leads to them."""


class PodRunLauncher(K8sRunLauncher):
    """Dagster's launcher for Kubernetes; its configuration and the tags of a run win over what the pod has."""

    @classmethod
    def config_type(cls) -> Any:
        """That of Dagster's launcher, without what the pod tells."""
        told = ("instance_config_map", "dagster_home")
        return {name: kind for name, kind in super().config_type().items() if name not in told}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        told = {"instance_config_map": "", "dagster_home": os.environ["DAGSTER_HOME"]}
        return cls(inst_data=inst_data, **told, **config_value)

    @functools.cached_property
    def _like(self) -> K8sContainerContext:
        settings = Settings().kubernetes.model_copy(update={"namespace": self.job_namespace})
        pod = pod_to_be_like(self._api_client.core_api, settings)
        container, spec = pods.without_size(pod)
        return K8sContainerContext(
            run_k8s_config=UserDefinedDagsterK8sConfig(
                container_config=k8s_snake_case_dict(V1Container, container),
                pod_spec_config=k8s_snake_case_dict(V1PodSpec, spec),
                pod_template_spec_metadata={"labels": LABELS},
            )
        )

    def get_container_context_for_run(self, dagster_run: dg.DagsterRun) -> K8sContainerContext:
        """What the pod of a run has and asks for.

        Raises:
            PodError: ``TWIN_KUBERNETES__POD`` names no pod.
        """
        return self._like.merge(super().get_container_context_for_run(dagster_run))
