"""A service as BuildFlow's users write one: every word of 0.3 for endpoints and collectors."""

SERVICES = """\
import dataclasses
from dataclasses import dataclass
from typing import List, Optional

from buildflow import Flow, Service, collector, endpoint
from buildflow.dependencies import Scope, dependency
from buildflow.dependencies.auth import BearerCredentials
from buildflow.dependencies.flow_dependencies import FlowCredentials
from buildflow.dependencies.sink import SinkDependencyBuilder
from buildflow.dependencies.sqlalchemy import SessionDepBuilder
from buildflow.exceptions import HTTPException
from buildflow.io.duckdb import DuckDBTable
from buildflow.io.local import File
from buildflow.middleware import CORSMiddleware, SessionMiddleware
from buildflow.requests import File as FileOfForm
from buildflow.requests import Form, Request, UploadFile, WebSocket
from buildflow.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from sqlalchemy import text

app = Flow()


@dependency(Scope.NO_SCOPE)
class NoScope:
    pass


@dependency(Scope.GLOBAL)
class Global:
    def __init__(self, no: NoScope):
        self.no = no


@dependency(Scope.REPLICA)
class Replica:
    def __init__(self, global_: Global, no: NoScope, credentials: FlowCredentials):
        self.global_, self.no = global_, no


@dependency(scope="process")
class Process:
    async def __init__(self, replica: Replica, no: NoScope, request: Request):
        self.replica, self.no = replica, no
        self.agent = request.headers["user-agent"]


Session = SessionDepBuilder("sqlite:///service.db")
Out = SinkDependencyBuilder(File("pushed.json", "json"))


@dataclass
class Order:
    id: int
    sku: str = "none"


@dataclass
class Priced:
    id: int
    total: float


service = app.service(base_route="/shop", service_id="shop")
service.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
service.add_middleware(SessionMiddleware, secret_key="not a secret")


@service.endpoint("/scopes", method="GET")
def scopes(process: Process, replica: Replica, global_: Global, no: NoScope) -> dict:
    return {
        "same": process.replica is replica and replica.global_ is global_,
        "other": len({id(no), id(process.no), id(replica.no), id(global_.no)}) == 4,
        "agent": process.agent,
    }


@service.endpoint("/defaults", method="GET")
def defaults(id: int, sku: str = "none", limit: Optional[int] = None) -> dict:
    return {"id": id, "sku": sku, "limit": limit}


@service.endpoint("/orders/{id}", method="POST")
async def ordered(id: int, order: Order) -> List[Priced]:
    return [Priced(id, 1.5), Priced(order.id, 2.5)]


@service.endpoint("/request", method="POST")
async def requested(request: Request) -> dict:
    return {
        "path": request.url.path,
        "query": dict(request.query_params),
        "cookie": request.cookies.get("colour"),
        "body": (await request.body()).decode(),
    }


@service.endpoint("/visits", method="GET")
def visits(request: Request) -> int:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return request.session["visits"]


@service.endpoint("/rows", method="GET")
def stored(db: Session) -> int:
    db.session.execute(text("CREATE TABLE IF NOT EXISTS rows (id INTEGER)"))
    db.session.execute(text("INSERT INTO rows VALUES (1)"))
    db.session.commit()
    return db.session.execute(text("SELECT count(*) FROM rows")).scalar_one()


@service.endpoint("/token", method="GET")
def token(credentials: BearerCredentials) -> Optional[str]:
    return credentials.token


@service.endpoint("/upload", method="POST")
async def upload(photo: UploadFile, title: str = Form(...), raw: bytes = FileOfForm(b"")) -> dict:
    size = len(await photo.read())
    return {"name": photo.filename, "size": size, "title": title, "raw": len(raw)}


@service.endpoint("/teapot", method="GET")
def teapot() -> None:
    raise HTTPException(418, "short and stout", headers={"X-Tea": "green"})


@service.endpoint("/broken", method="GET")
def broken() -> None:
    raise ValueError("a secret of the server")


@service.endpoint("/page", method="GET")
def page() -> HTMLResponse:
    return HTMLResponse("<h1>hello</h1>")


@service.endpoint("/moved", method="GET")
def moved():
    return RedirectResponse("/shop/page")


@service.endpoint("/json", method="GET")
def json() -> JSONResponse:
    return JSONResponse({"made": True}, status_code=201)


@service.endpoint("/text", method="GET")
def plain() -> Response:
    return PlainTextResponse("hello")


@service.endpoint("/stream", method="GET")
def stream() -> StreamingResponse:
    return StreamingResponse((f"{i}\\n" for i in range(3)), media_type="text/plain")


@service.endpoint("/file", method="GET")
def file() -> FileResponse:
    return FileResponse("page.html")


@service.endpoint("/echo", method="WEBSOCKET")
async def echo(websocket: WebSocket, replica: Replica, name: str = "you"):
    await websocket.accept()
    await websocket.send_text(f"hello {name}")
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


@service.endpoint("/push", method="POST")
async def push(order: Order, out: Out) -> int:
    await out.push(order)
    await out.push_batch([{"id": order.id + 1, "sku": "dict"}])
    return 2


@app.collector("/collect", method="POST", sink=File("collected.json", "json"))
def collected(order: Order, no: NoScope) -> List[Order]:
    return [order, dataclasses.replace(order, id=order.id + 1)]


class Table:
    def setup(self):
        self.rate = 2

    async def process(self, order: Order, global_: Global) -> Priced:
        return Priced(order.id, order.id * self.rate)


app.collector("/table", method="POST", sink=DuckDBTable("priced.duckdb", "priced"))(Table)


@collector("/detached", method="POST", sink=File("detached.json", "json"))
def detached(order: Order) -> Order:
    return order


app.add_collector(detached)
apart = Service(base_route="/apart", service_id="apart")


@endpoint("/hello", method="GET")
def hello(no: NoScope) -> str:
    return "hello"


apart.add_endpoint(hello)
app.add_service(apart)
"""
