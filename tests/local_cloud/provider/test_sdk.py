"""A program that passes here is one that the published provider accepts: names and requirements.

The SDK's classes are made from the published providers' schemas, so they are the judge.
"""

from __future__ import annotations

import importlib
import inspect
import re
import warnings

import pytest

from buildflow_nb.local_cloud.provider.aws import AWS
from buildflow_nb.local_cloud.provider.gcp import GCP
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.snowflake import SNOWFLAKE

SEQUENCES = (Kind.TEXTS, Kind.CHOICES, Kind.OBJECTS)
ANNOTATIONS = {
    **dict.fromkeys((Kind.TEXT, Kind.JSON, Kind.DURATION, Kind.CASELESS, Kind.PATH), "str,"),
    Kind.FLAG: "bool,",
    Kind.NUMBER: "int,",
    Kind.TABLE: r"typing\.Mapping\[str,",
    **dict.fromkeys(SEQUENCES, r"typing\.Sequence\["),
    Kind.OBJECT: r"ForwardRef\('\w+Args'\)",
}
RESOURCES = {
    each.schema.token: each for each in (*AWS.resources, *GCP.resources, *SNOWFLAKE.resources)
}


@pytest.fixture(scope="module", autouse=True)
def sdks():
    """Import both without the warnings that they give of their own deprecated classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pulumi_aws
        import pulumi_gcp
        import pulumi_snowflake

        # Modules load when their first name is asked for.
        assert pulumi_aws.s3.Bucket
        assert pulumi_aws.sqs.Queue
        assert pulumi_gcp.bigquery.Table
        assert pulumi_gcp.pubsub.Topic
        assert pulumi_gcp.sql.Database
        assert pulumi_gcp.storage.Bucket
        assert pulumi_snowflake.Database
        yield


def resource_class(token):
    package, module, name = token.split(":")
    module = module.split("/")[0]
    where = f"pulumi_{package}" if module == "index" else f"pulumi_{package}.{module}"
    return getattr(importlib.import_module(where), name)


def arguments_class(token):
    cls = resource_class(token)
    return getattr(importlib.import_module(cls.__module__), f"{cls.__name__}Args")


def sdk_inputs(cls):
    """The names of inputs, camelCase, with the annotation and whether each is required."""
    from pulumi._types import input_type_py_to_pulumi_names

    signature = inspect.signature(cls.__init__).parameters
    return {
        camel: (signature[python].annotation, signature[python].default is inspect.Parameter.empty)
        for python, camel in input_type_py_to_pulumi_names(cls).items()
    }


def compare(inputs, cls, wrong):
    known = sdk_inputs(cls)
    for name in inputs.keys() - known.keys():
        wrong.append(f"{cls.__name__} has no {name}")
    for name, (annotation, required) in known.items():
        if required and not (name in inputs and inputs[name].required):
            wrong.append(f"{cls.__name__} requires {name}")
        if name in inputs:
            if inputs[name].required and not required:
                wrong.append(f"{cls.__name__} does not require {name}")
            compare_kind(cls, name, inputs[name], str(annotation), wrong)


def compare_kind(cls, name, declared, annotation, wrong):
    if not re.match(rf"(typing\.Union\[)?{ANNOTATIONS[declared.kind]}", annotation):
        wrong.append(f"{cls.__name__}.{name} is {annotation}, not {declared.kind.value}")
    if declared.parts:
        nested = re.search(r"ForwardRef\('(\w+Args)'", annotation).group(1)
        module = importlib.import_module(cls.__module__.rpartition(".")[0])
        compare(declared.parts, getattr(module, nested), wrong)


@pytest.mark.parametrize("token", sorted(RESOURCES))
def test_inputs_are_those_of_the_sdk(token):
    wrong = []
    compare(RESOURCES[token].schema.inputs, arguments_class(token), wrong)
    assert not wrong


@pytest.mark.parametrize("token", sorted(RESOURCES))
def test_outputs_are_those_of_the_sdk(token):
    from pulumi._types import resource_types

    schema = RESOURCES[token].schema
    known = set(resource_types(resource_class(token)))
    ours = set(schema.inputs) | set(schema.outputs)
    assert ours <= known
    left_out = known - ours - set(sdk_inputs(arguments_class(token)))
    assert left_out <= EXPECTED_GAPS.get(token, set())


EXPECTED_GAPS = {  # outputs of what the local cloud does not have
    # What changes with every row is no drift, and nothing is generated here.
    "gcp:bigquery/table:Table": {
        *("generatedSchemaColumns", "numBytes", "numLongTermBytes", "numRows")
    },
    "aws:s3/bucket:Bucket": {"hostedZoneId", "websiteDomain", "websiteEndpoint"},
    "gcp:sql/databaseInstance:DatabaseInstance": {
        *("availableMaintenanceVersions", "dnsName", "dnsNames", "ipAddresses"),
        *("pscServiceAttachmentLink", "serverCaCerts"),
    },
    "snowflake:index/pipe:Pipe": {"notificationChannel"},
    "snowflake:index/schema:Schema": {"describeOutputs", "parameters", "showOutputs"},
    "snowflake:index/stageInternal:StageInternal": {"describeOutputs", "showOutputs"},
    "gcp:sql/user:User": {"iamEmail", "sqlServerUserDetails"},
}


@pytest.mark.parametrize(
    ("package", "module", "name"),
    [
        ("aws", "iam", "get_policy_document"),
        ("gcp", "storage", "get_project_service_account"),
    ],
)
def test_functions_have_the_sdks_token(package, module, name):
    sdk = importlib.import_module(f"pulumi_{package}.{module}")
    served = {each.token for each in (AWS if package == "aws" else GCP).functions}
    source = inspect.getsource(getattr(sdk, name))
    assert [token for token in served if f"'{token}'" in source]


def test_a_wrong_schema_would_be_noticed():
    from buildflow_nb.local_cloud.provider.schema import Input

    wrong = []
    inputs = {"policy": Input(Kind.FLAG), "nonsense": Input()}
    compare(inputs, arguments_class("aws:sqs/queuePolicy:QueuePolicy"), wrong)
    assert len(wrong) == 4, wrong
    assert "QueuePolicyArgs has no nonsense" in wrong
    assert "QueuePolicyArgs requires queueUrl" in wrong
