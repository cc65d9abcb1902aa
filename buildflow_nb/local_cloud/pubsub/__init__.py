"""Google Cloud Pub/Sub on this machine: a gRPC server that Google's own clients talk to.

names, filter, status, proto, wire     the protocol's words
message, delivery                      a message, and what is handed out at once
subscription                           of backlog, ordering, lease, retry and dead_letter
topic, history, snapshot               who receives, and what can be replayed
broker                                 all of these by name
publisher, subscriber, snapshots, iam  the services, call by call; pull, streaming and push
                                       wait for messages; update and paging serve them all
state_file, server                     what outlives a stop, and the whole
"""

from __future__ import annotations

from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.server import PubSubServer

__all__ = ("PubSubOptions", "PubSubServer")
