"""What Kubernetes is told of a flow on Ray: a RayJob of KubeRay, and a Service for its routes.

The job is submitted when all machines of its cluster are ready, and a worker is ready only while
routes answer on it: so the cluster begins without workers, which come as replicas ask for room.
A head that is not ready would be submitted nothing; no route is served there. When all of it is
deleted, KubeRay asks the job to stop and deletes the machines in the same moment: each of them
waits until the job has drained. Values of secrets are in no file: the containers read them from a
Secret, by name.
"""

from __future__ import annotations

import json

from buildflow_nb.export.project.container import PORT
from buildflow_nb.export.project.ray_engine import RayEngine
from buildflow_nb.export.report import ExportedProgram

__all__ = ("DEPLOY", "RAY_JOB", "SERVICE", "STOP_S", "deploy_files", "entrypoint", "name_of")

DEPLOY = "deploy"
RAY_JOB = f"{DEPLOY}/rayjob.yaml"
SERVICE = f"{DEPLOY}/service.yaml"
STOP_S = 60  # a drain takes up to 30
DRAIN_S = 50  # with what it takes until the job has heard of it, and until its replicas are gone
_LONGEST = 40  # letters of a name, to which KubeRay adds some of its own

_JOB = """\
# For the operator KubeRay, 1.5.1 or later: kubectl apply -f {deploy}/
apiVersion: ray.io/v1
kind: RayJob
metadata:
  name: "{name}"
spec:
  entrypoint: {entrypoint}
  shutdownAfterJobFinishes: true
  # Whoever stops the job lets it drain; by itself Ray kills it after 3 seconds.
  runtimeEnvYAML: |
    env_vars:
      RAY_JOB_STOP_WAIT_TIME_S: "{stop}"
  rayClusterSpec:
    rayVersion: "{ray}"
    # The operator makes a token, without which nobody speaks to this cluster.
    authOptions:
      mode: token
    # Workers come when replicas wait for room, and go when they are idle.
    enableInTreeAutoscaling: true
    headGroupSpec:
      rayStartParams:
        dashboard-host: 0.0.0.0
{head_cpus}\
      template:
        metadata:
          labels:
            flow: "{name}"{head_role}
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: {stop}
          containers:
            - name: ray-head
              image: "{name}"
              ports:
                - containerPort: 6379
                  name: gcs-server
                - containerPort: 8265
                  name: dashboard
                - containerPort: 10001
                  name: client
              # What is deleted goes on until the job, which is asked to stop then, has drained.
              lifecycle:
                preStop:
                  exec:
                    command: ["sleep", "{drain}"]
{environment}\
              resources:
                requests:
                  cpu: "2"
                  memory: 4Gi
                limits:
                  cpu: "2"
                  memory: 4Gi
    workerGroupSpecs:
      - groupName: workers
        replicas: 0
        minReplicas: 0
        maxReplicas: 4
        rayStartParams: {{}}
        template:
          metadata:
            labels:
              flow: "{name}"
              role: worker
          spec:
            restartPolicy: Never
            terminationGracePeriodSeconds: {stop}
            containers:
              - name: ray-worker
                image: "{name}"
                lifecycle:
                  preStop:
                    exec:
                      command: ["sleep", "{drain}"]
{probe}\
{worker_environment}\
                resources:
                  requests:
                    cpu: "2"
                    memory: 4Gi
                  limits:
                    cpu: "2"
                    memory: 4Gi
"""
_NO_CPUS = """\
        # No replica works on the head, for requests are sent to workers. What has to stay on the
        # machine of the run (a source that cannot be shared, a file) needs room here: give some.
        num-cpus: "0"
"""
_PROBE = f"""\
                ports:
                  - containerPort: {PORT}
                    name: http
                # Requests come where routes answer, and no more once they are about to stop.
                readinessProbe:
                  httpGet:
                    path: /healthz
                    port: {PORT}
                  periodSeconds: 5
                  failureThreshold: 1
"""
_SERVICE = """\
# The flow's routes, within the cluster; for others put an Ingress before it.
apiVersion: v1
kind: Service
metadata:
  name: "{name}"
spec:
  selector:
    flow: "{name}"
    role: {role}
  ports:
    - name: http
      port: {port}
      targetPort: {port}
"""


def name_of(app: str) -> str:
    """What the app is called in Kubernetes, and its image: small letters, digits and dashes."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in app.lower())
    name = kept.strip("-")[:_LONGEST].rstrip("-") or "flow"
    return name if name[0].isalpha() else f"flow-{name}"[:_LONGEST].rstrip("-")


def entrypoint(engine: RayEngine) -> str:
    """What a machine of the cluster runs."""
    words = ["buildflow run --engine ray --address auto"]
    if engine.named:
        words.append(f"--stack {engine.stack.name}")
    if engine.routes:
        words.append(f"--host 0.0.0.0 --port {PORT}")
    return " ".join(words)


def deploy_files(program: ExportedProgram, app: str, engine: RayEngine) -> dict[str, str]:
    """The files below `deploy/`, by their paths."""
    name = name_of(app)
    local = engine.stack.cloud == "local"  # all of it works where the local cloud is: on the head
    head = engine.routes and local
    text = _JOB.format(
        deploy=DEPLOY,
        name=name,
        entrypoint=entrypoint(engine),
        stop=STOP_S,
        drain=DRAIN_S,
        ray=engine.version,
        head_cpus=_NO_CPUS if engine.routes and not local else "",
        head_role="\n            role: head" if head else "",
        environment=_environment(program, name, 14),
        worker_environment=_environment(program, name, 16),
        probe=_PROBE if engine.routes and not local else "",
    )
    files = {RAY_JOB: text}
    if engine.routes:
        role = "head" if local else "worker"
        files[SERVICE] = _SERVICE.format(name=name, role=role, port=PORT)
    return files


def _environment(program: ExportedProgram, secret: str, indent: int) -> str:
    """What a container reads from the Secret."""
    names = sorted(set(program.secrets))
    if not names:
        return ""
    space = " " * indent
    lines = [f"{space}env:"]
    for name in names:
        lines += [
            f"{space}  - name: {json.dumps(name)}",
            f"{space}    valueFrom:",
            f"{space}      secretKeyRef:",
            f"{space}        name: {json.dumps(secret)}",
            f"{space}        key: {json.dumps(name)}",
        ]
    return "\n".join(lines) + "\n"
