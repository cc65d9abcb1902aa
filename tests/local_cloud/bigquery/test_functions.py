"""Functions of GoogleSQL mean here what Google's reference says of them; each line is true."""

from __future__ import annotations

import pytest
from google.api_core import exceptions

TRUE = r"""
EXTRACT(DAYOFWEEK FROM DATE '2026-01-04')=1
DATE_TRUNC(DATE '2026-01-07', WEEK)=DATE '2026-01-04'
DATE_TRUNC(DATE '2026-01-07', ISOWEEK)=DATE '2026-01-05'
DATE_DIFF(DATE '2026-01-04', DATE '2026-01-03', WEEK)=1
TIMESTAMP_MICROS(5)=TIMESTAMP '1970-01-01 00:00:00.000005+00'
TIMESTAMP_SECONDS(5)=TIMESTAMP '1970-01-01 00:00:05+00'
UNIX_MILLIS(TIMESTAMP '1970-01-01 00:00:05+00')=5000
UNIX_MICROS(TIMESTAMP '1970-01-01 00:00:05+00')=5000000
TIMESTAMP_DIFF(TIMESTAMP '2026-01-02 00:00:00+00', TIMESTAMP '2026-01-01 00:00:01+00', DAY)=0
TIMESTAMP_DIFF(TIMESTAMP '2026-01-02 00:00:00+00', TIMESTAMP '2026-01-01 23:00:01+00', HOUR)=0
DATETIME_DIFF(DATETIME '2026-01-02 00:00:00', DATETIME '2026-01-01 23:59:59', DAY)=1
DATE_ADD(DATE '2026-01-31', INTERVAL 1 MONTH)=DATE '2026-02-28'
FORMAT_DATE('%Y%m%d', DATE '2026-01-02')='20260102'
FORMAT_TIMESTAMP('%F %T', TIMESTAMP '2026-01-02 03:04:05+00')='2026-01-02 03:04:05'
PARSE_TIMESTAMP('%Y-%m-%d', '2026-01-02')=TIMESTAMP '2026-01-02 00:00:00+00'
CAST('2026-01-02 00:00:00+02' AS TIMESTAMP)=TIMESTAMP '2026-01-01 22:00:00+00'
TIMESTAMP(DATE '2026-01-02')=TIMESTAMP '2026-01-02 00:00:00+00'
TIMESTAMP('2026-01-02')=TIMESTAMP '2026-01-02 00:00:00+00'
DATETIME(TIMESTAMP '2026-01-02 00:00:00+00')=DATETIME '2026-01-02 00:00:00'
CAST(1.5 AS INT64)=2
CAST(2.5 AS INT64)=3
CAST(-0.5 AS INT64)=-1
ROUND(2.5)=3.0
DIV(7,2)=3
MOD(-7,2)=-1
7/2=3.5
STRPOS('abc','c')=3
INSTR('abcc','c')=3
SUBSTR('hello',-3)='llo'
SPLIT('a,b')[OFFSET(1)]='b'
ARRAY_TO_STRING(['a','b'],'-')='a-b'
CONCAT('a','b')='ab'
REGEXP_EXTRACT('abc123', r'\d+')='123'
REGEXP_EXTRACT('abc123', r'[a-z]+(\d)')='1'
REGEXP_REPLACE('aaa', 'a', 'b')='bbb'
LENGTH('Zoë')=3
BYTE_LENGTH('Zoë')=4
TO_HEX(b'\xff')='ff'
TO_BASE64(b'ab')='YWI='
SHA256('a')=FROM_HEX('ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb')
MD5('a')=FROM_HEX('0cc175b9c0f1b6a831c399e269772661')
GREATEST(1,2)=2
IF(TRUE,1,2)=1
NULLIF(1,1) IS NULL
[1,2][SAFE_OFFSET(5)] IS NULL
[1,2][ORDINAL(1)]=1
ARRAY_LENGTH(GENERATE_ARRAY(1,10,3))=4
ARRAY_LENGTH(GENERATE_DATE_ARRAY(DATE '2026-01-01', DATE '2026-01-03'))=3
ARRAY_CONCAT([1],[2])[OFFSET(1)]=2
ARRAY_REVERSE([1,2])[OFFSET(0)]=2
JSON_EXTRACT_SCALAR('{"a":"x"}','$.a')='x'
JSON_VALUE('{"a":{"b":2}}','$.a.b')='2'
JSON_QUERY('{"a":{"b":2}}','$.a')='{"b":2}'
TO_JSON_STRING(STRUCT(1 AS a))='{"a":1}'
PARSE_JSON('{"a":1}') IS NOT NULL
(SELECT COUNT(DISTINCT x) FROM UNNEST([1,1,2]) x)=2
(SELECT APPROX_COUNT_DISTINCT(x) FROM UNNEST([1,1,2]) x)=2
(SELECT STRING_AGG(x, ',' ORDER BY x DESC) FROM UNNEST(['a','b']) x)='b,a'
(SELECT LOGICAL_OR(x) FROM UNNEST([TRUE,FALSE]) x)
(SELECT ARRAY_AGG(x ORDER BY x DESC)[OFFSET(0)] FROM UNNEST([1,3]) x)=3
(SELECT MAX_BY(x,y) FROM UNNEST([STRUCT(1 AS x,2 AS y)]))=1
'abc' LIKE 'a%'
STARTS_WITH('abc','a')
LPAD('7',3,'0')='007'
TRIM('  a ')='a'
UPPER('a')='A'
SAFE_CAST('1' AS INT64)=1
1 IN (1,2)
CAST(TRUE AS STRING)='true'
CAST(DATE '2026-01-02' AS STRING)='2026-01-02'
CAST(TIMESTAMP '2026-01-02 00:00:00+00' AS STRING)='2026-01-02 00:00:00+00'
POW(2,3)=8
LOG(100,10)=2
CEIL(1.2)=2
TRUNC(1.9)=1
SIGN(-3)=-1
BIT_COUNT(7)=3
5 & 3=1
1 << 2=4
EXTRACT(ISOWEEK FROM DATE '2026-01-01')=1
LAST_DAY(DATE '2026-02-01')=DATE '2026-02-28'
FORMAT('%d-%s', 1, 'a')='1-a'
(SELECT x/y FROM UNNEST([STRUCT(1 AS x,2 AS y)])) = 0.5
(SELECT SUM(x)/COUNT(*) FROM UNNEST([1,3]) x)=2
SAFE_DIVIDE(1,0) IS NULL
(SELECT IF(y=0, 0, x/y) FROM UNNEST([STRUCT(1 AS x,0 AS y)]))=0
8/4/2=1
NOT 'a' LIKE 'A'
""".strip().splitlines()


def test_each_is_true(client):
    columns = ", ".join(f"({line}) AS c{i}" for i, line in enumerate(TRUE))
    (row,) = client.query(f"SELECT {columns}", retry=None, job_retry=None).result(timeout=10)
    assert [line for line, found in zip(TRUE, row, strict=True) if found is not True] == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("1 / 0", "division by zero"),
        ("1 / (1 / 0)", "division by zero"),
        ("EXTRACT(WEEK FROM CURRENT_DATE())", "take ISOWEEK"),
        ("FARM_FINGERPRINT('x')", "farm_fingerprint does not exist"),
        ("CAST('x' AS INT64)", "x"),
    ],
)
def test_what_goes_wrong_is_said(client, sql, said):
    with pytest.raises(exceptions.GoogleAPICallError, match=f"(?i){said}"):
        client.query(f"SELECT {sql}", retry=None, job_retry=None).result(retry=None, timeout=10)
