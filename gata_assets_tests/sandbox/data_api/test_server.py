"""The local Data API, over the wire.

Real: PostgreSQL, boto3's rds-data and secretsmanager clients with botocore's own service models, HTTP.
Faked: AWS itself; the limits, error names and messages are those AWS documents. The only test without a
server is the property of translate(), which is pure.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.sandbox.data_api.access import ACCESS_KEY_ID
from gata_assets.sandbox.data_api.http import ERROR_STATUS
from gata_assets.sandbox.data_api.server import DataApiServer, serve
from gata_assets.sandbox.data_api.sql import translate
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.data_api import FaultyDataApi

if TYPE_CHECKING:
    from types_boto3_rds_data import RDSDataServiceClient
    from types_boto3_secretsmanager import SecretsManagerClient

Execute = Callable[..., dict[str, Any]]
Select = Callable[..., list[dict[str, Any]]]

MEBIBYTE = 1_048_576


def credentials(server: DataApiServer) -> dict[str, str]:
    return {
        "region_name": "us-east-1",
        "aws_access_key_id": ACCESS_KEY_ID,
        "aws_secret_access_key": server.secret_key,
    }


def rds_data(server: DataApiServer, *, read_timeout: float = 30) -> RDSDataServiceClient:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout, max_pool_connections=20)
    return boto3.client("rds-data", endpoint_url=server.url, config=config, **credentials(server))  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('sad', 'fine')")
        connection.execute("CREATE TABLE person (id bigint PRIMARY KEY, name text, mood mood, facts jsonb)")
        yield connection
        connection.execute("DROP TABLE person")
        connection.execute("DROP TYPE mood")


@pytest.fixture
def server(postgres_url: str, database: psycopg.Connection[Any]) -> Iterator[FaultyDataApi]:
    database.execute("TRUNCATE person")
    with FaultyDataApi(postgres_url) as running:
        yield running


@pytest.fixture
def client(server: FaultyDataApi) -> RDSDataServiceClient:
    return rds_data(server)


@pytest.fixture
def execute(server: FaultyDataApi, client: RDSDataServiceClient) -> Execute:
    def run(sql: str, *parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
        request: dict[str, Any] = {
            "resourceArn": server.resource_arn,
            "secretArn": server.secret_arn,
            "database": server.database,
            "sql": sql,
            "parameters": list(parameters),
        }
        return dict(client.execute_statement(**{**request, **more}))

    return run


@pytest.fixture
def select(execute: Execute) -> Select:
    def run(sql: str, *parameters: dict[str, Any]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(execute(sql, *parameters, formatRecordsAs="JSON")["formattedRecords"])
        return rows

    return run


def statement(server: FaultyDataApi, sql: str) -> dict[str, Any]:
    return {"resourceArn": server.resource_arn, "secretArn": server.secret_arn, "sql": sql}


def parameter(name: str, hint: str | None = None, **value: Any) -> dict[str, Any]:
    return {"name": name, "value": value} | ({} if hint is None else {"typeHint": hint})


def error_of(call: Callable[[], Any]) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    name, message = response["Error"]["Code"], response["Error"]["Message"]
    # botocore gives the modeled class, so `except client.exceptions.X` works too.
    assert type(caught.value).__name__ in (name, "ClientError")
    return name, message, response["ResponseMetadata"]["HTTPStatusCode"]


def refusal(call: Callable[[], Any]) -> str:
    name, message, status = error_of(call)
    assert (name, status) == ("BadRequestException", 400)
    return message


# Values and types


def test_formatted_records_have_the_json_types_of_the_data_api(execute: Execute) -> None:
    answer = execute(
        "SELECT 9223372036854775807::bigint AS big, 1::int2 AS small, 0.1::float8 AS float,"
        " 1e21::float8 AS far,"
        " 'NaN'::float8 AS nan, 1.50::numeric AS exact, true AS yes, false AS no, NULL::bigint AS none,"
        " NULL::text AS nothing, 'é \"q\" \\ %s'::text AS text, 'fine'::mood AS mood,"
        " '{\"a\": 1}'::json AS doc,"
        " '2024-02-03 04:05:06.7'::timestamp AS at, '2024-02-03 04:05:06+02'::timestamptz AS zoned,"
        " '2024-02-03'::date AS day, '\\x00ff'::bytea AS bytes, 'null'::text AS word",
        formatRecordsAs="JSON",
    )
    assert set(answer) == {
        "generatedFields",
        "numberOfRecordsUpdated",
        "formattedRecords",
        "ResponseMetadata",
    }
    assert answer["generatedFields"] == [] and answer["numberOfRecordsUpdated"] == 0
    assert answer["formattedRecords"] == (
        '[{"big":9223372036854775807,"small":1,"float":0.1,"far":1e+21,"nan":"NaN","exact":"1.50","yes":true,'
        '"no":false,"none":null,"nothing":null,"text":"é \\"q\\" \\\\ %s","mood":"fine","doc":"{\\"a\\": 1}",'
        '"at":"2024-02-03 04:05:06.7","zoned":"2024-02-03 02:05:06","day":"2024-02-03","bytes":"AP8=",'
        '"word":"null"}]'
    )


def test_records_are_lists_of_field_unions_with_metadata_only_when_asked(execute: Execute) -> None:
    sql = "SELECT 1::bigint AS a, 0.5::float8 AS b, true AS c, text 'null' AS d, NULL AS e, '\\x01'::bytea AS f"
    plain = execute(sql)
    assert plain["records"] == [
        [
            {"longValue": 1},
            {"doubleValue": 0.5},
            {"booleanValue": True},
            {"stringValue": "null"},
            {"isNull": True},
            {"blobValue": b"\x01"},
        ]
    ]
    assert "columnMetadata" not in plain and "formattedRecords" not in plain
    metadata = execute(sql, includeResultMetadata=True)["columnMetadata"]
    assert [(c["label"], c["typeName"]) for c in metadata][:3] == [
        ("a", "int8"),
        ("b", "float8"),
        ("c", "bool"),
    ]


def test_equal_labels_keep_the_last_value_in_json_and_both_in_records(execute: Execute, select: Select) -> None:
    assert select("SELECT 1 AS a, 2 AS b, 3 AS a") == [{"a": 3, "b": 2}]
    assert execute("SELECT 1 AS a, 2 AS a")["records"] == [[{"longValue": 1}, {"longValue": 2}]]


def test_a_label_may_contain_percent_signs_and_quotes(select: Select) -> None:
    assert select('SELECT 1 AS "a%s ""b"" %"') == [{'a%s "b" %': 1}]


def test_rows_keep_their_order_over_many_chunks(select: Select) -> None:
    rows = select("SELECT g AS id FROM generate_series(1, 1000) g ORDER BY g DESC")
    assert [row["id"] for row in rows] == list(range(1000, 0, -1))


def test_a_query_without_rows_is_an_empty_list_not_a_missing_one(execute: Execute) -> None:
    assert execute("SELECT 1 AS a WHERE false", formatRecordsAs="JSON")["formattedRecords"] == "[]"
    assert execute("SELECT 1 AS a WHERE false")["records"] == []


def test_statements_that_return_no_rows_give_a_count_and_no_records(execute: Execute) -> None:
    sql = "INSERT INTO person (id, name) SELECT g, 'p' FROM generate_series(1, 3) g"
    answer = execute(sql, formatRecordsAs="JSON")
    assert answer["numberOfRecordsUpdated"] == 3
    assert "formattedRecords" not in answer and "records" not in answer
    assert execute("UPDATE person SET name = 'q' WHERE id > 1")["numberOfRecordsUpdated"] == 2


def test_returning_gives_the_rows(select: Select) -> None:
    rows = select("WITH new AS (INSERT INTO person (id) VALUES (1), (2) RETURNING id) SELECT id FROM new ORDER BY 1")
    assert rows == [{"id": 1}, {"id": 2}]
    assert select("DELETE FROM person WHERE id = 1 RETURNING id") == [{"id": 1}]


def test_an_array_column_is_an_unsupported_result(execute: Execute) -> None:
    name, message, status = error_of(lambda: execute("SELECT ARRAY[1, 2] AS pair"))
    assert (name, status) == ("UnsupportedResultException", 400) and "pair" in message


def test_a_type_created_after_the_first_query_is_known(execute: Execute) -> None:
    execute("SELECT 1")
    execute("CREATE TYPE later AS ENUM ('x')")
    try:
        answer = execute("SELECT 'x'::later AS v", includeResultMetadata=True)
        assert answer["columnMetadata"][0]["typeName"] == "later"
    finally:
        execute("DROP TYPE later")


# Parameters


def test_parameters_are_bound_with_the_types_of_the_data_api(select: Select) -> None:
    assert select(
        "SELECT " + ", ".join(f"pg_typeof(:{name})::text AS {name}" for name in "abcdefghijk"),
        parameter("a", longValue=1),
        parameter("b", stringValue="x"),
        parameter("c", doubleValue=1.5),
        parameter("d", booleanValue=True),
        parameter("e", blobValue=b"\x00\xff"),
        parameter("f", "DATE", stringValue="2024-01-31"),
        parameter("g", "TIME", stringValue="01:02:03"),
        parameter("h", "TIMESTAMP", stringValue="2024-01-31 01:02:03.456"),
        parameter("i", "DECIMAL", stringValue="1.10"),
        parameter("j", "JSON", stringValue="{}"),
        parameter("k", "UUID", stringValue="6a2f41a3-c54c-fce8-32d2-0324e1c32e22"),
    ) == [
        {
            "a": "bigint",
            "b": "character varying",
            "c": "double precision",
            "d": "boolean",
            "e": "bytea",
            "f": "date",
            "g": "time without time zone",
            "h": "timestamp without time zone",
            "i": "numeric",
            "j": "json",
            "k": "uuid",
        }
    ]


def test_parameter_values_arrive_unchanged(select: Select) -> None:
    text = "'; DROP TABLE person; -- :x % \\ é 💡\n$1"
    assert select(
        "SELECT :a::text AS a, :b AS b, :c AS c, :d::bigint AS d, :e AS e, :f AS f",
        parameter("a", stringValue=text),
        parameter("b", longValue=-(2**63)),
        parameter("c", doubleValue=float("inf")),
        parameter("d", isNull=True),
        parameter("e", blobValue=b"\x00\xff"),
        parameter("f", booleanValue=False),
    ) == [
        {
            "a": text,
            "b": -(2**63),
            "c": "Infinity",
            "d": None,
            "e": base64.b64encode(b"\x00\xff").decode(),
            "f": False,
        }
    ]


def test_a_string_compared_with_an_enum_or_an_integer_needs_a_cast(execute: Execute, select: Select) -> None:
    execute("INSERT INTO person (id, mood) VALUES (1, 'fine')")
    mood, number = parameter("mood", stringValue="fine"), parameter("id", stringValue="1")
    message = refusal(lambda: select("SELECT id FROM person WHERE mood = :mood", mood))
    assert message == "ERROR: operator does not exist: mood = character varying; SQLState: 42883"
    assert "bigint = character varying" in refusal(lambda: select("SELECT id FROM person WHERE id = :id", number))
    assert select("SELECT id FROM person WHERE mood = :mood::mood", mood) == [{"id": 1}]


def test_a_name_used_twice_in_the_sql_needs_one_parameter(select: Select) -> None:
    assert select("SELECT :a + :b + :a AS s", parameter("a", longValue=1), parameter("b", longValue=5)) == [{"s": 7}]


def test_names_in_literals_comments_and_casts_are_no_parameters(select: Select) -> None:
    sql = """
        SELECT ':a' AS a, E'it\\'s :b' AS b, $$ :c $$ AS c, $q$ $$ :d $q$ AS d, '1'::int AS e, -- :f '
               ':: '' :g' AS g, /* :h /* ' */ :i */ 10 % 4 AS ":j", 'a%b' LIKE '%' AS k, :real AS real
    """
    assert select(sql, parameter("real", longValue=1)) == [
        {
            "a": ":a",
            "b": "it's :b",
            "c": " :c ",
            "d": " $$ :d ",
            "e": 1,
            "g": ":: ' :g",
            ":j": 2,
            "k": True,
            "real": 1,
        }
    ]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([], "No value is given for parameter: id"),
        ([parameter("id", longValue=1), parameter("id", longValue=2)], "Parameter is given twice: id"),
        ([parameter("id", longValue=1), parameter("x", longValue=2)], "Cannot find parameter: x"),
        ([parameter("id", arrayValue={"longValues": [1]})], "Array parameters are not supported: id"),
        ([parameter("id", "DATE", longValue=1)], "typeHint DATE needs a stringValue: id"),
        (
            [parameter("id", "TIMESTAMP", stringValue="2024-01-31T01:02:03Z")],
            "Parameter does not have the format of typeHint TIMESTAMP: id",
        ),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_name(
    execute: Execute, parameters: list[dict[str, Any]], message: str
) -> None:
    assert refusal(lambda: execute("SELECT :id", *parameters)) == message


def test_a_positional_parameter_in_the_sql_is_refused(execute: Execute) -> None:
    call = lambda: execute("SELECT $1, :a", parameter("a", longValue=1))  # noqa: E731
    assert "Positional parameters" in refusal(call)


def test_a_nul_in_a_string_is_an_error_not_a_truncation(execute: Execute) -> None:
    message = refusal(lambda: execute("SELECT :a AS a", parameter("a", stringValue="kept\0lost")))
    assert message == 'ERROR: invalid byte sequence for encoding "UTF8": 0x00; SQLState: 22021'


def test_a_parameter_is_never_part_of_the_sql_text(select: Select, database: psycopg.Connection[Any]) -> None:
    seen = select(
        "SELECT query AS q FROM pg_stat_activity WHERE pid = pg_backend_pid() AND :a <> ''",
        parameter("a", stringValue=canary("a value")),
    )
    assert "$1" in seen[0]["q"] and canary("a value") not in seen[0]["q"]


_plain = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_untouched = st.one_of(
    _plain.map(lambda t: "'" + t.replace("'", "''") + "'"),
    _plain.map(lambda t: "E'" + t.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    _plain.map(lambda t: '"' + t.replace('"', '""') + '"'),
    _plain.map(lambda t: "$q$" + t.replace("$", "") + ":x $$ $q$"),
    _plain.map(lambda t: "--" + t.replace("\n", "").replace("\r", "") + " :x '\n"),
    _plain.map(lambda t: "/*" + t.replace("*", "").replace("/", "") + "/* :x ' */ :y */"),
    st.sampled_from(["a::int", "1 % 2", "x$1", "b'0'", "some_e", "[1]", "1.5e3", "a := b"]),
)


@given(st.lists(_untouched, min_size=1), st.lists(st.sampled_from(["a", "b", "_c1"]), max_size=4))
def test_translation_changes_only_the_parameters(untouched: list[str], names: list[str]) -> None:
    order = list(dict.fromkeys(names))
    given_sql, wanted = "", ""
    for index, text in enumerate(untouched):
        name = names[index] if index < len(names) else None
        given_sql += f" {text} " + (f":{name} " if name else "")
        wanted += f" {text} " + (f"${order.index(name) + 1} " if name else "")
    used = list(dict.fromkeys(names[: len(untouched)]))
    assert translate(given_sql) == (wanted, used)


@given(st.text())
def test_sql_without_colons_and_dollars_is_translated_to_itself(sql: str) -> None:
    sql = sql.replace(":", "").replace("$", "")
    assert translate(sql) == (sql, [])


# Limits


def _rows_of(size: int, letter: str = "x") -> str:
    """A query whose formattedRecords has exactly `size` bytes: 100 rows of 10,000 and one with the rest."""
    rest = size - len("[]") - 100 - 100 * 10_000
    width = len(letter.encode())
    keys = len('{"t":""}')
    letters = f"(CASE g WHEN 101 THEN {rest} ELSE 10000 END - {keys})"
    return (
        f"SELECT repeat('{letter}', {letters} / {width}) || repeat('x', {letters} % {width}) AS t"
        " FROM generate_series(1, 101) g"
    )


@pytest.mark.parametrize("letter", ["x", "é", "💡"])
def test_a_response_of_exactly_one_mebibyte_is_answered(execute: Execute, letter: str) -> None:
    answer = execute(_rows_of(MEBIBYTE, letter), formatRecordsAs="JSON")["formattedRecords"]
    assert len(answer.encode()) == MEBIBYTE


@pytest.mark.parametrize("letter", ["x", "é", "💡"])
def test_a_response_over_one_mebibyte_is_an_error_not_a_truncation(execute: Execute, letter: str) -> None:
    message = refusal(lambda: execute(_rows_of(MEBIBYTE + 1, letter), formatRecordsAs="JSON"))
    assert message == "Database returned more than the allowed response size limit"


def test_records_have_the_same_limit(execute: Execute) -> None:
    sql = "SELECT repeat('x', 1000) AS t FROM generate_series(1, {})"
    assert len(execute(sql.format(1000))["records"]) == 1000
    message = refusal(lambda: execute(sql.format(1030)))
    assert message == "Database returned more than the allowed response size limit"


def test_an_endless_result_is_stopped_at_the_limit(server: FaultyDataApi, execute: Execute) -> None:
    endless = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT 1 FROM n) SELECT i FROM n"
    refusal(lambda: execute(endless, formatRecordsAs="JSON"))
    assert server.calls[-1].seconds < 5
    assert execute("SELECT 1 AS a")["records"] == [[{"longValue": 1}]]


def test_a_row_over_64_kilobytes_is_an_error(select: Select, execute: Execute) -> None:
    assert len(select(f"SELECT repeat('x', {65_536 - 8}) AS t")) == 1
    message = refusal(lambda: select(f"SELECT repeat('x', {65_536 - 7}) AS t"))
    assert message == "Database returned more than the allowed row size limit"
    assert refusal(lambda: select("SELECT repeat('é', 33000) AS t")) == message
    assert refusal(lambda: execute("SELECT repeat('x', 66000) AS t")) == message


# Errors


def test_a_sql_error_is_a_bad_request_with_the_sqlstate(client: RDSDataServiceClient, execute: Execute) -> None:
    message = refusal(lambda: execute("SELECT * FROM missing"))
    assert message == 'ERROR: relation "missing" does not exist; SQLState: 42P01'
    with pytest.raises(client.exceptions.BadRequestException):
        execute("SELEC 1")


def test_an_error_in_the_middle_of_the_rows_is_an_error(execute: Execute) -> None:
    message = refusal(lambda: execute("SELECT 1 / (5000 - g) FROM generate_series(1, 6000) g"))
    assert message == "ERROR: division by zero; SQLState: 22012"
    assert len(execute("SELECT 1")["records"]) == 1


def test_several_statements_in_one_call_are_refused(execute: Execute) -> None:
    assert "SQLState: 42601" in refusal(lambda: execute("SELECT 1; SELECT 2"))


def test_a_statement_over_the_timeout_is_cancelled(server: FaultyDataApi, execute: Execute) -> None:
    server.statement_timeout_seconds = 0.2
    with pytest.raises(ClientError) as caught:
        execute("SELECT pg_sleep(20)")
    assert caught.value.response["Error"]["Code"] == "StatementTimeoutException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    connection_id = caught.value.response["dbConnectionId"]  # type: ignore[typeddict-item]
    assert isinstance(connection_id, int) and connection_id > 0
    assert server.calls[-1].seconds < 5


def test_a_failed_statement_leaves_nothing_behind(execute: Execute, select: Select) -> None:
    refusal(lambda: execute("INSERT INTO person (id) SELECT 1 / (3 - g) FROM generate_series(1, 3) g"))
    assert select("SELECT count(*) AS n FROM person") == [{"n": 0}]


def test_a_setting_does_not_reach_the_next_call(execute: Execute, select: Select) -> None:
    execute("SET search_path = nowhere")
    assert select("SELECT current_setting('search_path') AS p") == [{"p": '"$user", public'}]
    execute("CREATE TEMPORARY TABLE passing (id int)")
    assert "does not exist" in refusal(lambda: execute("SELECT * FROM passing"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"resourceArn": "arn:aws:rds:us-east-1:1:cluster:other"},
            "HttpEndpoint is not enabled for resource arn",
        ),
        (
            {"secretArn": "arn:aws:secretsmanager:us-east-1:1:secret:other"},
            "Secrets Manager can't find the spec",
        ),
        ({"database": "other"}, 'FATAL: database "other" does not exist'),
        ({"transactionId": "abc"}, "transactionId is not supported here"),
        ({"resultSetOptions": {"longReturnType": "STRING"}}, "resultSetOptions is not supported here"),
        ({"schema": "public"}, "schema is not supported here"),
        ({"continueAfterTimeout": True}, "continueAfterTimeout is not supported here"),
        ({"sql": "BEGIN"}, "Transactions are not supported here"),
        ({"sql": "COPY person TO STDOUT"}, "COPY is not supported here"),
        ({"sql": "COPY person FROM STDIN"}, "COPY is not supported here"),
        ({"sql": "SELECT '" + "x" * 4_194_304 + "'"}, "The request is larger than 4 MiB"),
    ],
)
def test_a_request_that_cannot_be_served_says_why(execute: Execute, change: dict[str, Any], message: str) -> None:
    request = {"sql": "SELECT 1"} | change
    assert refusal(lambda: execute(**request)).startswith(message)
    assert len(execute("SELECT 1")["records"]) == 1


def test_batches_and_transactions_are_refused(server: FaultyDataApi, client: RDSDataServiceClient) -> None:
    arns: dict[str, Any] = {"resourceArn": server.resource_arn, "secretArn": server.secret_arn}
    calls: list[Callable[[], Any]] = [
        lambda: client.batch_execute_statement(**arns, sql="SELECT 1"),
        lambda: client.begin_transaction(**arns),
        lambda: client.commit_transaction(**arns, transactionId="abc"),
        lambda: client.rollback_transaction(**arns, transactionId="abc"),
    ]
    for call in calls:
        assert refusal(call).endswith(" is not supported here")
    assert server.calls == []


@pytest.mark.server
def test_a_database_that_is_gone_is_unavailable() -> None:
    with DataApiServer("postgresql://user@127.0.0.1:1/gata") as server:
        client = rds_data(server)
        name, _, status = error_of(lambda: client.execute_statement(**statement(server, "SELECT 1")))
    assert (name, status) == ("DatabaseUnavailableException", 504)


def test_a_connection_that_is_cut_is_an_error_once(
    execute: Execute, select: Select, database: psycopg.Connection[Any]
) -> None:
    pid = select("SELECT pg_backend_pid() AS pid")[0]["pid"]
    database.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert error_of(lambda: execute("SELECT 1"))[0] in ("BadRequestException", "DatabaseUnavailableException")
    assert len(execute("SELECT 1")["records"]) == 1


def test_a_url_without_a_database_is_refused() -> None:
    with pytest.raises(ValueError, match="names no database"):
        DataApiServer("postgresql://user@127.0.0.1:1")
    assert DataApiServer("postgresql://user@127.0.0.1:1/gata").database == "gata"


# The secret


@pytest.fixture
def secrets(server: DataApiServer) -> SecretsManagerClient:
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("secretsmanager", endpoint_url=server.url, config=config, **credentials(server))  # type: ignore[call-overload, no-any-return]


def test_the_secret_contains_the_login_of_the_database(server: FaultyDataApi, secrets: SecretsManagerClient) -> None:
    answer = secrets.get_secret_value(SecretId=server.secret_arn)
    secret = json.loads(answer["SecretString"])
    assert answer["ARN"] == server.secret_arn
    assert set(secret) == {"dbname", "username", "password"}
    assert secret["dbname"] == "gata" and secret["username"]


def test_another_secret_is_not_found(secrets: SecretsManagerClient) -> None:
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.get_secret_value(SecretId="other")
    name, _, _ = error_of(lambda: secrets.describe_secret(SecretId="other"))
    assert name == "UnknownOperationException"


# Faults on demand and the record of calls


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("DatabaseResumingException", 400),
        ("ThrottlingException", 400),
        ("StatementTimeoutException", 400),
        ("BadRequestException", 400),
        ("ForbiddenException", 403),
        ("AccessDeniedException", 403),
        ("InternalServerErrorException", 500),
        ("ServiceUnavailableError", 503),
    ],
)
def test_a_fault_is_raised_by_boto3_under_its_name(
    server: FaultyDataApi, execute: Execute, error: str, status: int
) -> None:
    server.fail_next(error)
    assert error_of(lambda: execute("SELECT 1"))[::2] == (error, status)
    assert len(execute("SELECT 1")["records"]) == 1


def test_every_error_of_the_service_model_can_be_asked_for_with_its_status(
    client: RDSDataServiceClient,
) -> None:
    model = client.meta.service_model
    modeled = {
        shape.name: shape.metadata["error"]["httpStatusCode"]
        for operation in model.operation_names
        for shape in model.operation_model(operation).error_shapes
    }
    assert modeled.items() <= ERROR_STATUS.items()


def _outcomes(execute: Execute, times: int) -> list[str]:
    seen = []
    for _ in range(times):
        try:
            execute("SELECT 1")
            seen.append("ok")
        except ClientError as error:
            seen.append(error.response["Error"]["Code"].removesuffix("Exception"))
    return seen


def test_faults_come_after_the_calls_to_skip_and_one_after_the_other(server: FaultyDataApi, execute: Execute) -> None:
    execute("SELECT 1")
    server.fail_next("ThrottlingException", times=2, skip=1)
    server.fail_next("ForbiddenException", times=2)
    assert _outcomes(execute, 6) == ["Forbidden", "Throttling", "Throttling", "Forbidden", "ok", "ok"]


def test_an_unknown_fault_is_refused_at_once(server: FaultyDataApi) -> None:
    with pytest.raises(ValueError, match=r"DatabaseResuming$"):
        server.fail_next("DatabaseResuming")


def test_a_resuming_database_answers_again_after_its_time(server: FaultyDataApi, execute: Execute) -> None:
    server.resume_for(2.0)
    assert _outcomes(execute, 2) == ["DatabaseResuming", "DatabaseResuming"]
    _until(lambda: _outcomes(execute, 1) == ["ok"])


def test_a_hanging_call_makes_the_client_time_out_though_the_statement_ran(
    server: FaultyDataApi, database: psycopg.Connection[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    client = rds_data(server, read_timeout=0.3)
    # Large enough that the late answer breaks off at the socket the client has closed.
    insert = "INSERT INTO person (id) SELECT g FROM generate_series(1, 15) g RETURNING repeat('x', 60000)"
    server.hang_next(1.0)
    with pytest.raises(ReadTimeoutError):
        client.execute_statement(**statement(server, insert))
    _until(lambda: database.execute("SELECT count(*) FROM person").fetchall() == [(15,)])
    rds_data(server).execute_statement(**statement(server, "SELECT 1"))
    assert [call.error for call in server.calls] == [None, None]
    time.sleep(0.8)
    assert capfd.readouterr().err == ""


def test_a_hook_changes_rows_between_two_pages(
    server: FaultyDataApi, select: Select, database: psycopg.Connection[Any]
) -> None:
    database.execute("INSERT INTO person (id) VALUES (1), (2)")
    seen: list[tuple[int, str, dict[str, Any]]] = []

    def insert_before_second(number: int, sql: str, parameters: dict[str, Any]) -> None:
        seen.append((number, sql, parameters))
        if number == 2:
            database.execute("INSERT INTO person (id) VALUES (3)")

    server.before_execute = insert_before_second
    page = "SELECT id FROM person WHERE id > :after ORDER BY id LIMIT 2"
    assert [row["id"] for row in select(page, parameter("after", longValue=0))] == [1, 2]
    assert [row["id"] for row in select(page, parameter("after", longValue=2))] == [3]
    assert seen == [(1, page, {"after": 0}), (2, page, {"after": 2})]


def test_calls_are_recorded_with_names_but_without_values(server: FaultyDataApi, execute: Execute) -> None:
    execute("SELECT :secret AS s", parameter("secret", stringValue=canary("a value")))
    refusal(lambda: execute("SELECT 1/0"))
    first, second = server.calls
    assert (first.number, first.sql, first.parameter_names) == (1, "SELECT :secret AS s", ("secret",))
    assert first.error is None and first.response_bytes > 0 and 0 < first.seconds < 5
    assert (second.number, second.error) == (2, "BadRequestException")
    assert canary("a value") not in repr(server.calls)


def test_nothing_is_logged(execute: Execute, capfd: pytest.CaptureFixture[str]) -> None:
    execute("SELECT :secret AS s", parameter("secret", stringValue=canary("a value")))
    assert capfd.readouterr() == ("", "")


# Running it


def test_calls_from_many_threads_run_at_the_same_time(server: FaultyDataApi, execute: Execute) -> None:
    threads = [threading.Thread(target=execute, args=("SELECT pg_sleep(0.5)",)) for _ in range(8)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.perf_counter() - started < 2
    assert sorted(call.number for call in server.calls) == list(range(1, 9))


def test_small_calls_on_one_connection_do_not_stall(server: FaultyDataApi, execute: Execute) -> None:
    execute("SELECT 1")
    seconds = []
    for _ in range(40):
        started = time.perf_counter()
        execute("SELECT 1")
        seconds.append(time.perf_counter() - started)
    # Nagle's algorithm against delayed acknowledgments costs 40 ms a call; a busy machine, some of the calls.
    assert sorted(seconds)[10] < 0.03


def test_a_stopped_server_answers_nobody_and_can_start_again(postgres_url: str) -> None:
    server = DataApiServer(postgres_url)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url
    server.start()
    client = rds_data(server)
    request = statement(server, "SELECT 1")
    client.execute_statement(**request)
    server.stop()
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        client.execute_statement(**request)
    with server:
        assert rds_data(server).execute_statement(**request)["records"] == [[{"longValue": 1}]]


def test_stopping_cancels_what_is_still_running(postgres_url: str, database: psycopg.Connection[Any]) -> None:
    server = DataApiServer(postgres_url).start()
    client = rds_data(server)
    request = statement(server, "SELECT pg_sleep(30)")
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"
    failures: list[Exception] = []

    def call() -> None:
        try:
            client.execute_statement(**request)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    _until(lambda: database.execute(running).fetchall() == [(1,)])
    server.stop()
    thread.join(5)
    assert len(failures) == 1
    _until(lambda: database.execute(running).fetchall() == [(0,)])


def test_the_environment_variable_points_boto3_at_the_server(
    server: FaultyDataApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_RDS_DATA", server.url)
    client = boto3.client("rds-data", **credentials(server))  # type: ignore[call-overload]
    client.execute_statement(**statement(server, "SELECT 1"))
    assert len(server.calls) == 1


def test_serve_blocks_until_interrupted_and_stops_the_server(postgres_url: str) -> None:
    seen: list[DataApiServer] = []

    def interrupt(server: DataApiServer) -> None:
        assert server.url.startswith("http://127.0.0.1:")
        seen.append(server)
        raise KeyboardInterrupt

    serve(DataApiServer(postgres_url), on_ready=interrupt)
    with pytest.raises(RuntimeError, match="not running"):
        _ = seen[0].url


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
