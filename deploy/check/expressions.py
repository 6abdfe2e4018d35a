"""Writes the expressions of dashboards as recording rules, so that promtool reads them."""

import json
import sys

rules = []
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        board = json.load(file)
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            # Grafana puts a duration there.
            expression = target["expr"].replace("$__rate_interval", "1m")
            labels = {"panel": panel["title"], "query": target["refId"], "board": board["uid"]}
            rules.append({"record": "checked", "expr": expression, "labels": labels})
# JSON is YAML.
json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, sys.stdout)
