"""What a server has against the ops of an exported graph."""

from serving.op_registry import library_of
from serving.op_registry import registry_of_server
from serving.op_registry import servers_with

_INSTEAD = {
    "tensorflow_text": (
        "the tokenizers word, subword and word_piece of this project need "
        "only ops that every server has"
    ),
    "tensorflow": "export without it",
}


def nodes_that_run(graph):
    """The nodes of a `GraphDef`, and of the functions that they call.

    Functions that nobody calls, as of training, a server does not look at.
    """
    functions = {f.signature.name: f for f in graph.library.function}
    nodes, called = list(graph.node), set()
    for node in nodes:  # which grows
        for name in _functions_of(node):
            if name in functions and name not in called:
                called.add(name)
                nodes += functions[name].node_def
    # A node may call a function by the name of its op.
    return [node for node in nodes if node.op not in functions]


def _functions_of(node):
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def version_problems(graph, release):
    """Whether the version of a graph is one that a server reads: messages."""
    known = registry_of_server(release).graph_version
    versions = graph.versions
    told = f"TensorFlow {release} reads graphs of version {known} at most"
    if versions.min_consumer > known:
        return [f"{told}, this one needs {versions.min_consumer}"]
    if known in versions.bad_consumers:
        return [f"{told}, and this one not by that version"]
    return []


def op_problems(graph, release):
    """Ops that a server has not, or not as they are in a graph: messages.

    Args:
        graph: A `GraphDef`.
        release: Of TensorFlow Serving, as "2.19".
    """
    registry, producer = registry_of_server(release), graph.versions.producer
    found = {}
    for node in nodes_that_run(graph):
        problem = registry.problem(node, producer)
        if problem:
            found.setdefault((node.op, problem), node)
    return [
        f"{op} {problem}; {_instead(node, producer)}"
        for (op, problem), node in sorted(found.items(), key=lambda x: x[0])
    ]


def _instead(node, producer):
    """What can be done about a node that a server does not run."""
    library = library_of(node.op)
    if library is None:
        return "it is a custom op, which no server has: export without it"
    releases = servers_with(node, producer)
    if releases:
        which = ", ".join(releases)
        return f"TensorFlow Serving {which} would do; else {_INSTEAD[library]}"
    return f"no TensorFlow Serving does yet: {_INSTEAD[library]}"
