"""The job in pyinfra's own operations. The inventory gives each machine its job as data."""

import io
import json

from pyinfra import host
from pyinfra.facts.server import Command
from pyinfra.operations import files, server, systemd

from bench.contest.job import Job, proven, running, start

job = Job.of(json.dumps(host.data.job))
for path, mode in job.folders:
    files.directory(path=path, mode=mode, user="root", group="root")
for file in job.files:
    files.put(src=io.StringIO(file.content), dest=file.path, mode=file.mode, user="root", group="root")
for path, target in job.links:
    files.link(path=path, target=target)
systemd.service(service=job.unit, running=True, enabled=True, daemon_reload=False)
proof = f"{running(job)} && {proven(job)} && echo serves || echo no"
if host.get_fact(Command, command=proof) != "serves":
    server.shell(commands=[start(job)])
