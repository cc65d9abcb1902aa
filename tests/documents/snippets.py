"""The snippets of BuildFlow's own documents, with real sources and sinks in place of their dots."""

FLOW = """\
from buildflow import Flow

app = Flow()
"""

DECORATORS = """\
from buildflow import Flow
from buildflow.io.local import File

app = Flow()

@app.consumer(source=File("orders.json", "json"), sink=File("consumed.json", "json"))
def consumer(order: dict):
    return order

@app.collector("/collect", method="GET", sink=File("collected.json", "json"))
def collector(id: int):
    return {"id": id}

service = app.service()
@service.endpoint("/serve", method="GET")
def endpoint(name: str):
    return f"Hello {name}!"
"""

ADD_METHODS = """\
from buildflow import Flow, consumer, collector, Service, endpoint
from buildflow.io.local import File

app = Flow()

@consumer(source=File("orders.json", "json"), sink=File("consumed.json", "json"))
def consumer_proc(order: dict):
    return order
app.add_consumer(consumer_proc)

@collector("/collect", method="GET", sink=File("collected.json", "json"))
def collector_proc(id: int):
    return {"id": id}
app.add_collector(collector_proc)

service = Service()
@endpoint("/serve", method="GET")
def endpoint_proc(name: str):
    return f"Hello {name}!"
service.add_endpoint(endpoint_proc)
app.add_service(service)
"""

MANAGE = """\
from buildflow import Flow
from buildflow.io.aws import AWSBucket
from buildflow.io.gcp import GCSBucket

app = Flow()
app.manage(AWSBucket("my-bucket"), GCSBucket("my-bucket"))
"""

OPTIONS = """\
from buildflow import Flow, FlowOptions
from buildflow.io.aws import SQSQueue

app = Flow(flow_options=FlowOptions(stack="prod", require_confirmation=False))
app.manage(SQSQueue("orders"))
"""

STACKS = """\
app: shop
entry_point: main:app
pulumi_config:
  pulumi_home: .buildflow/_pulumi
  default_stack: dev
  stacks:
  - name: dev
    backend_url: file://.buildflow/_pulumi/local
    cloud: local
  - name: prod
    backend_url: file://.buildflow/_pulumi/local
    cloud: local
"""
