"""Who imports whom, where import-linter's contracts have no words for it."""

import re
from collections import defaultdict
from pathlib import Path

import grimp

SERVICES = ("capture", "profile", "push", "metrics")

# Who puts services together; everybody else knows one at most.
ASSEMBLERS = ("services.__main__", "services.embedded", "services.command_line", "services.demo")

# The one place of each driver.
DRIVERS = {
    "aiokafka": r"services\.shared\.bus\.kafka(\w*)(\..*)?",
    "asyncpg": r"services\.shared\.database\.\w+(\..*)?",
}


def _service_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in SERVICES else None


def _is_assembler(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in ASSEMBLERS)


def complaints_about(imports: dict[str, set[str]]) -> list[str]:
    """Complaints about a mapping from each module to the modules that it imports directly."""
    complaints = []
    for module, imported in sorted(imports.items()):
        known = {service for name in imported if (service := _service_of(name))}
        if len(known) > 1 and not _is_assembler(module):
            complaints.append(f"{module}: imports {', '.join(sorted(known))}; one service at most")
        for driver, place in DRIVERS.items():
            uses = any(name.split(".")[0] == driver for name in imported)
            if uses and not re.fullmatch(place, module):
                complaints.append(f"{module}: imports {driver}; only {place} may")
    return complaints


def check(_root: Path) -> list[str]:
    """Complaints about the imports of the package `services` (found where Python finds it)."""
    graph = grimp.build_graph("services", include_external_packages=True, cache_dir=None)
    imports: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        if module.split(".")[0] == "services":
            imports[module] = set(graph.find_modules_directly_imported_by(module))
    return complaints_about(imports)
