"""A page's messages go where it sent them, whatever the kernel last sent from."""

import comm

from buildflow_nb.notebook.subshell import hear_where_sent


def test_the_page_decides_where_it_is_heard():
    made = comm.create_comm(target_name="a view")
    try:
        made._reply_subshell_id = None  # what ipykernel 7.4 notes when a thread has sent something
        made._reply_subshell_for = lambda _, default: getattr(made, "_reply_subshell_id", default)
        assert made._reply_subshell_for({}, "a subshell") is None
        hear_where_sent(made)
        assert made._reply_subshell_for({}, "a subshell") == "a subshell"
    finally:
        made.close()


def test_a_comm_without_a_route_of_its_own_is_left_alone():
    made = object()
    hear_where_sent(made)
    assert not hasattr(made, "_reply_subshell_for")
