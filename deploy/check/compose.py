"""Holds a compose file against the specification: every key, and that what is named is there."""

import json
import sys

import compose_spec
import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    # Merge keys are YAML's own; the specification begins behind them.
    whole = yaml.safe_load(file)
try:
    compose_spec.PyCompose.from_json(json.dumps(whole)).validate()
except ValueError as error:
    sys.exit(f"{sys.argv[1]}: {error}")
named = set(whole["volumes"])
for name, service in whole["services"].items():
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith((".", "/")) and source not in named:
            sys.exit(f"{sys.argv[1]}: {name} names the volume {source}, which is not there")
    for other in service.get("depends_on", []):
        if other not in whole["services"]:
            sys.exit(f"{sys.argv[1]}: {name} waits for {other}, which is not there")
