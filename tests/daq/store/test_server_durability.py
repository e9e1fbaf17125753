"""durability = "power" of databases: only with servers that sync what they acknowledge."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from enrgdaq.errors import ServerAwayError
from tests.daq.store import test_mysql, test_redis
from tests.private_servers import private_mariadb, private_redis
from tests.system.node import wait_until

CASES: list[Any] = [
    (
        private_mariadb,
        test_mysql.Store,
        lambda database, is_safe: database.query(
            f"SET GLOBAL innodb_flush_log_at_trx_commit = {1 if is_safe else 2}"
        ),
        "innodb_flush_log_at_trx_commit = 1, and the server has 2",
    ),
    (
        private_redis,
        test_redis.Store,
        lambda keys, is_safe: keys.ask(
            "CONFIG", "SET", "appendfsync", "always" if is_safe else "everysec"
        ),
        "the server has yes and everysec",
    ),
]


@pytest.mark.parametrize(("private", "store", "make_safe", "reason"), CASES)
def test_a_server_that_may_lose_what_it_acknowledged_is_refused(
    tmp_path: Path, private: Any, store: Any, make_safe: Callable[[Any, bool], Any], reason: str
) -> None:
    with private(tmp_path) as (_, place):
        make_safe(place, False)
        made = store(place, tmp_path, durability="power")
        made.put(pa.table({"x": [1]}))

        def is_refused() -> bool:
            with pytest.raises(ServerAwayError) as caught:
                made.job.flush()
            return reason in str(caught.value)

        wait_until(is_refused, what="the reason")
        make_safe(place, True)
        made.flush()
        made.job.free()
