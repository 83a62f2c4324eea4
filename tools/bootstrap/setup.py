"""Installs everything, in the order of who needs whom; a second run only looks."""

from bootstrap import demo_model, environments, haproxy, llama, machine_image, pulumi_cli, supervisor
from bootstrap.context import Context


def install_all(context: Context, *, dev: bool) -> None:
    """Bring the clone and the cache to what this version of the repository needs, then say what is used."""
    used = {
        "python packages": environments.install_project(context, dev=dev),
        "haproxy": haproxy.install(context),
        "supervisor": supervisor.install(context),
        "demo model": demo_model.install(context),
        "pulumi": pulumi_cli.install(context),
        "llama-server": llama.install(context),
        **({"bare machine": machine_image.install(context)} if dev else {}),
    }
    for name, source in used.items():
        context.progress.line(f"{name + ':':17}{source}")
