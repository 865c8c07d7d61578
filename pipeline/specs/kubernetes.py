"""What may be said of a job's cluster on Kubernetes, by a job file and by those who run the platform."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from pipeline.specs.fields import Section

MAX_CLUSTER_NAME = 40
"""Letters of the name of a job on Kubernetes; the operator appends to it, and makes names of at most 63."""

ResourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
"""A name that Kubernetes takes for a namespace, a secret or an account."""

Quantity = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
"""An amount as Kubernetes writes it, such as 16Gi."""


class KubernetesSection(Section):
    """`cluster.kubernetes`: the Ray cluster that a job gets there, and how long it may take.

    The same fields stand in the platform's file; what a job file gives outranks it.
    """

    image: str = Field("nst:latest", min_length=1, description="Container image of all nodes.")
    namespace: ResourceName = Field("nst", description="Where the job is made.")
    gpus: int = Field(1, ge=0, le=16, description="GPUs of a worker; 0: it computes on CPUs.")
    min_workers: int = Field(0, ge=0, description="Workers that the cluster always has.")
    max_workers: int = Field(4, ge=1, description="Workers to which it grows.")
    worker_cpus: int = Field(5, ge=1, description="CPUs of a worker: of one with GPUs one more than it has encoders.")
    worker_memory: Quantity = Field("24Gi", description="Memory of a worker.")
    head_cpus: int = Field(2, ge=1, description="CPUs of the head, for Ray and the driver; no rows are computed there.")
    head_memory: Quantity = Field("8Gi", description="Memory of the head.")
    scratch: Quantity = Field("20Gi", description="Disk for /tmp of each node: logs, and objects that are spilled.")
    node_selector: Mapping[str, str] = Field(default_factory=dict, description="Labels of machines for workers.")
    tolerations: tuple[Mapping[str, str], ...] = Field((), description="Taints of machines that workers bear.")
    drain_seconds: int = Field(60, ge=0, description="That a worker which must go may take to save states.")
    weights_claim: ResourceName | None = Field(None, description="Volume claim that is mounted at /weights.")
    credentials: ResourceName | None = Field(None, description="Secret whose keys become variables, such as for S3.")
    policy: ResourceName | None = Field(
        "nst-access", description="Config map with the operator's access.json, mounted at /etc/nst."
    )
    head_account: ResourceName = Field("nst-head", description="Service account of heads.")
    worker_account: ResourceName = Field("nst-worker", description="Service account of workers.")
    priority: ResourceName | None = Field("nst-batch", description="Priority class of all pods.")
    token_secret: ResourceName | None = Field(
        None, description="Secret with Ray's token as auth_token; by default the operator makes one for each cluster."
    )
    retries: int = Field(3, ge=0, description="Further clusters that go on where one broke off.")
    deadline_seconds: int = Field(43_200, ge=60, description="From the first pod on, after which a job is given up.")
    pending_seconds: int = Field(1_800, ge=60, description="That a cluster may take until the job runs on it.")
    cluster_kept_seconds: int = Field(
        60, ge=0, description="That the pods of an ended job stay, so that its last metrics are read."
    )
    schedule: str = Field("0 2 * * *", pattern=r"^\S+( \S+){4}$", description="When it runs, as cron writes it.")
    time_zone: str = Field("Etc/UTC", min_length=1, description="Of the schedule.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.min_workers > self.max_workers:
            raise ValueError(f"min_workers at most max_workers, {self.max_workers}")
        return self

    @property
    def resources(self) -> dict[str, Any]:
        """What the `resources` of a job must say so that its run waits for workers, and uses all of them.

        On CPUs each actor has one: the threads of an actor cannot follow the CPUs of workers that are not there yet.
        """
        if self.gpus:
            return {"device": "gpu", "max_actors": self.max_workers * self.gpus}
        return {"device": "cpu", "max_actors": self.max_workers * self.worker_cpus}
