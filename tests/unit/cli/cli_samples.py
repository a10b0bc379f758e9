"""Documents that the fake runtime answers with."""

STATE = {
    "ociVersion": "1.3.0",
    "id": "c1",
    "pid": 4242,
    "status": "running",
    "bundle": "/bundles/c1",
    "rootfs": "/bundles/c1/rootfs",
    "created": "2026-11-22T07:35:55.10233412Z",
    "owner": "",
}

PROCESS = {
    "terminal": True,
    "user": {"uid": 5, "gid": 6, "additionalGids": [7]},
    "args": ["sh"],
    "env": ["PATH=/bin"],
    "cwd": "/",
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
}
