"""A made-up shop for the tests and the pictures of the admin page: a schema, its file, and workers that may refuse."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from confcast import ConfigError, ConfigLoader, NeedsRestart, Problem, Replica, guards


class Http(BaseModel):
    """What customers reach."""

    workers: Annotated[int, NeedsRestart("the server forks them")] = 4
    timeout: float = Field(10.0, gt=0, description="Seconds that a request may take.")
    keep_alive: float = 5.0
    max_body: int = Field(1048576, ge=1024, description="Bytes of a request's body.")
    hosts: list[str] = []


class Database(BaseModel):
    """Where orders are."""

    host: str = "db.internal"
    port: int = 5432
    name: str = "shop"
    user: str = "shop"
    password: SecretStr = SecretStr("")
    pool: int = Field(8, ge=1, le=64, description="Connections that a worker keeps.")
    statement_timeout: float = 2.0


class Search(BaseModel):
    """The catalogue's index."""

    url: str = "http://search.internal:9200"
    index: str = "books"
    results: int = 24
    fuzzy: bool = True
    boost_new: float = Field(1.2, ge=1, le=4, description="How much this year's books count.")


class Checkout(BaseModel):
    """Paying."""

    currency: Literal["EUR", "GBP", "CHF"] = "EUR"
    provider: str = "https://pay.example"
    api_key: SecretStr = SecretStr("")
    retries: int = Field(2, ge=0, le=5)
    free_shipping_from: float = 40.0


class Mail(BaseModel):
    """Letters to customers."""

    smtp: str = "mail.internal:587"
    sender: str = "orders@bookshop.example"
    batch: int = 50
    enabled: bool = True


class Banner(BaseModel):
    """What stands above every page."""

    text: str = ""
    colour: str = "#7a3b2e"


class Shop(BaseModel):
    """All of it."""

    name: str = "The Bookshop"
    language: Literal["en", "de", "fr"] = "en"
    banner: Banner = Banner()
    http: Http = Http()
    database: Database = Database()
    search: Search = Search()
    checkout: Checkout = Checkout()
    mail: Mail = Mail()
    limits: dict[str, int] = Field({}, description="Requests a minute, by route.")
    features: dict[str, bool] = {}
    stock: dict[str, dict[str, float]] = {}


shop: Replica[Shop] = Replica(Shop, name="bookshop")

SECRETS = ("correct-horse", "sk_live_hunter2")
TEXT = f"""\
name = "The Bookshop"

[banner]
text = "Signed copies this week"

[http]
workers = 4
timeout = 8.0
hosts = ["bookshop.example", "www.bookshop.example"]

[database]
host = "db-1.internal"
password = "{SECRETS[0]}"
pool = 12

[search]
results = 30
boost_new = 1.5

[checkout]
provider = "https://pay.example/v2"
api_key = "{SECRETS[1]}"

[limits]
api = 120
search = 40
checkout = 20
login = 10

[features]
gift_wrap = true
reviews = true
preorder = false
"""


@shop.precommit
def can_be_served(old: Shop | None, new: Shop) -> None:
    """Refuse what the schema can't know: in every worker, at the vote."""
    if new.search.index not in ("books", "books-2"):
        raise ConfigError([Problem("search.index", f"there is no index {new.search.index!r}")])


def with_stock(keys: int) -> str:
    """The file with so many keys more, five a shelf."""
    return "\n".join([TEXT, *map(_shelf, range(keys // 5))])


def _shelf(number: int) -> str:
    metres, full = 2.5 + number % 4, (number % 90 + 10) / 100
    return f"[stock.shelf-{number:04}]\nheight = 30.5\ndepth = 20.0\nmetres = {metres}\nfull = {full}\nlamp = 2.0\n"


def loader() -> ConfigLoader[Shop]:
    """As the shop is deployed: its file, and guards."""
    return ConfigLoader("tests.support.bookshop:Shop", "app.toml", guards=[guards.empties("limits")])
